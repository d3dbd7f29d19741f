import { expect, test } from 'vitest'
import { createLog } from '../log.ts'
import { withFailpoints } from './failpoints.ts'
import { createMemoryStore } from './memory.ts'
import type { Store } from './port.ts'

const log = createLog({ service: 'test', level: 'silent' })

interface Failing {
  readonly store: Store
  killed(): number
  /** For each stop the commits and plans that had reached the store. */
  readonly stops: readonly number[]
}

function failing(text: string | null, nodeEnv: string | undefined = 'test'): Failing {
  let kills = 0
  let sent = 0
  const stops: number[] = []
  const memory = createMemoryStore({ slots: 2, lanes: 1 })
  const commit: Store['slots']['commit'] = (...args) => {
    sent += 1
    return memory.slots.commit(...args)
  }
  const publishPlan: Store['fleet']['publishPlan'] = (...args) => {
    sent += 1
    return memory.fleet.publishPlan(...args)
  }
  const counting = { ...memory, slots: { ...memory.slots, commit }, fleet: { ...memory.fleet, publishPlan } }
  const deps = { log, nodeEnv, kill: () => (kills += 1), stop: () => stops.push(sent) }
  return { store: withFailpoints(counting, text, deps), killed: () => kills, stops }
}

test('[FP1] the reply of the commit that is named is lost, and of no other', async () => {
  const { store, killed } = failing('after-commit=lose@2')
  expect(await store.slots.commit(0, [])).toMatchObject({ statuses: [] })
  await expect(store.slots.commit(0, [])).rejects.toMatchObject({ name: 'StoreError', outcome: 'unknown' })
  expect(await store.slots.commit(0, [])).toMatchObject({ statuses: [] })
  expect(killed()).toBe(0)
})

test.each(['before', 'during', 'after'])('[FP1] a process is killed %s the commit that is named', async (when) => {
  const { store, killed } = failing(`${when}-commit=kill@2`)
  await store.slots.commit(0, [])
  expect(killed()).toBe(0)
  await store.slots.commit(0, [])
  await new Promise((resolve) => setImmediate(resolve))
  expect(killed()).toBe(1)
})

test('[FP1] a process stands still before the commit that is named is sent, and sends it when it goes on', async () => {
  const { store, killed, stops } = failing('before-commit=stop@2')
  for (let i = 0; i < 3; i += 1) expect(await store.slots.commit(0, [])).toMatchObject({ statuses: [] })
  expect({ stops, killed: killed() }).toEqual({ stops: [1], killed: 0 })
})

test('[FP3] a process stands still before the plan that is named is sent, and sends it when it goes on', async () => {
  const { store, killed, stops } = failing('before-plan=stop@2')
  await store.fleet.lead('control-1#a', 60_000)
  for (const version of [1, 2, 3])
    expect(await store.fleet.publishPlan('control-1#a', { version, slots: [], runs: [] })).toBe(true)
  expect({ stops, killed: killed() }).toEqual({ stops: [1], killed: 0 })
})

test('[FP2] outside of tests, and when they cannot be read, failpoints are refused; without any nothing changes', () => {
  const memory = createMemoryStore({ slots: 2, lanes: 1 })
  const deps = { log, nodeEnv: 'production', kill: () => undefined }
  expect(withFailpoints(memory, null, deps)).toBe(memory)
  expect(() => failing('before-commit=kill@1', 'production')).toThrow('NODE_ENV is not "test"')
  const unknown = ['', 'before-commit=lose@1', 'during-commit=stop@1', 'before-plan=kill@1', 'after-commit=lose@0']
  for (const wrong of [...unknown, 'after-commit=lose@1,x'])
    expect(() => failing(wrong)).toThrow('is not <before|during|after>-<commit|plan>=<kill|stop|lose>@<n>')
})

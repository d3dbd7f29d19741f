import { expect, test } from 'vitest'
import { createLog } from '../log.ts'
import { withFailpoints } from './failpoints.ts'
import { createMemoryStore } from './memory.ts'
import type { Store } from './port.ts'

const log = createLog({ service: 'test', level: 'silent' })

function failing(text: string | null, nodeEnv: string | undefined = 'test'): { store: Store; killed: () => number } {
  let kills = 0
  const memory = createMemoryStore({ slots: 2, lanes: 1 })
  const store = withFailpoints(memory, text, { log, nodeEnv, kill: () => (kills += 1) })
  return { store, killed: () => kills }
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

test('[FP2] outside of tests, and when they cannot be read, failpoints are refused; without any nothing changes', () => {
  const memory = createMemoryStore({ slots: 2, lanes: 1 })
  const deps = { log, nodeEnv: 'production', kill: () => undefined }
  expect(withFailpoints(memory, null, deps)).toBe(memory)
  expect(() => failing('before-commit=kill@1', 'production')).toThrow('NODE_ENV is not "test"')
  for (const wrong of ['', 'before-commit=lose@1', 'commit=kill@1', 'after-commit=lose@0', 'after-commit=lose@1,x'])
    expect(() => failing(wrong)).toThrow('is not <before|during|after>-commit=<kill|lose>@<n>')
})

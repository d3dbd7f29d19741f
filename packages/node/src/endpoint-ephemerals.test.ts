import { afterEach, describe, expect, it } from 'vitest'
import { decodeInput } from '@flotilla/core/entry'
import { writeOptions } from '@flotilla/core/event-options'
import { conflateEveryMs } from '@flotilla/core/limits'
import { laneOf, slotOf } from '@flotilla/core/slot'
import { createEndpoint } from './endpoint.ts'
import { createLog } from './log.ts'
import { createMetrics } from './metrics.ts'
import { createScope } from './scope.ts'
import type { Scope } from './scope.ts'
import { createMemoryStore } from './store/memory.ts'

const log = createLog({ service: 'test', level: 'silent' })
const room = 'public:a'
const slot = slotOf(room, 8)
const scopes: Scope[] = []
afterEach(async () => {
  for (const scope of scopes.splice(0)) await scope.close()
})

/** An endpoint, and what a worker would read of the room. */
async function harness(perSecond: number) {
  const store = createMemoryStore({ slots: 8, lanes: 2 })
  const scope = createScope(log)
  scopes.push(scope)
  const metrics = createMetrics({ service: 'test' })
  const endpoint = await createEndpoint({
    ...{ role: 'edge', memberId: 'edge-1', version: '0', store, log, scope, metrics },
    ...{ onRecords: () => undefined, onResync: () => undefined },
    ephemeralPerSecond: () => perSecond,
  })
  const entries: { readonly k: number; readonly tails: readonly string[]; readonly atMs: number }[] = []
  let cursor = '0-0'
  scope.loop('reader', async (signal) => {
    const read = await store.inputs.read(laneOf(slot, 2), new Map([[slot, cursor]]), {
      blockMs: 50,
      count: 100,
      signal,
    })
    for (const { id, body } of read.get(slot) ?? []) {
      cursor = id
      const entry = decodeInput(body)
      const tails = (entry?.messages ?? []).flatMap((each) => (each.type === 'ephemeral' ? [each.tail] : []))
      entries.push({ k: entry?.k ?? -1, tails, atMs: performance.now() })
    }
  })
  return {
    entries,
    tails: () => entries.flatMap((entry) => entry.tails),
    send: (tail: string, key?: string) =>
      endpoint.ephemeral(room, { tail, options: key === undefined ? '' : writeOptions({ conflate: key }) }),
    leftOut: async (reason: string) => {
      const { body: text } = await metrics.render()
      const line = text.split('\n').find((each) => each.includes('left_out') && each.includes(`reason="${reason}"`))
      return Number(line?.split(' ').at(-1))
    },
  }
}

async function until(holds: () => boolean): Promise<void> {
  const end = performance.now() + 10_000
  while (!holds()) {
    if (performance.now() > end) throw new Error('it did not come')
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

describe('ephemeral events of a process', () => {
  it('[EC8] cursors of fifty users go to the store in one entry per interval, and the last place of each is there', async () => {
    const { entries, tails, send, leftOut } = await harness(100_000)
    const from = performance.now()
    const moves = 40
    for (let move = 1; move <= moves; move += 1) {
      for (let user = 0; user < 50; user += 1) send(`u${user}:${move}`, `u${user}`)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    const last = Array.from({ length: 50 }, (_, user) => `u${user}:${moves}`)
    await until(() => last.every((each) => tails().includes(each)))
    const intervals = Math.ceil((performance.now() - from) / conflateEveryMs)
    expect(entries.length).toBeLessThanOrEqual(intervals + 1)
    expect(entries.every(({ k }) => k === 0)).toBe(true)
    for (let user = 0; user < 50; user += 1)
      expect(tails().findLast((each) => each.startsWith(`u${user}:`))).toBe(last[user])
    expect((await leftOut('conflated')) + tails().length).toBe(50 * moves)
    expect(await leftOut('budget')).toBe(0)
  })

  it('[EC8] what is over the budget of the room is counted and does not go on', async () => {
    const { tails, send, leftOut } = await harness(3)
    for (let i = 1; i <= 10; i += 1) send(`${i}`)
    send('newest', 'k')
    await until(() => tails().includes('newest'))
    expect(tails()).toEqual(['1', '2', '3', 'newest'])
    expect(await leftOut('budget')).toBe(7)
  })
})

import { afterEach, expect, it } from 'vitest'
import { encodeInput } from '@flotilla/core/entry'
import type { Assignment, Plan } from '@flotilla/core/plan'
import { slotOf } from '@flotilla/core/slot'
import { createLog } from '@flotilla/node/log'
import { createMemoryStore } from '@flotilla/node/store/memory'
import { ReadAhead } from './read-ahead.ts'

const shape = { slots: 4, lanes: 2 }
const log = createLog({ service: 'test', level: 'silent' })
const owner = 's2#b'
const other = 's1#a'
let ended = new AbortController()
afterEach(() => {
  ended.abort()
  ended = new AbortController()
})

const planOf = (version: number, workers: readonly (string | null)[]): Plan => ({
  version,
  runs: [],
  slots: workers.map((worker): Assignment | null =>
    worker === null ? null : { worker, epoch: version, confirmed: 0 },
  ),
})
const roomIn = (slot: number): string =>
  Array.from({ length: 100 }, (_, i) => `public:r${i}`).find((room) => slotOf(room, shape.slots) === slot) ?? ''

/** A store in which `other` is a member, and which counts what is read of it. */
async function harness({ alive = true, answers = true } = {}) {
  const store = createMemoryStore(shape)
  const member = { role: 'shard', state: 'live', beat: 1, owned: {}, knows: { plan: 0, epoch: 0 } } as const
  if (alive) await store.fleet.register({ ...member, boot: other, startedAtMs: 0, version: '0' })
  const read: string[] = []
  const tail: typeof store.rooms.tail = (room, ...rest) => {
    read.push(room)
    return answers ? store.rooms.tail(room, ...rest) : new Promise(() => undefined)
  }
  const publish = (slot: number, room: string): Promise<unknown> => {
    const message = { type: 'publish', room, key: 'k', sender: 'alice', options: '', tail: '"event":"e"' } as const
    return store.inputs.append(slot, encodeInput({ boot: 'e1#x', generation: 0, k: 1 }, [message]))
  }
  const deps = { store: { ...store, rooms: { ...store.rooms, tail } }, log, lane: 0, owner, signal: ended.signal }
  return { ahead: new ReadAhead(deps), read, publish, store, run: store.model.run }
}

it('[WK4] the busy rooms of slots that come from a worker that lives are read once, before the claim', async () => {
  const { ahead, read, publish, run } = await harness()
  const [busy, idle, elsewhere] = [roomIn(0), roomIn(2), roomIn(1)]
  await Promise.all([publish(0, busy), publish(0, busy), publish(1, elsewhere)])
  ahead.plan(planOf(1, [other, other, owner, null]))
  ahead.plan(planOf(2, [owner, owner, owner, owner]))
  await ahead.ready(0)
  expect(read).toEqual([busy])
  expect([
    ahead.take(0, idle, run),
    ahead.take(2, idle, run),
    ahead.take(0, busy, run),
    ahead.take(0, busy, run),
  ]).toEqual([undefined, undefined, [], undefined])
})

it('[WK4] nothing is read of a slot that was served by nobody, or by one that is gone, or before the first plan', async () => {
  const { ahead, read, publish } = await harness({ alive: false })
  await Promise.all([publish(0, roomIn(0)), publish(2, roomIn(2))])
  ahead.plan(planOf(1, [other, null, null, null]))
  ahead.plan(planOf(2, [owner, null, owner, null]))
  await Promise.all([ahead.ready(0), ahead.ready(2)])
  const first = await harness()
  await first.publish(0, roomIn(0))
  first.ahead.plan(planOf(1, [owner, null, null, null]))
  await first.ahead.ready(0)
  expect([...read, ...first.read]).toEqual([])
})

it.each([
  ['is used', (run: string) => run, false, true],
  ['of a server in another state is not', (run: string) => `${run}x`, false, false],
  ['for a plan of before is not', (run: string) => run, true, false],
] as const)('[WK4] what was read %s', async (_name, runOf, away, used) => {
  const { ahead, read, publish, run } = await harness()
  await publish(0, roomIn(0))
  ahead.plan(planOf(1, [other, null, null, null]))
  ahead.plan(planOf(2, [owner, null, null, null]))
  await ahead.ready(0)
  expect(read).toEqual([roomIn(0)])
  if (away) ahead.plan(planOf(3, [other, null, null, null]))
  expect(ahead.take(0, roomIn(0), runOf(run)) !== undefined).toBe(used)
})

it('[WK4] a claim does not wait for a store that does not answer', async () => {
  const { ahead, read, publish, run } = await harness({ answers: false })
  await publish(0, roomIn(0))
  ahead.plan(planOf(1, [other, null, null, null]))
  ahead.plan(planOf(2, [owner, null, null, null]))
  await ahead.ready(0)
  expect(read).toEqual([roomIn(0)])
  expect(ahead.take(0, roomIn(0), run)).toBeUndefined()
})

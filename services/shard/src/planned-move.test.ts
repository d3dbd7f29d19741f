import { afterEach, expect, it } from 'vitest'
import { slotOf } from '@flotilla/core/slot'
import { createEndpoint, published } from '@flotilla/node/endpoint'
import { createLog } from '@flotilla/node/log'
import { createMetrics } from '@flotilla/node/metrics'
import { createScope } from '@flotilla/node/scope'
import { createMemoryStore } from '@flotilla/node/store/memory'
import type { Store } from '@flotilla/node/store/port'
import { startControl } from '../../control/src/control.ts'
import { startShard } from './shard.ts'

const shape = { slots: 4, lanes: 1 }
const room = 'public:a'
const slot = slotOf(room, shape.slots)
const log = createLog({ service: 'test', level: 'silent' })
const scope = createScope(log)
afterEach(() => scope.close())

/** The store as it is; `calls` has its claims, and the reads of the room with how many entries they asked for. */
function watched(store: Store, calls: string[]): Store {
  return {
    ...store,
    slots: {
      ...store.slots,
      claim: (claim) => {
        if (claim.slot === slot) calls.push('claim')
        return store.slots.claim(claim)
      },
    },
    rooms: {
      ...store.rooms,
      tail: (name, before, limit) => {
        if (name === room) calls.push(`read ${limit}`)
        return store.rooms.tail(name, before, limit)
      },
    },
  }
}

it('[WK4] a worker that takes over from one that leaves reads a busy room before it claims the slot, and only what is new after it', async () => {
  const store = createMemoryStore(shape)
  const common = { log, scope, version: '0' }
  const control = { memberId: 'c1', version: '0', host: '127.0.0.1', port: 0 }
  await startControl(control, { store, log, scope, metrics: createMetrics({ service: 'control' }) })
  const worker = (memberId: string, of: Store) =>
    startShard(
      { memberId, version: '0', drainTimeoutMs: 20_000 },
      { ...common, store: of, metrics: createMetrics({ service: 'shard' }) },
    )
  let lists = 0
  const read = async (): ReturnType<Store['fleet']['read']> => {
    const fleet = await store.fleet.read()
    lists += 1
    return fleet
  }
  const first = await worker('s1', { ...store, fleet: { ...store.fleet, read } })
  const endpoint = await createEndpoint({
    ...{ role: 'edge', memberId: 'e1', publishDeadlineMs: 30_000, store },
    ...common,
    ...{ onRecords: () => undefined, onResync: () => undefined },
  })
  let count = 0
  const publish = (): ReturnType<typeof published> =>
    published(endpoint, { room, key: `k${(count += 1)}`, sender: 'alice', options: '', tail: '"event":"e","data":1' })
  for (let i = 0; i < 20; i += 1) await publish()

  const calls: string[] = []
  const second = await worker('s2', watched(store, calls))
  const publishUntil = async (done: () => boolean): Promise<void> => {
    while (!done()) expect(await publish()).toMatchObject({ type: 'committed', seq: count })
  }
  // It waits for another worker only when it knows of one.
  const known = lists + 1
  await publishUntil(() => lists > known)
  const leaving = first.drain()
  await publishUntil(() => second.slots === shape.slots)
  await leaving
  expect(await publish()).toMatchObject({ type: 'committed', seq: count })
  const claimedAt = calls.indexOf('claim')
  expect([calls[0], calls[claimedAt], calls[claimedAt + 1]]).toEqual(['read 2', 'claim', 'read 32'])
  expect(claimedAt).toBeGreaterThan(0)
}, 30_000)

import { afterAll, beforeAll, expect, it } from 'vitest'
import { parseSlotValue } from '@flotilla/core/commit'
import type { LogEntry } from '@flotilla/core/entry'
import { createEndpoint, published } from '@flotilla/node/endpoint'
import type { Endpoint } from '@flotilla/node/endpoint-port'
import { createLog } from '@flotilla/node/log'
import { createMetrics } from '@flotilla/node/metrics'
import { createScope } from '@flotilla/node/scope'
import type { Scope } from '@flotilla/node/scope'
import type { Store } from '@flotilla/node/store/port'
import { createRedisStore } from '@flotilla/node/store/redis/store'
import { startRedis } from '@flotilla/node/testing/redis-server'
import type { RedisServer } from '@flotilla/node/testing/redis-server'
import { startControl } from '../../control/src/control.ts'
import { startShard } from './shard.ts'
import type { Shard } from './shard.ts'

const shape = { slots: 32, lanes: 3 }
const log = createLog({ service: 'test', level: 'error' })
const roomCount = 100
const total = 5_000
const room = (i: number): string => `public:r${i % roomCount}`

let redis: RedisServer
let scope: Scope
let observer: Store
let endpoints: readonly Endpoint[]
let shards: readonly { readonly shard: Shard; readonly scope: Scope }[]

/** Each process of the fleet has its own scope and its own connections. */
async function openStore(of: Scope): Promise<Store> {
  const store = await createRedisStore({ urls: [redis.url], ...shape, log })
  of.defer(() => store.close())
  return store
}

async function eventually(what: string, withinMs: number, condition: () => Promise<boolean> | boolean): Promise<void> {
  const until = performance.now() + withinMs
  while (!(await condition())) {
    if (performance.now() > until) throw new Error(`not within ${withinMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

beforeAll(async () => {
  redis = await startRedis({ appendonly: true })
  scope = createScope(log)
  observer = await openStore(scope)
  const control = { memberId: 'c1', version: '0', host: '127.0.0.1', port: 0 }
  await startControl(control, {
    store: await openStore(scope),
    log,
    scope,
    metrics: createMetrics({ service: 'control' }),
  })
  shards = await Promise.all(
    ['s1', 's2'].map(async (memberId) => {
      const own = createScope(log)
      const deps = { store: await openStore(own), log, scope: own, metrics: createMetrics({ service: 'shard' }) }
      return { shard: await startShard({ memberId, version: '0', drainTimeoutMs: 1_000 }, deps), scope: own }
    }),
  )
  endpoints = await Promise.all(
    ['e1', 'e2'].map(async (memberId) =>
      createEndpoint({
        role: 'edge',
        memberId,
        version: '0',
        store: await openStore(scope),
        log,
        scope,
        publishDeadlineMs: 20_000,
        onRecords: () => undefined,
        onResync: () => undefined,
      }),
    ),
  )
  await eventually(
    'both workers own slots',
    15_000,
    () => owned(0) + owned(1) === shape.slots && owned(0) > 0 && owned(1) > 0,
  )
})

afterAll(async () => {
  for (const each of shards) await each.scope.close()
  await scope.close()
  await redis.close()
})

const owned = (i: number): number => shards[i]?.shard.slots ?? 0

/** Publishes at a time: a flow can only go on as its publishes are settled, so it lasts through what is done to it. */
const chains = 200

/** `count` publishes with keys `<name>-<i>` through both endpoints, over all rooms. */
function publish(name: string, count: number): { outcomes: string[]; done: Promise<unknown> } {
  const outcomes: string[] = []
  let next = 0
  const chain = async (endpoint: Endpoint): Promise<void> => {
    while (next < count) {
      const i = next++
      const message = {
        room: room(i),
        key: `${name}-${i}`,
        sender: 'alice',
        options: '',
        tail: `"event":"e","data":${i}`,
      }
      outcomes.push((await published(endpoint, message)).type)
    }
  }
  const all = endpoints.flatMap((endpoint) => Array.from({ length: chains / endpoints.length }, () => chain(endpoint)))
  return { outcomes, done: Promise.all(all) }
}

/** The observer has a connection of its own, which may come back later than the fleet's. */
async function readRoom(name: string): Promise<readonly LogEntry[]> {
  let entries: readonly LogEntry[] = []
  await eventually('the observer reads', 10_000, async () => {
    const read = await observer.rooms.range(name, 0, 10_000).catch(() => undefined)
    entries = read ?? []
    return read !== undefined
  })
  return entries
}

/** Keys per room in the order of the log, which must be contiguous from 1. */
async function history(): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>()
  for (let i = 0; i < roomCount; i += 1) {
    const keys: string[] = []
    for (const entry of await readRoom(room(i))) {
      expect(entry.first).toBe(keys.length + 1)
      keys.push(...entry.messages.map((message) => message.key))
    }
    found.set(room(i), keys)
  }
  return found
}

function expectComplete(found: ReadonlyMap<string, readonly string[]>, names: ReadonlyMap<string, number>): void {
  const all = [...found.values()].flat()
  const wanted = [...names].flatMap(([name, count]) => Array.from({ length: count }, (_, i) => `${name}-${i}`))
  expect(all).toHaveLength(wanted.length)
  expect(new Set(all)).toEqual(new Set(wanted))
}

async function incs(): Promise<number[]> {
  const all: number[] = []
  for (let lane = 0; lane < shape.lanes; lane += 1) {
    const slots = Array.from({ length: shape.slots }, (_, slot) => slot).filter((slot) => slot % shape.lanes === lane)
    const { values } = await observer.slots.values(lane, slots)
    for (const slot of slots) all[slot] = parseSlotValue(values.get(slot) ?? '').inc
  }
  return all
}

it('[WK1] a worker that dies in mid-flow: every publish is committed once, in order, and the other worker serves all slots', async () => {
  const before = await incs()
  const flow = publish('a', total)
  await eventually('the flow is under way', 10_000, () => flow.outcomes.length > 500)
  const died = performance.now()
  const closed = shards[0]?.scope.close()
  await eventually('the other worker owns every slot', 8_000, () => owned(1) === shape.slots)
  expect(performance.now() - died).toBeLessThan(6_000)
  await closed
  expect(flow.outcomes.length).toBeLessThan(total)
  await flow.done
  expect(new Set(flow.outcomes)).toEqual(new Set(['committed']))
  expectComplete(await history(), new Map([['a', total]]))
  expect(await incs()).toEqual(before)
}, 60_000)

it('[WK2] the server restarts with its file in mid-flow: the owner vouches, continuity is kept, nothing is lost or doubled', async () => {
  const before = await incs()
  const flow = publish('b', total)
  await eventually('the flow is under way', 10_000, () => flow.outcomes.length > 500)
  await redis.kill9()
  expect(flow.outcomes.length).toBeLessThan(total)
  await redis.start()
  await flow.done
  expect(new Set(flow.outcomes)).toEqual(new Set(['committed']))
  expectComplete(
    await history(),
    new Map([
      ['a', total],
      ['b', total],
    ]),
  )
  expect(await incs()).toEqual(before)
}, 60_000)

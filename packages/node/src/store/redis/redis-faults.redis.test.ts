import { afterEach, expect, it } from 'vitest'
import { clusterSlots, crc16 } from '@flotilla/core/slot'
import { createLog } from '../../log.ts'
import { startCluster, startRedis } from '../../testing/redis-server.ts'
import type { RedisOptions, RedisServer } from '../../testing/redis-server.ts'
import {
  claim,
  claimed,
  commitOk,
  contractShape,
  eventually,
  following,
  inputOf,
  keysIn,
  logOf,
  member,
  now,
  outboxOf,
  planOf,
  roomIn,
} from '../contract-kit.ts'
import { StoreError } from '../port.ts'
import type { Store } from '../port.ts'
import { createKeys } from './keys.ts'
import { createRedisStore } from './store.ts'
import type { RedisStoreOptions } from './store.ts'

const log = createLog({ service: 'faults', level: 'silent' })
const lane = 0
const slot = 0
const room = roomIn(slot)
const commandTimeoutMs = 400
const open: { close(): unknown }[] = []

afterEach(async () => {
  for (const each of open.splice(0).toReversed()) await each.close()
})

async function server(options: RedisOptions = {}): Promise<RedisServer> {
  const started = await startRedis(options)
  open.push(started)
  return started
}

async function storeOn(urls: readonly string[], more: Partial<RedisStoreOptions> = {}): Promise<Store> {
  const store = await createRedisStore({ urls, ...contractShape, log, commandTimeoutMs, ...more })
  open.push(store)
  return store
}

/** A primary and a replica that confirms; the run under which an outbox was read. */
async function replicated() {
  const primary = await server()
  const args = ['--replicaof', '127.0.0.1', String(primary.port), '--repl-diskless-sync-delay', '0']
  const replica = await server({ args })
  const store = await storeOn([primary.url], { ackReplicas: 1 })
  await eventually('the replica confirms', async () => (await store.outboxes.confirm(lane)) !== '')
  await store.outboxes.open(lane, 'e1#a')
  const { run } = await store.outboxes.read(lane, 'e1#a', '0-0', now)
  return { primary, replica, store, run }
}

/** How a call fails, and that it does so in time. */
async function outcomeOf(call: Promise<unknown>): Promise<string> {
  const before = performance.now()
  const outcome = await call.then(
    () => 'ok',
    (error: unknown) => (error instanceof StoreError ? error.outcome : String(error)),
  )
  expect(performance.now() - before).toBeLessThan(commandTimeoutMs * 3)
  return outcome
}

it('[ST40] a full server refuses input, and takes commits, claims, maintenance, heartbeats and registrations', async () => {
  const redis = await server()
  const store = await storeOn([redis.url])
  await store.outboxes.open(lane, 'e1#a')
  const value = await claimed(store, slot, 1)
  await store.inputs.append(slot, 'a')
  await redis.call('CONFIG', 'SET', 'maxmemory', '1mb')
  const refusal = await store.inputs.append(slot, 'b').catch((error: unknown) => error)
  expect(refusal).toBeInstanceOf(StoreError)
  expect(refusal).toMatchObject({ outcome: 'refused' })
  const one = following(slot, value, {
    logs: [logOf(room, 1, ['k1'])],
    outs: new Map([['e1#a', 'd']]),
    interest: [{ room, boot: 'e1#a', on: true }],
  })
  await commitOk(store, lane, one.commit)
  expect((await claim(store, slot, 2)).ok).toBe(true)
  await store.slots.maintain(lane, [{ slot, prefix: '2|w1#a|', rooms: [room] }])
  await store.fleet.register(member('w1#a'))
  expect(await store.fleet.heartbeat(member('w1#a', 2), 0)).toMatchObject({ known: true })
  expect(await store.fleet.lead('c1#a', 60_000)).toBe(true)
  expect(await store.fleet.nextEpoch('c1#a', 0, 1)).toBeGreaterThan(0)
  expect(await keysIn(store, room)).toEqual(['k1'])
  await redis.call('CONFIG', 'SET', 'maxmemory', '0')
  await store.inputs.append(slot, 'c')
  expect((await inputOf(store, slot)).map((entry) => entry.body)).toEqual(['a', 'c'])
})

it('[ST41] a server that stalls: every call is unknown within its deadline, and all goes on afterwards without a double', async () => {
  const redis = await server()
  const store = await storeOn([redis.url])
  await store.outboxes.open(lane, 'e1#a')
  const value = await claimed(store, slot, 1)
  const one = following(slot, value, { logs: [logOf(room, 1, ['k1'])], outs: new Map([['e1#a', 'd']]) })
  redis.pause()
  const outcomes = await Promise.all(
    [
      store.inputs.append(slot, 'a'),
      store.slots.commit(lane, [one.commit]),
      claim(store, 3, 1),
      store.slots.values(lane, [slot]),
      store.slots.vouch(lane, new Map([[slot, one.commit.expect]])),
      store.slots.maintain(lane, []),
      store.outboxes.open(lane, 'e2#a'),
      store.outboxes.trim(lane, 'e9#a', '1-0'),
      store.outboxes.remove('e9#a'),
      store.rooms.range(room, 0, 1),
      store.rooms.tail(room, Infinity, 1),
      store.rooms.interest(slot),
      store.fleet.register(member('w1#a')),
      store.fleet.heartbeat(member('w1#a'), 0),
      store.fleet.read(),
      store.fleet.remove('w9#a'),
      store.fleet.lead('c1#a', 60_000),
      store.fleet.publishPlan('c1#a', planOf(1)),
      store.fleet.nextEpoch('c1#a', 0, 1),
      store.inputs.deadLetter(slot, { id: '1-1', body: 'x' }, 'why'),
    ].map(outcomeOf),
  )
  expect(outcomes).toEqual(outcomes.map(() => 'unknown'))
  // All at once: what is awaited after another one may have failed long before.
  const reads = [store.inputs.read(lane, new Map([[slot, '0-0']]), now), store.outboxes.read(lane, 'e1#a', '1-0', now)]
  for (const outcome of await Promise.all(reads.map(outcomeOf))) expect(['refused', 'unknown']).toContain(outcome)
  expect(['refused', 'unknown']).toContain(await outcomeOf(store.slots.values(lane, [slot])))
  redis.resume()
  await eventually('it answers again', async () => (await outcomeOf(store.slots.values(lane, [slot]))) === 'ok')
  await commitOk(store, lane, one.commit)
  expect(await keysIn(store, room)).toEqual(['k1'])
  expect((await inputOf(store, slot)).map((entry) => entry.body)).toEqual(['a'])
  expect((await outboxOf(store, lane, 'e1#a')).length).toBe(2)
  const epoch = await store.fleet.nextEpoch('c1#a', 0, 1)
  expect(await store.fleet.nextEpoch('c1#a', 0, 1)).toBe(epoch + 1)
})

it('[ST42] a server that is killed and restarted: calls fail, the connection comes back by itself, the new run is told', async () => {
  const redis = await server({ appendonly: true })
  const store = await storeOn([redis.url])
  const runs: string[] = []
  store.watchRuns((_, run) => runs.push(run))
  const value = await claimed(store, slot, 1)
  const one = following(slot, value, { logs: [logOf(room, 1, ['k1'])] })
  await commitOk(store, lane, one.commit)
  expect(await inputOf(store, slot)).toEqual([])
  const reading = outcomeOf(store.inputs.read(lane, new Map([[slot, '0-0']]), { ...now, blockMs: 60_000 }))
  await redis.kill9()
  expect(await reading).toBe('unknown')
  expect(['refused', 'unknown']).toContain(await outcomeOf(store.inputs.append(slot, 'a')))
  await eventually('calls are refused', async () => (await outcomeOf(store.inputs.append(slot, 'a'))) === 'refused')
  expect(await outcomeOf(store.slots.commit(lane, [one.commit]))).toBe('refused')
  await redis.start()
  await eventually('the new run is told without a call', () => runs.length === 2)
  expect(runs[0]).toBe(value.run)
  expect(runs[1]).not.toBe(value.run)
  expect((await commitOk(store, lane, one.commit)).run).toBe(runs[1])
  expect(await keysIn(store, room)).toEqual(['k1'])
  const waiting = store.inputs.read(lane, new Map([[slot, '0-0']]), { ...now, blockMs: 10_000 })
  await store.inputs.append(slot, 'b')
  expect((await waiting).get(slot)?.map((entry) => entry.body)).toEqual(['b'])
})

it('[ST43] scripts that the server forgot are sent again', async () => {
  const redis = await server()
  const store = await storeOn([redis.url])
  const one = following(slot, await claimed(store, slot, 1), { logs: [logOf(room, 1, ['k1'])] })
  await commitOk(store, lane, one.commit)
  await redis.call('SCRIPT', 'FLUSH')
  const two = following(slot, one.value, { logs: [logOf(room, 2, ['k2'])] })
  const three = following(slot, two.value, { logs: [logOf(room, 3, ['k3'])] })
  const replies = await Promise.all([store.slots.commit(lane, [two.commit]), store.slots.commit(lane, [three.commit])])
  expect(replies.map((reply) => reply.statuses)).toEqual([['ok'], ['ok']])
  expect(await keysIn(store, room)).toEqual(['k1', 'k2', 'k3'])
})

it('[ST44] the start is refused on a server that may evict keys, with what to change', async () => {
  const redis = await server()
  await redis.call('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru')
  await expect(storeOn([redis.url])).rejects.toThrow(/maxmemory-policy allkeys-lru.*set it to noeviction/)
})

it('[ST45] the start is refused with another shape than the stored one, and with primaries in another order', async () => {
  const [one, two] = [await server(), await server()]
  await storeOn([one.url, two.url])
  await storeOn([one.url, two.url])
  await expect(storeOn([one.url, two.url], { slots: 32 })).rejects.toThrow(/16\/3 slots\/lanes.*32\/3/)
  await expect(storeOn([one.url, two.url], { lanes: 2 })).rejects.toThrow(/FLOTILLA_LANES/)
  await expect(storeOn([two.url, one.url])).rejects.toThrow(/same servers in the same order/)
  await expect(storeOn([one.url])).rejects.toThrow(/1\/2.*1\/1/)
})

it('[ST46] a server that cannot be reached is a StoreError, so that the start may wait for it', async () => {
  const redis = await server()
  await redis.stop()
  await expect(storeOn([redis.url])).rejects.toThrow(StoreError)
  await expect(storeOn([redis.url], { cluster: true })).rejects.toThrow(StoreError)
})

it('[ST47] a store that was closed refuses every call', async () => {
  const redis = await server()
  const store = await storeOn([redis.url])
  const reading = outcomeOf(store.inputs.read(lane, new Map([[slot, '0-0']]), { ...now, blockMs: 60_000 }))
  await store.close()
  expect(['unknown', 'refused']).toContain(await reading)
  expect(await outcomeOf(store.inputs.append(slot, 'a'))).toBe('refused')
  expect(await outcomeOf(store.inputs.read(lane, new Map([[slot, '0-0']]), now))).toBe('refused')
})

it('[ST48] in a cluster a lane whose slots moved to another master is found again', async () => {
  const cluster = await startCluster(3)
  open.push(cluster)
  const store = await storeOn([cluster.nodes[1]?.url ?? ''], { cluster: true })
  await claimed(store, slot, 1)
  const [first, second] = cluster.nodes
  if (first === undefined || second === undefined) throw new Error('no nodes')
  // What the lane held is given up; keys of other lanes are elsewhere.
  const target = String(await second.call('CLUSTER', 'MYID'))
  await first.call('FLUSHALL')
  const laneSlot = crc16(createKeys('', contractShape).tag(lane)) % clusterSlots
  for (const node of [second, first, ...cluster.nodes.slice(2)])
    await node.call('CLUSTER', 'SETSLOT', laneSlot, 'NODE', target)
  await eventually(
    'the lane is served by the other master',
    async () => (await outcomeOf(claim(store, slot, 2))) === 'ok',
  )
  expect(await first.call('DBSIZE')).toBe(0)
  expect((await store.slots.values(lane, [slot])).values.get(slot)).toMatch(/^2\|/)
})

it('[RA5] a confirmation names the run under which the replica has everything, and that of the read before it', async () => {
  const { primary, replica, store, run } = await replicated()
  expect(run).toMatch(/^[0-9a-f]{40}:[0-9a-f]{40}$/)
  // Within half a second, on a machine that has time.
  await eventually('the replica confirms', async () => (await store.outboxes.confirm(lane)) === run)
  expect(await replica.call('EXISTS', createKeys('', contractShape).outbox(lane, 'e1#a'))).toBe(1)

  replica.pause()
  expect(await store.outboxes.confirm(lane)).toBe('')
  replica.resume()
  await eventually('the replica confirms again', async () => (await store.outboxes.confirm(lane)) === run)
  expect(await (await storeOn([primary.url], { ackReplicas: 2 })).outboxes.confirm(lane)).toBe('')
})

it('[RA5] after a fail-over neither a read nor a confirmation names the run of before', async () => {
  const { primary, replica, store, run } = await replicated()
  // Demoted and promoted again without a restart: another state behind the same connection.
  await primary.call('REPLICAOF', '127.0.0.1', replica.port)
  await primary.call('REPLICAOF', 'NO', 'ONE')
  await eventually(
    'the store is reached again',
    async () => (await outcomeOf(store.outboxes.open(lane, 'e1#a'))) === 'ok',
  )
  const again = await store.outboxes.read(lane, 'e1#a', '0-0', now)
  expect(again.run).not.toBe(run)
  const next = await store.outboxes.read(lane, 'e1#a', '0-0', now)
  expect(next.run).toMatch(/^[0-9a-f]{40}:[0-9a-f]{40}$/)
  await eventually('the replica follows', async () => (await store.outboxes.confirm(lane)) === next.run)
})

it('[RA6] the start is refused where replicas are to confirm and WAIT is not permitted', async () => {
  const redis = await server()
  await redis.call('ACL', 'SETUSER', 'nowait', 'on', '>password', '~*', '&*', '+@all', '-wait')
  const nowait = redis.url.replace('redis://', 'redis://nowait:password@')
  await expect(storeOn([nowait], { ackReplicas: 1 })).rejects.toThrow(/FLOTILLA_ACK_REPLICAS: WAIT is not permitted/)
  await storeOn([nowait])
})

it('[ST49] the start says when a server is a cluster and was not said to be one, and the other way round', async () => {
  const cluster = await startCluster(3)
  open.push(cluster)
  await expect(storeOn([cluster.nodes[0]?.url ?? ''])).rejects.toThrow('FLOTILLA_REDIS_CLUSTER=true')
  const single = await server()
  await expect(storeOn([single.url], { cluster: true })).rejects.toThrow('leave FLOTILLA_REDIS_CLUSTER unset')
})

import { beforeEach, expect, it } from 'vitest'
import { AckPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { startNats } from '@flotilla/node/testing/nats-server'
import type { NatsServer } from '@flotilla/node/testing/nats-server'
import { listEndpoint } from '../../test/harness.ts'
import { atEnd, startSource } from '../../test/source-run.ts'
import type { StartedSource } from '../../test/source-run.ts'
import { natsSession } from './nats.ts'
import type { Source } from './schema.ts'

const ackWaitMs = 1_000
const durable = 'bridge'
const stream = 'TASKS'
let server: NatsServer
beforeEach(async () => {
  server = await startNats()
  atEnd(() => server.close())
})

async function open() {
  const connection = await connect({ servers: server.url, maxReconnectAttempts: -1, reconnectTimeWait: 50 })
  atEnd(() => connection.close())
  const [manager, client] = [await jetstreamManager(connection), jetstream(connection)]
  return {
    manager,
    publish: (subject: string, data: unknown, msgID?: string) =>
      client.publish(subject, JSON.stringify(data), msgID === undefined ? {} : { msgID }),
    pending: async () => (await manager.consumers.info(stream, durable)).num_ack_pending,
    settled: async () => {
      const info = await manager.consumers.info(stream, durable)
      return info.num_ack_pending + info.num_pending
    },
  }
}
async function begin() {
  const opened = await open()
  await opened.manager.streams.add({ name: stream, subjects: ['task.>'] })
  return opened
}
const session = (source: Source) => {
  if (source.type !== 'nats') throw new Error('not of NATS')
  return natsSession(source)
}
const start = (more: object = {}, list = listEndpoint()): StartedSource =>
  startSource(
    {
      ...{ type: 'nats', name: 'tasks', servers: [server.url], stream, durable, ackWaitMs },
      map: [{ subject: 'task.{room}.>', to: { rooms: ['{payload.rooms}', 'public:{room}'] } }],
      ...more,
    },
    session,
    list,
  )
const tails = (run: StartedSource, room: string) =>
  (run.rooms.get(room) ?? []).map(({ tail }) => /"n":(\d+)/.exec(tail)?.[1]).join(' ')
const wide = { timeout: 10_000 }

it('[NS7] a message is acknowledged when every one of its rooms has it, and not before', async () => {
  const { publish, pending, settled } = await begin()
  const run = start()
  run.outcomes.set('public:other', { type: 'unknown', retryAfterMs: 10 })
  await publish('task.a.x', { n: 1, rooms: ['public:other'] })
  await expect.poll(() => run.metric('retries_total'), wide).toBeGreaterThan(1)
  expect([tails(run, 'public:a'), await pending()]).toEqual(['1', 1])
  run.outcomes.clear()
  await expect.poll(settled, wide).toBe(0)
  expect([tails(run, 'public:a'), tails(run, 'public:other')]).toEqual(['1', '1'])
  expect([await run.metric('received_total'), await run.metric('published_total')]).toEqual([1, 1])
})

it('[NS7] while it takes longer than the ack wait nobody else is given the message', async () => {
  const { publish, manager, settled } = await begin()
  const run = start()
  let release = (): void => {}
  run.fault.hold = new Promise((resolve) => (release = resolve))
  await publish('task.a.x', { n: 1, rooms: [] })
  await expect.poll(() => run.rooms.size, wide).toBe(1)
  const heldAt = performance.now()
  await expect.poll(() => performance.now() - heldAt, { timeout: 5_000, interval: 100 }).toBeGreaterThan(2 * ackWaitMs)
  expect((await manager.consumers.info(stream, durable)).num_redelivered).toBe(0)
  run.fault.hold = null
  release()
  await expect.poll(settled, wide).toBe(0)
})

it('[NS8] what was committed and not acknowledged is the same event when it is given out again', async () => {
  const { publish, manager } = await begin()
  await manager.consumers.add(stream, {
    durable_name: durable,
    ack_policy: AckPolicy.Explicit,
    ack_wait: ackWaitMs * 1e6,
  })
  const list = listEndpoint()
  const run = start({}, list)
  let release = (): void => {}
  list.fault.hold = new Promise((resolve) => (release = resolve))
  for (let n = 1; n <= 3; n += 1) await publish('task.a.x', { n, rooms: [] })
  await publish('task.b.x', { n: 4, rooms: [] }, 'own-id')
  await expect.poll(() => list.rooms.size, wide).toBe(2)
  await server.kill9()
  list.fault.hold = null
  release()
  await server.start()
  const { settled } = await open()
  await expect.poll(settled, { timeout: 15_000 }).toBe(0)
  expect([tails(run, 'public:a'), tails(run, 'public:b')]).toEqual(['1 2 3', '4'])
  expect(list.rooms.get('public:b')?.map(({ key, sender }) => [key, sender])).toEqual([['id:own-id', 'source:tasks']])
  expect(await run.metric('received_total')).toBeGreaterThan(4)
})

it('[NS10] a room keeps the order of the stream over retries, and other rooms go on meanwhile', async () => {
  const { publish, settled } = await begin()
  const run = start()
  run.outcomes.set('public:a', { type: 'refused', code: 'OVERLOADED', retryAfterMs: 10 })
  for (let n = 1; n <= 20; n += 1) await publish(`task.${n % 2 === 0 ? 'a' : 'b'}.x`, { n, rooms: [] })
  await expect.poll(() => tails(run, 'public:b'), wide).toBe('1 3 5 7 9 11 13 15 17 19')
  expect(run.rooms.has('public:a')).toBe(false)
  run.outcomes.clear()
  await expect.poll(settled, wide).toBe(0)
  expect(tails(run, 'public:a')).toBe('2 4 6 8 10 12 14 16 18 20')
})

it('[NS10] what another process took and did not settle comes before what is newer', async () => {
  const { publish, manager, settled } = await begin()
  await manager.consumers.add(stream, {
    durable_name: durable,
    ack_policy: AckPolicy.Explicit,
    ack_wait: ackWaitMs * 1e6,
  })
  for (let n = 1; n <= 6; n += 1) await publish('task.a.x', { n, rooms: [] })
  const connection = await connect({ servers: server.url })
  const consumer = await jetstream(connection).consumers.get(stream, durable)
  for await (const message of await consumer.fetch({ max_messages: 3, expires: 1_000 })) if (message.seq === 3) break
  await connection.close()
  const run = start()
  await expect.poll(settled, wide).toBe(0)
  expect(tails(run, 'public:a')).toBe('1 2 3 4 5 6')
})

it('[NS6] a message that can never be published is logged, counted, written to the dead letters and given out no more', async () => {
  const { publish, manager, settled } = await begin()
  await manager.streams.add({ name: 'ASIDE', subjects: ['aside'] })
  const run = start({ deadLetter: 'aside' })
  run.outcomes.set('public:closed', { type: 'refused', code: 'FORBIDDEN', retryAfterMs: 0 })
  await publish('task.a.x', { n: 1 })
  await publish('task.closed.x', { n: 2, rooms: [] })
  await publish('task.a.x', { n: 3, rooms: [] })
  await expect.poll(() => run.metric('put_aside_total'), wide).toBe(2)
  await expect.poll(settled, wide).toBe(0)
  expect(tails(run, 'public:a')).toBe('3')
  const letters = [1, 2].map(async (seq) => (await manager.streams.getMessage('ASIDE', { seq }))?.header)
  const reasons = (await Promise.all(letters)).map((header) => header?.get('Flotilla-Reason'))
  expect(reasons.toSorted()).toEqual(['missing_field', 'refused'])
  const lines = run.lines.filter((line) => line.includes('a message was put aside'))
  expect(lines.join()).toContain('"subject":"task.closed.x"')
})

it('[NS11] a server that is away is waited for, and said once', async () => {
  await begin()
  await server.kill9()
  const run = start()
  const said = (text: string) => run.lines.filter((line) => line.includes(text)).length
  await expect.poll(() => said('the source is away'), wide).toBe(1)
  await server.start()
  await expect.poll(() => said('the source is back'), wide).toBe(1)
  // A connection that was cut may still be on its way back: what is sent through it now can get lost.
  const { publish, settled } = await open()
  await publish('task.a.x', { n: 1, rooms: [] })
  await expect.poll(settled, wide).toBe(0)
  expect(said('the source is away')).toBe(1)
})

it('[NS12] a drain takes nothing more, finishes what was taken and leaves the rest', async () => {
  const { publish, settled } = await begin()
  const run = start()
  let release = (): void => {}
  run.fault.hold = new Promise((resolve) => (release = resolve))
  await publish('task.a.x', { n: 1, rooms: [] })
  await expect.poll(() => run.rooms.size, wide).toBe(1)
  const closed = run.close()
  await publish('task.a.x', { n: 2, rooms: [] })
  release()
  await closed
  expect([tails(run, 'public:a'), await settled()]).toEqual(['1', 1])
})

it('[NS13] a consumer that would lose messages is not used', async () => {
  const { manager } = await begin()
  await manager.consumers.add(stream, { durable_name: durable, ack_policy: AckPolicy.Explicit, max_deliver: 3 })
  const run = start()
  await expect.poll(() => run.lines.join(), wide).toContain('max_deliver')
  expect(await run.metric('active')).toBe(0)
})

import { beforeEach, expect, it } from 'vitest'
import { startRedis } from '@flotilla/node/testing/redis-server'
import type { RedisServer } from '@flotilla/node/testing/redis-server'
import { listEndpoint } from '../../test/harness.ts'
import { atEnd, startSource } from '../../test/source-run.ts'
import type { StartedSource } from '../../test/source-run.ts'
import { redisSession } from './redis.ts'
import type { Source } from './schema.ts'

const stream = 'crm:events'
const group = 'flotilla'
const wide = { timeout: 10_000 }
let server: RedisServer
beforeEach(async () => {
  server = await startRedis({ appendonly: true })
  atEnd(() => server.close())
})

const session = (source: Source) => {
  if (source.type !== 'redis') throw new Error('not of Redis')
  return redisSession(source)
}
const start = (more: object = {}, list = listEndpoint()): StartedSource =>
  startSource(
    {
      ...{ type: 'redis', name: 'crm', url: server.url, stream, group, ackWaitMs: 1_000 },
      map: [{ subject: stream, to: { room: 'public:{header.Room}' }, event: '{header.event}' }],
      ...more,
    },
    session,
    list,
  )
const add = (room: string, n: number) =>
  server.call('XADD', stream, '*', 'event', 'deal.moved', 'room', room, 'data', JSON.stringify({ n }))
const pending = async () => ((await server.call('XPENDING', stream, group)) as readonly unknown[])[0]
const tails = ({ rooms }: Pick<StartedSource, 'rooms'>, room: string) =>
  (rooms.get(room) ?? []).map(({ tail }) => /"n":(\d+)/.exec(tail)?.[1]).join(' ')

it('[NS14] an entry is acknowledged when its room has it, and a room keeps the order of the stream', async () => {
  const run = start()
  run.outcomes.set('public:a', { type: 'unknown', retryAfterMs: 10 })
  for (let n = 1; n <= 3; n += 1) await add('a', n)
  await add('b', 4)
  await expect.poll(() => tails(run, 'public:b'), wide).toBe('4')
  await expect.poll(() => run.metric('retries_total'), wide).toBeGreaterThan(1)
  expect(await pending()).toBe(3)
  run.outcomes.clear()
  await expect.poll(pending, wide).toBe(0)
  expect(tails(run, 'public:a')).toBe('1 2 3')
  expect(run.rooms.get('public:b')?.[0]?.tail).toContain('"event":"deal.moved","data":{"n":4}')
})

it('[NS14] what a dead consumer was given comes first, in the order of the stream; as one event if it was published', async () => {
  await server.call('XGROUP', 'CREATE', stream, group, '0', 'MKSTREAM')
  for (let n = 1; n <= 4; n += 1) await add('a', n)
  await server.call('XREADGROUP', 'GROUP', group, 'dead', 'COUNT', 2, 'STREAMS', stream, '>')
  const list = listEndpoint()
  const first = start({}, list)
  await expect.poll(pending, wide).toBe(0)
  await first.close()
  expect(tails(list, 'public:a')).toBe('1 2 3 4')
  // All of it again, as if no acknowledgement had come through.
  await server.call('XGROUP', 'DESTROY', stream, group)
  const second = start({}, list)
  await expect.poll(() => second.metric('published_total'), wide).toBe(4)
  expect(tails(list, 'public:a')).toBe('1 2 3 4')
})

it('[NS14] of a source without order every process takes what another has had for too long', async () => {
  await server.call('XGROUP', 'CREATE', stream, group, '0', 'MKSTREAM')
  await add('a', 1)
  await server.call('XREADGROUP', 'GROUP', group, 'dead', 'COUNT', 1, 'STREAMS', stream, '>')
  const run = start({ ordered: false })
  await expect.poll(pending, wide).toBe(0)
  expect(tails(run, 'public:a')).toBe('1')
})

it('[NS14] an entry that can never be published is put aside, and a consumer that has nothing leaves', async () => {
  const run = start({ deadLetter: 'aside' })
  await server.call('XADD', stream, '*', 'data', '{"n":1}')
  await add('a', 2)
  await expect.poll(() => run.metric('put_aside_total'), wide).toBe(1)
  await expect.poll(() => tails(run, 'public:a'), wide).toBe('2')
  await expect.poll(pending, wide).toBe(0)
  const letters = JSON.stringify(await server.call('XRANGE', 'aside', '-', '+'))
  expect(letters).toContain('"flotilla-reason","missing_field"')
  await run.close()
  expect(await server.call('XINFO', 'CONSUMERS', stream, group)).toEqual([])
})

it('[NS18] an entry that could not be put aside is tried again, while others go on', async () => {
  await server.call('SET', 'aside', 'no stream')
  const run = start({ deadLetter: 'aside' })
  await server.call('XADD', stream, '*', 'data', '{"n":1}')
  await add('a', 2)
  await expect.poll(() => tails(run, 'public:a'), wide).toBe('2')
  await expect.poll(pending, wide).toBe(1)
  await server.call('DEL', 'aside')
  await expect.poll(pending, wide).toBe(0)
  expect(await server.call('XLEN', 'aside')).toBe(1)
})

it('[NS18] an entry that could not be acknowledged is acknowledged later, in the same session', async () => {
  await server.call('ACL', 'SETUSER', 'default', '-xack')
  const run = start()
  await add('a', 1)
  await expect.poll(() => tails(run, 'public:a'), wide).toBe('1')
  expect(await pending()).toBe(1)
  await server.call('ACL', 'SETUSER', 'default', '+xack')
  await expect.poll(pending, wide).toBe(0)
  expect(run.lines.join()).not.toContain('the source is away')
})

it('[NS14] entries go on after their server was away', async () => {
  const run = start()
  await add('a', 1)
  await expect.poll(() => tails(run, 'public:a'), wide).toBe('1')
  await server.kill9()
  await expect.poll(() => run.lines.join(), wide).toContain('the source is away')
  await server.start()
  await add('a', 2)
  await expect.poll(() => tails(run, 'public:a'), wide).toBe('1 2')
  await expect.poll(pending, wide).toBe(0)
})

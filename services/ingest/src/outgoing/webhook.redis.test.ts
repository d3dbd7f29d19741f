import { afterEach, beforeEach, expect, it } from 'vitest'
import { createLog } from '@flotilla/node/log'
import { createMetrics } from '@flotilla/node/metrics'
import type { PolicySource } from '@flotilla/node/policy'
import { createScope } from '@flotilla/node/scope'
import type { Scope } from '@flotilla/node/scope'
import type { Store } from '@flotilla/node/store/port'
import { createRedisStore } from '@flotilla/node/store/redis/store'
import { startRedis } from '@flotilla/node/testing/redis-server'
import type { RedisServer } from '@flotilla/node/testing/redis-server'
import { writeEvents } from '../../test/event-logs.ts'
import { hang, ok, startReceiver, status, webhookSecret } from '../../test/receiver.ts'
import type { Receiver } from '../../test/receiver.ts'
import { startIngest } from '../ingest.ts'
import type { Ingest } from '../ingest.ts'
import { parseKeys } from '../keys.ts'
import { readAside, readState } from './webhook-place.ts'
import type { Webhook } from './webhook-file.ts'

const wide = { timeout: 15_000 }
const key = '0123456789abcdef'
const log = createLog({ service: 'ingest', level: 'silent' })
let redis: RedisServer
let receiver: Receiver
let store: Store
let ends: (() => Promise<unknown>)[]

beforeEach(async () => {
  ends = []
  process.env['TEST_WEBHOOK_SECRET'] = webhookSecret
  redis = await startRedis({ appendonly: true })
  receiver = await startReceiver()
  store = await open()
})
afterEach(async () => {
  for (const end of ends.toReversed()) await end()
  await receiver.kill()
  await redis.close()
})

async function open(): Promise<Store> {
  const opened = await createRedisStore({ urls: [redis.url], slots: 4, lanes: 2, log })
  ends.push(() => opened.close())
  return opened
}

const hook = (more: Partial<Webhook> = {}): Webhook => ({
  ...{ name: 'crm', url: receiver.url, secret: { env: 'TEST_WEBHOOK_SECRET' } },
  ...{ batch: 5, timeoutMs: 500, giveUpAfterMs: 86_400_000, ...more },
})

interface Process {
  readonly ingest: Ingest
  readonly metrics: ReturnType<typeof createMetrics>
  /** Ends it without a word: no sign-off, no request more. */
  readonly kill: () => Promise<void>
}

async function start(
  webhook = hook(),
  { memberId = 'ingest-1', policy }: { memberId?: string; policy?: PolicySource } = {},
): Promise<Process> {
  const [scope, own] = [createScope(log), await open()]
  const metrics = createMetrics({ service: 'ingest' })
  const config = {
    ...{ host: '127.0.0.1', port: 0, keys: parseKeys(`crm:${key}`), memberId, version: '0', maxInFlight: 10 },
    ...{ webhooks: [webhook], webhookRetryMs: { least: 50, max: 200 } },
  }
  const ingest = await startIngest(config, {
    store: own,
    log,
    scope,
    metrics,
    ...(policy === undefined ? {} : { policy }),
  })
  ends.push(() => endOf(ingest, scope))
  return { ingest, metrics, kill: () => endOf(ingest, scope) }
}

async function endOf(ingest: Ingest, scope: Scope): Promise<void> {
  await ingest.close()
  await scope.close()
}

/** The webhook has its place: what is written from now on is for it. */
const begun = (): Promise<void> =>
  expect.poll(async () => (await readState(store.places, 'crm')) !== null, wide).toBe(true)

/** Rooms of each slot in the order in which they were written. */
function inOrder(rooms: readonly string[], slot: number): readonly number[] {
  return rooms.flatMap((room) => {
    const [, of, n] = /^public:(\d)\.(\d+)$/.exec(room) ?? []
    return Number(of) === slot ? [Number(n)] : []
  })
}

async function call(ingest: Ingest, method: string, path: string, body?: object): Promise<Record<string, unknown>> {
  const response = await fetch(`http://127.0.0.1:${ingest.port}${path}`, {
    method,
    headers: { authorization: `Bearer ${key}` },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  expect(response.status).toBe(200)
  return (await response.json()) as Record<string, unknown>
}

it('[WH1] [WH2] events come in signed batches, in the order of their slot, those from before the webhook began not (EV8)', async () => {
  const logs = writeEvents(store)
  await logs.write(0, ['public:0.0'])
  await start()
  await begun()
  for (let n = 1; n <= 12; n += 1) await logs.write(n % 2, [`public:${n % 2}.${n}`])
  await expect.poll(() => receiver.rooms().length, wide).toBe(12)
  expect(inOrder(receiver.rooms(), 0)).toEqual([2, 4, 6, 8, 10, 12])
  expect(inOrder(receiver.rooms(), 1)).toEqual([1, 3, 5, 7, 9, 11])
  expect(receiver.received.every(({ isSigned }) => isSigned)).toBe(true)
  expect(Math.max(...receiver.received.map(({ ids }) => ids.length))).toBeLessThanOrEqual(5)
  const [first] = receiver.received
  expect(first?.headers).toMatchObject({ 'content-type': 'application/json', 'user-agent': 'flotilla' })
  const { webhook, events } = JSON.parse(first?.body ?? '') as { webhook: string; events: Record<string, unknown>[] }
  expect([webhook, events.map((event) => Object.keys(event).join())]).toEqual([
    'crm',
    first?.ids.map(() => 'id,time,event,data'),
  ])
})

it('[WH3] only events and types that it asks for are sent; the others are passed over', async () => {
  const logs = writeEvents(store)
  await start(hook({ events: ['room.occupied'], types: ['deal'] }))
  await begun()
  await logs.write(0, ['public:0.1', 'deal:acme:1', 'public:0.2'])
  await logs.write(1, ['deal:acme:2'])
  await expect.poll(() => receiver.rooms().toSorted(), wide).toEqual(['deal:acme:1', 'deal:acme:2'])
})

it.each([
  ['answers 500', status(500), 'failed: 500'],
  ['hangs', hang, 'timeout: no answer within 500 ms'],
  ['redirects', status(307, { location: '/elsewhere' }), 'redirected: 307'],
  ['refuses', status(400), 'refused: 400'],
])('[WH4] a receiver that %s gets the same events again, and those after them later', async (_, answer, lastError) => {
  const logs = writeEvents(store)
  const { ingest } = await start()
  await begun()
  receiver.answers(answer)
  await logs.write(0, ['public:0.1', 'public:0.2'])
  await expect.poll(() => receiver.received.length, wide).toBeGreaterThanOrEqual(2)
  await logs.write(0, ['public:0.3'])
  expect(await call(ingest, 'GET', '/v1/webhooks')).toMatchObject({
    webhooks: [{ name: 'crm', lastError, delivered: 0 }],
  })
  receiver.answers(ok)
  await expect.poll(() => receiver.first(), wide).toEqual(['public:0.1', 'public:0.2', 'public:0.3'])
  await expect
    .poll(() => call(ingest, 'GET', '/v1/webhooks'), wide)
    .toMatchObject({ webhooks: [{ failures: 0, failingSince: null, delivered: 3, behind: 0 }] })
})

it('[WH4] while a receiver is killed, also with a request under way, and comes back nothing is lost', async () => {
  const logs = writeEvents(store)
  await start()
  await begun()
  let written = 0
  const writeSome = async (): Promise<void> => {
    for (let i = 0; i < 10; i += 1) await logs.write((written += 1) % 4, [`public:${written % 4}.${written}`])
  }
  for (let round = 0; round < 3; round += 1) {
    await writeSome()
    await expect.poll(() => receiver.first().length, wide).toBe(written)
    const before = receiver.received.length
    receiver.answers(hang)
    await writeSome()
    await expect.poll(() => receiver.received.length, wide).toBeGreaterThan(before)
    await receiver.kill()
    await expect.poll(async () => (await readState(store.places, 'crm'))?.state.failures, wide).toBeGreaterThan(1)
    receiver.answers(ok)
    await receiver.start()
  }
  await expect.poll(() => receiver.first().length, wide).toBe(60)
  expect(receiver.rooms().length).toBeGreaterThan(60)
  for (const slot of [0, 1, 2, 3]) {
    const seen = inOrder(receiver.first(), slot)
    expect(seen).toEqual(seen.toSorted((one, other) => one - other))
  }
})

it('[WH5] what the receiver asks to wait is waited', async () => {
  const logs = writeEvents(store)
  await start()
  await begun()
  receiver.answers(status(503, { 'retry-after': '2' }))
  await logs.write(0, ['public:0.1'])
  await expect.poll(() => receiver.received.length, wide).toBe(1)
  const at = performance.now()
  receiver.answers(ok)
  await expect.poll(() => receiver.received.length, wide).toBe(2)
  expect(performance.now() - at).toBeGreaterThan(1_800)
})

it('[WH6] one process sends; when it goes the next one follows, and every event comes, in order', async () => {
  const logs = writeEvents(store)
  const first = await start()
  await begun()
  const second = await start(hook(), { memberId: 'ingest-2' })
  const active = async ({ metrics }: Process): Promise<boolean> =>
    (await metrics.render()).body.includes('flotilla_ingest_webhook_active{webhook="crm",service="ingest"} 1')
  let written = 0
  const writeSome = async (): Promise<void> => {
    for (let i = 0; i < 20; i += 1) await logs.write((written += 1) % 4, [`public:${written % 4}.${written}`])
  }
  await writeSome()
  await expect.poll(() => receiver.first().length, wide).toBe(20)
  expect([await active(first), await active(second)]).toEqual([true, false])
  const going = first.kill()
  await writeSome()
  await going
  await writeSome()
  await expect.poll(() => receiver.first().length, wide).toBe(60)
  for (const slot of [0, 1, 2, 3]) {
    const seen = inOrder(receiver.first(), slot)
    expect(seen).toEqual(seen.toSorted((a, b) => a - b))
  }
  expect(await active(second)).toBe(true)
})

it('[WH7] events that are not taken for too long are put aside, with the reason, and those after them are sent', async () => {
  const logs = writeEvents(store)
  const { ingest } = await start(hook({ giveUpAfterMs: 1_000 }))
  await begun()
  receiver.answers(status(500))
  await logs.write(0, ['public:0.1'])
  await logs.write(1, [`public:1.${'x'.repeat(20_000)}`])
  await expect.poll(async () => (await readAside(store.places, 'crm', 10)).total, wide).toBe(2)
  receiver.answers(ok)
  await logs.write(0, ['public:0.3'])
  await expect.poll(() => receiver.rooms().at(-1), wide).toBe('public:0.3')
  const { webhooks } = (await call(ingest, 'GET', '/v1/webhooks')) as { webhooks: Record<string, unknown>[] }
  expect(webhooks[0]).toMatchObject({
    aside: 2,
    newestAside: [
      { reason: 'not_taken', lastError: 'failed: 500', event: { event: 'room.occupied', tooLarge: true } },
      { reason: 'not_taken', lastError: 'failed: 500', event: { data: { room: 'public:0.1' } } },
    ],
  })
})

it('[WH7] events that the log does not keep any more are put aside as a gap', async () => {
  const logs = writeEvents(store)
  await start()
  await begun()
  await logs.write(0, ['public:0.1'])
  await expect.poll(() => receiver.rooms().length, wide).toBe(1)
  await receiver.kill()
  await logs.write(0, ['public:0.2'])
  await logs.write(0, ['public:0.3'])
  await redis.call('XTRIM', await keyOf('*:log:$events:*', 0, logs.names), 'MAXLEN', 1)
  await receiver.start()
  await expect.poll(() => receiver.rooms(), wide).toEqual(['public:0.1', 'public:0.3'])
  const { total, entries } = await readAside(store.places, 'crm', 10)
  expect([total, JSON.parse(entries[0]?.body ?? '')]).toMatchObject([
    1,
    { reason: 'trimmed', gap: { slot: 0, missed: 1 } },
  ])
})

async function keyOf(pattern: string, slot: number, names: readonly string[]): Promise<string> {
  const keys = (await redis.call('KEYS', pattern)) as readonly string[]
  return keys.find((each) => each.endsWith(`:${names[slot]}`)) ?? ''
}

it('[WH8] a replay sends what there is again, with the same ids, and ends the wait of one that fails', async () => {
  const logs = writeEvents(store)
  await logs.write(0, ['public:0.1'])
  const { ingest } = await start(hook(), {})
  await begun()
  await logs.write(0, ['public:0.2'])
  await expect.poll(() => receiver.rooms(), wide).toEqual(['public:0.2'])
  expect(await call(ingest, 'POST', '/v1/webhooks/crm/replay', { from: 'oldest' })).toEqual({
    name: 'crm',
    from: 'oldest',
  })
  await expect.poll(() => receiver.rooms(), wide).toEqual(['public:0.2', 'public:0.1', 'public:0.2'])
  const ids = receiver.received.flatMap((each) => each.ids)
  expect(ids[2]).toBe(ids[0])
  receiver.answers(status(503, { 'retry-after': '3600' }))
  await logs.write(0, ['public:0.3'])
  await expect.poll(() => receiver.rooms().at(-1), wide).toBe('public:0.3')
  receiver.answers(ok)
  const count = receiver.received.length
  await call(ingest, 'POST', '/v1/webhooks/crm/replay', { from: 'here' })
  await expect.poll(() => receiver.received.length, wide).toBe(count + 1)
  expect(receiver.rooms().at(-1)).toBe('public:0.3')
})

it('[WH9] a store that is away is waited for', async () => {
  const logs = writeEvents(store)
  await start()
  await begun()
  await logs.write(0, ['public:0.1'])
  await expect.poll(() => receiver.rooms().length, wide).toBe(1)
  await redis.kill9()
  await redis.start()
  await expect
    .poll(
      async () =>
        logs.write(0, ['public:0.2']).then(
          () => true,
          () => false,
        ),
      wide,
    )
    .toBe(true)
  await expect.poll(() => receiver.first(), wide).toEqual(['public:0.1', 'public:0.2'])
})

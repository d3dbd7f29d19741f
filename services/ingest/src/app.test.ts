import { describe, expect, it } from 'vitest'
import type { Policy } from '@flotilla/core/policy'
import { defaultPolicy } from '@flotilla/core/policy-default'
import type { PublishOutcome } from '@flotilla/node/endpoint-port'
import { StoreError } from '@flotilla/node/store/port'
import { harness, secret } from '../test/harness.ts'
import { maxBodyBytes } from './routes.ts'
import { eventAccepted, maxBatchEvents, maxTargets, problemAnswer } from './schema.ts'

const overloaded: PublishOutcome = { type: 'refused', code: 'OVERLOADED', retryAfterMs: 1_500 }
const unknown: PublishOutcome = { type: 'unknown', retryAfterMs: 1_000 }

describe('posting an event', () => {
  it('[IN1] an event is answered 202 with its id and position after the commit (OP7)', async () => {
    const { post, rooms } = await harness()
    const { status, answer } = await post({ room: 'public:a', event: 'e', data: { n: 1 }, id: 'x' })
    expect(status).toBe(202)
    expect(answer).toEqual({ id: 'x', results: [{ room: 'public:a', position: { epoch: '1.1', seq: 1 } }] })
    const [stored] = rooms.get('public:a') ?? []
    expect(stored).toMatchObject({ key: 'x', sender: 'key:crm', options: '' })
    const frame = JSON.parse(`{${stored?.tail}}`) as { meta: { timestamp: string } }
    expect(frame).toEqual({ event: 'e', data: { n: 1 }, meta: { userId: 'key:crm', timestamp: expect.any(String) } })
    expect(new Date(frame.meta.timestamp).toISOString()).toBe(frame.meta.timestamp)
  })

  it.each([
    [{ user: 'alice' }, ['user:alice']],
    [{ users: ['alice', 'bob', 'alice'] }, ['user:alice', 'user:bob']],
    [{ rooms: ['public:a', 'deal:acme:7'] }, ['public:a', 'deal:acme:7']],
    [{ tenant: 'acme' }, ['tenant:acme']],
    [{ tenant: 'acme', role: 'ADMIN' }, ['role:acme:ADMIN']],
    [{ all: true }, ['public:all']],
  ])('[IN2] the target %j is the rooms %j (EV2)', async (target, expected) => {
    const { post, rooms } = await harness()
    expect(await post({ ...target, event: 'e', data: null })).toMatchObject({ status: 202 })
    expect([...rooms.keys()]).toEqual(expected)
  })

  it.each([
    ['no target', {}],
    ['two targets', { room: 'public:a', user: 'alice' }],
    ['an option that does not exist', { room: 'public:a', ephemerial: true }],
    ['an empty event name', { room: 'public:a', event: '' }],
    ['a control character in the event name', { room: 'public:a', event: 'a\u001fb' }],
    ['a control character in the id', { room: 'public:a', id: 'a\u001eb' }],
    ['all: false', { all: false }],
    ['a role of no tenant', { role: 'ADMIN' }],
    ['a role beside a user', { user: 'alice', role: 'ADMIN' }],
    ['too many rooms', { rooms: Array.from({ length: maxTargets + 1 }, (_, i) => `public:${i}`) }],
    ['attributes that are too large', { room: 'public:a', filter: { a: 'x'.repeat(5_000) } }],
  ])('[IN3] %s is a VALIDATION_ERROR and nothing is published', async (_name, body) => {
    const { post, rooms } = await harness()
    expect(await post({ event: 'e', ...body })).toMatchObject({ status: 400, code: 'VALIDATION_ERROR' })
    expect(rooms.size).toBe(0)
  })

  it.each([
    { room: 'nocolon' },
    { rooms: ['public:a', 'x'] },
    { room: 'public:a\u001fb' },
    { user: 'a:b' },
    { tenant: 'a:b' },
    { tenant: 'a:b', role: 'ADMIN' },
    { tenant: 'acme', role: 'a:b' },
  ])('[IN3] %j names no room of the form it stands for', async (target) => {
    const { post, rooms } = await harness()
    expect(await post({ ...target, event: 'e' })).toMatchObject({ status: 400, code: 'INVALID_ROOM' })
    expect(rooms.size).toBe(0)
  })

  it('[PY13] a role is no target where the policy says nothing of its type: as one of the others it could be open to all (EV2)', async () => {
    const policy: Policy = { ...defaultPolicy, types: new Map() }
    const { post, rooms } = await harness({ policy })
    const answer = await post({ tenant: 'acme', role: 'ADMIN', event: 'e' })
    expect(answer).toMatchObject({ status: 400, code: 'UNKNOWN_ROOM_TYPE' })
    expect(rooms.size).toBe(0)
  })

  it('[IN4] the same id of the same key is one event; another key has ids of its own', async () => {
    const { post, rooms } = await harness()
    const event = { room: 'public:a', event: 'e', data: 1, id: 'x' }
    const first = await post(event)
    expect((await post(event)).answer).toEqual(first.answer)
    await post(event, { authorization: 'Bearer abcdefghijklmnopq' })
    expect(rooms.get('public:a')?.map(({ sender }) => sender)).toEqual(['key:crm', 'key:key2'])
  })

  it('[IN4] Idempotency-Key stands for an id that the body does not have, quoted or not', async () => {
    const { post } = await harness()
    const event = { room: 'public:a', event: 'e' }
    expect((await post(event, { 'Idempotency-Key': 'h' })).answer).toMatchObject({ id: 'h' })
    expect((await post(event, { 'Idempotency-Key': '"h"' })).answer).toMatchObject({ id: 'h' })
    expect((await post({ ...event, id: 'b' }, { 'Idempotency-Key': 'i' })).answer).toMatchObject({ id: 'b' })
    const ids = [await post(event), await post(event)].map(({ answer }) => eventAccepted.parse(answer).id)
    expect(new Set(ids).size).toBe(2)
  })

  it('[IN5] except and filter travel as the options of the event (EV2)', async () => {
    const { post, rooms } = await harness()
    await post({ room: 'public:a', event: 'e', except: ['bob'], filter: { region: 'eu' } })
    expect(rooms.get('public:a')?.map(({ options }) => options)).toEqual(['{"except":["bob"],"match":{"region":"eu"}}'])
  })

  it('[SF4] sensitive fields of the policy are not in what is published, in batches and CloudEvents too (LM4)', async () => {
    const policy = { ...defaultPolicy, sensitive: new Set(['pin']) }
    const { post, call, rooms } = await harness({ policy })
    const data = { PIN: 4711, name: 'Ann' }
    await post({ room: 'public:a', event: 'e', data, filter: { 'card.pin': 4711 } })
    await call('postBatch', { body: { events: [{ room: 'public:a', event: 'e', data }] } })
    const cloud = { specversion: '1.0', type: 'e', source: 's', id: '1', flotillaroom: 'public:a', data }
    await call('postEvent', { body: cloud, headers: { 'content-type': 'application/cloudevents+json' } })
    const told = rooms.get('public:a') ?? []
    expect(told).toHaveLength(3)
    for (const { tail } of told) expect(tail).toContain('"data":{"name":"Ann"}')
    expect(JSON.stringify(told)).not.toContain('4711')
  })

  it('[IN6] an ephemeral event is answered 202 without a position and never logged', async () => {
    const { post, rooms, ephemeral } = await harness()
    const { status, answer } = await post({ room: 'public:a', event: 'e', ephemeral: true, id: 'x' })
    expect([status, answer]).toEqual([202, { id: 'x', results: [{ room: 'public:a' }] }])
    expect([rooms.size, ephemeral.length]).toEqual([0, 1])
  })

  it('[IN7] OVERLOADED says that nothing was appended in any room', async () => {
    const { post, outcomes } = await harness()
    outcomes.set('public:a', overloaded).set('public:b', overloaded)
    const { status, code, headers, answer } = await post({ rooms: ['public:a', 'public:b'], event: 'e', id: 'x' })
    expect([status, code, headers.get('retry-after')]).toEqual([503, 'OVERLOADED', '2'])
    const error = { code: 'OVERLOADED', retryAfterMs: 1_500 }
    expect(answer).toMatchObject({
      id: 'x',
      retryAfterMs: 1_500,
      results: [
        { room: 'public:a', error },
        { room: 'public:b', error },
      ],
    })
  })

  it.each([overloaded, unknown])(
    '[IN7] as soon as one room may have it the answer is UNKNOWN with the id (%j)',
    async (outcome) => {
      const { post, outcomes } = await harness()
      outcomes.set('public:b', outcome)
      const { status, code, answer } = await post({ rooms: ['public:a', 'public:b'], event: 'e' })
      expect([status, code]).toEqual([503, 'UNKNOWN'])
      expect(answer).toMatchObject({ id: expect.any(String), results: [{ position: { seq: 1 } }, { error: {} }] })
      outcomes.clear()
      const { id } = problemAnswer.parse(answer)
      const again = await post({ rooms: ['public:a', 'public:b'], event: 'e', id })
      expect(again.answer).toMatchObject({ results: [{ position: { seq: 1 } }, { position: { seq: 1 } }] })
    },
  )

  it('[IN7] a refusal of the room is answered by its own code', async () => {
    const { post, outcomes } = await harness()
    outcomes.set('public:a', { type: 'refused', code: 'FORBIDDEN', retryAfterMs: 0 })
    expect(await post({ room: 'public:a', event: 'e' })).toMatchObject({ status: 403, code: 'FORBIDDEN' })
    outcomes.set('public:a', { type: 'refused', code: 'NEWER_THAN_US', retryAfterMs: 0 })
    expect(await post({ room: 'public:a', event: 'e' })).toMatchObject({ status: 500, code: 'INTERNAL_ERROR' })
  })

  it('[IN8] above the cap of publishes in flight the answer is OVERLOADED at once', async () => {
    const { post, fault, rooms } = await harness({ maxInFlight: 2 })
    let release = (): void => {}
    fault.hold = new Promise((resolve) => (release = resolve))
    const held = post({ rooms: ['public:a', 'public:b'], event: 'e' })
    await expect.poll(() => rooms.size).toBe(2)
    const refused = await post({ room: 'public:c', event: 'e', id: 'x' })
    expect(refused).toMatchObject({ status: 503, code: 'OVERLOADED', answer: { id: 'x' } })
    expect(refused.headers.get('retry-after')).toBe('1')
    release()
    expect((await held).status).toBe(202)
    fault.hold = null
    expect((await post({ room: 'public:c', event: 'e' })).status).toBe(202)
  })
})

describe('bad requests', () => {
  it.each([
    { authorization: '' },
    { authorization: 'Bearer wrong' },
    { authorization: `Basic ${secret}` },
    { authorization: secret },
  ])('[IN9] without a key that is known (%j) nothing is read', async (headers) => {
    const { call, rooms } = await harness()
    for (const name of ['postEvent', 'postBatch', 'getHistory'] as const) {
      const answer = await call(name, { headers, raw: 'x'.repeat(2 * maxBodyBytes) })
      expect(answer).toMatchObject({ status: 401, code: 'UNAUTHORIZED' })
      expect(answer.headers.get('www-authenticate')).toContain('Bearer')
    }
    expect(rooms.size).toBe(0)
  })

  it.each([
    ['no JSON', '{', 400, 'VALIDATION_ERROR'],
    ['nothing', '', 400, 'VALIDATION_ERROR'],
    ['no UTF-8', new Uint8Array([0x22, 0xff, 0x22]), 400, 'VALIDATION_ERROR'],
    ['an array', '[]', 400, 'VALIDATION_ERROR'],
    ['a body that is nested too deep', `${'['.repeat(100)}${']'.repeat(100)}`, 400, 'UNSAFE_JSON'],
    ['a prototype key', '{"room":"public:a","event":"e","data":{"__proto__":{}}}', 400, 'UNSAFE_JSON'],
    ['a body above the limit', 'x'.repeat(maxBodyBytes + 1), 413, 'PAYLOAD_TOO_LARGE'],
    [
      'data above the limit',
      `{"room":"public:a","event":"e","data":"${'x'.repeat(1_000_000)}"}`,
      413,
      'PAYLOAD_TOO_LARGE',
    ],
  ])('[IN10] %s is refused', async (_name, raw, status, code) => {
    const { call, rooms } = await harness()
    expect(await call('postEvent', { raw })).toMatchObject({ status, code })
    expect(rooms.size).toBe(0)
  })

  it('[IN10] a content encoding that is not known is refused', async () => {
    const { call } = await harness()
    expect(await call('postEvent', { raw: '{}', headers: { 'content-encoding': 'x' } })).toMatchObject({ status: 415 })
  })

  it('[IN10] data at the limit is taken', async () => {
    const { call } = await harness()
    const raw = `{"room":"public:a","event":"e","data":"${'x'.repeat(999_998)}"}`
    expect((await call('postEvent', { raw })).status).toBe(202)
  })

  it('[IN10] a path that does not exist is a NOT_FOUND problem', async () => {
    const { port } = await harness()
    const response = await fetch(`http://127.0.0.1:${port}/v2/events`)
    expect([response.status, await response.json()]).toMatchObject([404, { code: 'NOT_FOUND' }])
  })
})

describe('batches', () => {
  it('[IN11] every item has its own result, and a room gets them in the order of the batch', async () => {
    const { call, rooms, outcomes } = await harness()
    outcomes.set('public:busy', overloaded)
    const events = [
      { room: 'public:a', event: '1', id: 'one' },
      { room: 'nocolon', event: '2' },
      { room: 'public:a', event: '3' },
      { room: 'public:busy', event: '4', id: 'four' },
      { room: 'public:a', event: '5' },
      'no event',
    ]
    const { status, answer } = await call('postBatch', { body: { events }, headers: { 'idempotency-key': 'b' } })
    expect(status).toBe(200)
    expect(answer).toMatchObject({
      results: [
        { status: 202, id: 'one', results: [{ position: { seq: 1 } }] },
        { status: 400, code: 'INVALID_ROOM' },
        { status: 202, id: 'b.2', results: [{ position: { seq: 2 } }] },
        { status: 503, code: 'OVERLOADED', id: 'four' },
        { status: 202, id: 'b.4', results: [{ position: { seq: 3 } }] },
        { status: 400, code: 'VALIDATION_ERROR' },
      ],
    })
    expect(rooms.get('public:a')?.map(({ key }) => key)).toEqual(['one', 'b.2', 'b.4'])
  })

  it('[IN11] a batch has from 1 to 500 events', async () => {
    const { call, rooms } = await harness()
    const events = Array.from({ length: maxBatchEvents }, (_, i) => ({
      room: 'public:a',
      event: 'e',
      data: { i },
      id: `k${i}`,
    }))
    expect((await call('postBatch', { body: { events } })).status).toBe(200)
    expect(rooms.get('public:a')).toHaveLength(maxBatchEvents)
    for (const wrong of [[], [...events, ...events.slice(0, 1)]]) {
      expect(await call('postBatch', { body: { events: wrong } })).toMatchObject({
        status: 400,
        code: 'VALIDATION_ERROR',
      })
    }
  })
})

describe('history', () => {
  it('[IN12] a page of the room, as it was posted', async () => {
    const { call, post } = await harness()
    for (let i = 1; i <= 3; i += 1) await post({ room: 'deal:acme:7', event: `e${i}`, data: { i } })
    const page = await call('getHistory', { room: 'deal:acme:7', query: '?after=1&limit=1' })
    expect(page.answer).toMatchObject({ room: 'deal:acme:7', epoch: '1.1', first: 2, last: 2 })
    expect(page.answer).toMatchObject({
      events: [{ seq: 2, event: 'e2', data: { i: 2 }, meta: { userId: 'key:crm' } }],
    })
    expect((await call('getHistory', { room: 'public:other' })).answer).toMatchObject({
      events: [],
      first: null,
      last: null,
    })
  })

  it.each(['?limit=0', '?limit=1001', '?limit=x', '?after=-1', '?afterr=1', '?limit=1&limit=2'])(
    '[IN12] %s is refused',
    async (query) => {
      const { call } = await harness()
      expect(await call('getHistory', { query })).toMatchObject({ status: 400, code: 'VALIDATION_ERROR' })
    },
  )

  it('[IN12] a room that cannot be, and a store that is away, are told apart', async () => {
    const { call, fault } = await harness()
    expect(await call('getHistory', { room: 'nocolon' })).toMatchObject({ status: 400, code: 'INVALID_ROOM' })
    fault.error = new StoreError('refused', 'away')
    expect(await call('getHistory')).toMatchObject({ status: 503, code: 'OVERLOADED' })
  })
})

it('[IN13] requests and events are counted', async () => {
  const { call, post, metrics } = await harness()
  await post({ room: 'public:a', event: 'e' })
  await post({ room: 'x', event: 'e' })
  await call('getOpenapi')
  const lines = async () => (await metrics.render()).body.split('\n')
  await expect
    .poll(lines)
    .toEqual(
      expect.arrayContaining([
        'flotilla_ingest_requests_total{route="postEvent",status="202",service="ingest"} 1',
        'flotilla_ingest_requests_total{route="getOpenapi",status="200",service="ingest"} 1',
        'flotilla_ingest_events_total{code="INVALID_ROOM",service="ingest"} 1',
        'flotilla_ingest_publishes_in_flight{service="ingest"} 0',
      ]),
    )
})

import { describe, expect, it } from 'vitest'
import type { PublishOutcome } from '@flotilla/node/endpoint-port'
import { harness } from '../test/harness.ts'
import { createStoredAnswers } from './stored-answers.ts'

const event = { room: 'public:a', event: 'e', data: 1 }
const named = { 'Idempotency-Key': '"k1"' }
const unknown: PublishOutcome = { type: 'unknown', retryAfterMs: 1_000 }
const replayed = ({ headers }: { readonly headers: Headers }) => headers.get('idempotent-replayed')

describe('an Idempotency-Key', () => {
  it('[IN28] the same key and body get the same answer, which says so; nothing is done (OP7)', async () => {
    const { post, call, rooms, metrics } = await harness()
    const tick = { ...event, ephemeral: true }
    for (const [name, body] of [
      ['postEvent', event],
      ['postEvent', tick],
      ['postBatch', { events: [event, {}, tick] }],
    ] as const) {
      const headers = { 'Idempotency-Key': JSON.stringify(body) }
      const first = await call(name, { body, headers })
      const again = await call(name, { body, headers })
      expect([again.status, again.answer]).toEqual([first.status, first.answer])
      expect([first, again].map(replayed)).toEqual([null, 'true'])
    }
    expect(rooms.get('public:a')).toHaveLength(2)
    const { status } = await post(event, {
      'Idempotency-Key': JSON.stringify(event),
      authorization: 'Bearer abcdefghijklmnopq',
    })
    expect(status).toBe(202)
    expect(rooms.get('public:a')).toHaveLength(3)
    expect((await metrics.render()).body).toMatch(/flotilla_ingest_idempotency_total\{outcome="answered"[^}]*\} 3\n/)
  })

  it('[IN28] quoted or not it is the same key, and a quoted one may have quotes in it', async () => {
    const { post } = await harness()
    expect((await post(event, { 'Idempotency-Key': 'k"1' })).answer).toMatchObject({ id: 'k"1' })
    expect(replayed(await post(event, { 'Idempotency-Key': '"k\\"1"' }))).toBe('true')
  })

  it('[IN28] one that is too long or empty is refused', async () => {
    const { post, rooms } = await harness()
    for (const key of ['x'.repeat(129), '""']) {
      expect(await post(event, { 'Idempotency-Key': key })).toMatchObject({ status: 400, code: 'VALIDATION_ERROR' })
    }
    expect(rooms.size).toBe(0)
  })

  it('[IN29] the same key with another body is refused, whatever the other way of asking', async () => {
    const { post, call, rooms } = await harness()
    await post(event, named)
    const cloud = { specversion: '1.0', id: '1', source: '/s', type: 't', flotillaroom: 'public:b' }
    const binary = Object.fromEntries(Object.entries(cloud).map(([name, value]) => [`ce-${name}`, value]))
    const json = { 'content-type': 'application/json', ...named }
    const others = [
      () => post({ ...event, data: 2 }, named),
      () => call('postBatch', { body: { events: [event] }, headers: named }),
      () => call('postBatch', { body: event, headers: named }),
      () => call('postEvent', { body: event, headers: { ...binary, ...json } }),
      () => call('postEvent', { body: event, headers: { ...named, 'content-type': 'application/cloudevents+json' } }),
    ]
    for (const other of others) expect(await other()).toMatchObject({ status: 422, code: 'IDEMPOTENCY_KEY_REUSED' })
    expect(rooms.get('public:a')).toHaveLength(1)

    const own = { 'Idempotency-Key': 'binary', 'content-type': 'application/json' }
    const send = (headers: Readonly<Record<string, string>>) =>
      call('postEvent', { raw: '1', headers: { ...headers, ...own } })
    expect([(await send(binary)).status, replayed(await send(binary))]).toEqual([202, 'true'])
    expect(await send({ ...binary, 'ce-id': '2' })).toMatchObject({ status: 422, code: 'IDEMPOTENCY_KEY_REUSED' })
    expect(rooms.get('public:b')).toHaveLength(1)
  })

  it('[IN30] while its twin is under way the answer is 409 with the time to wait; another body is refused even then', async () => {
    const { post, fault, rooms } = await harness()
    let release = (): void => {}
    fault.hold = new Promise((resolve) => (release = resolve))
    const held = post(event, named)
    await expect.poll(() => rooms.size).toBe(1)
    const twin = await post(event, named)
    expect(twin).toMatchObject({ status: 409, code: 'IDEMPOTENCY_KEY_IN_USE', answer: { retryAfterMs: 1_000 } })
    expect(twin.headers.get('retry-after')).toBe('1')
    expect(await post({ ...event, data: 2 }, named)).toMatchObject({ status: 422, code: 'IDEMPOTENCY_KEY_REUSED' })
    release()
    const first = await held
    const again = await post(event, named)
    expect([again.answer, replayed(again)]).toEqual([first.answer, 'true'])
    expect(rooms.get('public:a')).toHaveLength(1)
  })

  it('[IN31] a request that did nothing leaves its key free', async () => {
    const { post, call, rooms, outcomes } = await harness()
    expect((await post({ ...event, event: '' }, named)).status).toBe(400)
    outcomes.set('public:a', { type: 'refused', code: 'OVERLOADED', retryAfterMs: 1 })
    expect((await post({ ...event, data: 2 }, named)).status).toBe(503)
    await call('postBatch', { body: { events: [event, 'none'] }, headers: named })
    outcomes.clear()
    expect((await post(event, named)).status).toBe(202)
    expect(rooms.get('public:a')).toHaveLength(1)
  })

  it('[IN31] where the outcome is open the same body may try again, another one may not', async () => {
    const { post, call, rooms, outcomes } = await harness()
    outcomes.set('public:b', unknown)
    const both = { rooms: ['public:a', 'public:b'], event: 'e' }
    expect((await post(both, named)).code).toBe('UNKNOWN')
    expect(await post({ ...both, event: 'f' }, named)).toMatchObject({ status: 422 })
    const batch = { events: [event, { ...event, room: 'public:b' }] }
    const headers = { 'Idempotency-Key': 'batch' }
    await call('postBatch', { body: batch, headers })
    outcomes.clear()
    const again = await post(both, named)
    expect([again.status, replayed(again)]).toEqual([202, null])
    expect(replayed(await post(both, named))).toBe('true')
    const later = await call('postBatch', { body: batch, headers })
    expect([later.answer, replayed(later)]).toMatchObject([{ results: [{ status: 202 }, { status: 202 }] }, null])
    expect(rooms.get('public:a')).toHaveLength(2)
  })

  it('[IN31] after a fault of ours the outcome is open', async () => {
    const { post, endpoint, rooms } = await harness()
    const { publish } = endpoint
    Object.assign(endpoint, {
      publish: () => {
        throw new Error('ours')
      },
    })
    expect((await post(event, named)).status).toBe(500)
    Object.assign(endpoint, { publish })
    expect((await post({ ...event, data: 2 }, named)).status).toBe(422)
    expect((await post(event, named)).status).toBe(202)
    expect(rooms.get('public:a')).toHaveLength(1)
  })
})

describe('what is remembered', () => {
  const reply = (chars: number) => ({ status: 202, type: 'application/json', text: 'x'.repeat(chars) })
  const answered = (chars: number) => ({ type: 'answer', reply: reply(chars) }) as const

  it('[IN32] an answer is forgotten after its window, and its key is free then', () => {
    let nowMs = 0
    const stored = createStoredAnswers({ windowMs: 100, now: () => nowMs })
    expect(stored.begin('a', 'f')).toEqual({ type: 'new' })
    stored.end('a', answered(1))
    nowMs = 99
    expect(stored.begin('a', 'f')).toEqual({ type: 'answered', reply: reply(1) })
    nowMs = 100
    expect(stored.begin('a', 'other')).toEqual({ type: 'new' })
    expect(stored.size).toBe(1)
  })

  it('[IN32] beyond the limit of characters the oldest are forgotten, never one that is under way', () => {
    const stored = createStoredAnswers({ maxChars: 10_000 })
    stored.begin('held', 'f')
    for (let i = 0; i < 100; i += 1) {
      stored.begin(`k${i}`, 'f')
      stored.end(`k${i}`, answered(700))
    }
    expect(stored.size).toBeLessThanOrEqual(11)
    expect(stored.begin('k99', 'f').type).toBe('answered')
    expect(stored.begin('k0', 'f').type).toBe('new')
    expect(stored.begin('held', 'f').type).toBe('underWay')
    stored.begin('large', 'f')
    stored.end('large', answered(20_000))
    expect(stored.begin('large', 'f').type).toBe('new')
  })

  it('[IN32] when an answer was forgotten the event is still the one that it was', async () => {
    const a = await harness()
    const b = await harness()
    // Two processes in front of the same rooms.
    Object.assign(b.endpoint, { publish: a.endpoint.publish })
    const first = await a.post(event, named)
    const again = await b.post(event, named)
    expect([again.answer, replayed(again)]).toEqual([first.answer, null])
    expect(a.rooms.get('public:a')).toHaveLength(1)
  })
})

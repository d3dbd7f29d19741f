import { describe, expect, it } from 'vitest'
import type { ServerFrame } from './frames.ts'
import { authDeadlineMs, maxDataBytes, maxHeldFrames } from './limits.ts'
import { createSession, defaultSessionLimits, isDue, stepSession } from './session.ts'
import type { SessionInput, SessionLimits, SessionState } from './session-state.ts'

const wallStart = 1_700_000_000_000
const timestamp = '2023-11-14T22:13:20.000Z'

/** What a client reads: every refusal in the words that it gets, and what is left out where there is nothing to say. */
class Conn {
  readonly state: SessionState
  now = 0
  constructor(limits: Partial<SessionLimits> = {}) {
    this.state = createSession('c1', 0, { limits: { ...defaultSessionLimits, ...limits } })
  }
  step(input: SessionInput): ServerFrame[] {
    const effects = stepSession(this.state, input, { now: this.now, wallMs: wallStart + this.now, timestamp })
    return effects.flatMap((effect) => (effect.type === 'send' ? [effect.frame] : []))
  }
  frame(frame: object | string): ServerFrame[] {
    const text = typeof frame === 'string' ? frame : JSON.stringify(frame)
    return this.step({ type: 'frame', text, bytes: Buffer.byteLength(text) })
  }
  open(expiresAtMs?: number): ServerFrame[] {
    this.step({ type: 'token', token: 't' })
    const identity = { userId: 'alice', ...(expiresAtMs === undefined ? {} : { expiresAtMs }) }
    return this.step({ type: 'verdict', attempt: 1, verdict: { ok: true, identity } })
  }
  get isDue(): boolean {
    return isDue(this.state, this.now, wallStart + this.now)
  }
}
const opened = (limits: Partial<SessionLimits> = {}): Conn => {
  const conn = new Conn(limits)
  conn.open()
  return conn
}
const error = (code: string, message: string, more: object = {}): object => ({ type: 'error', code, message, ...more })

describe('the words of refusals', () => {
  it.each([
    ['{', error('BAD_FRAME', 'the frame is not JSON text')],
    ['[1]', error('BAD_FRAME', 'a frame is an object with a type')],
    ['null', error('BAD_FRAME', 'a frame is an object with a type')],
    ['7', error('BAD_FRAME', 'a frame is an object with a type')],
    ['{"type":"dance","id":3}', error('BAD_FRAME', 'the type is not known', { id: 3 })],
    ['{"id":"a"}', error('BAD_FRAME', 'the type is not known', { id: 'a' })],
    [`${'['.repeat(40)}${']'.repeat(40)}`, error('UNSAFE_JSON', 'nested deeper than 32')],
    [
      '{"type":"ping","__proto__":1}',
      error('UNSAFE_JSON', 'a key named __proto__, constructor or prototype is not accepted'),
    ],
    [
      '{"type":"subscribe","id":1,"room":"public:a","since":7}',
      error('BAD_POSITION', 'a position is { epoch: text, seq: number }', { id: 1 }),
    ],
    [
      JSON.stringify({ type: 'resume', id: 1, rooms: Array(1_001).fill({ room: 'public:a' }) }),
      error('TOO_MANY_SUBSCRIPTIONS', 'a resume names at most 1000 rooms', { id: 1 }),
    ],
    [
      '{"type":"subscribe","id":1,"room":7}',
      { code: 'VALIDATION_ERROR', message: expect.stringMatching(/^room: /), id: 1 },
    ],
    [
      '{"type":"resume","id":1,"rooms":[{"room":"public:a","filter":7}]}',
      { code: 'VALIDATION_ERROR', message: expect.stringMatching(/^rooms\.0\.filter: /), id: 1 },
    ],
    [
      '{"type":"publish","id":1,"room":"public:a","event":"e","data":1,"key":""}',
      { code: 'VALIDATION_ERROR', message: expect.stringMatching(/^key: /), id: 1 },
    ],
    [
      '{"type":"publish","id":1,"room":"public:a","event":"a\\u0001","data":1}',
      error('VALIDATION_ERROR', 'event: has a character that is not allowed', { id: 1, room: 'public:a' }),
    ],
    [
      '{"type":"publish","id":1,"room":"public:a","event":"e","data":1,"key":"a\\u0001"}',
      error('VALIDATION_ERROR', 'key: 1 to 128 printable characters', { id: 1, room: 'public:a' }),
    ],
    [
      '{"type":"unsubscribe","id":4,"room":"public:a"}',
      { code: 'NOT_SUBSCRIBED', message: expect.stringMatching(/^the room is not /), id: 4, room: 'public:a' },
    ],
  ])('[SE30] %s', (text, expected) => {
    expect(opened().frame(text)).toEqual([expect.objectContaining(expected)])
  })

  it('[SE30] an id comes back when it is one, and nothing is said of one that is not', () => {
    for (const id of [0, 1, 2 ** 53 - 1, 'a', 'x'.repeat(64)])
      expect(opened().frame({ type: 'dance', id })).toEqual([error('BAD_FRAME', 'the type is not known', { id })])
    for (const id of [-1, 1.5, 2 ** 53, '', 'x'.repeat(65), null, {}, true])
      expect(opened().frame({ type: 'dance', id })).toEqual([error('BAD_FRAME', 'the type is not known')])
  })

  it('[SE4] a ping is answered with its id, or without one', () => {
    expect(opened().frame({ type: 'ping', id: 4 })).toEqual([{ type: 'pong', id: 4, timestamp }])
    expect(opened().frame({ type: 'ping' })).toEqual([{ type: 'pong', timestamp }])
  })

  it('[SE1] connected names the tenant where there is one', () => {
    const conn = new Conn()
    conn.step({ type: 'token', token: 't' })
    const identity = { userId: 'bob', tenantId: 'acme' }
    const [connected] = conn.step({ type: 'verdict', attempt: 1, verdict: { ok: true, identity } })
    expect(connected).toMatchObject({ type: 'connected', tenantId: 'acme' })
    expect(new Conn().open()[0]).not.toHaveProperty('tenantId')
  })

  it('[SE21] an outcome is told in words', () => {
    const told = (outcome: Extract<SessionInput, { type: 'published' }>['outcome']): unknown => {
      const conn = opened()
      conn.frame({ type: 'publish', id: 1, room: 'public:a', event: 'e', data: 1 })
      return conn.step({ type: 'published', request: 1, outcome })[0]
    }
    expect(told({ type: 'unknown', retryAfterMs: 5 })).toEqual(
      error('UNKNOWN', 'not known to be committed: publish again with the same key, and it stays one message', {
        ...{ id: 1, room: 'public:a', retryAfterMs: 5 },
      }),
    )
    expect(told({ type: 'refused', code: 'OVERLOADED', retryAfterMs: 6 })).toMatchObject({
      message: 'nothing was appended, retry later',
    })
    expect(told({ type: 'refused', code: 'FORBIDDEN', retryAfterMs: 0 })).toMatchObject({
      message: 'refused by the room',
    })
    expect(opened().step({ type: 'published', request: 9, outcome: { type: 'unknown', retryAfterMs: 5 } })).toEqual([])
  })

  it('[SE22] one publish too many, and one subscription too many, name the limit', () => {
    const conn = opened({ maxPublishesInFlight: 1, maxSubscriptions: 1 })
    const publish = { type: 'publish', room: 'public:a', event: 'e', data: 1 }
    expect(conn.frame({ ...publish, id: 1 })).toEqual([])
    expect(conn.frame({ ...publish, id: 2 })).toEqual([
      error('OVERLOADED', '1 publishes wait for their acknowledgement already; nothing was appended', {
        ...{ id: 2, room: 'public:a', event: 'e', retryAfterMs: 1_000 },
      }),
    ])
    conn.frame({ type: 'subscribe', id: 3, room: 'public:a' })
    expect(conn.frame({ type: 'subscribe', id: 4, room: 'public:b' })[0]).toMatchObject({
      ...{ code: 'TOO_MANY_SUBSCRIPTIONS', message: expect.stringMatching(/^at most 1 /) },
    })
  })

  it.each([
    ['a', 1],
    ['\u007f', 1],
    ['\u0080', 2],
    ['\u07ff', 2],
    ['\u0800', 3],
    ['\ud7ff', 3],
    ['\ue000', 3],
    ['\u{1f600}', 4],
  ])('[SE23] %j counts as many bytes as it has', (character, bytes) => {
    // Two quotes of JSON.
    const fits = Math.floor((maxDataBytes - 2) / bytes)
    const rest = 'a'.repeat(maxDataBytes - 2 - fits * bytes)
    const answer = (data: string): ServerFrame[] =>
      opened().frame({ type: 'publish', id: 1, room: 'public:a', event: 'e', data })
    expect(answer(character.repeat(fits) + rest)).toEqual([])
    expect(answer(`${character.repeat(fits) + rest}a`)).toEqual([
      error('PAYLOAD_TOO_LARGE', `data is larger than ${maxDataBytes} bytes`, { id: 1, room: 'public:a', event: 'e' }),
    ])
  })

  it('[SE2] tokens are refused in words', () => {
    const verdict = (retryable: boolean, conn = new Conn()): ServerFrame[] => {
      conn.frame({ type: 'auth', id: 1, token: 'x' })
      return conn.step({ type: 'verdict', attempt: 1, verdict: { ok: false, retryable } })
    }
    expect(verdict(false)).toEqual([error('UNAUTHORIZED', 'Invalid token', { id: 1 })])
    expect(verdict(true)[0]).toMatchObject({
      code: 'OVERLOADED',
      message: expect.stringMatching(/^the token cannot be /),
    })
    const late = new Conn()
    late.now = authDeadlineMs
    expect(late.step({ type: 'tick' })).toEqual([error('UNAUTHORIZED', 'Authentication required')])
    const full = new Conn()
    full.step({ type: 'token', token: 't' })
    for (let i = 0; i < maxHeldFrames; i += 1) full.frame({ type: 'subscribe', id: i, room: 'public:a' })
    expect(full.frame({ type: 'subscribe', id: 0, room: 'public:a' })[0]).toMatchObject({
      ...{ code: 'UNAUTHORIZED', message: expect.stringMatching(/^too many frames before /) },
    })
  })

  it('[SE6] a token while connected is answered, or refused in words', () => {
    const conn = opened()
    const renew = (attempt: number, verdict: Extract<SessionInput, { type: 'verdict' }>['verdict']): ServerFrame[] => {
      conn.frame({ type: 'auth', id: attempt, token: 'x' })
      return conn.step({ type: 'verdict', attempt, verdict })
    }
    expect(renew(2, { ok: true, identity: { userId: 'alice' } })).toEqual([{ type: 'ok', id: 2 }])
    expect(renew(3, { ok: false, retryable: false })).toEqual([error('UNAUTHORIZED', 'Invalid token', { id: 3 })])
    expect(renew(4, { ok: false, retryable: true })[0]).toMatchObject({ code: 'OVERLOADED', id: 4 })
    for (const identity of [{ userId: 'bob' }, { userId: 'alice', tenantId: 'acme' }])
      expect(renew(identity.userId === 'bob' ? 5 : 6, { ok: true, identity })[0]).toMatchObject({
        ...{ code: 'UNAUTHORIZED', message: expect.stringMatching(/^the token is of so/) },
      })
    conn.frame({ type: 'auth', id: 7, token: 'x' })
    expect(conn.frame({ type: 'auth', id: 8, token: 'y' })[0]).toMatchObject({
      message: 'another token is being checked',
    })
  })
})

describe('when a session has to be looked at', () => {
  it('[SE3] at the deadline of its token, not before', () => {
    const conn = new Conn()
    conn.now = authDeadlineMs - 1
    expect(conn.isDue).toBe(false)
    conn.now += 1
    expect(conn.isDue).toBe(true)
    conn.step({ type: 'closed' })
    expect(conn.isDue).toBe(false)
    expect(conn.frame({ type: 'ping' })).toEqual([])
  })

  it('[SE7] at the end of its token, in words, and never without one', () => {
    const conn = new Conn()
    conn.open(wallStart + 5_000)
    conn.now = 4_999
    expect(conn.isDue).toBe(false)
    expect(conn.step({ type: 'tick' })).toEqual([])
    conn.now = 5_000
    expect(conn.isDue).toBe(true)
    expect(conn.step({ type: 'tick' })).toEqual([error('UNAUTHORIZED', 'Token expired')])
    const forever = opened()
    forever.now = 10 ** 12
    expect(forever.isDue).toBe(false)
    expect(forever.step({ type: 'tick' })).toEqual([])
  })

  it('[SE18] when a room of its own that could not be read is to be asked for again', () => {
    const conn = opened()
    expect(conn.isDue).toBe(false)
    conn.step({ type: 'refused', room: 'user:alice', retryAfterMs: 500 })
    conn.step({ type: 'refused', room: 'public:all', retryAfterMs: 900 })
    const asks = (): unknown[] =>
      stepSession(conn.state, { type: 'tick' }, { now: conn.now, wallMs: wallStart, timestamp }).map((effect) =>
        effect.type === 'subscribe' ? effect.room : effect.type,
      )
    conn.now = 499
    expect([conn.isDue, asks()]).toEqual([false, []])
    conn.now = 500
    expect([conn.isDue, asks()]).toEqual([true, ['user:alice']])
    conn.now = 899
    expect([conn.isDue, asks()]).toEqual([false, []])
    conn.now = 900
    expect([conn.isDue, asks()]).toEqual([true, ['public:all']])
    expect(conn.isDue).toBe(false)
  })
})

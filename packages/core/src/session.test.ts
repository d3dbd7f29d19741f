import { describe, expect, it } from 'vitest'
import { serverFrame } from './frames.ts'
import type { ServerFrame } from './frames.ts'
import { authDeadlineMs, maxBadFrames, maxHeldFrames, maxUnauthenticatedFrameBytes } from './limits.ts'
import { createSession, defaultSessionLimits, stepSession } from './session.ts'
import type { SessionEffect, SessionIdentity, SessionInput, SessionLimits, SessionState } from './session-state.ts'

const alice: SessionIdentity = { userId: 'alice', tenantId: 'acme' }
const wallStart = 1_700_000_000_000

/** One connection with its clock; every frame it sends is checked against the schema. */
class Conn {
  readonly state: SessionState
  now = 1_000

  constructor(limits: Partial<SessionLimits> = {}, replaces = '') {
    this.state = createSession('c1', this.now, { limits: { ...defaultSessionLimits, ...limits }, replaces })
  }
  step(input: SessionInput): readonly SessionEffect[] {
    const wallMs = wallStart + this.now
    const effects = stepSession(this.state, input, { now: this.now, wallMs, timestamp: new Date(wallMs).toISOString() })
    for (const effect of effects) if (effect.type === 'send') serverFrame.parse(effect.frame)
    return effects
  }
  frame(frame: object | string): readonly SessionEffect[] {
    const text = typeof frame === 'string' ? frame : JSON.stringify(frame)
    return this.step({ type: 'frame', text, bytes: Buffer.byteLength(text) })
  }
  verdict(attempt: number, identity: SessionIdentity = alice): readonly SessionEffect[] {
    return this.step({ type: 'verdict', attempt, verdict: { ok: true, identity } })
  }
  live(room: string, seq: number, missed = 0): readonly SessionEffect[] {
    return this.step({ type: 'answered', room, position: { epoch: '5.1', seq }, recovered: true, missed })
  }
}

const open = (limits: Partial<SessionLimits> = {}, identity = alice): Conn => {
  const conn = new Conn(limits)
  conn.step({ type: 'token', token: 't' })
  conn.verdict(1, identity)
  return conn
}
const sent = (effects: readonly SessionEffect[]): ServerFrame[] =>
  effects.flatMap((effect) => (effect.type === 'send' ? [effect.frame] : []))
const kinds = (effects: readonly SessionEffect[]): string[] => effects.map((effect) => effect.type)
const codes = (effects: readonly SessionEffect[]): string[] =>
  sent(effects).map((frame) => (frame.type === 'error' ? frame.code : frame.type))
const closes = (effects: readonly SessionEffect[]): string[] =>
  effects.flatMap((effect) => (effect.type === 'close' ? [effect.name] : []))
const invalid = (attempt: number, retryable = false): SessionInput => ({
  type: 'verdict',
  attempt,
  verdict: { ok: false, retryable },
})

describe('connections per user', () => {
  const limited = (replaces = ''): Conn => {
    const conn = new Conn({ connectionsPerUser: 2 }, replaces)
    conn.step({ type: 'token', token: 't' })
    return conn
  }

  it('[UC10] the worker of the user’s room is asked before anything is answered, and told which connection it replaces', () => {
    const conn = limited('edge-1.a.7')
    expect(conn.verdict(1)).toEqual([{ type: 'register', scope: 'user', room: 'user:alice', replaces: 'edge-1.a.7' }])
    expect(conn.frame({ type: 'subscribe', id: 1, room: 'public:a' })).toEqual([])
    expect(conn.frame({ type: 'auth', id: 2, token: 'again' })).toEqual([])
    const effects = conn.step({ type: 'registered', scope: 'user', outcome: 'taken' })
    expect(codes(effects).slice(0, 1)).toEqual(['connected'])
    expect(effects.flatMap((effect) => (effect.type === 'subscribe' ? [effect.room] : []))).toContain('public:a')
    expect(conn.step({ type: 'registered', scope: 'user', outcome: 'taken' })).toEqual([])
  })

  it('[UC11] one too many is told so and closed; when it cannot be said now, it is to come again', () => {
    const refused = limited()
    refused.verdict(1)
    const effects = refused.step({ type: 'registered', scope: 'user', outcome: 'refused' })
    expect(sent(effects)).toMatchObject([
      { type: 'error', code: 'TOO_MANY_CONNECTIONS', message: 'at most 2 connections per user' },
    ])
    expect(closes(effects)).toEqual(['tooManyConnections'])
    const unknown = limited()
    unknown.verdict(1)
    const later = unknown.step({ type: 'registered', scope: 'user', outcome: 'unknown' })
    expect([codes(later), closes(later)]).toEqual([['OVERLOADED'], ['tryLater']])
    const silent = limited()
    silent.verdict(1)
    silent.now += authDeadlineMs
    expect(closes(silent.step({ type: 'tick' }))).toEqual(['tryLater'])
    expect(silent.step({ type: 'registered', scope: 'user', outcome: 'taken' })).toEqual([])
  })
})

describe('authentication', () => {
  it('[SE1] a token of the handshake opens the session: connected first, then the own rooms are joined', () => {
    const conn = new Conn()
    expect(conn.step({ type: 'token', token: 't' })).toEqual([{ type: 'verify', attempt: 1, token: 't' }])
    const effects = conn.verdict(1)
    expect(kinds(effects)).toEqual(['opened', 'send', 'subscribe', 'subscribe', 'subscribe'])
    const rooms = ['user:alice', 'tenant:acme', 'public:all']
    expect(sent(effects)).toMatchObject([{ type: 'connected', userId: 'alice', connectionId: 'c1', rooms }])
    expect(effects.flatMap((effect) => (effect.type === 'subscribe' ? [effect.room] : []))).toEqual(rooms)
  })

  it('[SE1] a token of the first frame does so too, and its id is answered', () => {
    const conn = new Conn()
    expect(conn.frame({ type: 'auth', id: 7, token: 'x' })).toEqual([{ type: 'verify', attempt: 1, token: 'x' }])
    expect(sent(conn.verdict(1, { userId: 'bob' }))).toMatchObject([
      { type: 'connected', userId: 'bob', rooms: ['user:bob', 'public:all'] },
      { type: 'ok', id: 7 },
    ])
  })

  it('[SE2] a refused token is told and closes; one that cannot be judged now closes for a later try', () => {
    const refused = new Conn()
    refused.frame({ type: 'auth', id: 1, token: 'x' })
    const effects = refused.step(invalid(1))
    expect(sent(effects)).toMatchObject([{ type: 'error', id: 1, code: 'UNAUTHORIZED' }])
    expect(closes(effects)).toEqual(['unauthorized'])
    const later = new Conn()
    later.step({ type: 'token', token: 'x' })
    const unjudged = later.step(invalid(1, true))
    expect(sent(unjudged)).toMatchObject([{ code: 'OVERLOADED', retryAfterMs: 1_000 }])
    expect(closes(unjudged)).toEqual(['tryLater'])
  })

  it('[SE3] without a good token at the deadline the connection is closed, not before (CN4)', () => {
    const conn = new Conn()
    conn.now += authDeadlineMs - 1
    expect(conn.step({ type: 'tick' })).toEqual([])
    conn.now += 1
    expect(closes(conn.step({ type: 'tick' }))).toEqual(['unauthorized'])
    const slow = new Conn()
    slow.step({ type: 'token', token: 't' })
    slow.now += authDeadlineMs
    expect(closes(slow.step({ type: 'tick' }))).toEqual(['tryLater'])
    expect(slow.verdict(1)).toEqual([])
  })

  it('[SE4] frames before the verdict are held and taken after it in order; a ping is answered at once', () => {
    const conn = new Conn()
    conn.frame({ type: 'subscribe', id: 1, room: 'public:a' })
    conn.step({ type: 'token', token: 't' })
    conn.frame({ type: 'publish', id: 2, room: 'public:a', event: 'e', data: 1 })
    expect(codes(conn.frame({ type: 'ping' }))).toEqual(['pong'])
    const effects = conn.verdict(1)
    expect(kinds(effects).slice(-2)).toEqual(['subscribe', 'publish'])
    expect(effects.findIndex((effect) => effect.type === 'opened')).toBe(0)
  })

  it('[SE4] at most 64 frames and 64 KiB are held; what is more is refused and not taken later', () => {
    const conn = new Conn()
    for (let i = 0; i < maxHeldFrames; i++)
      expect(conn.frame({ type: 'unsubscribe', id: i, room: 'public:a' })).toEqual([])
    expect(sent(conn.frame({ type: 'unsubscribe', id: 999, room: 'public:a' }))).toMatchObject([
      { code: 'UNAUTHORIZED', id: 999 },
    ])
    conn.step({ type: 'token', token: 't' })
    expect(codes(conn.verdict(1)).filter((code) => code === 'NOT_SUBSCRIBED')).toHaveLength(maxHeldFrames)
    const large = new Conn()
    const publish = { type: 'publish', id: 1, room: 'public:a', event: 'e', data: 'x'.repeat(40_000) }
    expect(large.frame(publish)).toEqual([])
    expect(codes(large.frame(publish))).toEqual(['UNAUTHORIZED'])
  })

  it('[SE5] before authentication a frame has at most 64 KiB (CN1)', () => {
    const text = JSON.stringify({ type: 'ping' })
    const ok = new Conn()
    expect(codes(ok.step({ type: 'frame', text, bytes: maxUnauthenticatedFrameBytes }))).toEqual(['pong'])
    expect(closes(ok.step({ type: 'frame', text, bytes: maxUnauthenticatedFrameBytes + 1 }))).toEqual(['tooBig'])
    expect(codes(open().step({ type: 'frame', text, bytes: maxUnauthenticatedFrameBytes + 1 }))).toEqual(['pong'])
  })

  it('[SE6] a newer token of the same user moves the expiry; any other changes nothing (CN10)', () => {
    const conn = open({}, { ...alice, expiresAtMs: wallStart + 5_000 })
    conn.frame({ type: 'auth', id: 1, token: 'bob' })
    expect(codes(conn.verdict(2, { userId: 'bob', tenantId: 'acme' }))).toEqual(['UNAUTHORIZED'])
    conn.frame({ type: 'auth', id: 2, token: 'bad' })
    expect(codes(conn.frame({ type: 'auth', id: 3, token: 'more' }))).toEqual(['RATE_LIMITED'])
    expect(codes(conn.step(invalid(3)))).toEqual(['UNAUTHORIZED'])
    conn.frame({ type: 'auth', id: 4, token: 'new' })
    expect(sent(conn.verdict(4, { ...alice, expiresAtMs: wallStart + 9_000 }))).toEqual([{ type: 'ok', id: 4 }])
    conn.now = 5_000
    expect(closes(conn.step({ type: 'tick' }))).toEqual([])
  })

  it('[SE7] an expired token closes at its time and not before (CN10)', () => {
    const conn = open({}, { ...alice, expiresAtMs: wallStart + 5_000 })
    conn.now = 4_999
    expect(conn.step({ type: 'tick' })).toEqual([])
    conn.now = 5_000
    const effects = conn.step({ type: 'tick' })
    expect(codes(effects)).toEqual(['UNAUTHORIZED'])
    expect(closes(effects)).toEqual(['unauthorized'])
    expect(conn.frame({ type: 'ping' })).toEqual([])
  })

  it('[SE7] a verdict of an attempt that is not the one under way changes nothing', () => {
    const conn = new Conn()
    conn.frame({ type: 'auth', id: 1, token: 'x' })
    expect(conn.verdict(2)).toEqual([])
    expect(kinds(conn.verdict(1))).toContain('opened')
    expect(conn.verdict(1)).toEqual([])
  })
})

describe('publishing', () => {
  const publish = { type: 'publish', id: 3, room: 'public:a', event: 'e', data: { a: 'ü' }, key: 'k1' }

  it('[SE20] a publish travels as the end of its event frame, under its key and its user (EV1)', () => {
    const conn = open()
    const [effect] = conn.frame(publish)
    if (effect?.type !== 'publish') throw new Error('no publish')
    expect(effect.message).toMatchObject({ room: 'public:a', key: 'k1', sender: 'alice', options: '' })
    expect(JSON.parse(`{${effect.message.tail}}`)).toEqual({
      event: 'e',
      data: { a: 'ü' },
      meta: { userId: 'alice', timestamp: new Date(wallStart + conn.now).toISOString(), connectionId: 'c1' },
    })
    const keys = [1, 2].map((id) => {
      const [unnamed] = conn.frame({ type: 'publish', id, room: 'public:a', event: 'e', data: null })
      return unnamed?.type === 'publish' ? unnamed.message.key : ''
    })
    expect(new Set(keys).size).toBe(2)
    expect(keys.every((key) => key.startsWith('c1:'))).toBe(true)
  })

  it('[SE20] no text of a publish can break out of its field in a stream', () => {
    const [effect] = open().frame({ ...publish, data: '\u001e\u001f"\u2028' })
    if (effect?.type !== 'publish') throw new Error('no publish')
    expect(effect.message.tail).not.toMatch(/[\u001e\u001f]/)
    expect(JSON.parse(`{${effect.message.tail}}`)).toMatchObject({ data: '\u001e\u001f"\u2028' })
  })

  it('[SE21] its answer is the outcome: committed, refused, unknown', () => {
    const conn = open()
    for (let id = 1; id <= 3; id++) conn.frame({ ...publish, id })
    const answer = (request: number, outcome: Extract<SessionInput, { type: 'published' }>['outcome']): ServerFrame[] =>
      sent(conn.step({ type: 'published', request, outcome }))
    expect(answer(2, { type: 'committed', epoch: '5.1', seq: 9 })).toEqual([
      { type: 'ok', id: 2, room: 'public:a', position: { epoch: '5.1', seq: 9 } },
    ])
    expect(answer(1, { type: 'refused', code: 'OVERLOADED', retryAfterMs: 70 })).toMatchObject([
      { type: 'error', id: 1, code: 'OVERLOADED', room: 'public:a', retryAfterMs: 70 },
    ])
    expect(answer(3, { type: 'unknown', retryAfterMs: 80 })).toMatchObject([
      { id: 3, code: 'UNKNOWN', retryAfterMs: 80 },
    ])
    expect(answer(3, { type: 'unknown', retryAfterMs: 80 })).toEqual([])
  })

  it('[SE22] 256 publishes may wait; the next is refused and nothing is appended; an answer makes room', () => {
    const conn = open()
    for (let id = 1; id <= 256; id++) expect(kinds(conn.frame({ ...publish, id }))).toEqual(['publish'])
    expect(sent(conn.frame({ ...publish, id: 257 }))).toMatchObject([{ code: 'OVERLOADED', retryAfterMs: 1_000 }])
    expect(codes(conn.frame({ ...publish, id: 258, ephemeral: true }))).toEqual(['ok'])
    conn.step({ type: 'published', request: 1, outcome: { type: 'committed', epoch: '5.1', seq: 1 } })
    expect(kinds(conn.frame({ ...publish, id: 259 }))).toEqual(['publish'])
  })

  it('[SE23] data has at most 1,000,000 bytes of JSON text in UTF-8', () => {
    const take = (data: string): readonly string[] => {
      const effects = open().frame({ ...publish, data })
      return effects.map((effect) => (effect.type === 'send' ? (codes([effect])[0] ?? '') : effect.type))
    }
    expect(take('x'.repeat(999_998))).toEqual(['publish'])
    expect(take('x'.repeat(999_999))).toEqual(['PAYLOAD_TOO_LARGE'])
    expect(take('ü'.repeat(499_999))).toEqual(['publish'])
    expect(take('ü'.repeat(500_000))).toEqual(['PAYLOAD_TOO_LARGE'])
    expect(take(`${'😀'.repeat(249_999)}xx`)).toEqual(['publish'])
    expect(take(`${'😀'.repeat(249_999)}xxx`)).toEqual(['PAYLOAD_TOO_LARGE'])
    expect(take(`${'€'.repeat(333_332)}xx`)).toEqual(['publish'])
    expect(take(`${'€'.repeat(333_332)}xxx`)).toEqual(['PAYLOAD_TOO_LARGE'])
  })

  it('[SE24] an ephemeral event is passed on without a key and answered without a position', () => {
    const effects = open().frame({ ...publish, ephemeral: true })
    expect(kinds(effects)).toEqual(['ephemeral', 'send'])
    expect(sent(effects)).toEqual([{ type: 'ok', id: 3, room: 'public:a' }])
  })
})

describe('bad input', () => {
  const deep = (levels: number): string =>
    `{"type":"publish","id":1,"room":"public:a","event":"e","data":${'['.repeat(levels)}${']'.repeat(levels)}}`
  const since = (position: unknown): object => ({ type: 'subscribe', id: 1, room: 'public:a', since: position })
  const cases: readonly (readonly [string, object | string, string])[] = [
    ['no JSON', '{', 'BAD_FRAME'],
    ['an empty text', '', 'BAD_FRAME'],
    ['no object', '[]', 'BAD_FRAME'],
    ['null', 'null', 'BAD_FRAME'],
    ['no type', { id: 1 }, 'BAD_FRAME'],
    ['an unknown type', { type: 'nope', id: 1 }, 'BAD_FRAME'],
    ['a type of an object’s prototype', { type: 'constructor', id: 1 }, 'BAD_FRAME'],
    ['a type that only a server sends', { type: 'connected', id: 1 }, 'BAD_FRAME'],
    ['nesting of 33', deep(32), 'UNSAFE_JSON'],
    ['a prototype key', '{"type":"ping","__proto__":{}}', 'UNSAFE_JSON'],
    [
      'a prototype key in data',
      '{"type":"publish","id":1,"room":"public:a","event":"e","data":{"constructor":1}}',
      'UNSAFE_JSON',
    ],
    ['an unknown key', { type: 'subscribe', id: 1, room: 'public:a', sinse: 1 }, 'VALIDATION_ERROR'],
    ['no id', { type: 'subscribe', room: 'public:a' }, 'VALIDATION_ERROR'],
    ['a fraction as id', { type: 'subscribe', id: 1.5, room: 'public:a' }, 'VALIDATION_ERROR'],
    ['a long room', { type: 'subscribe', id: 1, room: `public:${'x'.repeat(194)}` }, 'VALIDATION_ERROR'],
    ['a room without type', { type: 'subscribe', id: 1, room: 'lobby' }, 'INVALID_ROOM'],
    ['a room with a control character', { type: 'subscribe', id: 1, room: 'public:\u001f' }, 'INVALID_ROOM'],
    ['an unknown room type', { type: 'subscribe', id: 1, room: 'nope:1' }, 'UNKNOWN_ROOM_TYPE'],
    ['a foreign room', { type: 'subscribe', id: 1, room: 'user:bob' }, 'FORBIDDEN'],
    ['a foreign tenant', { type: 'publish', id: 1, room: 'doc:other:1', event: 'e', data: 1 }, 'FORBIDDEN'],
    ['a long event', { type: 'publish', id: 1, room: 'public:a', event: 'e'.repeat(129), data: 1 }, 'VALIDATION_ERROR'],
    [
      'an event with a control character',
      { type: 'publish', id: 1, room: 'public:a', event: '\n', data: 1 },
      'VALIDATION_ERROR',
    ],
    [
      'a long key',
      { type: 'publish', id: 1, room: 'public:a', event: 'e', data: 1, key: 'k'.repeat(129) },
      'VALIDATION_ERROR',
    ],
    [
      'a key with a control character',
      { type: 'publish', id: 1, room: 'public:a', event: 'e', data: 1, key: '\u001e' },
      'VALIDATION_ERROR',
    ],
    ['a seq below 0', since({ epoch: '5.1', seq: -1 }), 'BAD_POSITION'],
    ['a fraction as seq', since({ epoch: '5.1', seq: 1.5 }), 'BAD_POSITION'],
    ['a seq without epoch', since({ seq: 1 }), 'BAD_POSITION'],
    ['a number as position', since(7), 'BAD_POSITION'],
    ['an epoch that no server gave', since({ epoch: 'x', seq: 1 }), 'BAD_POSITION'],
    ['a filter that is none', { type: 'subscribe', id: 1, room: 'public:a', filter: { a: {} } }, 'BAD_FILTER'],
    ['a room that is not subscribed', { type: 'unsubscribe', id: 1, room: 'public:a' }, 'NOT_SUBSCRIBED'],
    [
      '1,001 rooms at once',
      { type: 'resume', id: 1, rooms: Array.from({ length: 1_001 }, (_, i) => ({ room: `public:${i}` })) },
      'TOO_MANY_SUBSCRIPTIONS',
    ],
  ]
  it.each(cases)('[SE30] %s is answered with its code and changes nothing (LM2)', (_, frame, code) => {
    const conn = open()
    const rooms = new Set(conn.state.rooms.keys())
    const effects = conn.frame(frame)
    expect(kinds(effects)).toEqual(['send'])
    expect(codes(effects)).toEqual([code])
    expect(new Set(conn.state.rooms.keys())).toEqual(rooms)
    expect(conn.state).toMatchObject({ subscribed: 0, requests: 0, phase: { type: 'open' } })
  })

  it('[SE30] the error carries the id of the frame where one can be read', () => {
    const [error] = sent(open().frame({ type: 'nope', id: 'abc' }))
    expect(error).toMatchObject({ id: 'abc' })
    expect(sent(open().frame({ type: 'nope', id: {} }))[0]).not.toHaveProperty('id')
  })

  it('[SE31] nesting of 32 and the longest names are taken', () => {
    expect(kinds(open().frame(deep(31)))).toEqual(['publish'])
    const longest = {
      type: 'publish',
      id: 'i'.repeat(64),
      room: `public:${'x'.repeat(193)}`,
      event: 'e'.repeat(128),
      data: 1,
      key: 'k'.repeat(128),
    }
    expect(kinds(open().frame(longest))).toEqual(['publish'])
  })

  it('[SE32] after 100 bad frames the next one closes; they are forgiven one a minute', () => {
    const conn = open()
    for (let i = 0; i < maxBadFrames; i++) expect(closes(conn.frame('{'))).toEqual([])
    conn.now += 60_000
    expect(closes(conn.frame('{'))).toEqual([])
    expect(closes(conn.frame('{'))).toEqual(['badProtocol'])
  })

  it('[SE33] frames over the rate are refused with the time to wait, and not taken (LM1)', () => {
    const conn = open({ framesPerSecond: 10, framesAtOnce: 3 })
    for (let id = 1; id <= 3; id++) expect(codes(conn.frame({ type: 'ping', id }))).toEqual(['pong'])
    const refused = conn.frame({ type: 'subscribe', id: 4, room: 'public:a' })
    expect(sent(refused)).toMatchObject([{ type: 'error', id: 4, code: 'RATE_LIMITED', retryAfterMs: 100 }])
    expect(kinds(refused)).toEqual(['send'])
    conn.now += 100
    expect(codes(conn.frame({ type: 'ping', id: 5 }))).toEqual(['pong'])
  })

  it('[SE34] a binary frame closes', () => {
    expect(closes(open().step({ type: 'binary' }))).toEqual(['unsupportedData'])
    expect(closes(new Conn().step({ type: 'binary' }))).toEqual(['unsupportedData'])
  })
})

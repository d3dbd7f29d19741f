import { describe, expect, it } from 'vitest'
import { readOptions } from './event-options.ts'
import { maxConflatedDataBytes, maxTtlMs, minTtlMs } from './limits.ts'
import { parsePolicy } from './policy-file.ts'
import type { PolicyFile } from './policy-file.ts'
import { createRateStore } from './rates.ts'
import type { RateStore } from './rates.ts'
import { createSession, stepSession } from './session.ts'
import type { SessionEffect, SessionState } from './session-state.ts'

const wallMs = 1_700_000_000_000
const others = { join: 'everyone', publish: 'everyone', form: 'any' } as const

class Conn {
  readonly state: SessionState
  now = 0
  constructor(
    file: Omit<PolicyFile, 'version'> = {},
    {
      id = 'c1',
      tenantId = 'acme',
      userRates,
    }: { readonly id?: string; readonly tenantId?: string; readonly userRates?: RateStore } = {},
  ) {
    const parsed = parsePolicy({ version: 1, others, ...file })
    if (!parsed.ok) throw new Error(parsed.problems.join('\n'))
    this.state = createSession(id, 0, { policy: parsed.policy, ...(userRates === undefined ? {} : { userRates }) })
    this.#step({ type: 'token', token: 't' })
    const identity = { userId: 'alice', tenantId }
    this.#step({ type: 'verdict', attempt: 1, verdict: { ok: true, identity } })
  }
  #step(input: Parameters<typeof stepSession>[1]): SessionEffect[] {
    return stepSession(this.state, input, { now: this.now, wallMs, timestamp: '2026-01-01T00:00:00.000Z' })
  }
  policy(file: Omit<PolicyFile, 'version'>): void {
    const parsed = parsePolicy({ version: 1, others, ...file })
    if (parsed.ok) this.#step({ type: 'policy', policy: parsed.policy })
  }
  frame(frame: object): SessionEffect[] {
    const text = JSON.stringify(frame)
    return this.#step({ type: 'frame', text, bytes: Buffer.byteLength(text) })
  }
  publish(more: object, event = 'e'): SessionEffect[] {
    return this.frame({ type: 'publish', id: 1, room: 'public:a', event, data: 1, ...more })
  }
}
const refusalOf = (effects: readonly SessionEffect[]): object | undefined =>
  effects.flatMap((effect) => (effect.type === 'send' && effect.frame.type === 'error' ? [effect.frame] : []))[0]

describe('options of a publish', () => {
  it('[EC2] a conflation key travels with the connection that it is of', () => {
    const [effect] = new Conn().publish({ ephemeral: true, conflate: 'cursor' })
    expect(effect).toMatchObject({ type: 'ephemeral', room: 'public:a' })
    expect(effect?.type === 'ephemeral' && readOptions(effect.options)).toMatchObject({ conflate: 'c1 cursor' })
    const [other] = new Conn({}, { id: 'c2' }).publish({ ephemeral: true, conflate: 'cursor' })
    expect(other).not.toEqual(effect)
  })

  it('[EC2] durable events are not conflated, and a key has 1 to 64 printable characters', () => {
    for (const more of [
      { conflate: 'k' },
      { ephemeral: false, conflate: 'k' },
      ...['', 'x'.repeat(65), 'a\u0007'].map((conflate) => ({ ephemeral: true, conflate })),
    ])
      expect(refusalOf(new Conn().publish(more))).toMatchObject({
        code: 'VALIDATION_ERROR',
        message: expect.stringMatching(/^conflate: /),
      })
    expect(new Conn().publish({ ephemeral: true, conflate: 'x'.repeat(64) })).toHaveLength(2)
  })

  it('[EC2] the data of a conflated event is bounded more closely than that of others', () => {
    const data = 'x'.repeat(maxConflatedDataBytes - 2)
    expect(new Conn().publish({ ephemeral: true, conflate: 'k', data })).toHaveLength(2)
    expect(new Conn().publish({ ephemeral: true, data: `${data}x` })).toHaveLength(2)
    expect(refusalOf(new Conn().publish({ ephemeral: true, conflate: 'k', data: `${data}x` }))).toMatchObject({
      code: 'PAYLOAD_TOO_LARGE',
      message: `data is larger than ${maxConflatedDataBytes} bytes`,
    })
  })

  it('[TT1] a time to live travels as the time when it is over, and is of durable events', () => {
    const [effect] = new Conn().publish({ ttl: 5_000 })
    expect(effect?.type === 'publish' && readOptions(effect.message.options).until).toBe(wallMs + 5_000)
    for (const ttl of [minTtlMs, maxTtlMs]) expect(refusalOf(new Conn().publish({ ttl }))).toBeUndefined()
    for (const more of [
      { ttl: minTtlMs - 1 },
      { ttl: maxTtlMs + 1 },
      { ttl: 1_500.5 },
      { ttl: 5_000, ephemeral: true },
    ])
      expect(refusalOf(new Conn().publish(more))).toMatchObject({
        code: 'VALIDATION_ERROR',
        message: expect.stringMatching(/^ttl: /),
      })
  })
})

describe('rates', () => {
  const file: Omit<PolicyFile, 'version'> = {
    rates: { default: '2/min', cursor: { limit: '1/s', per: 'connection' } },
    classes: { cursor: ['cursor.*'] },
  }

  it('[RL4] one too many is refused with the time to wait and the name of the event; nothing is appended, the connection stays (LM1)', () => {
    const conn = new Conn(file)
    expect([conn.publish({}), conn.publish({})].map((effects) => effects.length)).toEqual([1, 1])
    expect(conn.publish({ id: 7 })).toEqual([
      {
        type: 'send',
        frame: {
          ...{ type: 'error', id: 7, code: 'RATE_LIMITED', message: 'too many events of this kind, nothing was done' },
          ...{ room: 'public:a', event: 'e', retryAfterMs: 30_000 },
        },
      },
    ])
    expect(conn.publish({ ephemeral: true }, 'cursor.move')).toHaveLength(2)
    conn.now = 30_000
    expect(refusalOf(conn.publish({}))).toBeUndefined()
  })

  it('[RL4] what is refused for another reason takes nothing', () => {
    const conn = new Conn(file)
    for (let i = 0; i < 10; i += 1) {
      expect(refusalOf(conn.publish({ conflate: 'k' }))).toMatchObject({ code: 'VALIDATION_ERROR' })
      expect(refusalOf(conn.publish({ data: 'x'.repeat(1_000_001) }))).toMatchObject({ code: 'PAYLOAD_TOO_LARGE' })
    }
    expect(refusalOf(conn.publish({}))).toBeUndefined()
  })

  it('[RL3] connections of one user share what is per user', () => {
    const userRates = createRateStore()
    const [first, second] = [new Conn(file, { userRates }), new Conn(file, { userRates, id: 'c2' })]
    expect([first.publish({}), second.publish({})].map(refusalOf)).toEqual([undefined, undefined])
    expect(refusalOf(first.publish({}))).toMatchObject({ code: 'RATE_LIMITED' })
    expect(refusalOf(second.publish({}))).toMatchObject({ code: 'RATE_LIMITED' })
    expect([first, second].map((conn) => refusalOf(conn.publish({ ephemeral: true }, 'cursor.x')))).toEqual([
      ...[undefined, undefined],
    ])
  })

  it('[RL3] users of one id in two tenants share nothing', () => {
    const userRates = createRateStore()
    const [ours, theirs] = ['acme', 'other'].map((tenantId) => new Conn(file, { userRates, tenantId }))
    for (const conn of [ours, theirs, ours, theirs]) expect(refusalOf(conn?.publish({}) ?? [])).toBeUndefined()
    expect(refusalOf(ours?.publish({}) ?? [])).toMatchObject({ code: 'RATE_LIMITED' })
  })

  it('[RL5] another policy is judged by at once', () => {
    const conn = new Conn(file)
    for (let i = 0; i < 3; i += 1) conn.publish({})
    conn.policy({})
    expect(refusalOf(conn.publish({}))).toBeUndefined()
    conn.policy({ rates: { default: '1/h' } })
    expect([conn.publish({}), conn.publish({})].map(refusalOf)).toMatchObject([undefined, { code: 'RATE_LIMITED' }])
  })
})

describe('the name of the event in a refusal', () => {
  it.each([
    ['an unknown event', { room: 'deal:acme:1' }, 'UNKNOWN_EVENT'],
    ['a room that is not for the user', { room: 'deal:other:1' }, 'FORBIDDEN'],
    ['a key that may not be', { key: 'a\u0007' }, 'VALIDATION_ERROR'],
    ['an option that does not exist', { ephemerial: true }, 'VALIDATION_ERROR'],
    ['data that is too large', { data: 'x'.repeat(1_000_001) }, 'PAYLOAD_TOO_LARGE'],
  ])('[EC9] %s (EV3)', (_name, more, code) => {
    const conn = new Conn({ types: { deal: { join: 'everyone', publish: 'everyone', events: ['won'] } } })
    expect(refusalOf(conn.publish(more, 'lost'))).toMatchObject({ id: 1, code, event: 'lost' })
    expect(conn.state.phase.type).toBe('open')
  })

  it('[EC9] what could be no name, or is of another frame, is not repeated; a frame too many is', () => {
    expect(refusalOf(new Conn().publish({}, 'x'.repeat(129)))).not.toHaveProperty('event')
    expect(refusalOf(new Conn().frame({ type: 'publish', id: 1, room: 'public:a', event: 7 }))).not.toHaveProperty(
      'event',
    )
    expect(refusalOf(new Conn().frame({ type: 'subscribe', id: 1, event: 'e' }))).not.toHaveProperty('event')
    const conn = new Conn()
    for (let i = 0; i < 2_000; i += 1) conn.frame({ type: 'ping' })
    expect(refusalOf(conn.publish({}))).toMatchObject({ id: 1, code: 'RATE_LIMITED', event: 'e' })
  })
})

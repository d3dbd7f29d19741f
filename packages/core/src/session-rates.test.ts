import { describe, expect, it } from 'vitest'
import { parsePolicy } from './policy-file.ts'
import { createSession, defaultSessionLimits, stepSession } from './session.ts'
import type { SessionEffect, SessionInput } from './session-state.ts'
import { askLease, createUserLeases, giveUp, takeLease } from './user-leases.ts'
import type { UserRate } from './user-leases.ts'

const rate: UserRate = { room: 'user:alice', user: 'acme\nalice', name: 'default', limit: 50, periodMs: 60_000 }
const wait: SessionEffect = { type: 'rate', rate }

function setup({ maxPublishesInFlight = 256 } = {}) {
  const others = { join: 'everyone', publish: 'everyone', form: 'any' } as const
  const rates = { default: '50/min', cursor: { limit: '9/s', per: 'connection' as const } }
  const parsed = parsePolicy({ version: 1, others, rates, classes: { cursor: ['cursor'] } })
  if (!parsed.ok) throw new Error(parsed.problems.join())
  const leases = createUserLeases()
  const limits = { ...defaultSessionLimits, maxPublishesInFlight }
  const state = createSession('c1', 0, { policy: parsed.policy, limits, leases })
  const step = (input: SessionInput) => stepSession(state, input, { now: 0, wallMs: 0, timestamp: 't' })
  step({ type: 'token', token: 't' })
  step({ type: 'verdict', attempt: 1, verdict: { ok: true, identity: { userId: 'alice', tenantId: 'acme' } } })
  const publish = (id: number, more: object = {}) => {
    const text = JSON.stringify({ type: 'publish', id, room: 'public:a', event: 'e', data: id, ...more })
    return step({ type: 'frame', text, bytes: text.length })
  }
  const answered = (granted: number, retryAfterMs = 0) => {
    askLease(leases, rate, '1', 0)
    takeLease(leases, { type: 'rate', room: rate.room, nonce: '1', granted, retryAfterMs }, rate.periodMs, 0)
    return step({ type: 'leased' })
  }
  return { state, step, publish, answered, leases }
}
const tails = (effects: readonly SessionEffect[]) =>
  effects.map((effect) => {
    if (effect.type === 'publish') return Number(/"data":(\d+)/.exec(effect.message.tail)?.[1])
    return effect.type === 'send' && effect.frame.type === 'error' ? effect.frame.code : effect.type
  })

describe('publishes that wait for a lease', () => {
  it('[RL14] go on in order when there is one, also what needs none but came behind; the rest asks again (LM1)', () => {
    const { publish, answered, state } = setup()
    expect(publish(1)).toEqual([wait])
    expect([publish(2), publish(3, { event: 'cursor' }), publish(4)]).toEqual([[], [], []])
    expect(tails(answered(1))).toEqual([1, 'rate'])
    expect(tails(answered(5))).toEqual([2, 3, 4])
    expect(state.unleased).toBeNull()
    expect(tails(publish(5))).toEqual([5])
  })

  it('[RL14] are refused with the time to wait when there is none', () => {
    const { publish, answered } = setup()
    publish(1)
    publish(2)
    expect(answered(0, 1_200)).toMatchObject(
      [1, 2].map((id) => ({ frame: { code: 'RATE_LIMITED', id, event: 'e', room: 'public:a', retryAfterMs: 1_200 } })),
    )
    expect(tails(publish(3))).toEqual(['RATE_LIMITED'])
  })

  it('[RL14] are so many, and so large, at the most', () => {
    const few = setup({ maxPublishesInFlight: 2 })
    expect([1, 2, 3].map((id) => tails(few.publish(id, { ephemeral: true })))).toEqual([['rate'], [], ['OVERLOADED']])
    expect([4].map((id) => tails(few.publish(id)))).toEqual([['OVERLOADED']])
    const large = setup()
    const data = 'x'.repeat(999_000)
    expect([1, 2, 3].map((id) => tails(large.publish(id, { data })))).toEqual([['rate'], [], ['OVERLOADED']])
  })

  it('[RL14] do not hold up other frames, and what needs no lease asks nobody', () => {
    const { publish, step } = setup()
    expect(tails(publish(1, { event: 'cursor' }))).toEqual([1])
    publish(2)
    expect(tails(step({ type: 'frame', text: '{"type":"subscribe","id":3,"room":"public:a"}', bytes: 50 }))).toEqual([
      'subscribe',
    ])
  })

  it('[RL13] are counted by the edge, with the whole limit, when the worker does not answer', () => {
    const { publish, step, leases } = setup()
    publish(0)
    askLease(leases, rate, '1', 0)
    giveUp(leases, '1', 0)
    expect(tails(step({ type: 'leased' }))).toEqual([0])
    for (let id = 1; id < 50; id++) expect(tails(publish(id))).toEqual([id])
    expect(tails(publish(50))).toEqual(['RATE_LIMITED'])
  })

  it('[RL14] are over with their connection', () => {
    const { publish, step, answered } = setup()
    publish(1)
    step({ type: 'closed' })
    expect(answered(1)).toEqual([])
  })
})

import { expect, it } from 'vitest'
import { createSession, defaultSessionLimits, isDue, stepSession } from './session.ts'
import type { SessionEffect, SessionIdentity, SessionInput, SessionState } from './session-state.ts'

const clock = { now: 1_000, wallMs: 1_700_000_000_000, timestamp: '2026-01-01T00:00:00.000Z' }
const step = (state: SessionState, input: SessionInput): SessionEffect[] => stepSession(state, input, clock)

function come(
  perUser: number,
  perTenant: number,
  identity: SessionIdentity,
): { state: SessionState; asked: SessionEffect[] } {
  const limits = { ...defaultSessionLimits, connectionsPerUser: perUser, connectionsPerTenant: perTenant }
  const state = createSession('c1', clock.now, { limits, replaces: 'c0' })
  step(state, { type: 'token', token: 't' })
  return { state, asked: step(state, { type: 'verdict', attempt: 1, verdict: { ok: true, identity } }) }
}
const alice = { userId: 'alice', tenantId: 'acme' }
const ofUser = { type: 'register', scope: 'user', room: 'user:alice', replaces: 'c0' }
const ofTenant = { type: 'register', scope: 'tenant', room: 'tenant:acme', replaces: 'c0' }

it('[UC18] a place is asked for with the user first, then with the tenant, as far as they have limits', () => {
  const { state, asked } = come(2, 3, alice)
  expect(asked).toEqual([ofUser])
  // An answer that nobody asked for yet says nothing.
  expect(step(state, { type: 'registered', scope: 'tenant', outcome: 'taken' })).toEqual([])
  expect(step(state, { type: 'registered', scope: 'user', outcome: 'taken' })).toEqual([ofTenant])
  expect(step(state, { type: 'registered', scope: 'user', outcome: 'taken' })).toEqual([])
  expect(step(state, { type: 'registered', scope: 'tenant', outcome: 'taken' })[0]).toMatchObject({ type: 'opened' })
  expect(come(0, 3, alice).asked).toEqual([ofTenant])
  expect(come(0, 3, { userId: 'alice' }).asked[0]).toMatchObject({ type: 'opened' })
})

it('[UC18] who is refused by the tenant is told of which limit', () => {
  const { state } = come(2, 3, alice)
  step(state, { type: 'registered', scope: 'user', outcome: 'taken' })
  expect(step(state, { type: 'registered', scope: 'tenant', outcome: 'refused' })).toEqual([
    {
      type: 'send',
      frame: { type: 'error', code: 'TOO_MANY_CONNECTIONS', message: 'at most 3 connections per tenant' },
    },
    { type: 'close', name: 'tooManyConnections' },
  ])
})

it('[SE46] who asks for nothing for too long is closed; a ping does not count, anything else does (CN8)', () => {
  const at = (now: number) => ({ ...clock, now: clock.now + now })
  const state = createSession('c1', clock.now, { limits: { ...defaultSessionLimits, idleMs: 1_000 } })
  step(state, { type: 'token', token: 't' })
  step(state, { type: 'verdict', attempt: 1, verdict: { ok: true, identity: alice } })
  const frame = (content: object, now: number): SessionEffect[] => {
    const text = JSON.stringify(content)
    return stepSession(state, { type: 'frame', text, bytes: text.length }, at(now))
  }
  frame({ type: 'subscribe', id: 1, room: 'public:a' }, 500)
  frame({ type: 'ping' }, 1_400)
  expect([isDue(state, clock.now + 1_499, clock.wallMs), isDue(state, clock.now + 1_500, clock.wallMs)]).toEqual([
    false,
    true,
  ])
  expect(stepSession(state, { type: 'tick' }, at(1_499))).toEqual([])
  expect(stepSession(state, { type: 'tick' }, at(1_500))).toEqual([{ type: 'close', name: 'idle' }])
  const patient = come(0, 0, alice).state
  expect(isDue(patient, clock.now + 86_400_000, clock.wallMs)).toBe(false)
})

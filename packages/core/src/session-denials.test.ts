import { expect, it } from 'vitest'
import { indexDenials, kickSpreadsMs } from './denials.ts'
import type { Denial } from './denials.ts'
import { createSession, defaultSessionLimits, stepSession } from './session.ts'
import type { SessionEffect, SessionIdentity, SessionInput, SessionState } from './session-state.ts'

const clock = { now: 1_000, wallMs: 1_700_000_000_000, timestamp: '2026-01-01T00:00:00.000Z' }
const alice: SessionIdentity = { userId: 'alice', tenantId: 'acme', tokenId: 't1', issuedAtMs: clock.wallMs - 1 }

const denied = (type: Denial['type'], more: Partial<Denial> = {}) => {
  const subject = {
    kind: type === 'revoke' ? ('token' as const) : ('user' as const),
    id: type === 'revoke' ? 't1' : 'alice',
  }
  const denial: Denial = { id: 'd1', type, subject, untilMs: null, atMs: clock.wallMs, by: 'crm', ...more }
  return indexDenials({ version: '1', denials: [denial] })
}
const step = (state: SessionState, input: SessionInput): SessionEffect[] => stepSession(state, input, clock)
const verdict = (state: SessionState, attempt: number, identity = alice): SessionEffect[] =>
  step(state, { type: 'verdict', attempt, verdict: { ok: true, identity } })
function open(): SessionState {
  const state = createSession('c1', clock.now)
  step(state, { type: 'token', token: 't' })
  verdict(state, 1)
  return state
}
const error = (code: string, message: string): object => ({ type: 'send', frame: { type: 'error', code, message } })
const banned = [error('BANNED', 'Disconnected by administrator'), { type: 'close', name: 'kicked' }]

it.each([
  ['ban', 'BANNED', 'Disconnected by administrator', { type: 'close', name: 'kicked' }],
  ['kick', 'KICKED', 'Disconnected by administrator', { type: 'close', name: 'kicked' }],
  ['revoke', 'UNAUTHORIZED', 'Token revoked', { type: 'close', name: 'unauthorized', reason: 'Token revoked' }],
] as const)('[DE6] a %s ends an open connection at once, for good, and says why', (type, code, message, close) => {
  const state = open()
  expect(step(state, { type: 'denials', denials: denied(type) })).toEqual([error(code, message), close])
  expect(state.phase).toEqual({ type: 'closed' })
  expect(step(open(), { type: 'denials', denials: denied(type, { reason: 'spam' }) })[0]).toEqual(error(code, 'spam'))
})

it('[DE6] others are not touched, and none twice', () => {
  const state = open()
  expect(step(state, { type: 'denials', denials: denied('ban', { subject: { kind: 'user', id: 'bob' } }) })).toEqual([])
  const later = createSession('c2', clock.now, { denials: denied('kick') })
  step(later, { type: 'token', token: 't' })
  expect(verdict(later, 1)[0]).toMatchObject({ type: 'opened' })
  expect(step(later, { type: 'denials', denials: denied('kick') })).toEqual([])
})

it('[DE7] who is banned, or comes with a revoked token, does not come in, whenever that became known', () => {
  const before = createSession('c1', clock.now, { denials: denied('ban') })
  step(before, { type: 'token', token: 't' })
  expect(verdict(before, 1)).toEqual(banned)
  const meanwhile = createSession('c1', clock.now)
  step(meanwhile, { type: 'token', token: 't' })
  expect(step(meanwhile, { type: 'denials', denials: denied('ban') })).toEqual([])
  expect(verdict(meanwhile, 1)).toEqual(banned)
  const counted = createSession('c1', clock.now, { limits: { ...defaultSessionLimits, connectionsPerUser: 2 } })
  step(counted, { type: 'token', token: 't' })
  expect(verdict(counted, 1)).toMatchObject([{ type: 'register' }])
  expect(step(counted, { type: 'denials', denials: denied('ban') })).toEqual(banned)
  expect(step(counted, { type: 'registered', scope: 'user', outcome: 'taken' })).toEqual([])
})

it('[DE10] who comes back, or moves, to an edge that has heard of a kick is ended for a second; a newcomer is not', () => {
  const coming = (returns: boolean, afterMs: number): SessionEffect[] => {
    const state = createSession('c2', clock.now, { denials: denied('kick'), returns })
    step(state, { type: 'token', token: 't' })
    const later = { ...clock, wallMs: clock.wallMs + afterMs }
    return stepSession(state, { type: 'verdict', attempt: 1, verdict: { ok: true, identity: alice } }, later)
  }
  const kicked = [error('KICKED', 'Disconnected by administrator'), { type: 'close', name: 'kicked' }]
  expect(coming(true, kickSpreadsMs - 1)).toEqual(kicked)
  expect(coming(true, kickSpreadsMs)[0]).toMatchObject({ type: 'opened' })
  expect(coming(false, 0)[0]).toMatchObject({ type: 'opened' })
})

it('[DE8] a revoked token refreshes nothing: the one before holds on', () => {
  const state = open()
  step(state, { type: 'denials', denials: denied('revoke', { subject: { kind: 'token', id: 't2' } }) })
  const text = JSON.stringify({ type: 'auth', id: 5, token: 'newer' })
  step(state, { type: 'frame', text, bytes: text.length })
  expect(verdict(state, 2, { ...alice, tokenId: 't2' })).toEqual([
    { type: 'send', frame: { type: 'error', id: 5, code: 'UNAUTHORIZED', message: 'Token revoked' } },
  ])
  expect(state.phase).toMatchObject({ type: 'open', identity: { tokenId: 't1' } })
})

it('[DE2] a kick of one connection ends the one that has taken its place, before and after, and no other', () => {
  const kick = denied('kick', { subject: { kind: 'connection', id: 'c1' } })
  const moved = (replaces: string, before?: ReturnType<typeof denied>): SessionState => {
    const state = createSession('c2', clock.now, { replaces, returns: true, ...(before && { denials: before }) })
    step(state, { type: 'token', token: 't' })
    verdict(state, 1)
    return state
  }
  const ended = (state: SessionState): boolean => {
    step(state, { type: 'denials', denials: kick })
    return state.phase.type === 'closed'
  }
  expect(ended(moved('c1'))).toBe(true)
  expect(ended(moved('c9'))).toBe(false)
  expect(ended(moved(''))).toBe(false)
  // It moved to an edge that had heard of the kick, from one that had not.
  expect(moved('c1', kick).phase.type).toBe('closed')
  expect(moved('c9', kick).phase.type).toBe('open')
})

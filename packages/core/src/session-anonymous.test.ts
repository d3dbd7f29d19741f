import { expect, it } from 'vitest'
import { indexDenials } from './denials.ts'
import { authDeadlineMs } from './limits.ts'
import { defaultPolicy } from './policy-default.ts'
import { parsePolicy } from './policy-file.ts'
import type { Policy } from './policy.ts'
import { createSession, defaultSessionLimits, stepSession } from './session.ts'
import type { SessionEffect, SessionIdentity, SessionInput, SessionState } from './session-state.ts'

const clock = { now: 1_000, wallMs: 1_700_000_000_000, timestamp: '2026-01-01T00:00:00.000Z' }
const nobody: SessionIdentity = { userId: 'anonymous-1f', roles: ['anonymous'], anonymous: true }
const alice: SessionIdentity = { userId: 'alice', tenantId: 'acme' }

const step = (state: SessionState, input: SessionInput): SessionEffect[] => stepSession(state, input, clock)
const begin = (policy: Policy = defaultPolicy): SessionState =>
  createSession('c1', clock.now, { policy, limits: { ...defaultSessionLimits, connectionsPerUser: 1 } })
function frame(state: SessionState, content: object): SessionEffect[] {
  const text = JSON.stringify(content)
  return step(state, { type: 'frame', text, bytes: text.length })
}
const verdict = (state: SessionState, attempt: number, identity: SessionIdentity): SessionEffect[] =>
  step(state, { type: 'verdict', attempt, verdict: { ok: true, identity } })
function open(identity: SessionIdentity, policy?: Policy): SessionState {
  const state = begin(policy)
  step(state, { type: 'token', token: identity.anonymous === true ? null : 't' })
  verdict(state, 1, identity)
  step(state, { type: 'registered', scope: 'user', outcome: 'taken' })
  return state
}
const ask: SessionEffect = { type: 'verify', attempt: 1, token: null }
const error = (code: string): object => ({ type: 'send', frame: { type: 'error', id: 2, code } })

it('[SE8] a session is anonymous when its client asks for it in the handshake, or by an auth frame without a token (CN4)', () => {
  const early = begin()
  expect(step(early, { type: 'token', token: null })).toEqual([ask])
  const later = begin()
  expect(frame(later, { type: 'auth', id: 1 })).toEqual([ask])
  for (const state of [early, later]) {
    // Without a place among the connections of a user, of which it is the only one.
    expect(verdict(state, 1, nobody).slice(0, 2)).toMatchObject([
      { type: 'opened', identity: nobody },
      { type: 'send', frame: { type: 'connected', userId: 'anonymous-1f', rooms: ['public:all'] } },
    ])
    expect(frame(state, { type: 'subscribe', id: 2, room: 'public:news' })).toMatchObject([{ type: 'subscribe' }])
    expect(frame(state, { type: 'subscribe', id: 2, room: 'deal:acme:7' })).toMatchObject([error('FORBIDDEN')])
    const publish = { type: 'publish', id: 2, room: 'public:news', event: 'e', data: 1 }
    expect(frame(state, publish)).toMatchObject([error('FORBIDDEN')])
    expect(frame(state, { ...publish, ephemeral: true })).toMatchObject([error('FORBIDDEN')])
    expect(frame(state, { type: 'lock', id: 2, room: 'public:news', holder: 'h' })).toMatchObject([error('FORBIDDEN')])
  }
})

it('[SE8] where that is not allowed it is refused as a token that is not good; who says nothing waits for the deadline', () => {
  const state = begin()
  frame(state, { type: 'auth', id: 2 })
  expect(step(state, { type: 'verdict', attempt: 1, verdict: { ok: false, retryable: false } })).toMatchObject([
    error('UNAUTHORIZED'),
    { type: 'close', name: 'unauthorized' },
  ])
  const silent = begin()
  const late = { ...clock, now: clock.now + authDeadlineMs }
  expect(stepSession(silent, { type: 'tick' }, late)).toMatchObject([
    { frame: { code: 'UNAUTHORIZED' } },
    { type: 'close', name: 'unauthorized' },
  ])
})

it('[SE9] who is anonymous stays so, and nobody else becomes it', () => {
  const state = open(nobody)
  expect(frame(state, { type: 'auth', id: 2 })).toEqual([{ type: 'send', frame: { type: 'ok', id: 2 } }])
  expect(frame(state, { type: 'auth' })).toEqual([{ type: 'send', frame: { type: 'ok' } }])
  expect(frame(state, { type: 'auth', id: 2, token: 'x' })).toEqual([{ type: 'verify', attempt: 2, token: 'x' }])
  const message = 'the token is of somebody else'
  expect(verdict(state, 2, alice)).toMatchObject([{ frame: { id: 2, code: 'UNAUTHORIZED', message } }])
  expect(state.phase).toMatchObject({ type: 'open', identity: nobody })
  const named = open(alice)
  expect(frame(named, { type: 'auth', id: 2 })).toMatchObject([error('UNAUTHORIZED')])
  expect(named.phase).toMatchObject({ type: 'open', identity: alice, verifying: null })
})

it('[SE9] it has no end of its own, and is ended by its connection or its user as any other (CN10)', () => {
  const year = { ...clock, wallMs: clock.wallMs * 2 }
  expect(stepSession(open(nobody), { type: 'tick' }, year)).toEqual([])
  for (const subject of [
    { kind: 'connection', id: 'c1' },
    { kind: 'user', id: nobody.userId },
  ] as const) {
    const denial = { id: 'd1', type: 'kick', subject, untilMs: null, atMs: clock.wallMs, by: 'crm' } as const
    const denials = indexDenials({ version: '1', denials: [denial] })
    expect(step(open(nobody), { type: 'denials', denials })).toMatchObject([{}, { type: 'close', name: 'kicked' }])
  }
})

it('[HK27] an anonymous connection calls no service', () => {
  const hook = { url: 'http://127.0.0.1:9000/', secret: { env: 'SECRET' } }
  const parsed = parsePolicy({ version: 1, hooks: { calls: { billing: hook } } })
  if (!parsed.ok) throw new Error(parsed.problems.join('\n'))
  const call = { type: 'call', id: 2, method: 'billing.total', params: {} }
  expect(frame(open(nobody, parsed.policy), call)).toMatchObject([error('FORBIDDEN')])
  expect(frame(open(alice, parsed.policy), call)).toMatchObject([{ type: 'call' }])
})

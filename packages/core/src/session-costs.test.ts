import { expect, it } from 'vitest'
import { historyFrames, showRoomsPerFrame } from './limits.ts'
import type { HeldLock } from './lock-entry.ts'
import { parsePolicy } from './policy-file.ts'
import { createSession, defaultSessionLimits, stepSession } from './session.ts'
import type { SessionEffect, SessionInput, SessionLimits, SessionState } from './session-state.ts'

const clock = { now: 1_000, wallMs: 1_700_000_000_000, timestamp: '2026-01-01T00:00:00.000Z' }
const step = (state: SessionState, input: SessionInput, now = clock.now): SessionEffect[] =>
  stepSession(state, input, { ...clock, now })
const policyOf = (room: object) => {
  const parsed = parsePolicy({ version: 1, types: { chat: { join: 'everyone', publish: 'everyone', ...room } } })
  if (!parsed.ok) throw new Error(parsed.problems.join())
  return parsed.policy
}
function open(limits: Partial<SessionLimits>): SessionState {
  const policy = policyOf({ presence: 'everyone' })
  const state = createSession('c1', clock.now, { limits: { ...defaultSessionLimits, ...limits }, policy })
  step(state, { type: 'token', token: 't' })
  step(state, { type: 'verdict', attempt: 1, verdict: { ok: true, identity: { userId: 'alice', tenantId: 'acme' } } })
  return state
}
function ask(state: SessionState, content: object, now = clock.now): SessionEffect[] {
  const text = JSON.stringify({ id: 7, ...content })
  return step(state, { type: 'frame', text, bytes: text.length }, now)
}
function attend(state: SessionState, count: number): void {
  for (let i = 0; i < count; i += 1) {
    const room = `chat:acme:${i}`
    ask(state, { type: 'subscribe', room }, clock.now + i * 1_000)
    step(state, { type: 'answered', room, position: { epoch: '1.1', seq: 0 }, recovered: true, missed: 0 })
  }
}
const codes = (effects: readonly SessionEffect[]): readonly unknown[] =>
  effects.map((effect) => (effect.type === 'send' && effect.frame.type === 'error' ? effect.frame.code : effect.type))
const show = { type: 'presence', status: 'busy' }

it('[PS21] what a user shows counts for more frames the more rooms it is told in; over the rate nothing is told', () => {
  const rooms = 2 * showRoomsPerFrame
  const state = open({ framesPerSecond: 3, framesAtOnce: 8 })
  attend(state, rooms)
  const now = clock.now + rooms * 1_000 + 60_000
  for (let i = 0; i < 4; i += 1) expect(codes(ask(state, show, now))).toEqual(['show', 'send'])
  expect(codes(ask(state, show, now))).toEqual(['RATE_LIMITED'])
  expect(codes(ask(state, show, now + 1_000))).toEqual(['show', 'send'])
})

it('[PS21] however many rooms there are and however low the rate is, something can be shown after a silence', () => {
  const state = open({ framesPerSecond: 1, framesAtOnce: 4 })
  attend(state, 10 * showRoomsPerFrame)
  const now = clock.now + 10_000_000
  expect(codes(ask(state, show, now))).toEqual(['show', 'send'])
  expect(codes(ask(state, show, now))).toEqual(['RATE_LIMITED'])
})

it('[LK11] a list of locks counts for as many frames as it may cost', () => {
  const state = open({ framesPerSecond: historyFrames, framesAtOnce: 2 * historyFrames })
  const list = { type: 'locks', room: 'chat:acme:1' }
  expect(codes(ask(state, list))).toEqual(['lock'])
  expect(codes(ask(state, list))).toEqual(['lock'])
  expect(codes(ask(state, list))).toEqual(['RATE_LIMITED'])
  expect(codes(ask(state, list, clock.now + 1_000))).toEqual(['lock'])
})

it('[LK11] a list is not given to whom the room was closed to while it was asked for', () => {
  const state = open({})
  ask(state, { type: 'locks', room: 'chat:acme:1' })
  step(state, { type: 'policy', policy: policyOf({ join: [{ role: 'ADMIN' }] }) })
  const locks: HeldLock[] = [{ name: 'title', user: 'bob', fence: '7', leftMs: 5 }]
  const answer = { outcome: 'list', locks, retryAfterMs: 0 } as const
  expect(codes(step(state, { type: 'lock', request: 1, answer }))).toEqual(['FORBIDDEN'])
})

import { expect, it } from 'vitest'
import { historyFrames, maxHistoriesInFlight, maxHistoryEvents } from './limits.ts'
import { parsePolicy } from './policy-file.ts'
import { createSession, defaultSessionLimits, stepSession } from './session.ts'
import type { SessionOptions } from './session.ts'
import type { SessionEffect, SessionInput, SessionState } from './session-state.ts'

const clock = { now: 1_000, wallMs: 1_700_000_000_000, timestamp: '2026-01-01T00:00:00.000Z' }
const step = (state: SessionState, input: SessionInput): SessionEffect[] => stepSession(state, input, clock)
function open(options: SessionOptions = {}): SessionState {
  const state = createSession('c1', clock.now, options)
  step(state, { type: 'token', token: 't' })
  step(state, { type: 'verdict', attempt: 1, verdict: { ok: true, identity: { userId: 'alice' } } })
  return state
}
function ask(state: SessionState, content: object): SessionEffect[] {
  const text = JSON.stringify({ type: 'history', id: 7, room: 'public:a', ...content })
  return step(state, { type: 'frame', text, bytes: text.length })
}
const refused = (code: string): unknown => [
  { type: 'send', frame: expect.objectContaining({ type: 'error', id: 7, code }) },
]

it('[HI3] a page is read and answered under its id; one that cannot be read now is to be asked for again', () => {
  const state = open()
  expect(ask(state, {})).toEqual([
    { type: 'history', request: 1, room: 'public:a', before: undefined, after: undefined, limit: maxHistoryEvents },
  ])
  expect(ask(state, { before: 9, limit: 3 })).toMatchObject([{ request: 2, before: 9, after: undefined, limit: 3 }])
  const page = { room: 'public:a', epoch: '5.1', first: 4, last: 4, events: [] }
  expect(step(state, { type: 'history', request: 2, page })).toEqual([
    { type: 'send', frame: { type: 'history', id: 7, ...page } },
  ])
  expect(step(state, { type: 'history', request: 2, page })).toEqual([])
  expect(step(state, { type: 'history', request: 1, page: null })).toEqual(refused('OVERLOADED'))
})

it('[HI4] who may not join the room reads nothing of it; before and after exclude each other; four pages are read at once', () => {
  const state = open()
  expect(ask(state, { room: 'user:bob' })).toEqual(refused('FORBIDDEN'))
  expect(ask(state, { room: 'lobby' })).toEqual(refused('INVALID_ROOM'))
  for (const wrong of [
    { before: 0 },
    { after: -1 },
    { limit: 0 },
    { limit: maxHistoryEvents + 1 },
    { before: 2, after: 1 },
  ])
    expect(ask(state, wrong)).toEqual(refused('VALIDATION_ERROR'))
  for (let i = 0; i < maxHistoriesInFlight; i += 1) expect(ask(state, { after: i })).toHaveLength(1)
  expect(ask(state, {})).toEqual(refused('RATE_LIMITED'))
  step(state, { type: 'history', request: 1, page: null })
  expect(ask(state, {})).toMatchObject([{ type: 'history' }])
})

it('[HI7] a page counts for as many frames as it costs: who reads on and on is asked to wait', () => {
  const limits = { ...defaultSessionLimits, framesPerSecond: 40, framesAtOnce: 5 * historyFrames }
  const state = open({ limits })
  for (let i = 1; i <= 5; i += 1) {
    expect(ask(state, {})).toMatchObject([{ type: 'history', request: i }])
    step(state, { type: 'history', request: i, page: null })
  }
  expect(ask(state, {})).toEqual(refused('RATE_LIMITED'))
  const later = { ...clock, now: clock.now + 500 }
  const text = JSON.stringify({ type: 'history', id: 7, room: 'public:a' })
  expect(stepSession(state, { type: 'frame', text, bytes: text.length }, later)).toMatchObject([{ type: 'history' }])
})

it('[HI6] a page is not given to whom the room was closed to while it was read', () => {
  const page = { room: 'public:a', epoch: '5.1', first: 4, last: 4, events: [] }
  const closed = parsePolicy({ version: 1, types: { public: { form: 'any', join: [{ role: 'ADMIN' }] } } })
  if (!closed.ok) throw new Error(closed.problems.join())
  const state = open()
  ask(state, {})
  step(state, { type: 'policy', policy: closed.policy })
  expect(step(state, { type: 'history', request: 1, page })).toEqual(refused('FORBIDDEN'))
  const identity = { userId: 'alice', roles: ['ADMIN'] }
  step(state, { type: 'frame', text: '{"type":"auth","id":1,"token":"t"}', bytes: 34 })
  step(state, { type: 'verdict', attempt: 2, verdict: { ok: true, identity } })
  ask(state, {})
  expect(step(state, { type: 'history', request: 2, page })).toMatchObject([{ frame: { type: 'history', id: 7 } }])
  ask(state, {})
  step(state, { type: 'frame', text: '{"type":"auth","id":2,"token":"t"}', bytes: 34 })
  step(state, { type: 'verdict', attempt: 3, verdict: { ok: true, identity: { userId: 'alice' } } })
  expect(step(state, { type: 'history', request: 3, page })).toEqual(refused('FORBIDDEN'))
})

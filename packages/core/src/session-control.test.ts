import { expect, test } from 'vitest'
import type { RoomControl } from './room-control.ts'
import type { ServerFrame } from './frames.ts'
import { parsePolicy } from './policy-file.ts'
import type { PolicyFile } from './policy-file.ts'
import type { Policy } from './policy.ts'
import { createSession, defaultSessionLimits, stepSession } from './session.ts'
import type { SessionEffect, SessionIdentity, SessionInput, SessionState } from './session-state.ts'

const clock = { now: 1_000, wallMs: 1_700_000_000_000, timestamp: '2026-01-01T00:00:00.000Z' }
const alice: SessionIdentity = { userId: 'alice', tenantId: 'acme' }
/** Nobody may join a deal, everybody a chat. */
const policy = policyOf({ connect: ['user:{user}'], types: { user: { form: 'id', join: [{ id: 'user' }] }, deal: {} } })
const room = 'deal:acme:7'

function policyOf(file: Omit<PolicyFile, 'version'>): Policy {
  const parsed = parsePolicy({ version: 1, ...file })
  if (!parsed.ok) throw new Error(parsed.problems.join('\n'))
  return parsed.policy
}
const step = (state: SessionState, input: SessionInput): SessionEffect[] => stepSession(state, input, clock)
function open(maxSubscriptions = 10): SessionState {
  const state = createSession('c1', clock.now, { policy, limits: { ...defaultSessionLimits, maxSubscriptions } })
  step(state, { type: 'token', token: 't' })
  step(state, { type: 'verdict', attempt: 1, verdict: { ok: true, identity: alice } })
  live(state, 'user:alice')
  return state
}
function frame(state: SessionState, content: object): SessionEffect[] {
  const text = JSON.stringify(content)
  return step(state, { type: 'frame', text, bytes: text.length })
}
const control = (state: SessionState, type: RoomControl['type'], name = room): SessionEffect[] =>
  step(state, { type: 'control', control: { type, room: name } })
const live = (state: SessionState, name = room): SessionEffect[] =>
  step(state, { type: 'answered', room: name, position: { epoch: '5.1', seq: 4 }, recovered: true, missed: 0 })
const sent = (effects: readonly SessionEffect[]): ServerFrame[] =>
  effects.flatMap((effect) => (effect.type === 'send' ? [effect.frame] : []))
const acted = (effects: readonly SessionEffect[]): object[] => effects.filter(({ type }) => type !== 'send')

test('[UR5] a room that a service puts the user into is joined at its head, whatever else the policy asks', () => {
  const state = open(1)
  expect(sent(frame(state, { type: 'subscribe', id: 1, room }))).toMatchObject([{ code: 'FORBIDDEN' }])
  expect(control(state, 'join')).toEqual([{ type: 'subscribe', room, since: null, filter: null }])
  expect(live(state)).toMatchObject([
    { type: 'send', frame: { type: 'position', room, position: { epoch: '5.1', seq: 4 }, recovered: true } },
    { type: 'release', room },
  ])
  // It counts against no limit.
  expect(state.subscribed).toBe(0)
})

test('[UR5] said again, or of a room that is subscribed already, it changes nothing', () => {
  const state = open()
  frame(state, { type: 'subscribe', id: 1, room: 'user:alice', filter: { a: 1 } })
  expect(control(state, 'join', 'user:alice')).toEqual([])
  expect(state.rooms.get('user:alice')?.filter).not.toBeNull()
  control(state, 'join')
  expect(control(state, 'join')).toEqual([])
})

test.each(['nothing', 'ticket:7', 'deal:7', 'user:acme:alice'])(
  '[UR5] %s is none of the rooms that the policy knows, and is not joined',
  (name) => {
    const state = open()
    expect(control(state, 'join', name)).toEqual([])
    expect(state.granted?.has(name) ?? false).toBe(false)
  },
)

test('[UR6] a room that the user is taken out of is ended and told, and the policy judges who comes back', () => {
  const state = open()
  control(state, 'join')
  live(state)
  const effects = control(state, 'leave')
  expect(acted(effects)).toEqual([{ type: 'unsubscribe', room }])
  expect(sent(effects)).toMatchObject([{ type: 'unsubscribed', room, code: 'REMOVED' }])
  expect(control(state, 'leave')).toEqual([])
  expect(sent(frame(state, { type: 'subscribe', id: 2, room }))).toMatchObject([{ code: 'FORBIDDEN' }])
  expect([...state.rooms.keys()]).toEqual(['user:alice'])
})

test('[UR6] so is one that the client asked for, and a request that waits is refused', () => {
  const state = open()
  control(state, 'join')
  live(state)
  frame(state, { type: 'unsubscribe', id: 2, room })
  frame(state, { type: 'subscribe', id: 3, room })
  expect(state.subscribed).toBe(1)
  expect(sent(control(state, 'leave'))).toMatchObject([{ type: 'error', id: 3, room, code: 'REMOVED' }])
  expect(state.subscribed).toBe(0)
})

test('[UR6] nobody is taken out of its own room, where it hears of all others', () => {
  const state = open()
  expect(control(state, 'leave', 'user:alice')).toEqual([])
  expect([...state.rooms.keys()]).toEqual(['user:alice'])
})

test('[UR7] it stays open to the connection: to leave and come back, to read, over other tokens and policies', () => {
  const state = open()
  control(state, 'join')
  live(state)
  frame(state, { type: 'unsubscribe', id: 2, room })
  expect(acted(frame(state, { type: 'resume', id: 3, rooms: [{ room }] }))).toMatchObject([{ type: 'subscribe', room }])
  expect(acted(frame(state, { type: 'history', id: 4, room }))).toMatchObject([{ type: 'history', room }])
  expect(acted(frame(state, { type: 'locks', id: 5, room }))).toMatchObject([{ type: 'lock', room, change: 'list' }])
  const other = policyOf({ types: { user: { form: 'id', join: [{ id: 'user' }] }, deal: { join: [{ role: 'X' }] } } })
  expect(step(state, { type: 'policy', policy: other })).toEqual([])
  // But not once there are no such rooms.
  const without = policyOf({ types: { user: { form: 'id', join: [{ id: 'user' }] } } })
  live(state)
  expect(sent(step(state, { type: 'policy', policy: without }))).toMatchObject([{ room, code: 'UNKNOWN_ROOM_TYPE' }])
})

test('[UR7] it is open to hear, not to publish', () => {
  const state = open()
  control(state, 'join')
  expect(sent(frame(state, { type: 'publish', id: 2, room, event: 'e', data: 1 }))).toMatchObject([
    { code: 'FORBIDDEN' },
  ])
})

test('[UR10] a connection is put into as many rooms as it may subscribe, and no more', () => {
  const state = open(2)
  for (const n of [1, 2, 3]) control(state, 'join', `deal:acme:${n}`)
  expect([...state.rooms.keys()]).toEqual(['user:alice', 'deal:acme:1', 'deal:acme:2'])
  control(state, 'leave', 'deal:acme:1')
  expect(control(state, 'join', 'deal:acme:3')).toMatchObject([{ type: 'subscribe', room: 'deal:acme:3' }])
})

test('[UR10] before it is authenticated, and after its end, a connection is put into none', () => {
  const early = createSession('c2', clock.now, { policy })
  expect(control(early, 'join')).toEqual([])
  const late = open()
  step(late, { type: 'closed' })
  expect(control(late, 'join')).toEqual([])
})

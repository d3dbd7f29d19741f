import { describe, expect, it } from 'vitest'
import type { ServerFrame } from './frames.ts'
import { maxExcept, maxHeldEvents, maxMatchChars } from './limits.ts'
import { parsePolicy } from './policy-file.ts'
import type { PolicyFile } from './policy-file.ts'
import type { Policy } from './policy.ts'
import { createSession, stepSession } from './session.ts'
import type { SessionEffect, SessionIdentity, SessionInput, SessionState } from './session-state.ts'

const clock = { now: 1_000, wallMs: 1_700_000_000_000, timestamp: '2026-01-01T00:00:00.000Z' }
const admin: SessionIdentity = { userId: 'alice', tenantId: 'acme', roles: ['ADMIN'] }
const user: SessionIdentity = { userId: 'alice', tenantId: 'acme' }

function policyOf(file: Omit<PolicyFile, 'version'>): Policy {
  const parsed = parsePolicy({ version: 1, ...file })
  if (!parsed.ok) throw new Error(parsed.problems.join('\n'))
  return parsed.policy
}
const forAdmins = policyOf({
  connect: ['news:acme:all'],
  history: { events: 10, age: '1m' },
  types: {
    deal: { join: [{ role: 'ADMIN' }], publish: 'everyone', events: ['won'] },
    news: { join: [{ role: 'ADMIN' }] },
    chat: { join: 'everyone' },
  },
})

const step = (state: SessionState, input: SessionInput): SessionEffect[] => stepSession(state, input, clock)
function open(identity: SessionIdentity, policy: Policy): { state: SessionState; effects: SessionEffect[] } {
  const state = createSession('c1', clock.now, { policy })
  step(state, { type: 'token', token: 't' })
  return { state, effects: step(state, { type: 'verdict', attempt: 1, verdict: { ok: true, identity } }) }
}
function frame(state: SessionState, content: object): SessionEffect[] {
  const text = JSON.stringify(content)
  return step(state, { type: 'frame', text, bytes: text.length })
}
function refresh(state: SessionState, identity: SessionIdentity): SessionEffect[] {
  frame(state, { type: 'auth', id: 9, token: 'newer' })
  return step(state, { type: 'verdict', attempt: 2, verdict: { ok: true, identity } })
}
const live = (state: SessionState, room: string): SessionEffect[] =>
  step(state, { type: 'answered', room, position: { epoch: '5.1', seq: 4 }, recovered: true, missed: 0 })
const sent = (effects: readonly SessionEffect[]): ServerFrame[] =>
  effects.flatMap((effect) => (effect.type === 'send' ? [effect.frame] : []))
const acted = (effects: readonly SessionEffect[]): object[] => effects.filter(({ type }) => type !== 'send')

describe('by a policy', () => {
  it('[SE40] the rooms at connect and the window to resume in are those of the policy (CN6)', () => {
    const { effects } = open(admin, forAdmins)
    expect(sent(effects)).toMatchObject([
      { type: 'connected', rooms: ['news:acme:all'], resumeWindow: { events: 10, ms: 60_000 } },
    ])
    expect(sent(open(user, forAdmins).effects)).toMatchObject([{ type: 'connected', rooms: [] }])
  })

  it('[SE47] a room that keeps more than a replay may have is not said to be resumed from so far back', () => {
    const { effects } = open(user, policyOf({ history: { events: maxHeldEvents + 1, age: '1h' } }))
    expect(sent(effects)).toMatchObject([{ resumeWindow: { events: maxHeldEvents, ms: 3_600_000 } }])
  })

  it('[SE41] an event that the policy does not list is refused, and nothing is appended (EV3)', () => {
    const { state } = open(user, forAdmins)
    const publish = (event: string): SessionEffect[] =>
      frame(state, { type: 'publish', id: 3, room: 'deal:acme:7', event, data: 1 })
    expect(publish('lost')).toMatchObject([{ type: 'send', frame: { type: 'error', id: 3, code: 'UNKNOWN_EVENT' } }])
    expect(publish('won')).toMatchObject([{ type: 'publish' }])
  })
})

describe('sensitive fields', () => {
  const policy = policyOf({
    sensitive: ['PIN'],
    types: { chat: { join: 'everyone', publish: 'everyone', presence: 'everyone' } },
  })

  it.each([{}, { ephemeral: true }])('[SF3] are not in what a client publishes: %j (LM4)', (more) => {
    const { state } = open(user, policy)
    const published = {
      type: 'publish',
      id: 3,
      room: 'chat:acme:1',
      event: 'e',
      data: { pin: 1, deep: [{ Pin: 2, a: 3 }] },
      match: { 'card.pin': 4711, region: 'eu' },
      ...more,
    }
    const [effect] = acted(frame(state, published))
    expect(JSON.stringify(effect)).not.toContain('4711')
    expect(JSON.stringify(effect)).toContain(JSON.stringify('"data":{"deep":[{"a":3}]}').slice(1, -1))
  })

  it('[SF3] are not in what a user shows of itself (LM4)', () => {
    const { state } = open(user, policy)
    const shown = frame(state, { type: 'presence', id: 3, status: 'away', data: { pin: 1, page: '/deals' } })
    expect(acted(shown)).toMatchObject([{ type: 'show', state: '{"status":"away","data":{"page":"/deals"}}' }])
  })
})

describe('a publish', () => {
  it('[SE45] says whom it is kept from and what filters are judged by, and that travels with it (RM8)', () => {
    const optionsOf = (more: object): unknown => {
      const { state } = open(user, forAdmins)
      const [effect] = frame(state, { type: 'publish', id: 1, room: 'deal:acme:7', event: 'won', data: 1, ...more })
      if (effect?.type === 'publish') return effect.message.options
      if (effect?.type === 'ephemeral') return effect.options
      return sent(effect === undefined ? [] : [effect]).map((each) => (each.type === 'error' ? each.code : each.type))
    }
    expect(optionsOf({ echo: true })).toBe('')
    expect(optionsOf({ echo: false })).toBe('{"except":["c1"]}')
    expect(optionsOf({ echo: false, except: ['bob'], match: { a: 1 } })).toBe('{"except":["bob","c1"],"match":{"a":1}}')
    expect(optionsOf({ ephemeral: true, except: ['bob'] })).toBe('{"except":["bob"]}')
    expect(optionsOf({ match: { a: 'x'.repeat(maxMatchChars - 8) } })).toHaveLength(maxMatchChars + 10)
    expect(optionsOf({ match: { a: 'x'.repeat(maxMatchChars - 7) } })).toEqual(['VALIDATION_ERROR'])
    expect(optionsOf({ except: Array.from({ length: maxExcept + 1 }, () => 'u') })).toEqual(['VALIDATION_ERROR'])
  })
})

describe('when what the user may changes', () => {
  it('[SE42] rooms that a newer token does not open any more are ended, and told', () => {
    const { state } = open(admin, forAdmins)
    for (const [id, room] of ['deal:acme:7', 'chat:acme:1'].entries()) {
      frame(state, { type: 'subscribe', id, room })
      live(state, room)
    }
    live(state, 'news:acme:all')
    const effects = refresh(state, user)
    expect(acted(effects)).toEqual([
      { type: 'unsubscribe', room: 'news:acme:all' },
      { type: 'unsubscribe', room: 'deal:acme:7' },
    ])
    expect(sent(effects)).toMatchObject([
      { type: 'ok', id: 9 },
      { type: 'unsubscribed', room: 'news:acme:all', code: 'FORBIDDEN' },
      { type: 'unsubscribed', room: 'deal:acme:7', code: 'FORBIDDEN' },
    ])
    expect([...state.rooms.keys(), state.subscribed]).toEqual(['chat:acme:1', 1])
  })

  it('[SE42] a request that waits for such a room is refused instead', () => {
    const { state } = open(admin, forAdmins)
    live(state, 'news:acme:all')
    frame(state, { type: 'subscribe', id: 2, room: 'deal:acme:7' })
    frame(state, { type: 'resume', id: 3, rooms: [{ room: 'deal:acme:8' }, { room: 'deal:acme:9' }] })
    live(state, 'deal:acme:8')
    expect(sent(refresh(state, user))).toMatchObject([
      { type: 'ok', id: 9 },
      { type: 'unsubscribed', room: 'news:acme:all' },
      { type: 'error', id: 2, room: 'deal:acme:7', code: 'FORBIDDEN' },
      {
        type: 'ok',
        id: 3,
        rooms: [
          { room: 'deal:acme:8', error: { code: 'FORBIDDEN' } },
          { room: 'deal:acme:9', error: { code: 'FORBIDDEN' } },
        ],
      },
    ])
    expect(state.rooms.size).toBe(0)
  })

  it('[SE43] rooms at connect that it opens are joined; those that the client left are not joined again', () => {
    const { state } = open(user, forAdmins)
    expect(acted(refresh(state, admin))).toMatchObject([{ type: 'subscribe', room: 'news:acme:all', since: null }])
    live(state, 'news:acme:all')
    frame(state, { type: 'unsubscribe', id: 4, room: 'news:acme:all' })
    frame(state, { type: 'auth', id: 10, token: 'newest' })
    expect(acted(step(state, { type: 'verdict', attempt: 3, verdict: { ok: true, identity: admin } }))).toEqual([])
  })

  it('[SE44] another policy is judged by at once, also by who is still to authenticate', () => {
    const { state } = open(user, forAdmins)
    frame(state, { type: 'subscribe', id: 2, room: 'chat:acme:1' })
    live(state, 'chat:acme:1')
    const closed = policyOf({ types: { chat: {} } })
    const effects = step(state, { type: 'policy', policy: closed })
    expect(sent(effects)).toMatchObject([{ type: 'unsubscribed', room: 'chat:acme:1', code: 'FORBIDDEN' }])
    expect(sent(frame(state, { type: 'subscribe', id: 3, room: 'chat:acme:1' }))).toMatchObject([{ code: 'FORBIDDEN' }])
    const early = createSession('c2', clock.now, { policy: forAdmins })
    expect(step(early, { type: 'policy', policy: closed })).toEqual([])
    step(early, { type: 'token', token: 't' })
    const opened = step(early, { type: 'verdict', attempt: 1, verdict: { ok: true, identity: admin } })
    expect(sent(opened)).toMatchObject([{ type: 'connected', rooms: [] }])
  })
})

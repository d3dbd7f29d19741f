import { describe, expect, it } from 'vitest'
import type { ServerFrame } from './frames.ts'
import { maxHeldFrames } from './limits.ts'
import { parsePolicy } from './policy-file.ts'
import type { PolicyFile } from './policy-file.ts'
import { createSession, stepSession } from './session.ts'
import type { HookAnswer, SessionEffect, SessionIdentity, SessionInput, SessionState } from './session-state.ts'

const secret = { env: 'HOOK_SECRET' }
const hook = { url: 'http://127.0.0.1/hook', secret }
const file: Omit<PolicyFile, 'version'> = {
  hooks: { rooms: { members: hook, writers: hook } },
  types: {
    project: { join: [{ role: 'ADMIN' }, { hook: 'members' }], publish: [{ hook: 'writers' }], events: ['note'] },
    chat: { join: 'everyone', publish: 'everyone' },
    secret: { join: [{ token: true }] },
  },
}
const alice: SessionIdentity = { userId: 'alice', tenantId: 'acme' }

/** A session, and a clock that the test moves. */
function open(identity: SessionIdentity = alice, policy: Omit<PolicyFile, 'version'> = file) {
  const parsed = parsePolicy({ version: 1, ...policy })
  if (!parsed.ok) throw new Error(parsed.problems.join('\n'))
  const clock = { now: 1_000, wallMs: 1_700_000_000_000, timestamp: '2026-01-01T00:00:00.000Z' }
  const state: SessionState = createSession('c1', clock.now, { policy: parsed.policy })
  const step = (input: SessionInput): SessionEffect[] => stepSession(state, input, clock)
  const frame = (content: object): SessionEffect[] => {
    const text = JSON.stringify(content)
    return step({ type: 'frame', text, bytes: text.length })
  }
  step({ type: 'token', token: 't' })
  const first = step({ type: 'verdict', attempt: 1, verdict: { ok: true, identity } })
  return {
    ...{ state, step, frame, first, policy: parsed.policy },
    pass: (ms: number) => {
      clock.now += ms
      clock.wallMs += ms
    },
    answer: (asked: SessionEffect | undefined, answer: HookAnswer) =>
      step({ type: 'asked', request: requestOf(asked), answer }),
    live: (room: string) =>
      step({ type: 'answered', room, position: { epoch: '5.1', seq: 4 }, recovered: true, missed: 0 }),
  }
}
function requestOf(effect: SessionEffect | undefined): number {
  if (effect === undefined || !('request' in effect)) throw new Error('nothing was asked')
  return effect.request
}
const sent = (effects: readonly SessionEffect[]): ServerFrame[] =>
  effects.flatMap((effect) => (effect.type === 'send' ? [effect.frame] : []))
const types = (effects: readonly SessionEffect[]): string[] => effects.map(({ type }) => type)
const yes: HookAnswer = { outcome: 'allow', validMs: 30_000 }
const no: HookAnswer = { outcome: 'deny', validMs: 5_000 }
const lost: HookAnswer = { outcome: 'failed', validMs: 700 }
const subscribe = (room: string, more: object = {}): object => ({ type: 'subscribe', id: 1, room, ...more })
const note = (id: number, room = 'project:acme:7'): object => ({ type: 'publish', id, room, event: 'note', data: id })

describe('a hook', () => {
  it('[HK1] is asked when nothing else opens the room, and the frame waits for what it says (RM3)', () => {
    const session = open()
    const [asked, ...rest] = session.frame(subscribe('project:acme:7'))
    expect(rest).toEqual([])
    const about = { type: 'room', hook: 'members', room: 'project:acme:7', action: 'join' }
    expect(asked).toMatchObject({ type: 'ask', about, identity: alice })
    expect(session.answer(asked, yes)).toMatchObject([{ type: 'subscribe', room: 'project:acme:7' }])
    expect(types(open({ ...alice, roles: ['ADMIN'] }).frame(subscribe('project:acme:7')))).toEqual(['subscribe'])
    const elsewhere = open().frame(subscribe('project:globex:7'))
    expect(sent(elsewhere)).toMatchObject([{ type: 'error', code: 'FORBIDDEN' }])
  })

  it('[HK2] a no is FORBIDDEN, as for a room that nobody may use; no answer is OVERLOADED with the time to wait, never a yes', () => {
    const session = open()
    const [asked] = session.frame(subscribe('project:acme:7'))
    const refused = sent(session.answer(asked, no))
    expect(refused).toEqual(sent(session.frame(subscribe('project:acme:7'))))
    expect(refused).toMatchObject([{ type: 'error', id: 1, code: 'FORBIDDEN', room: 'project:acme:7' }])
    const [other] = session.frame(subscribe('project:acme:8'))
    const overloaded = { type: 'error', id: 1, code: 'OVERLOADED', retryAfterMs: 700 }
    expect(sent(session.answer(other, lost))).toMatchObject([overloaded])
    expect(session.state.rooms.has('project:acme:8')).toBe(false)
  })

  it('[HK3] what it said holds for the time that came with it: nobody asks again meanwhile', () => {
    const session = open()
    const [asked] = session.frame(note(1))
    expect(types(session.answer(asked, yes))).toEqual(['publish'])
    session.pass(29_999)
    expect(types(session.frame(note(2)))).toEqual(['publish'])
    session.pass(1)
    expect(types(session.frame(note(3)))).toEqual(['ask'])
    const late = open()
    const [first] = late.frame(note(1))
    late.answer(first, lost)
    expect(sent(late.frame(note(2)))).toMatchObject([{ code: 'OVERLOADED', retryAfterMs: 700 }])
    late.pass(700)
    expect(types(late.frame(note(3)))).toEqual(['ask'])
  })

  it('[HK4] frames of the same room wait behind it in their order, those of other rooms do not', () => {
    const session = open()
    const [asked] = session.frame(note(1))
    expect(session.frame(note(2))).toEqual([])
    expect(session.frame({ type: 'unsubscribe', id: 3, room: 'project:acme:7' })).toEqual([])
    expect(types(session.frame({ ...note(4, 'chat:acme:1') }))).toEqual(['publish'])
    expect(sent(session.frame({ type: 'ping', id: 5 }))).toMatchObject([{ type: 'pong', id: 5 }])
    const after = session.answer(asked, yes)
    const published = after.flatMap((effect) => (effect.type === 'publish' ? [effect.message.tail] : []))
    expect(published.map((tail) => /"data":(\d)/.exec(tail)?.[1])).toEqual(['1', '2'])
    expect(sent(after)).toMatchObject([{ id: 3, code: 'NOT_SUBSCRIBED' }])
  })

  it('[HK5] of a resume all rooms are asked about at once, and answered in one frame', () => {
    const session = open()
    const rooms = ['project:acme:1', 'project:acme:2', 'project:acme:3', 'chat:acme:1'].map((room) => ({ room }))
    const asked = session.frame({ type: 'resume', id: 9, rooms })
    expect(types(asked)).toEqual(['ask', 'ask', 'ask'])
    expect(session.answer(asked[2], lost)).toEqual([])
    expect(session.answer(asked[0], yes)).toEqual([])
    expect(types(session.answer(asked[1], no))).toEqual(['subscribe', 'subscribe'])
    session.live('project:acme:1')
    const [answer] = sent(session.live('chat:acme:1'))
    expect(answer).toMatchObject({
      type: 'ok',
      id: 9,
      rooms: expect.arrayContaining([
        expect.objectContaining({ room: 'project:acme:1', recovered: true }),
        expect.objectContaining({ room: 'project:acme:2', error: expect.objectContaining({ code: 'FORBIDDEN' }) }),
        expect.objectContaining({ room: 'project:acme:3', error: expect.objectContaining({ code: 'OVERLOADED' }) }),
      ]),
    })
  })

  it('[HK6] more frames than may wait are refused with a time to retry, and those that wait are not lost', () => {
    const session = open()
    const [asked] = session.frame(note(0))
    for (let i = 1; i < maxHeldFrames; i += 1) expect(session.frame(note(i))).toEqual([])
    expect(sent(session.frame(note(99)))).toMatchObject([{ type: 'error', id: 99, code: 'OVERLOADED' }])
    expect(types(session.answer(asked, yes))).toEqual(Array.from({ length: maxHeldFrames }, () => 'publish'))
  })

  it('[HK7] who is in a room is asked about again under another policy or token, and stays until a no', () => {
    const session = open()
    const [asked] = session.frame(subscribe('project:acme:7'))
    session.answer(asked, yes)
    session.live('project:acme:7')
    const again = session.step({ type: 'policy', policy: session.policy })
    expect(types(again)).toEqual(['ask'])
    // It is still on its way: one question is enough.
    expect(session.step({ type: 'policy', policy: session.policy })).toEqual([])
    expect(session.answer(again[0], lost)).toEqual([])
    const [third] = session.step({ type: 'policy', policy: session.policy })
    expect(session.answer(third, no)).toMatchObject([
      { type: 'unsubscribe', room: 'project:acme:7' },
      { type: 'send', frame: { type: 'unsubscribed', room: 'project:acme:7', code: 'FORBIDDEN' } },
    ])
  })

  it('[HK8] an event that is not listed, and a room into which a service has put the user, need no question', () => {
    const session = open()
    const unlisted = session.frame({ ...note(1), event: 'other' })
    expect(sent(unlisted)).toMatchObject([{ code: 'UNKNOWN_EVENT' }])
    session.step({ type: 'control', control: { type: 'join', room: 'project:acme:9' } })
    expect(types(session.frame({ type: 'history', id: 2, room: 'project:acme:9' }))).toEqual(['history'])
  })

  it('[HK9] an answer to somebody who has left does nothing', () => {
    const session = open()
    const [asked] = session.frame(subscribe('project:acme:7'))
    session.step({ type: 'closed' })
    expect(session.answer(asked, yes)).toEqual([])
  })
})

describe('a token for a room', () => {
  const grant = { ok: true, userId: 'alice', rooms: ['secret:acme:1'], expiresAtMs: 1_700_000_060_000 } as const
  const enter = (session: ReturnType<typeof open>, verdict: object): SessionEffect[] => {
    const [check] = session.frame(subscribe('secret:acme:1', { token: 'abc' }))
    expect(check).toMatchObject({ type: 'verifyRoom', token: 'abc' })
    return session.step({ type: 'roomToken', request: requestOf(check), verdict: { ...grant, ...verdict } })
  }

  it('[RT1] opens the room that it names to the user that it names (RM3)', () => {
    expect(types(enter(open(), {}))).toEqual(['subscribe'])
    expect(types(enter(open(), { tenantId: 'acme' }))).toEqual(['subscribe'])
    const others = [
      { userId: 'bob' },
      { tenantId: 'globex' },
      { rooms: ['secret:acme:2'] },
      { ok: false, retryable: false, expired: false },
    ]
    for (const other of others)
      expect(sent(enter(open(), other))).toMatchObject([{ type: 'error', code: 'FORBIDDEN', room: 'secret:acme:1' }])
    expect(sent(open().frame(subscribe('secret:acme:1')))).toMatchObject([{ code: 'FORBIDDEN' }])
  })

  it('[RT2] that cannot be checked now is OVERLOADED', () => {
    const answer = sent(enter(open(), { ok: false, retryable: true, expired: false }))
    expect(answer).toMatchObject([{ code: 'OVERLOADED', retryAfterMs: 1_000 }])
  })

  it('[RT7] whose time is over when it comes is told so, not that the room is forbidden', () => {
    for (const late of [{ expiresAtMs: 1_700_000_000_000 }, { ok: false, retryable: false, expired: true }])
      expect(sent(enter(open(), late))).toMatchObject([{ code: 'ROOM_TOKEN_EXPIRED', room: 'secret:acme:1' }])
  })

  it('[RT3] when its time is over the room ends, unless a newer one came or the policy opens it anyway', () => {
    const session = open()
    enter(session, {})
    session.live('secret:acme:1')
    expect(types(session.frame({ type: 'history', id: 4, room: 'secret:acme:1' }))).toEqual(['history'])
    session.pass(59_999)
    expect(session.step({ type: 'tick' })).toEqual([])
    enter(session, { expiresAtMs: 1_700_000_090_000 })
    session.live('secret:acme:1')
    session.pass(1)
    expect(session.step({ type: 'tick' })).toEqual([])
    session.pass(30_000)
    expect(sent(session.step({ type: 'tick' }))).toMatchObject([
      { type: 'unsubscribed', room: 'secret:acme:1', code: 'ROOM_TOKEN_EXPIRED' },
    ])
    const free = open(alice, { types: { secret: { join: 'everyone' } } })
    enter(free, {})
    free.live('secret:acme:1')
    free.pass(60_001)
    expect(free.step({ type: 'tick' })).toEqual([])
  })

  it('[RT4] of a resume each room has its own', () => {
    const session = open()
    const rooms = ['secret:acme:1', 'secret:acme:2'].map((room) => ({ room, token: `of ${room}` }))
    const checks = session.frame({ type: 'resume', id: 1, rooms })
    expect(checks).toMatchObject(rooms.map(({ token }) => ({ type: 'verifyRoom', token })))
    const [first, second] = checks.map(requestOf)
    session.step({ type: 'roomToken', request: first ?? 0, verdict: grant })
    const done = session.step({ type: 'roomToken', request: second ?? 0, verdict: grant })
    expect(done).toMatchObject([{ type: 'subscribe', room: 'secret:acme:1' }])
  })
})

describe('the hook about connections', () => {
  const asks: Omit<PolicyFile, 'version'> = { ...file, connect: ['chat:{tenant}:all'], hooks: { connect: hook } }
  const withoutRooms = { ...asks, types: { chat: { join: 'everyone' }, project: {} } } as const

  it('[HK10] says which rooms a connection is put into besides, and what its client is told (CN6)', () => {
    const session = open(alice, withoutRooms)
    expect(session.first).toMatchObject([{ type: 'ask', about: { type: 'connect' }, identity: alice }])
    const welcome = { rooms: ['project:acme:7', 'nothing:acme:1', 'chat:acme:all'], data: { plan: 'gold' } }
    const effects = session.answer(session.first[0], { ...yes, welcome })
    const rooms = ['chat:acme:all', 'project:acme:7']
    expect(sent(effects)).toMatchObject([{ type: 'connected', rooms, data: { plan: 'gold' } }])
    expect(effects.flatMap((effect) => (effect.type === 'subscribe' ? [effect.room] : []))).toEqual(rooms)
    // As long as the connection is there it may.
    expect(types(session.frame({ type: 'history', id: 2, room: 'project:acme:7' }))).toEqual(['history'])
  })

  it('[HK11] a no ends the connection for good, with its reason; without an answer the client comes again later', () => {
    const refused = open(alice, withoutRooms)
    expect(refused.answer(refused.first[0], { ...no, reason: 'not paid' })).toMatchObject([
      { type: 'send', frame: { type: 'error', code: 'UNAUTHORIZED', message: 'not paid' } },
      { type: 'close', name: 'unauthorized' },
    ])
    const unheard = open(alice, withoutRooms)
    expect(unheard.answer(unheard.first[0], lost)).toMatchObject([
      { type: 'send', frame: { type: 'error', code: 'OVERLOADED', retryAfterMs: 700 } },
      { type: 'close', name: 'tryLater' },
    ])
    const late = open(alice, withoutRooms)
    late.pass(5_000)
    expect(late.step({ type: 'tick' })).toMatchObject([{ type: 'close', name: 'tryLater' }])
  })

  it('[HK12] is asked before a place is taken, and frames that come meanwhile are held', () => {
    const session = open(alice, withoutRooms)
    expect(session.frame({ type: 'history', id: 2, room: 'chat:acme:all' })).toEqual([])
    const effects = session.answer(session.first[0], yes)
    expect(types(effects)).toEqual(['opened', 'send', 'subscribe', 'history'])
  })
})

describe('a call', () => {
  const calls: Omit<PolicyFile, 'version'> = { hooks: { calls: { billing: hook } } }
  const call = (id: number, method = 'billing.invoice'): object => ({ type: 'call', id, method, params: { no: 7 } })

  it('[HK13] goes to the service of its first part, and is answered with what that says (CL2)', () => {
    const session = open(alice, calls)
    const [effect] = session.frame(call(1))
    expect(effect).toMatchObject({ type: 'call', method: 'billing.invoice', params: '{"no":7}', identity: alice })
    const done = (answer: Extract<SessionInput, { type: 'called' }>['answer'], asked = effect): ServerFrame[] =>
      sent(session.step({ type: 'called', request: requestOf(asked), answer }))
    expect(done({ outcome: 'result', data: [1] })).toEqual([{ type: 'result', id: 1, data: [1] }])
    expect(done({ outcome: 'result', data: [1] })).toEqual([])
    const next = (): SessionEffect | undefined => session.frame(call(2))[0]
    expect(done({ outcome: 'refused', reason: 'NO_FUNDS', message: 'empty' }, next())).toMatchObject([
      { type: 'error', id: 2, code: 'CALL_REFUSED', reason: 'NO_FUNDS', message: 'empty' },
    ])
    expect(done({ outcome: 'failed', retryAfterMs: 300 }, next())).toMatchObject([
      { code: 'OVERLOADED', retryAfterMs: 300 },
    ])
    expect(done({ outcome: 'unknown' }, next())).toMatchObject([{ code: 'UNKNOWN' }])
  })

  it('[HK14] to nobody is UNKNOWN_METHOD, and more than may wait are RATE_LIMITED', () => {
    const session = open(alice, calls)
    for (const method of ['shipping.send', 'constructor', 'billings.x'])
      expect(sent(session.frame(call(1, method)))).toMatchObject([{ id: 1, code: 'UNKNOWN_METHOD' }])
    for (let i = 0; i < 16; i += 1) expect(types(session.frame(call(i)))).toEqual(['call'])
    expect(sent(session.frame(call(16)))).toMatchObject([{ id: 16, code: 'RATE_LIMITED' }])
  })
})

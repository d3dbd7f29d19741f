import { describe, expect, it } from 'vitest'
import type { ServerFrame } from './frames.ts'
import { createSession, defaultSessionLimits, stepSession } from './session.ts'
import type { SessionEffect, SessionInput, SessionState } from './session-state.ts'

const clock = { now: 1_000, wallMs: 1_700_000_000_000, timestamp: '2026-01-01T00:00:00.000Z' }
const later = { ...clock, now: clock.now + 1_000 }

function open(): SessionState {
  const state = createSession('c1', clock.now, { limits: { ...defaultSessionLimits, framesAtOnce: 10_000 } })
  stepSession(state, { type: 'token', token: 't' }, clock)
  stepSession(state, { type: 'verdict', attempt: 1, verdict: { ok: true, identity: { userId: 'alice' } } }, clock)
  return state
}
const step = (state: SessionState, input: SessionInput): SessionEffect[] => stepSession(state, input, clock)
function frame(state: SessionState, content: object): SessionEffect[] {
  const text = JSON.stringify(content)
  return step(state, { type: 'frame', text, bytes: text.length })
}
const subscribe = (state: SessionState, id: number, room: string, more: object = {}): SessionEffect[] =>
  frame(state, { type: 'subscribe', id, room, ...more })
const resume = (state: SessionState, id: number, ...rooms: string[]): SessionEffect[] =>
  frame(state, { type: 'resume', id, rooms: rooms.map((room) => ({ room })) })
const live = (state: SessionState, room: string, seq = 4, missed = 0): SessionEffect[] =>
  step(state, { type: 'answered', room, position: { epoch: '5.1', seq }, recovered: true, missed })
const refused = (state: SessionState, room: string): SessionEffect[] =>
  step(state, { type: 'refused', room, retryAfterMs: 900 })
const sent = (effects: readonly SessionEffect[]): ServerFrame[] =>
  effects.flatMap((effect) => (effect.type === 'send' ? [effect.frame] : []))
const position = { epoch: '5.1', seq: 4 }

describe('subscribing', () => {
  it('[SE10] the answer comes when the room is live, then what was held back is released', () => {
    const state = open()
    const since = { epoch: '5.1', seq: 1 }
    expect(subscribe(state, 2, 'public:a', { since, filter: { x: 1 } })).toMatchObject([
      { type: 'subscribe', room: 'public:a', since: { epoch: { inc: 5, tag: 1 }, seq: 1 } },
    ])
    expect(live(state, 'public:a', 4, 3)).toEqual([
      { type: 'send', frame: { type: 'ok', id: 2, room: 'public:a', position, recovered: true, missed: 3 } },
      { type: 'release', room: 'public:a' },
    ])
    expect(live(state, 'public:a')).toEqual([])
  })

  it('[SE10] lost continuity is told with its reason', () => {
    const state = open()
    subscribe(state, 2, 'public:a')
    const effects = step(state, {
      type: 'answered',
      room: 'public:a',
      position,
      recovered: false,
      missed: 0,
      reason: 'trimmed',
    })
    expect(sent(effects)).toEqual([
      { type: 'ok', id: 2, room: 'public:a', position, recovered: false, missed: 0, reason: 'trimmed' },
    ])
  })

  it('[SE11] a room that cannot be read now is refused and is not subscribed', () => {
    const state = open()
    subscribe(state, 2, 'public:a')
    expect(sent(refused(state, 'public:a'))).toMatchObject([
      { type: 'error', id: 2, code: 'OVERLOADED', room: 'public:a', retryAfterMs: 900 },
    ])
    expect(state.subscribed).toBe(0)
    expect(sent(frame(state, { type: 'unsubscribe', id: 3, room: 'public:a' }))).toMatchObject([
      { code: 'NOT_SUBSCRIBED' },
    ])
  })

  it('[SE12] unsubscribing ends the room and is answered; a request that waits is answered first', () => {
    const state = open()
    subscribe(state, 2, 'public:a')
    live(state, 'public:a')
    expect(frame(state, { type: 'unsubscribe', id: 3, room: 'public:a' })).toEqual([
      { type: 'unsubscribe', room: 'public:a' },
      { type: 'send', frame: { type: 'ok', id: 3, room: 'public:a' } },
    ])
    subscribe(state, 4, 'public:a')
    const effects = frame(state, { type: 'unsubscribe', id: 5, room: 'public:a' })
    expect(sent(effects)).toMatchObject([
      { type: 'error', id: 4, code: 'NOT_SUBSCRIBED' },
      { type: 'ok', id: 5 },
    ])
    expect(live(state, 'public:a')).toEqual([])
    expect(state.subscribed).toBe(0)
  })

  it('[SE13] a request that another replaces is answered, and only the newer one gets the room', () => {
    const state = open()
    subscribe(state, 2, 'public:a')
    expect(sent(subscribe(state, 3, 'public:a'))).toMatchObject([{ type: 'error', id: 2, code: 'NOT_SUBSCRIBED' }])
    expect(sent(live(state, 'public:a'))).toMatchObject([{ type: 'ok', id: 3 }])
    expect(state.subscribed).toBe(1)
  })

  it('[SE14] the 1,001st room is refused; the rooms joined by the server do not count; leaving makes room', () => {
    const state = open()
    for (let i = 0; i < 1_000; i++) expect(subscribe(state, i, `public:${i}`)).toMatchObject([{ type: 'subscribe' }])
    expect(sent(subscribe(state, 1_000, 'public:1000'))).toMatchObject([
      { type: 'error', id: 1_000, code: 'TOO_MANY_SUBSCRIPTIONS' },
    ])
    expect(subscribe(state, 1_001, 'user:alice')).toMatchObject([{ type: 'subscribe' }])
    expect(subscribe(state, 1_002, 'public:7').at(-1)).toMatchObject({ type: 'subscribe' })
    frame(state, { type: 'unsubscribe', id: 1_003, room: 'public:7' })
    expect(subscribe(state, 1_004, 'public:1000')).toMatchObject([{ type: 'subscribe' }])
    expect(state.subscribed).toBe(1_000)
  })
})

describe('resuming', () => {
  it('[SE15] all rooms are answered in one frame, each by itself, then all are released', () => {
    const state = open()
    expect(resume(state, 9, 'public:a', 'nope:x', 'public:b', 'public:c').map(({ type }) => type)).toEqual([
      'subscribe',
      'subscribe',
      'subscribe',
    ])
    expect(live(state, 'public:b')).toEqual([])
    expect(refused(state, 'public:c')).toEqual([])
    const effects = live(state, 'public:a')
    const [ok] = sent(effects)
    if (ok?.type !== 'ok') throw new Error('no ok')
    expect(ok.id).toBe(9)
    expect(new Map(ok.rooms?.map((room) => [room.room, room.error?.code ?? room.position]))).toEqual(
      new Map<string, unknown>([
        ['nope:x', 'UNKNOWN_ROOM_TYPE'],
        ['public:b', position],
        ['public:c', 'OVERLOADED'],
        ['public:a', position],
      ]),
    )
    expect(effects.slice(1)).toEqual([
      { type: 'release', room: 'public:b' },
      { type: 'release', room: 'public:a' },
    ])
  })

  it('[SE15] a resume of no room, or of none that is allowed, is answered at once', () => {
    expect(sent(resume(open(), 1))).toEqual([{ type: 'ok', id: 1, rooms: [] }])
    expect(sent(resume(open(), 1, 'user:bob'))).toMatchObject([
      { type: 'ok', rooms: [{ room: 'user:bob', error: { code: 'FORBIDDEN' } }] },
    ])
  })

  it('[SE16] a room that is asked for again while its resume waits is released with its own answer only', () => {
    const state = open()
    resume(state, 9, 'public:a', 'public:b')
    live(state, 'public:a')
    subscribe(state, 10, 'public:a')
    const group = live(state, 'public:b')
    expect(sent(group)).toMatchObject([{ type: 'ok', id: 9 }])
    expect(group.slice(1)).toEqual([{ type: 'release', room: 'public:b' }])
    expect(live(state, 'public:a').map(({ type }) => type)).toEqual(['send', 'release'])
  })

  it('[SE16] a finished resume releases nothing that belongs to a newer one', () => {
    const state = open()
    resume(state, 9, 'public:a', 'public:b')
    live(state, 'public:a')
    resume(state, 10, 'public:a', 'public:c')
    live(state, 'public:a')
    const first = live(state, 'public:b')
    expect(sent(first)).toMatchObject([
      {
        id: 9,
        rooms: [
          { room: 'public:a', error: { code: 'NOT_SUBSCRIBED' } },
          { room: 'public:b', position },
        ],
      },
    ])
    expect(first.slice(1)).toEqual([{ type: 'release', room: 'public:b' }])
    expect(live(state, 'public:c').slice(1)).toEqual([
      { type: 'release', room: 'public:a' },
      { type: 'release', room: 'public:c' },
    ])
  })

  it('[SE19] what cannot be held back until the others are answered is taken back, and can be asked for again', () => {
    const state = open()
    resume(state, 9, 'public:a', 'public:b')
    live(state, 'public:a', 4, 3)
    expect(refused(state, 'public:a')).toEqual([])
    const effects = live(state, 'public:b')
    expect(sent(effects)).toMatchObject([
      { id: 9, rooms: [{ room: 'public:a', error: { code: 'OVERLOADED', retryAfterMs: 900 } }, { room: 'public:b' }] },
    ])
    expect(effects.slice(1)).toEqual([{ type: 'release', room: 'public:b' }])
    expect(state.subscribed).toBe(1)
    expect(subscribe(state, 10, 'public:a')).toMatchObject([{ type: 'subscribe' }])
  })

  it('[SE16] a room that is left while its resume waits is not waited for', () => {
    const state = open()
    resume(state, 9, 'public:a', 'public:b')
    live(state, 'public:a')
    const effects = frame(state, { type: 'unsubscribe', id: 10, room: 'public:b' })
    expect(sent(effects).map((each) => ('id' in each ? each.id : undefined))).toEqual([9, 10])
    expect(effects.filter(({ type }) => type === 'release')).toEqual([{ type: 'release', room: 'public:a' }])
  })
})

describe('rooms that the server joins', () => {
  it('[SE17] their position is told when they are live', () => {
    const effects = live(open(), 'user:alice')
    expect(sent(effects)).toEqual([{ type: 'position', room: 'user:alice', position, recovered: true }])
    expect(effects.at(-1)).toEqual({ type: 'release', room: 'user:alice' })
  })

  it('[SE17] they are tried again after a refusal, by the server', () => {
    const state = open()
    expect(refused(state, 'user:alice')).toEqual([])
    expect(step(state, { type: 'tick' })).toEqual([])
    expect(stepSession(state, { type: 'tick' }, later)).toEqual([
      { type: 'subscribe', room: 'user:alice', since: null, filter: null },
    ])
    expect(sent(live(state, 'user:alice'))).toMatchObject([{ type: 'position' }])
  })

  it('[SE18] one that the client resumes is answered to it, and after a refusal left to it, lest a jump to the head hide a loss', () => {
    const state = open()
    resume(state, 9, 'user:alice')
    const effects = refused(state, 'user:alice')
    expect(sent(effects)).toMatchObject([
      { type: 'ok', rooms: [{ room: 'user:alice', error: { code: 'OVERLOADED' } }] },
    ])
    expect(stepSession(state, { type: 'tick' }, later)).toEqual([])
    expect(subscribe(state, 10, 'user:alice')).toMatchObject([{ type: 'subscribe' }])
    expect(state.subscribed).toBe(1)
  })
})

import { createSession, defaultSessionLimits, stepSession } from '@flotilla/core/session'
import type { SessionEffect, SessionInput, SessionState } from '@flotilla/core/session-state'
import type { ServerFrame } from '@flotilla/core/frames'
import { people } from './operations.ts'
import type { Person } from './operations.ts'

const clock = { now: 0, wallMs: 1_800_000_000_000, timestamp: '2027-01-15T08:00:00.000Z' }
/** Nothing here is about rates. */
const limits = { ...defaultSessionLimits, framesAtOnce: 1e9, maxBadFrames: 1e9 }
const epoch = '5.1'

interface Heard {
  readonly person: Person
  readonly room: string
  readonly tail: string
}
interface Member {
  readonly person: Person
  session: SessionState
  /** Rooms that the edge would give it events of. */
  readonly live: Set<string>
  sent: ServerFrame[]
}

/**
 * Sessions of everybody over rooms that are lists: what the edge and the worker do with a session's effects, in as few words as
 * it can be said. `leaks`: a room's events are given to everybody, to see that it would be noticed.
 */
export function createWorld({ leaks = false } = {}) {
  const rooms = new Map<string, string[]>()
  const heard: Heard[] = []
  const members: Member[] = people.map((person, i) => ({
    ...{ person, live: new Set<string>(), sent: [] },
    session: createSession(`edge.${i}`, clock.now, { limits }),
  }))

  function deliver(room: string, tail: string): void {
    for (const { person, live } of members) if (leaks || live.has(room)) heard.push({ person, room, tail })
  }
  function step(member: Member, input: SessionInput): void {
    for (const effect of stepSession(member.session, input, clock)) execute(member, effect)
  }
  function execute(member: Member, effect: SessionEffect): void {
    switch (effect.type) {
      case 'send':
        return void member.sent.push(effect.frame)
      case 'verify': {
        const person = people[Number(effect.token ?? NaN)]
        const verdict =
          person === undefined ? { ok: false as const, retryable: false } : { ok: true as const, identity: person }
        return step(member, { type: 'verdict', attempt: effect.attempt, verdict })
      }
      case 'subscribe': {
        const events = rooms.get(effect.room) ?? []
        member.live.add(effect.room)
        const missed = effect.since === null ? [] : events.slice(effect.since.seq)
        for (const tail of missed) heard.push({ person: member.person, room: effect.room, tail })
        const position = { epoch, seq: events.length }
        return step(member, { type: 'answered', room: effect.room, position, recovered: true, missed: missed.length })
      }
      case 'unsubscribe':
        return void member.live.delete(effect.room)
      case 'publish': {
        const { room, tail } = effect.message
        const events = rooms.get(room) ?? []
        rooms.set(room, [...events, tail])
        deliver(room, tail)
        return step(member, {
          type: 'published',
          request: effect.request,
          outcome: { type: 'committed', epoch, seq: events.length + 1 },
        })
      }
      case 'history': {
        const events = rooms.get(effect.room) ?? []
        for (const tail of events) heard.push({ person: member.person, room: effect.room, tail })
        // That they are read is what counts: they are heard by then.
        const page = { room: effect.room, first: null, last: null, events: [] }
        return step(member, { type: 'history', request: effect.request, page })
      }
      case 'ephemeral':
        return deliver(effect.room, effect.tail)
      case 'close':
        return connect(member)
      case 'register':
      case 'opened':
      case 'release':
      case 'advance':
      case 'attend':
      case 'show':
      case 'lock':
      case 'rate':
      // Its policy has nobody asked.
      case 'ask':
      case 'call':
      case 'verifyRoom':
    }
  }
  function connect(member: Member): void {
    member.live.clear()
    member.session = createSession(member.session.connectionId, clock.now, { limits })
    step(member, { type: 'token', token: String(members.indexOf(member)) })
  }
  for (const member of members) connect(member)

  return {
    heard,
    events: (room: string) => rooms.get(room)?.length ?? 0,
    position: (room: string) => ({ epoch, seq: rooms.get(room)?.length ?? 0 }),
    reconnect: (who: number) => {
      const member = members[who]
      if (member !== undefined) connect(member)
    },
    /** What it is answered, as JSON. */
    ask: (who: number, frame: object): string => {
      const member = members[who]
      if (member === undefined) throw new RangeError(`nobody is ${who}`)
      const text = JSON.stringify(frame)
      member.sent = []
      step(member, { type: 'frame', text, bytes: Buffer.byteLength(text) })
      return JSON.stringify(member.sent)
    },
  }
}

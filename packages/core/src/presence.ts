import { presenceGraceMs } from './limits.ts'
import type { MemberChange, MemberMessage, PresenceRecord, PresentUser, QueryMessage } from './member-entry.ts'
import { laneOf, slotOf } from './slot.ts'

/** Rooms with more members are told of their changes once a second, all at once. */
export const maxPromptMembers = 200
/** A list that was asked for and has not come for so long is asked for again, ms. */
const askAgainMs = 5_000

/** What one edge knows of the members of rooms; changed in place by `stepPresence` only. */
export interface Presence {
  readonly shape: { readonly slots: number; readonly lanes: number }
  readonly rooms: Map<string, PresenceRoom>
  readonly connections: Map<string, Own>
  /** Members that could not be told of (again), by room. */
  readonly due: Map<string, Set<string>>
  asked: number
}
interface Own {
  /** What it shows of its user, as JSON; `''`: it never said. */
  shown: string
  /** Where it is a member, or watches. */
  readonly rooms: Set<string>
}
interface PresenceRoom {
  /** Connections of this edge that are members. */
  readonly own: Map<string, OwnMember>
  /** Connections that are told of the members; and those of them that were not told of everybody yet. */
  readonly watchers: Set<string>
  readonly late: Set<string>
  /** Everybody, also elsewhere; null: not known, or too many. Kept while somebody watches. */
  users: Map<string, Known> | null
  count: number
  /** When everybody was asked for, ms; null: it was answered, or nobody watches. */
  askedAtMs: number | null
  due: Changes | null
}
interface OwnMember {
  readonly user: string
  /** The worker may know of it; and whether it may have before it was last told of. */
  told: boolean
  wasTold: boolean
}
interface Known {
  readonly user: PresentUser
  /** A list did not have it, which may be because its edge has not told of it again yet. */
  doubtedAtMs: number | null
}
interface Changes {
  readonly joined: Map<string, PresentUser>
  readonly changed: Map<string, PresentUser>
  readonly left: Map<string, number>
}

export type PresenceInput =
  | { readonly type: 'enter'; readonly room: string; readonly connection: string; readonly user: string }
  /** `gone`: its connection ended. */
  | {
      readonly type: 'leave'
      readonly room: string
      readonly connection: string
      readonly change: Exclude<MemberChange, 'in'>
    }
  | { readonly type: 'show'; readonly connection: string; readonly state: string }
  | { readonly type: 'watch'; readonly room: string; readonly connection: string; readonly on: boolean }
  | { readonly type: 'closed'; readonly connection: string }
  /** A member could not be told of: too much waits already. */
  | { readonly type: 'untold'; readonly room: string; readonly connection: string }
  | PresenceRecord
  /** The worker has heard that this edge is interested in the room. */
  | { readonly type: 'interest'; readonly room: string }
  /** Continuity of a slot was lost. */
  | { readonly type: 'reset'; readonly slot: number }
  /** Answers of a lane were lost, or this edge has a new boot. */
  | { readonly type: 'resync'; readonly lane: number }
  /** Once a second. */
  | { readonly type: 'tick' }

export type PresenceEffect =
  /** To be sent to the worker; answered by `untold` where a member cannot be. What is asked in vain is asked again later. */
  | { readonly type: 'tell'; readonly message: MemberMessage | QueryMessage }
  /** To these connections. */
  | { readonly type: 'told'; readonly room: string; readonly to: readonly string[]; readonly news: PresenceNews }
/** `members`: everybody, null when they are too many. Else what has changed. */
export interface PresenceNews {
  readonly count: number
  readonly members?: readonly PresentUser[] | null
  readonly joined?: readonly PresentUser[]
  readonly changed?: readonly PresentUser[]
  readonly left?: readonly { readonly user: string; readonly lastMs: number }[]
}

export function createPresence(shape: Presence['shape']): Presence {
  return { shape, rooms: new Map(), connections: new Map(), due: new Map(), asked: 0 }
}

/**
 * What an edge tells rooms' workers of their members here, and its connections of the members everywhere (docs/spec.md PS). The workers
 * know (members.ts); what comes from one worker comes in its order.
 */
export function stepPresence(state: Presence, input: PresenceInput, nowMs: number): readonly PresenceEffect[] {
  const effects: PresenceEffect[] = []
  const { shape } = state
  switch (input.type) {
    case 'enter':
      enter(state, input, effects)
      break
    case 'leave':
      leave(state, input, effects)
      break
    case 'show':
      show(state, input, effects)
      break
    case 'watch':
      watch(state, input, nowMs, effects)
      break
    case 'closed':
      closed(state, input.connection, effects)
      break
    case 'untold':
      untold(state, input)
      break
    case 'presence':
      take(state, input, nowMs, effects)
      break
    case 'interest': {
      const own = state.rooms.get(input.room)
      if (own !== undefined && own.watchers.size > 0) ask(state, input.room, own, { nowMs, effects })
      break
    }
    case 'reset':
      tellAgain(state, (room) => slotOf(room, shape.slots) === input.slot, effects)
      break
    case 'resync':
      tellAgain(state, (room) => laneOf(slotOf(room, shape.slots), shape.lanes) === input.lane, effects)
      break
    case 'tick':
      tellDue(state, effects)
      for (const [room, own] of state.rooms) tick(state, room, own, { nowMs, effects })
  }
  return effects
}

interface At {
  readonly nowMs: number
  readonly effects: PresenceEffect[]
}

function roomOf(state: Presence, room: string): PresenceRoom {
  const known = state.rooms.get(room)
  if (known !== undefined) return known
  const own: PresenceRoom = {
    ...{ own: new Map(), watchers: new Set(), late: new Set(), users: null, count: 0, askedAtMs: null, due: null },
  }
  state.rooms.set(room, own)
  return own
}

/** What there is of a room that the connection has left, or watches no more. It may go through any number of them. */
function forgetUnused(state: Presence, room: string, { own, watchers }: PresenceRoom, connection: string): void {
  if (own.size === 0 && watchers.size === 0) state.rooms.delete(room)
  if (!own.has(connection) && !watchers.has(connection)) state.connections.get(connection)?.rooms.delete(room)
}

function tell(state: Presence, member: Omit<MemberMessage, 'type' | 'state'>, effects: PresenceEffect[]): void {
  const shown = member.change === 'in' ? (state.connections.get(member.connection)?.shown ?? '') : ''
  effects.push({ type: 'tell', message: { type: 'member', ...member, state: shown } })
}

function tellIn(
  state: Presence,
  { room, connection, member }: { room: string; connection: string; member: OwnMember },
  effects: PresenceEffect[],
): void {
  member.wasTold = member.told
  member.told = true
  tell(state, { room, connection, user: member.user, change: 'in' }, effects)
}

function untold(state: Presence, { room, connection }: Extract<PresenceInput, { type: 'untold' }>): void {
  const member = state.rooms.get(room)?.own.get(connection)
  if (member === undefined) return
  member.told = member.wasTold
  const due = state.due.get(room) ?? new Set()
  state.due.set(room, due.add(connection))
}

function tellDue(state: Presence, effects: PresenceEffect[]): void {
  const all = [...state.due]
  state.due.clear()
  for (const [room, connections] of all)
    for (const connection of connections) {
      const member = state.rooms.get(room)?.own.get(connection)
      if (member !== undefined) tellIn(state, { room, connection, member }, effects)
    }
}

function ownOf(state: Presence, connection: string): Own {
  const known = state.connections.get(connection)
  if (known !== undefined) return known
  const own = { shown: '', rooms: new Set<string>() }
  state.connections.set(connection, own)
  return own
}

function show(
  state: Presence,
  { connection, state: shown }: Extract<PresenceInput, { type: 'show' }>,
  effects: PresenceEffect[],
): void {
  const own = ownOf(state, connection)
  own.shown = shown
  for (const room of own.rooms) {
    const member = state.rooms.get(room)?.own.get(connection)
    if (member !== undefined) tellIn(state, { room, connection, member }, effects)
  }
}

function closed(state: Presence, connection: string, effects: PresenceEffect[]): void {
  for (const room of state.connections.get(connection)?.rooms ?? []) {
    unwatch(state, room, connection)
    leave(state, { type: 'leave', room, connection, change: 'gone' }, effects)
  }
  state.connections.delete(connection)
}

function enter(
  state: Presence,
  { room, connection, user }: Extract<PresenceInput, { type: 'enter' }>,
  effects: PresenceEffect[],
): void {
  const { own } = roomOf(state, room)
  if (own.has(connection)) return
  const member = { user, told: false, wasTold: false }
  own.set(connection, member)
  ownOf(state, connection).rooms.add(room)
  tellIn(state, { room, connection, member }, effects)
}

function leave(
  state: Presence,
  { room, connection, change }: Extract<PresenceInput, { type: 'leave' }>,
  effects: PresenceEffect[],
): void {
  const found = state.rooms.get(room)
  const member = found?.own.get(connection)
  if (found === undefined || member === undefined) return
  found.own.delete(connection)
  forgetUnused(state, room, found, connection)
  const { user, told } = member
  // Of who was never told of there is nothing to take back.
  if (told) tell(state, { room, connection, user, change }, effects)
}

function watch(
  state: Presence,
  { room, connection, on }: Extract<PresenceInput, { type: 'watch' }>,
  nowMs: number,
  effects: PresenceEffect[],
): void {
  if (!on) return unwatch(state, room, connection)
  const own = roomOf(state, room)
  if (own.watchers.has(connection)) return
  const isFirst = own.watchers.size === 0
  own.watchers.add(connection)
  own.late.add(connection)
  ownOf(state, connection).rooms.add(room)
  if (isFirst) ask(state, room, own, { nowMs, effects })
  else if (isPrompt(own)) flush(room, own, effects)
}

/** In a large one thousands may come in a second: a list, and what is due, for each would be for as many again. */
const isPrompt = ({ users }: PresenceRoom): boolean => users === null || users.size <= maxPromptMembers

function unwatch(state: Presence, room: string, connection: string): void {
  const found = state.rooms.get(room)
  if (found === undefined || !found.watchers.delete(connection)) return
  found.late.delete(connection)
  // Nobody looks at what comes from now on.
  if (found.watchers.size === 0) Object.assign(found, { users: null, count: 0, askedAtMs: null, due: null })
  forgetUnused(state, room, found, connection)
}

const wholeOf = ({ count, users }: PresenceRoom): PresenceNews => ({
  count,
  members: users === null ? null : [...users.values()].map(({ user }) => user),
})

function ask(state: Presence, room: string, own: PresenceRoom, { nowMs, effects }: At): void {
  own.askedAtMs = nowMs
  effects.push({ type: 'tell', message: { type: 'query', room, nonce: String((state.asked += 1)) } })
}

function take(state: Presence, record: PresenceRecord, nowMs: number, effects: PresenceEffect[]): void {
  const { room, all, count } = record
  const own = state.rooms.get(room)
  if (own === undefined || own.watchers.size === 0) return
  own.count = count
  if (all === undefined) {
    // Changes of what is not known are in the list that is to come.
    if (own.users === null) {
      if (own.askedAtMs === null) ask(state, room, own, { nowMs, effects })
      return
    }
    for (const user of record.in) came(own, own.users, user)
  } else {
    own.askedAtMs = null
    if (all === null || own.users === null) return begin(room, own, all, effects)
    compare(own, own.users, all, nowMs)
  }
  for (const { user, lastMs } of record.out) left(own, own.users, user, lastMs)
  if (isPrompt(own)) flush(room, own, effects)
}

/** With a list where there was none; null: they are too many for one. All are told of it. */
function begin(room: string, own: PresenceRoom, all: readonly PresentUser[] | null, effects: PresenceEffect[]): void {
  own.due = null
  own.users = all === null ? null : new Map(all.map((user) => [user.user, { user, doubtedAtMs: null }]))
  own.late.clear()
  effects.push({ type: 'told', room, to: [...own.watchers], news: wholeOf(own) })
}

/** With a list that came again. Who is missing may be about to be told of again, so nobody is said to have left yet. */
function compare(own: PresenceRoom, users: Map<string, Known>, all: readonly PresentUser[], nowMs: number): void {
  const there = new Set(all.map(({ user }) => user))
  for (const user of all) came(own, users, user)
  for (const [name, known] of users) if (!there.has(name)) known.doubtedAtMs ??= nowMs
}

const changesOf = (own: PresenceRoom): Changes =>
  (own.due ??= { joined: new Map(), changed: new Map(), left: new Map() })

function came(own: PresenceRoom, users: Map<string, Known>, user: PresentUser): void {
  const before = users.get(user.user)
  users.set(user.user, { user, doubtedAtMs: null })
  if (before?.user.state === user.state) return
  const due = changesOf(own)
  const kind = before === undefined || due.joined.has(user.user) ? 'joined' : 'changed'
  // Who left and came before anybody was told of it has not left.
  due[due.left.delete(user.user) ? 'changed' : kind].set(user.user, user)
}

function left(own: PresenceRoom, users: Map<string, Known>, user: string, lastMs: number): void {
  if (!users.delete(user)) return
  const due = changesOf(own)
  due.changed.delete(user)
  if (!due.joined.delete(user)) due.left.set(user, lastMs)
}

/** What is due to those who know of the others, and everybody to those who do not. */
function flush(room: string, own: PresenceRoom, effects: PresenceEffect[]): void {
  const { watchers, late } = own
  const news = changesIn(own)
  const to = [...watchers].filter((connection) => !late.has(connection))
  if (news !== null && to.length > 0) effects.push({ type: 'told', room, to, news })
  // The list is still to come.
  if (late.size === 0 || (own.users === null && own.askedAtMs !== null)) return
  effects.push({ type: 'told', room, to: [...late], news: wholeOf(own) })
  late.clear()
}

/** What is due, which is then told; null: nothing. */
function changesIn(own: PresenceRoom): PresenceNews | null {
  const { due, users } = own
  own.due = null
  if (due === null || due.joined.size + due.changed.size + due.left.size === 0) return null
  const [joined, changed] = [[...due.joined.values()], [...due.changed.values()]]
  const gone = Array.from(due.left, ([user, lastMs]) => ({ user, lastMs }))
  return {
    count: users?.size ?? own.count,
    ...(joined.length === 0 ? {} : { joined }),
    ...(changed.length === 0 ? {} : { changed }),
    ...(gone.length === 0 ? {} : { left: gone }),
  }
}

function tick(state: Presence, room: string, own: PresenceRoom, at: At): void {
  if (own.askedAtMs !== null && at.nowMs - own.askedAtMs >= askAgainMs) ask(state, room, own, at)
  for (const [name, { user, doubtedAtMs }] of own.users ?? [])
    if (own.users !== null && doubtedAtMs !== null && at.nowMs - doubtedAtMs >= presenceGraceMs)
      left(own, own.users, name, user.sinceMs)
  flush(room, own, at.effects)
}

/** The worker may know nothing of those that are here, or what it said was lost: everybody is told of again. */
function tellAgain(state: Presence, concerns: (room: string) => boolean, effects: PresenceEffect[]): void {
  for (const [room, { own }] of state.rooms) {
    if (own.size === 0 || !concerns(room)) continue
    for (const [connection, member] of own) tellIn(state, { room, connection, member }, effects)
  }
}

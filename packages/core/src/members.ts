import type { MemberRoom } from './ask-entry.ts'
import type { Interest, InterestChange } from './interest.ts'
import { detached } from './entry.ts'
import { endpointDeadMs, maxListedMembers, presenceGraceMs } from './limits.ts'
import type { MemberMessage, PresenceRecord, PresentUser } from './member-entry.ts'
import { dropConnection, lastShown, noteConnection } from './member-users.ts'
import type { RoomUsers } from './member-users.ts'

/** One connection of a member, as the room's worker keeps it. */
export interface Member {
  readonly boot: string
  readonly user: string
  /** The incarnation of the slot in which it was told. */
  readonly inc: number
  readonly sinceMs: number
  readonly state: string
  /** When that was set; 0: never. */
  readonly stateMs: number
  /** Its connection has ended, and somebody else's has not taken its place. */
  readonly gone: boolean
  /** When it stops being a member, ms of the lane's clock; null: it is there. 0: at the time of grace after the next look. */
  readonly leavesAtMs: number | null
  /** It leaves because a list of the edges that live had not its own. */
  readonly unlisted: boolean
}
/** Members of one room by connection, and the connections of each user. */
interface RoomMembers {
  readonly connections: Map<string, Member>
  readonly users: RoomUsers
}
/** Of a slot: its rooms' members, and who changed since that was told, with what had been told of them. */
export interface Members {
  readonly rooms: Map<string, RoomMembers>
  readonly changed: Map<string, Map<string, string>>
  /** Rooms with changes that were not told, as they have too many members for a list: whether their number is to be told now. */
  readonly counted: Map<string, boolean>
  /** Those who have a time at which they leave: what is done once a second must not walk through all. */
  readonly leaving: Map<string, { readonly room: string; readonly connection: string }>
  /** How many of each boot have none. */
  readonly staying: Map<string, number>
}
interface Clock {
  readonly now: number
  readonly wallMs: number
}

export function createMembers(): Members {
  return { rooms: new Map(), changed: new Map(), counted: new Map(), leaving: new Map(), staying: new Map() }
}

/** Of what the store kept, one row. Who was told under another incarnation has the time of grace to be told of again. */
export function knowMember(all: Members, row: Interest, now: number): void {
  const { room, boot, connection = '', inc = 0, member } = row
  if (member === undefined) return
  const isStale = member.gone || inc !== now
  put(all, room, connection, { ...member, boot, inc, leavesAtMs: isStale ? 0 : null, unlisted: false })
}

/** One message of the edge `boot`. It may come again. Returns what the store is to keep of it. */
export function takeMember(
  all: Members,
  message: MemberMessage,
  from: Clock & { readonly boot: string; readonly inc: number },
): InterestChange[] {
  const { room, connection, user, change } = message
  const before = all.rooms.get(room)?.connections.get(connection)
  if (change !== 'in' && before === undefined) return []
  touch(all, room, before?.user ?? user)
  if (before !== undefined && change === 'out') return [drop(all, room, connection, before)]
  if (before !== undefined && change === 'gone') {
    if (before.gone) return []
    const gone = { gone: true, leavesAtMs: from.now + presenceGraceMs, unlisted: false }
    return replace(all, { room, connection, before }, { ...before, ...gone })
  }
  return enter(all, message, { ...from, before })
}

function enter(
  all: Members,
  { room, connection, user, state }: MemberMessage,
  { boot, inc, wallMs, before }: Clock & { boot: string; inc: number; before: Member | undefined },
): InterestChange[] {
  const others = all.rooms.get(room)?.users.get(user)
  // Who comes back, or on another device, goes on with what it showed: a reconnect is silent.
  const shown = before ?? (others === undefined ? undefined : lastShown(others))
  const own: Member = {
    ...{ boot, inc, user: detached(user), gone: false, leavesAtMs: null, unlisted: false },
    ...shownFrom(state, shown, wallMs),
    sinceMs: before?.sinceMs ?? others?.sinceMs ?? wallMs,
  }
  if (before !== undefined && isSame(before, own)) {
    put(all, room, connection, own)
    return []
  }
  return replace(all, { room, connection, before }, own)
}

function shownFrom(
  state: string,
  before: Pick<Member, 'state' | 'stateMs'> | undefined,
  wallMs: number,
): Pick<Member, 'state' | 'stateMs'> {
  if (state !== '' && state !== before?.state) return { state: detached(state), stateMs: wallMs }
  return { state: before?.state ?? '', stateMs: before?.stateMs ?? 0 }
}

function isSame(a: Member, b: Member): boolean {
  return a.gone === b.gone && a.boot === b.boot && a.inc === b.inc && a.state === b.state
}

/** Those of edges that are gone. They have been for as long as it took to be sure, so less of the grace is left. */
export function loseMembers(all: Members, isGone: (boot: string) => boolean, now: number, unlisted = false): void {
  const gone = new Set([...all.staying.keys()].filter(isGone))
  if (gone.size === 0) return
  const leavesAtMs = now + presenceGraceMs - endpointDeadMs
  for (const [room, { connections }] of all.rooms)
    for (const [connection, member] of connections)
      if (member.leavesAtMs === null && gone.has(member.boot))
        put(all, room, connection, { ...member, leavesAtMs, unlisted })
}

/**
 * A list of the edges that live. One that an earlier list lacked, and that need not know of that, has its members again: not those whose
 * connection ended, nor those of an edge whose outbox is gone, or of another incarnation.
 */
export function listEdges(all: Members, alive: ReadonlySet<string>, now: number): void {
  for (const { room, connection } of [...all.leaving.values()]) {
    const member = all.rooms.get(room)?.connections.get(connection)
    if (member?.unlisted === true && alive.has(member.boot))
      put(all, room, connection, { ...member, leavesAtMs: null, unlisted: false })
  }
  loseMembers(all, (boot) => !alive.has(boot), now, true)
}

/** Once a second: those whose time is over leave. Returns what the store is to forget. */
export function expireMembers(all: Members, now: number): InterestChange[] {
  const rows: InterestChange[] = []
  for (const { room, connection } of [...all.leaving.values()]) {
    const member = all.rooms.get(room)?.connections.get(connection)
    if (member === undefined || member.leavesAtMs === null) continue
    if (member.leavesAtMs === 0) put(all, room, connection, { ...member, leavesAtMs: now + presenceGraceMs })
    else if (member.leavesAtMs <= now) {
      touch(all, room, member.user)
      rows.push(drop(all, room, connection, member))
    }
  }
  for (const room of all.counted.keys()) {
    all.counted.set(room, true)
    if (!all.changed.has(room)) all.changed.set(room, new Map())
  }
  return rows
}

/** Everybody in a room; null when they are too many to be listed. */
export function listMembers(all: Members, room: string): { count: number; all: readonly PresentUser[] | null } {
  const users = all.rooms.get(room)?.users
  if (users === undefined) return { count: 0, all: [] }
  const count = users.size
  return {
    count,
    all: count > maxListedMembers ? null : [...users.keys()].flatMap((user) => presentIn(all, room, user) ?? []),
  }
}

/** The rooms that a user is a member of. */
export function roomsOf(all: Members, user: string): MemberRoom[] {
  return Array.from(all.rooms.keys()).flatMap((room) => {
    const present = presentIn(all, room, user)
    return present === undefined ? [] : [{ room, sinceMs: present.sinceMs, connections: present.connections }]
  })
}

/** What has changed since the last call, room by room. */
export function takeChanges(all: Members, wallMs: number): PresenceRecord[] {
  const records: PresenceRecord[] = []
  for (const [room, users] of all.changed) {
    const count = all.rooms.get(room)?.users.size ?? 0
    const base = { type: 'presence', room, nonce: '', count } as const
    if (count > maxListedMembers) {
      // Told at the next look, once however many come and go until then.
      if (all.counted.get(room) !== true) all.counted.set(room, false)
      else {
        all.counted.delete(room)
        records.push({ ...base, all: null, in: [], out: [] })
      }
      continue
    }
    const came: PresentUser[] = []
    const left: { user: string; lastMs: number }[] = []
    for (const [user, was] of users) {
      const present = presentIn(all, room, user)
      if (present === undefined) {
        if (was !== '') left.push({ user, lastMs: wallMs })
      } else if (textOf(present) !== was) came.push(present)
    }
    // Nobody was told of those who came while they were too many.
    if (all.counted.delete(room)) records.push({ ...base, ...listMembers(all, room), in: [], out: left })
    else if (came.length + left.length > 0) records.push({ ...base, in: came, out: left })
  }
  all.changed.clear()
  return records
}

/** Of one user in one room: whether it came, left, or shows something else, since the last call of {@link takeChanges}. */
export interface MemberNews {
  readonly type: 'joined' | 'left' | 'changed'
  readonly room: string
  readonly user: string
  /** JSON, or `''`. */
  readonly state: string
}

/** User by user what has changed, also of rooms with too many members for a list. */
export function* memberNews(all: Members): Iterable<MemberNews> {
  for (const [room, users] of all.changed)
    for (const [user, was] of users) {
      const present = presentIn(all, room, user)
      if (present === undefined) {
        if (was !== '') yield { type: 'left', room, user, state: '' }
      } else if (textOf(present) !== was) {
        yield { type: was === '' ? 'joined' : 'changed', room, user, state: present.state }
      }
    }
}

/** Whether something is to be told. */
export function hasChanges(all: Members): boolean {
  return all.changed.size > 0
}

function presentIn(all: Members, room: string, user: string): PresentUser | undefined {
  const own = all.rooms.get(room)?.users.get(user)
  if (own === undefined) return undefined
  return { user, sinceMs: own.sinceMs, state: lastShown(own).state, connections: own.open }
}

/** What others see of a user who is there: only a change of this is told. */
const textOf = ({ state }: PresentUser): string => `+${state}`

/** Before a change: what had been told of the user is remembered until the next telling. */
function touch(all: Members, room: string, user: string): void {
  const users = all.changed.get(room) ?? new Map<string, string>()
  all.changed.set(detached(room), users)
  if (users.has(user)) return
  const present = presentIn(all, room, user)
  users.set(detached(user), present === undefined ? '' : textOf(present))
}

interface Place {
  readonly room: string
  readonly connection: string
  readonly before: Member | undefined
}

function replace(all: Members, { room, connection, before }: Place, member: Member): InterestChange[] {
  const rows: InterestChange[] = []
  if (before !== undefined) rows.push({ ...rowOf(room, connection, before), on: false })
  // What was cut out of an entry would keep all of it.
  const [name, id] = [detached(room), detached(connection)]
  put(all, name, id, member)
  rows.push({ ...rowOf(name, id, member), on: true })
  return rows
}

function rowOf(room: string, connection: string, member: Member): Interest {
  const { boot, inc, user, sinceMs, state, stateMs, gone } = member
  return { room, connection, boot, inc, member: { user, sinceMs, state, stateMs, gone } }
}

function put(all: Members, room: string, connection: string, member: Member): void {
  let own = all.rooms.get(room)
  if (own === undefined) all.rooms.set(room, (own = { connections: new Map(), users: new Map() }))
  const before = own.connections.get(connection)
  if (before !== undefined) forgetPlace(all, room, connection, before)
  own.connections.set(connection, member)
  if (member.leavesAtMs === null) all.staying.set(member.boot, (all.staying.get(member.boot) ?? 0) + 1)
  else all.leaving.set(placeKey(room, connection), { room, connection })
  noteConnection(own.users, connection, member)
}

/** Neither name has a space. */
const placeKey = (room: string, connection: string): string => `${room} ${connection}`

function forgetPlace(all: Members, room: string, connection: string, { boot, leavesAtMs }: Member): void {
  if (leavesAtMs !== null) all.leaving.delete(placeKey(room, connection))
  else {
    const left = (all.staying.get(boot) ?? 0) - 1
    if (left > 0) all.staying.set(boot, left)
    else all.staying.delete(boot)
  }
}

function drop(all: Members, room: string, connection: string, member: Member): InterestChange {
  const own = all.rooms.get(room)
  forgetPlace(all, room, connection, member)
  own?.connections.delete(connection)
  if (own !== undefined) dropConnection(own.users, connection, member.user)
  if (own?.connections.size === 0) all.rooms.delete(room)
  return { ...rowOf(room, connection, member), on: false }
}

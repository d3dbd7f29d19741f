import { US } from './entry.ts'

/**
 * One row of what a worker keeps of a slot beside its value: that a boot is interested in a room; a connection that is open at a boot, of a
 * user's room or of a `member`; a lock of a room; what is known of the numbers that locks were given.
 */
export interface Interest {
  readonly room: string
  readonly boot: string
  readonly connection?: string | undefined
  /** The connection that this one named as the one whose place it takes. */
  readonly after?: string | undefined
  /** The incarnation of its slot in which it was counted. */
  readonly inc?: number | undefined
  readonly member?: MemberFields | undefined
  readonly lock?: LockFields | undefined
  readonly fences?: FenceFields | undefined
}
/** What a row keeps of a member (members.ts). Times in ms since 1970. */
export interface MemberFields {
  readonly user: string
  readonly sinceMs: number
  readonly state: string
  readonly stateMs: number
  readonly gone: boolean
}
/** Of a lock (locks.ts). */
export interface LockFields {
  readonly name: string
  readonly user: string
  readonly holder: string
  readonly fence: string
  readonly ttlMs: number
}
/** The incarnation in which numbers were last given, how many, and whether none may be given yet. */
export interface FenceFields {
  readonly inc: number
  readonly given: number
  readonly closed: boolean
}
/** `on` sets it, else it is removed. */
export interface InterestChange extends Interest {
  readonly on: boolean
}

/** No room has these names: a version that does not know such rows takes them for connections of a user who is nobody. */
const [memberRow, lockRow, fenceRow] = ['!member', '!lock', '!fences']

/** As a store names it. */
export function formatInterest({ room, boot, connection, after = '', inc = 0, ...more }: Interest): string {
  const { member, lock, fences } = more
  if (member !== undefined && connection !== undefined) {
    const { user, sinceMs, state, stateMs, gone } = member
    return [memberRow, room, boot, connection, inc, user, sinceMs, stateMs, gone ? 1 : 0, state].join(US)
  }
  if (lock !== undefined) return [lockRow, room, lock.name, lock.user, lock.holder, lock.fence, lock.ttlMs].join(US)
  if (fences !== undefined) return [fenceRow, fences.inc, fences.given, fences.closed ? 1 : 0].join(US)
  return connection === undefined ? room + US + boot : [room, boot, connection, after, inc].join(US)
}

export function parseInterest(text: string): Interest {
  const [room = '', boot = '', connection, after, inc, ...rest] = text.split(US)
  if (room === memberRow) return parseMember([boot, connection, after, inc, ...rest])
  if (room === lockRow) return parseLock([boot, connection, after, inc, ...rest])
  if (room === fenceRow) {
    const fences = { inc: Number(boot), given: Number(connection), closed: after === '1' }
    return { room: '', boot: '', fences }
  }
  return connection === undefined ? { room, boot } : { room, boot, connection, after, inc: Number(inc) }
}

type Fields = readonly (string | undefined)[]

function parseMember(fields: Fields): Interest {
  const [room = '', boot = '', connection = '', inc, user = '', sinceMs, stateMs, gone, state = ''] = fields
  const member = { user, sinceMs: Number(sinceMs), stateMs: Number(stateMs), gone: gone === '1', state }
  return { room, boot, connection, inc: Number(inc), member }
}

function parseLock([room = '', name = '', user = '', holder = '', fence = '', ttlMs]: Fields): Interest {
  return { room, boot: '', lock: { name, user, holder, fence, ttlMs: Number(ttlMs) } }
}

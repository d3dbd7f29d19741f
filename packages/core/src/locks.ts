import type { FenceFields, Interest, InterestChange } from './interest.ts'
import { detached } from './entry.ts'
import { maxLocks, maxLockTtlMs } from './limits.ts'
import type { HeldLock, LockMessage, LockOutcome, LockRecord } from './lock-entry.ts'

interface Lock {
  readonly user: string
  readonly holder: string
  readonly fence: string
  readonly ttlMs: number
  /** When it ends, ms of the lane's clock; 0: its whole time after the next look, as a new owner cannot know what is left. */
  untilMs: number
}
/** The locks of a slot's rooms, by room and name. */
export interface Locks {
  readonly rooms: Map<string, Map<string, Lock>>
  /** What the store keeps of the numbers that were given. */
  fences: FenceFields | null
  /**
   * Nobody is given one before, ms of the lane's clock: where continuity was lost, one whose record was lost may still be held. 0: the longest time
   * of a lock after the next look; null: everybody may.
   */
  closedUntilMs: number | null
}

export interface LockStep {
  /** What the store is to keep of it. */
  readonly rows: readonly InterestChange[]
  readonly answer: Pick<LockRecord, 'outcome' | 'locks' | 'retryAfterMs'>
}

/** A number of a later incarnation is higher than all of an earlier one; both together stay below 2⁶³ for incarnations below 2³⁵. */
const fenceBits = 28n

export function createLocks(): Locks {
  return { rooms: new Map(), fences: null, closedUntilMs: null }
}

/** Of what the store kept, one row. */
export function knowLock(all: Locks, { room, fences, lock }: Interest): void {
  if (fences !== undefined) all.fences = fences
  else if (lock !== undefined) put(all, room, lock.name, { ...lock, untilMs: 0 })
}

/**
 * What a new owner has to wait for. An owner who loses continuity says so in the store with its first commit, and so does the first one that a slot
 * ever has (`isNew`): where that is not said of the present incarnation, nobody who knew of the loss has committed anything since.
 */
export function openLocks(all: Locks, inc: number, isNew: boolean): InterestChange[] {
  if (isNew) return []
  if (all.fences?.inc === inc && !all.fences.closed) return []
  all.closedUntilMs = 0
  return all.fences?.inc === inc ? [] : mark(all, { inc, given: 0, closed: true })
}

/** With the first commit of a slot that nobody ever had: from then on a loss can be told from a beginning. */
export function markOpen(all: Locks, inc: number): InterestChange[] {
  return all.fences === null && all.closedUntilMs === null ? mark(all, { inc, given: 0, closed: false }) : []
}

/** Once a second. Returns what the store is to keep or to forget. */
export function expireLocks(all: Locks, inc: number, now: number): InterestChange[] {
  const rows: InterestChange[] = []
  if (all.closedUntilMs === 0) all.closedUntilMs = now + maxLockTtlMs
  else if (all.closedUntilMs !== null && now >= all.closedUntilMs) {
    all.closedUntilMs = null
    rows.push(...mark(all, { inc, given: 0, closed: false }))
  }
  for (const [room, own] of all.rooms)
    for (const [name, lock] of own) {
      if (lock.untilMs === 0) lock.untilMs = now + lock.ttlMs
      else if (lock.untilMs <= now) rows.push(remove(all, room, name, lock))
    }
  return rows
}

/** One message. It may come again: who has a lock has it still. */
export function takeLock(all: Locks, message: LockMessage, at: { inc: number; now: number }): LockStep {
  const { room, name, user, holder, change } = message
  const own = all.rooms.get(room)
  if (change === 'list') return { rows: [], answer: answerOf('list', heldIn(own, at.now)) }
  const lock = own?.get(name)
  const isHeld = lock !== undefined && (lock.untilMs === 0 || lock.untilMs > at.now)
  const isMine = isHeld && lock.user === user && lock.holder === holder
  if (change === 'unlock') {
    if (!isMine) return { rows: [], answer: answerOf('none') }
    return { rows: [remove(all, room, name, lock)], answer: answerOf('released') }
  }
  if (isMine) return grant(all, message, { fence: lock.fence, before: lock, now: at.now })
  if (!isHeld) return give(all, message, { ...at, before: lock })
  return { rows: [], answer: answerOf('taken', [heldOf(name, lock, at.now)], leftOf(lock, at.now)) }
}

/** To somebody who did not have it. */
function give(
  all: Locks,
  message: LockMessage,
  { inc, now, before }: { inc: number; now: number; before: Lock | undefined },
): LockStep {
  const { closedUntilMs, fences } = all
  if (closedUntilMs !== null)
    return { rows: [], answer: answerOf('wait', [], closedUntilMs === 0 ? maxLockTtlMs : closedUntilMs - now) }
  const count = all.rooms.get(message.room)?.size ?? 0
  if (count >= maxLocks && before === undefined) return { rows: [], answer: answerOf('full') }
  const given = (fences?.inc === inc ? fences.given : 0) + 1
  const marked = mark(all, { inc, given, closed: false })
  const step = grant(all, message, { fence: fenceOf(inc, given), before, now })
  return { ...step, rows: [...marked, ...step.rows] }
}

function grant(
  all: Locks,
  { room, name, user, holder, ttlMs }: LockMessage,
  { fence, before, now }: { fence: string; before: Lock | undefined; now: number },
): LockStep {
  const lock: Lock = { user: detached(user), holder: detached(holder), fence, ttlMs, untilMs: now + ttlMs }
  const [place, title] = [detached(room), detached(name)]
  const answer = answerOf('held', [heldOf(title, lock, now)])
  // A renewal changes nothing that the next owner needs to know.
  const isSame = before?.fence === fence && before.ttlMs === ttlMs
  const rows: InterestChange[] = []
  if (before !== undefined && !isSame) rows.push(remove(all, place, title, before))
  put(all, place, title, lock)
  if (!isSame) rows.push({ ...rowOf(place, title, lock), on: true })
  return { rows, answer }
}

const fenceOf = (inc: number, given: number): string => String((BigInt(inc) << fenceBits) + BigInt(given))

function answerOf(outcome: LockOutcome, locks: readonly HeldLock[] = [], retryAfterMs = 0): LockStep['answer'] {
  return { outcome, locks, retryAfterMs }
}

/** Times have fractions, and a sum of them may be a little more than it is. */
const leftOf = ({ untilMs, ttlMs }: Lock, now: number): number =>
  untilMs === 0 ? ttlMs : Math.min(ttlMs, Math.ceil(untilMs - now))
const heldOf = (name: string, lock: Lock, now: number): HeldLock => ({
  ...{ name, user: lock.user, fence: lock.fence, leftMs: leftOf(lock, now) },
})

function heldIn(own: ReadonlyMap<string, Lock> | undefined, now: number): HeldLock[] {
  return Array.from(own ?? [], ([name, lock]) => heldOf(name, lock, now)).filter(({ leftMs }) => leftMs > 0)
}

function mark(all: Locks, fences: FenceFields): InterestChange[] {
  const before = all.fences
  all.fences = fences
  const rowFor = (each: FenceFields, on: boolean): InterestChange => ({ room: '', boot: '', fences: each, on })
  return [...(before === null ? [] : [rowFor(before, false)]), rowFor(fences, true)]
}

function put(all: Locks, room: string, name: string, lock: Lock): void {
  const own = all.rooms.get(room) ?? new Map<string, Lock>()
  all.rooms.set(room, own)
  own.set(name, lock)
}

function remove(all: Locks, room: string, name: string, lock: Lock): InterestChange {
  const own = all.rooms.get(room)
  own?.delete(name)
  if (own?.size === 0) all.rooms.delete(room)
  return { ...rowOf(room, name, lock), on: false }
}

function rowOf(room: string, name: string, { user, holder, fence, ttlMs }: Lock): Interest {
  return { room, boot: '', lock: { name, user, holder, fence, ttlMs } }
}

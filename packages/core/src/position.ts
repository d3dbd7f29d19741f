/**
 * A place in a room: `{ epoch, seq }`. A position without its epoch is a bug, because the same number can name two
 * messages when continuity was lost in between.
 *
 * The epoch is `<inc>.<tag>`: `inc` is the incarnation of the room's slot (the slot epoch at which continuity was last
 * lost) and `tag` the life of the room: the slot's commit number when the room's log began. Both only grow, so of two
 * epochs of one room the newer is known. A room without a log has tag 0; a client is then told `<inc>.0.<hour>`, so
 * that the position can be honoured for a while after the room comes to life (docs/spec.md PO4).
 */
export interface Position {
  readonly epoch: string
  readonly seq: number
}

/** The parts of a position's epoch. `issuedHour` (hours since 1970) is there only for an empty room's epoch. */
export interface RoomEpoch {
  readonly inc: number
  readonly tag: number
  readonly issuedHour?: number
}

/** A room's log is kept for 24 h after its last publish; half of that leaves room for clocks that disagree by hours. */
export const emptyEpochHours = 12
const hourMs = 3_600_000
const epochPattern = /^(\d{1,15})\.(\d{1,15})(?:\.(\d{1,9}))?$/

/** `formatEpoch({ inc: 5, tag: 12 })` is `'5.12'`. */
export function formatEpoch(epoch: RoomEpoch): string {
  return `${epoch.inc}.${epoch.tag}`
}

/** The epoch a client is told at `nowMs` (wall clock): an empty room's carries the hour in which it was issued. */
export function epochForClient(epoch: RoomEpoch, nowMs: number): string {
  return epoch.tag === 0 ? `${epoch.inc}.0.${Math.floor(nowMs / hourMs)}` : formatEpoch(epoch)
}

/** Undefined when the text is not an epoch. */
export function parseEpoch(text: string): RoomEpoch | undefined {
  const match = epochPattern.exec(text)
  if (match === null) return undefined
  const [, inc, tag, hour] = match
  const epoch = { inc: Number(inc), tag: Number(tag) }
  if (hour === undefined) return epoch
  return epoch.tag === 0 ? { ...epoch, issuedHour: Number(hour) } : undefined
}

/** Negative when `a` is the older life of the room, 0 when they are the same, positive when `a` is the newer. */
export function compareEpochs(a: RoomEpoch, b: RoomEpoch): number {
  return a.inc - b.inc || a.tag - b.tag
}

/**
 * Whether everything after `since` (in the life `since` names) is a suffix of the life `head`: the same life, or an
 * empty room whose position was issued so recently that no other life can have begun and expired in between.
 */
export function continues(since: RoomEpoch, head: RoomEpoch, nowMs: number): boolean {
  if (since.inc !== head.inc) return false
  if (since.tag === head.tag) return true
  if (since.tag !== 0 || since.issuedHour === undefined) return false
  const age = Math.floor(nowMs / hourMs) - since.issuedHour
  return age >= -1 && age < emptyEpochHours
}

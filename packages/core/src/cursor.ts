import type { Position } from './position.ts'

/**
 * Where one subscriber stands in one room (docs/spec.md CU). A client keeps one per room, so that an event is delivered
 * once, in order, and never past a hole. The fields change in place: a cursor has one owner.
 */
export interface Cursor {
  /** Null until the server has told a position; without it nothing can be resumed. */
  epoch: string | null
  /** Last seq delivered, or told by the server as the place to go on from. */
  seq: number
  /**
   * Up to here the server has vouched that what it sends is complete for this subscriber (the position of its last
   * answer): a number left out below it was not meant for this subscriber.
   */
  vouched: number
  /** Under a filter a subscriber sees a subsequence, so numbers left out are normal. */
  readonly filtered: boolean
}

/** `deliver`: hand it on. `duplicate`: drop it. `gap`: drop it and subscribe again from `positionOf(cursor)`. */
export type Verdict = 'deliver' | 'duplicate' | 'gap'

export interface CursorOptions {
  /** Where the subscriber was before. Absent: it begins at the position of the server's answer. */
  readonly since?: Position
  readonly filtered?: boolean
}

export function createCursor(options: CursorOptions = {}): Cursor {
  const { since, filtered = false } = options
  return { epoch: since?.epoch ?? null, seq: since?.seq ?? 0, vouched: 0, filtered }
}

/** What `since` of a subscription must say; undefined while no epoch is known. */
export function positionOf(cursor: Cursor): Position | undefined {
  return cursor.epoch === null ? undefined : { epoch: cursor.epoch, seq: cursor.seq }
}

/** Judges a durable event in the cursor's epoch. The cursor moves only when the verdict is `deliver`. */
export function accept(cursor: Cursor, seq: number): Verdict {
  if (seq <= cursor.seq) return 'duplicate'
  const mayLeaveOut = cursor.filtered || cursor.epoch === null
  if (!mayLeaveOut && seq > Math.max(cursor.seq, cursor.vouched) + 1) return 'gap'
  cursor.seq = seq
  return 'deliver'
}

/**
 * A `position` frame. `recovered: true` moves the cursor along, never back in one epoch; another epoch, or lost
 * continuity, sets it: from then on seq is judged in that epoch only.
 */
export function moveTo(cursor: Cursor, position: Position, recovered: boolean): void {
  const back = recovered && cursor.epoch === position.epoch && position.seq < cursor.seq
  cursor.epoch = position.epoch
  if (back) return
  cursor.seq = position.seq
  cursor.vouched = position.seq
}

export interface Answer {
  readonly position: Position
  readonly recovered: boolean
  readonly missed: number
}

/**
 * The answer of a second connection that was asked with an earlier position of this cursor, while the first one went on: the
 * cursor never moves back, and what the second sends up to where it stands is a duplicate. False: the answer does not
 * fit where the cursor is by now (another epoch, or continuity from the earlier position was lost), and has to be asked for again.
 */
export function joined(cursor: Cursor, { position, recovered, missed }: Answer): boolean {
  if (!recovered || cursor.epoch !== position.epoch) return false
  if (missed === 0) cursor.seq = Math.max(cursor.seq, position.seq)
  cursor.vouched = Math.max(cursor.vouched, position.seq)
  return true
}

/**
 * The answer to a subscription. When it continues the cursor's position, the `missed` events up to the answer's
 * position follow, so the cursor stays where it is and only learns the epoch; else it begins at the answer's position.
 */
export function answered(cursor: Cursor, answer: Answer): void {
  const { position, recovered, missed } = answer
  const replayFollows = recovered && missed > 0 && cursor.epoch !== null
  cursor.epoch = position.epoch
  if (!replayFollows) cursor.seq = position.seq
  cursor.vouched = position.seq
}

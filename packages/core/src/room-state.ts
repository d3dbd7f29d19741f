import { roomLimits } from './limits.ts'
import type { RoomLimits } from './limits.ts'
import { US } from './entry.ts'
import type { LogEntry } from './entry.ts'
import type { KeyHash, KeyWindow } from './key-window.ts'

/**
 * A room as its worker knows it: where it stands and what its log keeps. A cache of the room's log, loaded when the room
 * is first touched and dropped at will.
 */
export interface RoomState {
  readonly name: string
  limits: RoomLimits
  /** Where the hashes of its keys begin. */
  readonly hash: KeyHash
  /** The life of the room; 0 while it has no log (position.ts). */
  tag: number
  /** Its epoch as text, `''` until it is needed. */
  epochText: string
  head: number
  /** What the log must keep, oldest first: the messages after `floor`. One entry for those of a second. */
  window: WindowEntry[]
  floor: number
  /** UTF-16 units of the messages in `window`. */
  chars: number
  /** Of those ordered since its last entry. */
  openChars: number
  /** What the store was last told to keep from, and the UTF-16 units that were let go of since. */
  keptFrom: number
  droppedChars: number
  /** When the expiry of the log was renewed last. */
  renewedAt: number
  touchedAt: number
  /** When its last commit was composed; -Infinity since it was loaded. */
  writtenAt: number
}

/** Trimming is asked for when there are so many messages to trim, or when they have so many UTF-16 units together. */
const trimChars = 4_194_304

/**
 * What a room's log may hold, in UTF-16 units: a room at the limit refuses, and above half of it history gives way. An owner
 * reads all of it when it takes the room over.
 */
export const maxRoomChars = roomLimits.chars

interface WindowEntry {
  lastSeq: number
  chars: number
  /** By the owner's monotonic clock: when it committed or loaded the last of them, and the first. */
  at: number
  readonly since: number
}
/** Entries that are let go of as a whole must be small, in time and as part of the limit, or what is new keeps what is old. */
const windowEntryMs = 1_000
const windowEntryParts = 64

/** The state of a room from its log entries (oldest first); none: an empty room. Their keys go to the slot's. */
export function loadRoom(
  name: string,
  entries: readonly LogEntry[],
  keys: KeyWindow,
  clock: number | { readonly now: number; readonly keysNow: number; readonly limits?: RoomLimits },
): RoomState {
  const at = typeof clock === 'number' ? { now: clock, keysNow: clock } : clock
  const { now, keysNow, limits = roomLimits } = at
  const room: RoomState = {
    name,
    limits,
    hash: keys.hash(name),
    tag: 0,
    epochText: '',
    head: 0,
    window: [],
    floor: (entries[0]?.first ?? 1) - 1,
    chars: 0,
    openChars: 0,
    keptFrom: 0,
    droppedChars: 0,
    renewedAt: -Infinity,
    touchedAt: now,
    writtenAt: -Infinity,
  }
  for (const { tag, first, messages } of entries) {
    messages.forEach(({ sender, key, options, tail }, i) => {
      room.openChars += sender.length + key.length + options.length + tail.length
      const text = sender + US + key
      // A room that was dropped and is loaded again has keys that are remembered still, by when they were committed.
      // What a worker wrote itself has no key, and nobody sends it again.
      if (key !== '' && keys.find(room.hash, text, text.length) !== first + i) keys.add(first + i, keysNow)
    })
    room.tag = tag
    room.head = first + messages.length - 1
    closeWindowEntry(room, keysNow)
  }
  return room
}

export type Ordered =
  | { readonly type: 'new'; readonly seq: number }
  | { readonly type: 'repeat'; readonly seq: number }
  | { readonly type: 'full' }
const full: Ordered = { type: 'full' }

/**
 * The next seq of the room, or the seq that the same message got before, or `full` when the room has `dedupeMax`
 * messages younger than `dedupeMs`, or the lane as many keys as it may: taking one more would break promise 3. The key, sender and publish key with U+001F
 * between them, is the first `end` characters of `text`.
 */
export function orderMessage(
  room: RoomState,
  keys: KeyWindow,
  message: { readonly text: string; readonly keyEnd: number },
  now: number,
): Ordered {
  const seq = keys.find(room.hash, message.text, message.keyEnd)
  if (seq !== undefined) return { type: 'repeat', seq }
  if (keys.isFull || isFull(room, message.text.length)) {
    keys.expire(now)
    forgetOld(room, now)
    if (keys.isFull || isFull(room, message.text.length)) return full
  }
  room.head += 1
  room.openChars += message.text.length
  keys.add(room.head, now)
  return { type: 'new', seq: room.head }
}

function isFull(room: RoomState, chars: number): boolean {
  return room.head - room.floor >= room.limits.dedupeMax || room.chars + room.openChars + chars > room.limits.chars
}

/**
 * Closes a commit's messages of the room into one entry of the window and returns the seq the log must keep from, 0 when
 * that is hardly more than what was said before.
 */
export function closeEntry(room: RoomState, now: number, keysNow = now): number {
  closeWindowEntry(room, keysNow)
  room.touchedAt = now
  room.writtenAt = now
  forgetOld(room, keysNow)
  const keepFrom = room.floor + 1
  if (keepFrom - room.keptFrom < room.limits.trimStep && room.droppedChars < trimChars) return 0
  room.keptFrom = keepFrom
  room.droppedChars = 0
  return keepFrom
}

function closeWindowEntry(room: RoomState, now: number): void {
  const last = room.window.at(-1)
  if (last !== undefined && now - last.since < windowEntryMs && last.chars < room.limits.chars / windowEntryParts) {
    last.lastSeq = room.head
    last.at = now
    last.chars += room.openChars
  } else room.window.push({ lastSeq: room.head, at: now, since: now, chars: room.openChars })
  room.chars += room.openChars
  room.openChars = 0
}

/** What is both outside the policy's count and older than what is kept in any case is let go of. */
function forgetOld(room: RoomState, now: number): void {
  let drop = 0
  for (const entry of room.window) {
    if (now - entry.at < room.limits.keepMs) break
    // The last entry of the log is its head: it stays.
    const most = room.chars > room.limits.chars / 2 ? room.head - 1 : room.head - room.limits.historyEvents
    const through = Math.min(entry.lastSeq, most)
    room.floor = Math.max(room.floor, through)
    if (through < entry.lastSeq) break
    drop += 1
    room.chars -= entry.chars
    room.droppedChars += entry.chars
  }
  if (drop > 0) room.window.splice(0, drop)
}

import { dedupeMax, dedupeMs, historyEvents } from './limits.ts'
import type { LogEntry } from './entry.ts'

/**
 * A room as its worker knows it: where it stands and which publish keys it remembers. A cache of the room's log, loaded
 * when the room is first touched and dropped at will.
 */
export interface RoomState {
  readonly name: string
  /** The life of the room; 0 while it has no log (position.ts). */
  tag: number
  head: number
  /** `senderKey` → seq, for every message in `window`. */
  readonly keys: Map<string, number>
  /** What the log must keep, oldest first. */
  window: WindowEntry[]
  /** When the expiry of the log was renewed last. */
  renewedAt: number
  touchedAt: number
}

interface WindowEntry {
  readonly lastSeq: number
  /** By the owner's monotonic clock: since it committed or loaded the entry. */
  readonly at: number
  readonly keys: readonly string[]
}

/** One entry in the dedupe window: the same sender and key in the same room are the same message. */
export function senderKey(sender: string, key: string): string {
  return `${sender}\u001f${key}`
}

/** The state of a room from its log entries (oldest first); none: an empty room. */
export function loadRoom(name: string, entries: readonly LogEntry[], now: number): RoomState {
  const room: RoomState = { name, tag: 0, head: 0, keys: new Map(), window: [], renewedAt: -Infinity, touchedAt: now }
  for (const entry of entries) {
    const keys: string[] = []
    entry.messages.forEach((message, i) => {
      const key = senderKey(message.sender, message.key)
      keys.push(key)
      room.keys.set(key, entry.first + i)
    })
    room.tag = entry.tag
    room.head = entry.first + entry.messages.length - 1
    room.window.push({ lastSeq: room.head, at: now, keys })
  }
  return room
}

export type Ordered =
  | { readonly type: 'new'; readonly seq: number }
  | { readonly type: 'repeat'; readonly seq: number }
  | { readonly type: 'full' }

/**
 * The next seq of the room, or the seq that the same message got before, or `full` when the room remembers
 * `dedupeMax` keys younger than `dedupeMs`: taking one more would break promise 3.
 */
export function orderMessage(room: RoomState, key: string, now: number): Ordered {
  const seq = room.keys.get(key)
  if (seq !== undefined) return { type: 'repeat', seq }
  if (room.keys.size >= dedupeMax) {
    forgetOld(room, now)
    if (room.keys.size >= dedupeMax) return { type: 'full' }
  }
  room.head += 1
  room.keys.set(key, room.head)
  return { type: 'new', seq: room.head }
}

/** Closes a commit's messages of the room into one entry of the window and returns the seq the log must keep from. */
export function closeEntry(room: RoomState, keys: readonly string[], now: number): number {
  room.window.push({ lastSeq: room.head, at: now, keys })
  room.touchedAt = now
  forgetOld(room, now)
  return room.window[0]?.lastSeq ?? room.head
}

/** What is both outside the policy's count and older than the dedupe time is forgotten; the last entry never is. */
function forgetOld(room: RoomState, now: number): void {
  const below = room.head - historyEvents
  let drop = 0
  for (const entry of room.window) {
    const needed = entry.lastSeq > below || now - entry.at < dedupeMs
    if (needed || drop === room.window.length - 1) break
    drop += 1
    for (const key of entry.keys) room.keys.delete(key)
  }
  // Entries are dropped in steps, so that a full window costs no copy per commit.
  if (drop > 0 && (drop >= 64 || drop === room.window.length - 1)) room.window = room.window.slice(drop)
  else if (drop > 0) room.window.splice(0, drop)
}

import { createBucket, take } from './bucket.ts'
import type { Bucket } from './bucket.ts'
import type { OutEvent } from './entry.ts'
import { conflateOf } from './event-options.ts'
import { maxHeldConflated, maxHeldConflatedChars } from './limits.ts'

/**
 * Ephemeral events of one process on their way to the store (docs/spec.md EC): so many per second and room, and of those
 * that replace each other the newest only, in one batch per interval. What the interval is, whoever runs it decides by
 * how often it calls `release`.
 */
export interface Shaper {
  /** Rooms that something waits for, or that have not their whole budget. */
  readonly rooms: Map<string, ShapedRoom>
  /** UTF-16 units of what waits. */
  chars: number
}
interface ShapedRoom {
  bucket: Bucket
  /** What waits, by what replaces it; the place in the order is that of the first. */
  readonly held: Map<string, OutEvent>
  /** A conflated event went out since the last release: the next ones wait for it. */
  begun: boolean
}

/** `send` it now, `hold` it until the next release, `replace` what waited under its key, or `drop` it. */
export type Shaped = 'send' | 'hold' | 'replace' | 'drop'
export interface Released {
  readonly room: string
  readonly event: OutEvent
}

export function createShaper(): Shaper {
  return { rooms: new Map(), chars: 0 }
}

/**
 * What is to be done with an event. `perSecond` is the budget of its room; as much may come at once.
 * @param nowMs a monotonic clock, as `release` gets it.
 */
export function shape(
  shaper: Shaper,
  { room: name, event, perSecond }: Released & { readonly perSecond: number },
  nowMs: number,
): Shaped {
  const room = roomOf(shaper, name, perSecond)
  const key = conflateOf(event.options)
  if (key === undefined) return take(room.bucket, 1, nowMs).ok ? 'send' : 'drop'
  const before = room.held.get(key)
  if (before === undefined && !room.begun) {
    room.begun = true
    if (take(room.bucket, 1, nowMs).ok) return 'send'
  }
  const more = charsOf(event) - (before === undefined ? 0 : charsOf(before))
  const isFull = before === undefined && room.held.size >= maxHeldConflated
  if (isFull || shaper.chars + more > maxHeldConflatedChars) return 'drop'
  room.held.set(key, event)
  shaper.chars += more
  return before === undefined ? 'hold' : 'replace'
}

/** What goes out now, in the order in which it began to wait, as far as the budgets of its rooms go. */
export function release(shaper: Shaper, nowMs: number): Released[] {
  const released: Released[] = []
  for (const [name, room] of shaper.rooms) {
    room.begun = room.held.size > 0
    for (const [key, event] of room.held) {
      if (!take(room.bucket, 1, nowMs).ok) break
      room.held.delete(key)
      shaper.chars -= charsOf(event)
      released.push({ room: name, event })
    }
    if (!room.begun && take(room.bucket, 0, nowMs).ok && room.bucket.tokens >= room.bucket.capacity)
      shaper.rooms.delete(name)
  }
  return released
}

/** Nothing waits, and every room has its whole budget: a release would do nothing. */
export function isAtRest(shaper: Shaper): boolean {
  return shaper.rooms.size === 0
}

function roomOf(shaper: Shaper, name: string, perSecond: number): ShapedRoom {
  const known = shaper.rooms.get(name)
  if (known === undefined) {
    const room: ShapedRoom = { bucket: bucketOf(perSecond), held: new Map(), begun: false }
    shaper.rooms.set(name, room)
    return room
  }
  // The policy has changed.
  if (known.bucket.capacity !== perSecond) known.bucket = bucketOf(perSecond)
  return known
}

const bucketOf = (perSecond: number): Bucket => createBucket({ capacity: perSecond, refillPerSecond: perSecond })
const charsOf = ({ options, tail }: OutEvent): number => options.length + tail.length

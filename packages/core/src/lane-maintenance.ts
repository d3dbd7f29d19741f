import { forgetRetained, retainedSince } from './lane-retained.ts'
import { reapAfterMs } from './limits.ts'
import { ownershipPrefix } from './lane-state.ts'
import { expireLocks } from './locks.ts'
import { expireMembers } from './members.ts'
import type { LaneEffect, LaneState, MaintenanceWork } from './lane-state.ts'
import { isEventLog } from './outgoing.ts'
import type { RoomState } from './room-state.ts'
import type { SlotState } from './slot-state.ts'

export const maintainEveryMs = 1_000
export const digestEveryMs = 5_000
/** Texts of boots that a slot shares among what it keeps; they are copied anew when these are forgotten. */
const maxBootTexts = 1_000
/** A room's log lives 24 h; renewing it once an hour of use keeps it far from its end. */
export const renewEveryMs = 3_600_000

export function maintainLane(state: LaneState, now: number, effects: LaneEffect[]): void {
  if (now - state.maintainedAt < maintainEveryMs) return
  state.maintainedAt = now
  // Control may have seen the run before this worker did: it looks again.
  if (state.mode.type === 'unconfirmed') state.mode = { type: 'settling' }
  if (state.mode.type === 'serving') {
    const work = [...state.slots.values()].filter((own) => !own.needsClaim).map((own) => workFor(own, now))
    if (work.length > 0) effects.push({ type: 'maintain', work })
  }
  if (now - state.digestAt >= digestEveryMs) {
    state.digestAt = now
    for (const own of state.slots.values()) own.digestDue = own.active.size > 0
  }
  for (const own of state.slots.values()) {
    reapMarks(state, own, now)
    own.dropped.push(...expireMembers(own.members, now), ...expireLocks(own.locks, own.inc, now))
    if (own.boots.size > maxBootTexts) own.boots.clear()
    own.keys.expire(state.keysNow)
    own.keys.shrink()
  }
  for (const boot of state.missingSince.keys())
    if (![...state.slots.values()].some((own) => own.marks.has(boot))) state.missingSince.delete(boot)
  forgetRetained(state)
  evictRooms(state)
  for (const [boot, version] of state.asked)
    if (state.alive.has(boot) || state.membersVersion > version + 100) state.asked.delete(boot)
}

function workFor(own: SlotState, now: number): MaintenanceWork {
  const rooms: string[] = []
  for (const room of own.rooms.values()) {
    if (room.head === 0 || now - room.renewedAt < renewEveryMs || room.touchedAt <= room.renewedAt) continue
    room.renewedAt = now
    rooms.push(room.name)
  }
  return { slot: own.slot, prefix: ownershipPrefix(own), rooms }
}

/** Marks of a boot that has been gone for a while: whatever it may still send is refused as unknown. */
function reapMarks(state: LaneState, own: SlotState, now: number): void {
  if (state.membersVersion === 0) return
  for (const boot of own.marks.keys()) {
    if (state.alive.has(boot)) {
      state.missingSince.delete(boot)
      continue
    }
    const since = state.missingSince.get(boot)
    if (since === undefined) state.missingSince.set(boot, now)
    else if (now - since >= reapAfterMs) {
      own.marks.delete(boot)
      own.marksText = ''
    }
  }
}

/**
 * The least recently used rooms go first. One that was written since the oldest commit that is retained stays: its log may
 * lack what that has, and a room loaded from such a log would give out the same numbers again. So does one that input
 * waits for, and a log of events, which any input may need.
 */
function evictRooms(state: LaneState): void {
  let loaded = 0
  for (const own of state.slots.values()) loaded += own.rooms.size
  if (loaded <= state.limits.loadedRooms) return
  const since = retainedSince(state)
  const all: { own: SlotState; room: RoomState }[] = []
  for (const own of state.slots.values()) {
    const awaited = roomsAwaited(own)
    for (const room of own.rooms.values())
      if (room.writtenAt < since && !awaited.has(room.name) && !isEventLog(room.name)) all.push({ own, room })
  }
  all.sort((a, b) => a.room.touchedAt - b.room.touchedAt)
  for (const { own, room } of all.slice(0, loaded - state.limits.loadedRooms)) own.rooms.delete(room.name)
}

function roomsAwaited(own: SlotState): ReadonlySet<string> {
  const rooms = new Set<string>()
  for (const { entry } of own.pending) for (const message of entry?.messages ?? []) rooms.add(message.room)
  return rooms
}

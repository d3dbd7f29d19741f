import type { LaneEffect, LaneState } from './lane-state.ts'
import { eventLogs } from './outgoing.ts'
import { forgetTold, isTellDue } from './slot-outgoing.ts'
import type { SlotOutgoing } from './consume.ts'
import type { SlotState } from './slot-state.ts'

/** A slot of which the policy asks for events commits nothing before its log of them is loaded: this has the logs loaded. */
export function askForEventLogs(state: LaneState, effects: LaneEffect[]): void {
  const outgoing = state.policy?.outgoing ?? null
  if (outgoing === null) return
  for (const own of state.slots.values()) {
    const log = logOf(state, own)
    if (log === '' || own.rooms.has(log) || own.loading.has(log)) continue
    own.loading.add(log)
    effects.push({ type: 'loadRoom', slot: own.slot, read: own.reads, room: log })
  }
}

/** What to compose the slot's commits with: undefined when the policy asks for no events, `loading` when they have to wait. */
export function outgoingOf(state: LaneState, own: SlotState): SlotOutgoing | 'loading' | undefined {
  const policy = state.policy?.outgoing ?? null
  if (policy === null) return undefined
  const log = logOf(state, own)
  return own.rooms.has(log) ? { policy, log } : 'loading'
}

/** Whether the slot has something to tell that no input asks for. */
export function hasToTell(own: SlotState, outgoing: SlotOutgoing | undefined, now: number): boolean {
  return outgoing !== undefined && isTellDue(own.told, now)
}

/** Under another policy, or another owner, every room is looked at anew. */
export function reviewTold(state: LaneState, own: SlotState): void {
  if ((state.policy?.outgoing ?? null) === null) forgetTold(own.told, own.dropped)
  else own.told.isNew = true
}

/** `''` while no plan says how many slots there are. */
function logOf(state: LaneState, { slot }: SlotState): string {
  const slots = state.plan?.slots.length ?? 0
  if (state.eventLogs.length !== slots) state.eventLogs = eventLogs(slots)
  return state.eventLogs[slot] ?? ''
}

import type { SlotValues } from './commit.ts'
import { parseSlotValue, slotPrefix } from './commit.ts'
import { claimAssigned, isReplaced, ownPrefix, releaseSlot } from './lane-state.ts'
import type { Flight, LaneEffect, LaneState } from './lane-state.ts'
import { fetchRetained, retain } from './lane-retained.ts'
import type { Retained } from './retained.ts'
import { composeCommit, missingFrom, seek } from './slot-state.ts'
import type { SlotState } from './slot-state.ts'

/**
 * Recovery of a lane, the same after a lost reply, a fence, a restart, and a server that went back in time:
 * settling → verifying (→ unconfirmed) → applying → vouching → serving. Each step that fails begins again at settling.
 */

/** Begins to verify once nothing is under way any more. */
export function settle(state: LaneState, effects: LaneEffect[]): void {
  if (state.mode.type !== 'settling' || state.inFlight.length > 0) return
  if (state.slots.size === 0) {
    // Nothing to verify; the next claim tells the run.
    state.run = undefined
    state.mode = { type: 'serving' }
    claimAssigned(state, effects)
    return
  }
  state.mode = { type: 'verifying' }
  effects.push({ type: 'values', slots: [...state.slots.keys()] })
}

/** Compares what the store has with what this worker composed. */
export function verify(state: LaneState, found: SlotValues, effects: LaneEffect[]): void {
  if (state.mode.type !== 'verifying') return
  if (found.run !== state.run && !isNamed(state, found.run)) {
    // The store may have lost a claim that only control remembers: an owner that went on now could be an old one.
    state.mode = { type: 'unconfirmed', run: found.run }
    effects.push({ type: 'report' })
    return
  }
  // Those that were claimed while the values were read are looked at next time.
  const read = [...state.slots.values()].filter(({ slot }) => found.values.has(slot))
  const changed = new Set(read.filter((own) => (own.returnedTo ?? state.run) !== found.run))
  state.run = found.run
  for (const own of changed) own.returnedTo = found.run
  if ([...state.slots.values()].some((own) => isBehind(own, found.values.get(own.slot)))) fetchRetained(state)
  const next = new Map<number, number>()
  for (const own of [...state.slots.values()]) {
    // A slot claimed while the values were read: its claim is newer than they are.
    if (!found.values.has(own.slot)) {
      state.mode = { type: 'settling' }
      continue
    }
    const missing = examine(
      state,
      own,
      { text: found.values.get(own.slot) ?? null, changed: changed.has(own) },
      effects,
    )
    // What is found there counts as answered, or it would be retained for ever, and all that follows it too.
    for (const commit of own.chain.slice(0, missing ?? 0)) commit.okAt ??= state.steppedAt
    if (missing !== undefined && missing < own.chain.length) next.set(own.slot, missing)
  }
  if (state.mode.type === 'settling') return settle(state, effects)
  claimAssigned(state, effects)
  state.mode = { type: 'applying', next }
  advance(state, next, effects)
}

/**
 * Whether control has seen the server under this run. A server that does not tell its run never proves a claim either, so a
 * worker may begin there.
 */
export function isNamed(state: LaneState, run: string): boolean {
  return state.plan?.runs.includes(run) === true || (run === '' && state.run === undefined)
}

/** Whether the store lacks what is not in the slot's chain any more. Undefined: it was not asked for this slot. */
function isBehind(own: SlotState, text: string | null | undefined): boolean {
  if (text === undefined) return false
  if (text === null) return true
  const { epoch, n } = parseSlotValue(text)
  return epoch < own.epoch || (epoch === own.epoch && n < own.base.n)
}

interface Found {
  readonly text: string | null
  readonly changed: boolean
}

/** Index of the first commit of the chain that the store lacks; undefined when the slot cannot be written for now. */
function examine(state: LaneState, own: SlotState, found: Found, effects: LaneEffect[]): number | undefined {
  const stored = found.text === null ? undefined : parseSlotValue(found.text)
  const assigned = state.plan?.slots[own.slot]
  const newest =
    assigned === undefined || assigned === null
      ? 0
      : Math.max(assigned.confirmed, assigned.worker === own.owner ? (assigned.rival ?? 0) : assigned.epoch)
  // Under a run that was replaced, a claim of that time proves nothing to the next owner: this one needs a newer one.
  const isOld = isReplaced(state, own)
  // Who was here all the time has nothing of what others wrote on another server in between.
  if ((found.changed || isOld) && newest > own.epoch) return release(state, own, effects)
  // My own claim whose answer is still under way is no stranger's: that answer decides what becomes of the chain.
  if (stored?.owner === own.owner && stored.epoch > own.epoch && state.claiming.get(own.slot)?.epoch === stored.epoch)
    return undefined
  if (
    stored !== undefined &&
    (stored.epoch > own.epoch || (stored.epoch === own.epoch && stored.owner !== own.owner))
  ) {
    return release(state, own, effects)
  }
  if (stored === undefined || stored.epoch < own.epoch) {
    const prefix = stored === undefined ? undefined : slotPrefix(stored)
    return waitForClaim(own, prefix !== undefined && prefix === replaced(own) ? prefix : undefined, effects)
  }
  const missing = missingFrom(own, stored.n, stored.token)
  if (missing === undefined) {
    // Above or beside the chain under my own name: not even a server that went back can do that. Drop it, loudly.
    if (stored.n >= own.base.n) return drop(state, own, effects)
    return waitForClaim(own, undefined, effects)
  }
  if (isOld) own.needsClaim = true
  if (found.changed) {
    for (const commit of own.chain.slice(missing)) commit.cursor = stored.cursor
    seek(own, stored.cursor)
    if (!own.needsClaim) effects.push({ type: 'read', slot: own.slot, cursor: own.cursor, read: own.reads })
  }
  if (!own.needsClaim) return missing
  return waitForClaim(own, slotPrefix(stored), effects)
}

/** What the claim replaced, when every commit since that claim is there to be written again. */
function replaced(own: SlotState): string | undefined {
  return own.base.n === own.claimed.n && own.base.token === own.claimed.token ? own.before : undefined
}

function release(state: LaneState, own: SlotState, effects: LaneEffect[]): undefined {
  releaseSlot(state, own, 'fenced', effects)
}

function drop(state: LaneState, own: SlotState, effects: LaneEffect[]): undefined {
  releaseSlot(state, own, 'conflict', effects)
}

/** Keeps the chain but neither reads nor writes the slot until control gives it a new epoch. */
function waitForClaim(own: SlotState, holdsAfter: string | undefined, effects: LaneEffect[]): undefined {
  own.needsClaim = true
  own.holdsAfter = holdsAfter
  seek(own, own.cursor)
  effects.push({ type: 'report' })
}

/** Sends the next missing commit of every slot that lags, then vouches, then serves. */
function advance(state: LaneState, next: Map<number, number>, effects: LaneEffect[]): void {
  const parts: { slot: number; commit: Retained }[] = []
  const commits = []
  for (const [slot, index] of next) {
    const own = state.slots.get(slot)
    const commit = own?.chain[index]
    if (own === undefined || commit === undefined || own.needsClaim) {
      next.delete(slot)
      continue
    }
    parts.push({ slot, commit })
    commits.push(composeCommit(own, index))
  }
  if (parts.length > 0) {
    const id = (state.flights += 1)
    state.inFlight.push({ id, parts })
    effects.push({ type: 'commit', id, commits, messages: 0, run: state.run ?? '' })
    return
  }
  vouch(state, effects)
}

export function applied(state: LaneState, flight: Flight, effects: LaneEffect[]): void {
  if (state.mode.type !== 'applying') return
  const { next } = state.mode
  for (const part of flight.parts) next.set(part.slot, (next.get(part.slot) ?? 0) + 1)
  advance(state, next, effects)
}

/** Only now, with the whole chain in the store, may its run stand in the slots. */
function vouch(state: LaneState, effects: LaneEffect[]): void {
  const prefixes = new Map<number, string>()
  for (const own of state.slots.values()) {
    if (!own.needsClaim && own.run !== state.run) prefixes.set(own.slot, ownPrefix(own))
  }
  if (prefixes.size === 0) return serve(state)
  state.mode = { type: 'vouching' }
  const id = (state.flights += 1)
  state.inFlight.push({ id, parts: [] })
  effects.push({ type: 'vouch', id, prefixes, run: state.run ?? '' })
}

export function vouched(state: LaneState): void {
  for (const own of state.slots.values()) if (!own.needsClaim && state.run !== undefined) own.run = state.run
  serve(state)
}

/** What the chains were needed for is written: they leave them at once, or what is written next would give way to them. */
function serve(state: LaneState): void {
  state.mode = { type: 'serving' }
  retain(state, state.slots.values(), state.steppedAt)
}

import type { Claim, ClaimReply, CommitReply, SlotCommit } from './commit.ts'
import { parseSlotValue } from './commit.ts'
import { dropConnections } from './connections.ts'
import { consume, needsRoom } from './consume.ts'
import { decodeInput, detached } from './entry.ts'
import { KeyWindow } from './key-window.ts'
import { maintainLane } from './lane-maintenance.ts'
import { askForEventLogs, hasToTell, outgoingOf, reviewTold } from './lane-outgoing.ts'
import { applied, isNamed, settle, verify, vouched } from './lane-recovery.ts'
import { retain } from './lane-retained.ts'
import { claimAssigned, isReplaced, releaseSlot } from './lane-state.ts'
import type { Clock, Flight, LaneEffect, LaneInput, LaneState, RoomRead, SlotRead } from './lane-state.ts'
import { maxCommitsInFlight } from './limits.ts'
import type { RoomLimits } from './limits.ts'
import { openLocks } from './locks.ts'
import { hasChanges, listEdges, loseMembers } from './members.ts'
import { eventLogLimits, isEventLog } from './outgoing.ts'
import { mergeReplaced } from './plan.ts'
import type { Plan } from './plan.ts'
import { historyOf } from './policy.ts'
import type { Policy } from './policy.ts'
import type { Retained } from './retained.ts'
import { loadRoom } from './room-state.ts'
import { composeCommit, missingFrom, ownSlot, rebase, seek } from './slot-state.ts'
import type { SlotState } from './slot-state.ts'

/** Slot → epoch of what this worker serves, negative or 0 for what it needs a new epoch for: its heartbeat says so. */
export function ownedEpochs(state: LaneState): Map<number, number> {
  const owned = new Map<number, number>()
  for (const [slot, own] of state.slots) owned.set(slot, own.needsClaim ? -own.epoch : own.epoch)
  for (const slot of state.refused.keys()) if (!state.slots.has(slot)) owned.set(slot, 0)
  return owned
}

/** Slot → the server's run under which all that was committed in it is there and vouched for: others can go on from these, and from no other. */
export function vouchedRuns(state: LaneState): Map<number, string> {
  const vouched = new Map<number, string>()
  const { mode, run } = state
  if (mode.type !== 'serving' || run === undefined) return vouched
  for (const [slot, own] of state.slots) if (!own.needsClaim && own.run === run) vouched.set(slot, run)
  return vouched
}

/** Bytes read and not yet consumed: the shell stops reading above its limit. */
export function pendingBytes(state: LaneState): number {
  let bytes = 0
  for (const own of state.slots.values()) bytes += own.pendingBytes
  return bytes
}

/**
 * The slots of one lane at one worker: claims, commits, recovery. A pure reducer: `stepLane(state, input, now)` changes
 * `state`, which belongs to it, and returns what is to be done. The shell answers every effect with one input,
 * whatever it takes (a store that is away is asked again).
 *
 * While `serving`, at most two commits are under way, the second following the first. Anything unexpected (a status
 * other than ok, a failed call, another run) leads to one way of recovery (lane-recovery.ts): let everything under way
 * settle, read what the store has, apply what it lacks, vouch, serve on. Nothing that was composed is composed anew.
 */
export function stepLane(state: LaneState, input: LaneInput, clock: Clock): LaneEffect[] {
  const effects: LaneEffect[] = []
  advanceKeys(state, clock.now)
  switch (input.type) {
    case 'plan':
      takePlan(state, input.plan, effects)
      break
    case 'members':
      takeMembers(state, input.alive)
      break
    case 'claimed':
      takeClaim(state, input, effects)
      break
    case 'entries':
      for (const read of input.reads) takeEntries(state, read, effects)
      break
    case 'rooms':
      for (const room of input.rooms) takeRoom(state, room, clock.now)
      break
    case 'committed':
      takeReply(state, input.id, input.reply, { effects, now: clock.now })
      break
    case 'commitFailed':
      state.inFlight = state.inFlight.filter((flight) => flight.id !== input.id)
      state.mode = { type: 'settling' }
      break
    case 'values':
      verify(state, input.values, effects)
      break
    case 'run':
      takeRun(state, input.run)
      break
    case 'forgotten':
      if (state.mode.type === 'serving') state.mode = { type: 'settling' }
      break
    case 'policy':
      takePolicy(state, input.policy)
      break
    case 'tick':
      maintainLane(state, clock.now, effects)
      break
  }
  settle(state, effects)
  if (state.claimsWait) claimAssigned(state, effects)
  askForEventLogs(state, effects)
  pump(state, clock, effects)
  return effects
}

/** Time without an ok after which a store that owes one counts as away, ms. */
const awayAfterMs = 1_000

function advanceKeys(state: LaneState, now: number): void {
  const waits = state.inFlight.length > 0 || state.mode.type !== 'serving'
  if (!waits || now - state.lastOk <= awayAfterMs) state.keysNow += now - state.steppedAt
  state.steppedAt = now
}

function takePlan(state: LaneState, plan: Plan, effects: LaneEffect[]): void {
  if (state.plan !== null && plan.version < state.plan.version) return
  const replaced = mergeReplaced(state.plan?.replaced, plan.replaced)
  state.plan = replaced === undefined ? plan : { ...plan, replaced }
  for (const slot of state.refused.keys()) if (plan.slots[slot]?.worker !== state.owner) state.refused.delete(slot)
  for (const own of [...state.slots.values()]) {
    const assigned = plan.slots[own.slot]
    if (assigned === undefined || assigned === null || assigned.epoch <= own.epoch) continue
    if (assigned.worker === state.owner) {
      // What is under way is answered and the store read first, so that the new claim can prove what it holds.
      own.needsClaim = true
      state.mode = { type: 'settling' }
    } else if (assigned.confirmed >= assigned.epoch) {
      releaseSlot(state, own, 'moved', effects)
    }
  }
  renewReplaced(state)
  claimAssigned(state, effects)
  if (state.mode.type === 'unconfirmed' && plan.runs.includes(state.mode.run)) state.mode = { type: 'settling' }
}

/** Slots under a claim that proves nothing to the next owner get another: what is under way is answered first. */
function renewReplaced(state: LaneState): void {
  if (state.mode.type !== 'serving') return
  for (const own of state.slots.values())
    if (!own.needsClaim && isReplaced(state, own)) state.mode = { type: 'settling' }
}

/** In every other mode the store is being read, and tells its run itself. */
function takeRun(state: LaneState, run: string): void {
  const { mode } = state
  if (mode.type === 'serving' && state.run !== undefined && run !== state.run) state.mode = { type: 'settling' }
  if (mode.type === 'unconfirmed' && run !== mode.run) state.mode = { type: 'settling' }
}

function takeMembers(state: LaneState, alive: ReadonlySet<string>): void {
  state.alive = alive
  state.membersVersion += 1
  for (const own of state.slots.values()) {
    // One that registered and declared itself shortly before the claim need not be in a list that was read before it.
    if (state.membersVersion < own.listsAtClaim + 2) continue
    for (const [room, boots] of own.interest) {
      for (const boot of boots) if (!alive.has(boot)) dropInterest(own, room, boot)
    }
    listEdges(own.members, alive, state.steppedAt)
    for (const row of dropConnections(own.connections, (boot) => !alive.has(boot))) own.dropped.push(row)
  }
}

/** What a dead boot had declared is removed with the next commit. */
function dropInterest(own: SlotState, room: string, boot: string): void {
  const boots = own.interest.get(room)
  if (boots?.delete(boot) !== true) return
  if (boots.size === 0) own.interest.delete(room)
  own.dropped.push({ room, boot, on: false })
}

function takeClaim(state: LaneState, input: Extract<LaneInput, { type: 'claimed' }>, effects: LaneEffect[]): void {
  const { claim, reply } = input
  if (state.claiming.get(claim.slot) !== claim) return
  state.claiming.delete(claim.slot)
  // A run that no plan names yet may be one that control never sees: nothing is committed under it until it does.
  if (state.run === undefined && isNamed(state, reply.run)) state.run = reply.run
  else if (reply.run !== state.run) state.mode = { type: 'settling' }
  const own = state.slots.get(claim.slot)
  if (!reply.ok || tookElsewhere(claim, reply, own)) {
    state.refused.set(claim.slot, claim.epoch)
    // Another server than the one of which it said what it holds: it looks what this one has, and asks for another epoch.
    const isOther = claim.holdsAfter !== undefined && claim.holdsAfter.run !== reply.run
    if (own !== undefined && !isOther) releaseSlot(state, own, 'fenced', effects)
    effects.push({ type: 'report' })
    return
  }
  state.refused.delete(claim.slot)
  const value = parseSlotValue(reply.value)
  const held = own?.holdsAfter === undefined ? undefined : parseSlotValue(own.holdsAfter)
  // Each change of owner advances n, so only a claim made right after the value that was found leaves n + 1.
  if (own !== undefined && held !== undefined && value.inc === own.inc && value.n === held.n + 1) {
    const first = own.before === own.holdsAfter ? 0 : missingFrom(own, held.n, held.token)
    state.retainedBytes -= rebase(own, first ?? 0, value)
    own.needsClaim = false
    own.holdsAfter = undefined
    seek(own, value.cursor)
    effects.push({ type: 'read', slot: own.slot, cursor: own.cursor, read: own.reads })
    // The claim did not vouch: what the store lacks is written first.
    if (own.chain.length > 0 || own.run !== state.run) state.mode = { type: 'settling' }
    return
  }
  if (own !== undefined) releaseSlot(state, own, 'reclaimed', effects)
  const fresh = ownSlot(claim.slot, reply.value, input.interest, new KeyWindow(state.seed, state.keyBudget))
  fresh.before = reply.before
  fresh.returnedTo = reply.run
  state.slots.set(claim.slot, fresh)
  fresh.listsAtClaim = state.membersVersion
  fresh.claimedAtMs = state.steppedAt
  reviewTold(state, fresh)
  // A slot that nobody ever had has lost nothing.
  fresh.dropped.push(...openLocks(fresh.locks, fresh.inc, claim.confirmed === 0 && reply.before === undefined))
  if (input.interest.some(({ boot }) => !state.alive.has(boot))) effects.push({ type: 'members' })
  effects.push({ type: 'read', slot: fresh.slot, cursor: fresh.cursor, read: fresh.reads }, { type: 'report' })
  renewReplaced(state)
}

/**
 * A repeated claim that was taken under another run proves nothing about this one: what others did in between may be
 * lost. Only a claim that is to be followed by the commits it holds leaves an older run in the slot, and it is when its owner
 * still has them.
 */
function tookElsewhere(claim: Claim, reply: Extract<ClaimReply, { ok: true }>, own: SlotState | undefined): boolean {
  const follows = claim.holdsAfter !== undefined && own?.holdsAfter === claim.holdsAfter.prefix
  return !follows && parseSlotValue(reply.value).run !== reply.run
}

function takeEntries(state: LaneState, input: SlotRead, effects: LaneEffect[]): void {
  const own = state.slots.get(input.slot)
  if (own === undefined || own.reads !== input.read) return
  for (const { id, body } of input.entries) {
    const entry = decodeInput(body)
    own.pending.push({ id, body, entry })
    own.pendingBytes += body.length
    for (const message of entry?.messages ?? []) {
      if (!needsRoom(message) || own.rooms.has(message.room) || own.loading.has(message.room)) continue
      const room = detached(message.room)
      own.loading.add(room)
      effects.push({ type: 'loadRoom', slot: own.slot, read: own.reads, room })
    }
  }
}

function takeRoom(state: LaneState, input: RoomRead, now: number): void {
  const own = state.slots.get(input.slot)
  if (own === undefined || own.reads !== input.read || !own.loading.delete(input.room)) return
  own.rooms.set(
    input.room,
    loadRoom(input.room, input.entries, own.keys, { now, keysNow: state.keysNow, limits: limitsOf(state, input.room) }),
  )
}

function limitsOf({ policy, limits: { rooms } }: LaneState, room: string): RoomLimits {
  if (isEventLog(room)) return eventLogLimits(rooms, policy?.outgoing ?? null)
  const { events } = policy === null ? { events: rooms.historyEvents } : historyOf(policy, room)
  return events === rooms.historyEvents ? rooms : { ...rooms, historyEvents: events }
}

function takePolicy(state: LaneState, policy: Policy): void {
  state.policy = policy
  for (const own of state.slots.values()) {
    for (const room of own.rooms.values()) room.limits = limitsOf(state, room.name)
    reviewTold(state, own)
  }
}

function takeReply(state: LaneState, id: number, reply: CommitReply, at: { effects: LaneEffect[]; now: number }): void {
  const flight = state.inFlight.find((each) => each.id === id)
  if (flight === undefined) return
  state.inFlight = state.inFlight.filter((each) => each !== flight)
  const vouch = flight.parts.length === 0
  const ok = reply.statuses.every((status) => status === 'ok')
  if (ok) {
    state.lastOk = at.now
    for (const part of flight.parts) part.commit.okAt = at.now
    for (const boot of reply.missing) forgetBoot(state, boot)
  }
  flight.parts.forEach(({ slot }, i) => {
    const own = reply.statuses[i] === 'conflict' ? state.slots.get(slot) : undefined
    // Written again it would meet the same.
    if (own !== undefined) releaseSlot(state, own, 'conflict', at.effects)
  })
  // A write under another run than the lane's may have met an older state: it is read before anything else is sent.
  if (!ok || reply.run !== state.run) state.mode = { type: 'settling' }
  else if (state.mode.type === 'applying') applied(state, flight, at.effects)
  else if (state.mode.type === 'vouching' && vouch) vouched(state)
  else if (state.mode.type === 'serving') retain(state, owners(state, flight), at.now)
}

function* owners(state: LaneState, flight: Flight): Iterable<SlotState> {
  for (const { slot } of flight.parts) {
    const own = state.slots.get(slot)
    if (own !== undefined) yield own
  }
}

/** A boot whose outbox is gone was declared dead, or declares everything again. */
function forgetBoot(state: LaneState, boot: string): void {
  for (const own of state.slots.values()) {
    for (const room of [...own.interest.keys()]) dropInterest(own, room, boot)
    loseMembers(own.members, (each) => each === boot, state.steppedAt)
    for (const row of dropConnections(own.connections, (each) => each === boot)) own.dropped.push(row)
  }
}

/** Composes and sends commits while there is something to commit and room in flight. */
function pump(state: LaneState, clock: Clock, effects: LaneEffect[]): void {
  while (state.mode.type === 'serving' && state.inFlight.length < maxCommitsInFlight) {
    if (state.retainedBytes > 2 * state.limits.retainedBytes) return
    const batch = composeBatch(state, clock, effects)
    if (batch === undefined) return
    effects.push(batch)
  }
}

function composeBatch(state: LaneState, clock: Clock, effects: LaneEffect[]): LaneEffect | undefined {
  const budget = { messages: state.limits.commitMessages, bytes: state.limits.commitBytes }
  const parts: { slot: number; commit: Retained }[] = []
  const commits: SlotCommit[] = []
  const alive = (boot: string): 'yes' | 'no' | 'ask' => known(state, boot, effects)
  // The slot served first moves to the end, so that a busy slot cannot starve the others.
  for (const own of rotated(state)) {
    const outgoing = outgoingOf(state, own)
    if (own.needsClaim || outgoing === 'loading') continue
    if (!hasWork(own) && !hasToTell(own, outgoing, clock.now)) continue
    if (budget.messages <= 0 || budget.bytes <= 0) break
    const token = `t${(state.tokens += 1).toString(36)}`
    const { commit, poison } = consume(own, {
      now: clock.now,
      keysNow: state.keysNow,
      wallMs: clock.wallMs,
      token,
      alive,
      isListed: (boot) => state.alive.has(boot),
      budget,
      outgoing,
    })
    if (poison.length > 0) effects.push({ type: 'deadLetter', slot: own.slot, entries: poison })
    if (commit === undefined) continue
    state.retainedBytes += commit.bytes
    parts.push({ slot: own.slot, commit })
    commits.push(composeCommit(own, own.chain.length - 1))
  }
  if (parts.length === 0) return undefined
  const id = (state.flights += 1)
  state.inFlight.push({ id, parts })
  return { type: 'commit', id, commits, messages: state.limits.commitMessages - budget.messages, run: state.run ?? '' }
}

function hasWork(own: SlotState): boolean {
  return own.pending.length > 0 || own.dropped.length > 0 || own.digestDue || hasChanges(own.members)
}

function rotated(state: LaneState): SlotState[] {
  const all = [...state.slots.values()]
  const start = all.length === 0 ? 0 : state.flights % all.length
  return [...all.slice(start), ...all.slice(0, start)]
}

function known(state: LaneState, boot: string, effects: LaneEffect[]): 'yes' | 'no' | 'ask' {
  if (state.alive.has(boot)) return 'yes'
  const askedAt = state.asked.get(boot)
  if (askedAt === undefined) {
    state.asked.set(boot, state.membersVersion)
    effects.push({ type: 'members' })
    return 'ask'
  }
  if (state.membersVersion === askedAt) return 'ask'
  if (state.membersVersion === askedAt + 1) {
    // The list that came first may have been read before the question.
    effects.push({ type: 'members' })
    return 'ask'
  }
  state.asked.delete(boot)
  return 'no'
}

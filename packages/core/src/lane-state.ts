import type { Claim, ClaimReply, CommitReply, SlotCommit, SlotValues } from './commit.ts'
import type { Interest } from './interest.ts'
import type { Poison } from './consume.ts'
import type { LogEntry } from './entry.ts'
import type { KeyBudget } from './key-window.ts'
import { laneLimits } from './limits.ts'
import type { LaneLimits } from './limits.ts'
import type { Plan } from './plan.ts'
import type { Policy } from './policy.ts'
import type { Retained, RetainedBatch } from './retained.ts'
import { prefixAt, tip } from './slot-state.ts'
import type { SlotState } from './slot-state.ts'

/** The state of a worker's lane, what goes in and what comes out; the reducer itself is in lane.ts. */
export interface LaneState {
  readonly lane: number
  /** Slot `s` is in lane `s mod lanes`. */
  readonly lanes: number
  /** `id#boot` of this worker. */
  readonly owner: string
  /** Random: nobody is to know what the keys hash to (key-window.ts). */
  readonly seed: number
  readonly limits: LaneLimits
  /** Says how much rooms keep; null: all of them what the limits say. */
  policy: Policy | null
  readonly keyBudget: KeyBudget
  readonly slots: Map<number, SlotState>
  /** Claims under way, by slot. */
  readonly claiming: Map<number, Claim>
  /** Epochs that the store refused; a newer one must come from control. */
  readonly refused: Map<number, number>
  /** Some of the slots that the plan assigns are claimed later. */
  claimsWait: boolean
  /** Since when, ms of the lane's clock. */
  claimsHeldAtMs: number
  inFlight: Flight[]
  mode: LaneMode
  /** The server state that this worker knows its slots to be vouched under. */
  run: string | undefined
  plan: Plan | null
  /** By slot, once they are needed (outgoing.ts). */
  eventLogs: readonly string[]
  alive: ReadonlySet<string>
  /** Counts lists of members; an unknown boot is judged by a list that was read after the question. */
  membersVersion: number
  readonly asked: Map<string, number>
  /** When a boot with marks was first missing from the list. */
  readonly missingSince: Map<string, number>
  tokens: number
  flights: number
  /** When the store last said ok. */
  lastOk: number
  /** What the store said ok to lately, oldest first. */
  retained: RetainedBatch[]
  /** Of `retained` and of the slots' chains. */
  retainedBytes: number
  /**
   * The clock by which publish keys are forgotten. It stands while a commit waits for a store that does not say ok: two
   * minutes after a message was committed are meant, not after it was ordered.
   */
  keysNow: number
  steppedAt: number
  maintainedAt: number
  digestAt: number
}
/** What is under way: the commits of a batch, or a vouch (no parts). */
export interface Flight {
  readonly id: number
  readonly parts: readonly { readonly slot: number; readonly commit: Retained }[]
}
export type LaneMode =
  | { readonly type: 'serving' }
  /** Something failed: nothing new is sent until all that is under way has been answered. */
  | { readonly type: 'settling' }
  | { readonly type: 'verifying' }
  /** The server is another than before; control must have seen it too, and then it is verified again. */
  | { readonly type: 'unconfirmed'; readonly run: string }
  /** Writes what the store lacks: per slot the index in its chain of the next commit to write. */
  | { readonly type: 'applying'; readonly next: Map<number, number> }
  | { readonly type: 'vouching' }

export type LaneInput =
  | { readonly type: 'plan'; readonly plan: Plan }
  | { readonly type: 'members'; readonly alive: ReadonlySet<string> }
  | {
      readonly type: 'claimed'
      readonly claim: Claim
      readonly reply: ClaimReply
      readonly interest: readonly Interest[]
    }
  /** What one read of the lane brought: together, so that they go into as few commits as possible. */
  | { readonly type: 'entries'; readonly reads: readonly SlotRead[] }
  /** Logs that were read: together, so that what waited for them goes into as few commits as possible. */
  | { readonly type: 'rooms'; readonly rooms: readonly RoomRead[] }
  | { readonly type: 'committed'; readonly id: number; readonly reply: CommitReply }
  /** The call failed or its outcome is unknown. */
  | { readonly type: 'commitFailed'; readonly id: number }
  | { readonly type: 'values'; readonly values: SlotValues }
  | { readonly type: 'run'; readonly run: string }
  /** The store does not know this worker any more: it may have lost its slots too, without another run to tell it. */
  | { readonly type: 'forgotten' }
  /** Rooms keep as much as this one says from now on. */
  | { readonly type: 'policy'; readonly policy: Policy }
  | { readonly type: 'tick' }

/** The log of one room, oldest entry first; `read` is that of the effect that asked for it. */
export interface RoomRead {
  readonly slot: number
  readonly read: number
  readonly room: string
  readonly entries: readonly LogEntry[]
}

/** Entries of one slot; `read` is that of the effect that asked for them. */
export interface SlotRead {
  readonly slot: number
  readonly read: number
  readonly entries: readonly { readonly id: string; readonly body: string }[]
}

export type LaneEffect =
  /** Claim, and if it is taken read the slot's interest. */
  | { readonly type: 'claim'; readonly claim: Claim }
  /** Read the slot's input from here on; replaces an earlier read of the slot. */
  | { readonly type: 'read'; readonly slot: number; readonly cursor: string; readonly read: number }
  /** The slot is not this worker's any more. */
  | { readonly type: 'release'; readonly slot: number; readonly reason: ReleaseReason }
  | { readonly type: 'loadRoom'; readonly slot: number; readonly read: number; readonly room: string }
  /** Not to be written under another run: that server may lack what this worker never heard of. */
  | {
      readonly type: 'commit'
      readonly id: number
      readonly commits: readonly SlotCommit[]
      readonly messages: number
      readonly run: string
    }
  | { readonly type: 'values'; readonly slots: readonly number[] }
  | {
      readonly type: 'vouch'
      readonly id: number
      readonly prefixes: ReadonlyMap<number, string>
      readonly run: string
    }
  | { readonly type: 'maintain'; readonly work: readonly MaintenanceWork[] }
  | { readonly type: 'deadLetter'; readonly slot: number; readonly entries: readonly Poison[] }
  /** Read the list of members now. */
  | { readonly type: 'members' }
  /** Send a heartbeat now: control is to see the new run, or that a slot needs a new epoch. */
  | { readonly type: 'report' }
export type ReleaseReason = 'fenced' | 'moved' | 'conflict' | 'reclaimed'

export interface Clock {
  /** Monotonic, ms. */
  readonly now: number
  /** Wall clock, ms since 1970. */
  readonly wallMs: number
}

export function createLane(
  lane: number,
  lanes: number,
  owner: string,
  { seed = 0, limits = laneLimits }: { readonly seed?: number; readonly limits?: LaneLimits } = {},
): LaneState {
  return {
    seed,
    limits,
    policy: null,
    keyBudget: { used: 0, max: limits.rememberedKeys },
    lane,
    lanes,
    owner,
    slots: new Map(),
    claiming: new Map(),
    refused: new Map(),
    claimsWait: false,
    claimsHeldAtMs: 0,
    inFlight: [],
    mode: { type: 'serving' },
    run: undefined,
    plan: null,
    eventLogs: [],
    alive: new Set(),
    membersVersion: 0,
    asked: new Map(),
    missingSince: new Map(),
    tokens: 0,
    flights: 0,
    lastOk: -Infinity,
    retained: [],
    retainedBytes: 0,
    keysNow: 0,
    steppedAt: 0,
    maintainedAt: -Infinity,
    digestAt: 0,
  }
}

/** What a worker does once a second for its slots, fenced like a commit but without following one. */
export interface MaintenanceWork {
  readonly slot: number
  /** `epoch|owner|`: holds for every commit of this owner. */
  readonly prefix: string
  /** Rooms whose log is to live a day longer. */
  readonly rooms: readonly string[]
}

/** Claims what the plan gives this worker and it does not have. Slots it has already are claimed after `verify`. */
export function claimAssigned(state: LaneState, effects: LaneEffect[]): void {
  if (!state.claimsWait) state.claimsHeldAtMs = state.steppedAt
  state.claimsWait = false
  state.plan?.slots.forEach((assigned, slot) => {
    if (assigned?.worker !== state.owner || !inLane(state, slot)) return
    const own = state.slots.get(slot)
    if (own !== undefined && (!own.needsClaim || own.epoch >= assigned.epoch || state.mode.type === 'settling')) return
    if ((state.claiming.get(slot)?.epoch ?? 0) >= assigned.epoch) return
    if ((state.refused.get(slot) ?? 0) >= assigned.epoch) return
    if (own === undefined && !state.claiming.has(slot) && (state.claimsWait || !mayClaim(state))) {
      state.claimsWait = true
      return
    }
    // A slot that lost commits it cannot apply again must change `inc`, whatever the store can prove.
    const confirmed = own !== undefined && own.holdsAfter === undefined ? assigned.epoch : assigned.confirmed
    const claim: Claim = {
      slot,
      epoch: assigned.epoch,
      owner: state.owner,
      confirmed,
      ...(state.plan?.replaced === undefined ? {} : { replaced: state.plan.replaced }),
      ...(own?.holdsAfter === undefined
        ? {}
        : { holdsAfter: { prefix: own.holdsAfter, inc: own.inc, run: state.run ?? '' } }),
      boots: [...state.alive],
    }
    state.claiming.set(slot, claim)
    effects.push({ type: 'claim', claim })
  })
}

/** Of the slots of a plan, so many are claimed at the same time, at the least. */
const leastClaims = 2
const claimShare = 1 / 64
/** What is loaded of a slot holds others back for so long, ms, and they are held back so long in all: control waits 5 s for a claim. */
const loadingHoldsMs = 500
const claimsHeldMs = 2_000

/**
 * Slots that come from others are claimed a few at a time, and the next ones when what waits for those has been loaded: until it is
 * claimed a slot is served by its owner, if that lives, and once it is nobody commits before its rooms are read.
 */
function mayClaim(state: LaneState): boolean {
  if (state.steppedAt - state.claimsHeldAtMs > claimsHeldMs) return true
  if (state.claiming.size >= Math.max(leastClaims, (state.plan?.slots.length ?? 0) * claimShare)) return false
  for (const own of state.slots.values())
    if (own.loading.size > 0 && state.steppedAt - own.claimedAtMs < loadingHoldsMs) return false
  return true
}

/** Whether the slot's claim is from before the server's run was replaced by another (plan.ts). */
export function isReplaced(state: LaneState, own: SlotState): boolean {
  return own.epoch <= (state.plan?.replaced?.[state.run ?? ''] ?? -1)
}

function inLane(state: LaneState, slot: number): boolean {
  return slot % state.lanes === state.lane
}

export function releaseSlot(state: LaneState, own: SlotState, reason: ReleaseReason, effects: LaneEffect[]): void {
  state.slots.delete(own.slot)
  own.keys.release()
  for (const commit of own.chain) state.retainedBytes -= commit.bytes
  // No commit will say of what is in the batches that its time is over.
  if (state.slots.size === 0) {
    state.retained = []
    state.retainedBytes = 0
  }
  effects.push({ type: 'release', slot: own.slot, reason })
}

/** The prefix that a slot's own last commit leaves in the store. */
export function ownPrefix(own: SlotState): string {
  return prefixAt(own, tip(own))
}

/** What a slot's value begins with as long as this worker owns it under this epoch, whatever its n. */
export function ownershipPrefix(own: SlotState): string {
  return `${own.epoch}|${own.owner}|`
}

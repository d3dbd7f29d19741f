import { formatMarks, parseSlotValue, slotPrefix } from './commit.ts'
import type { Mark, SlotCommit, SlotValue } from './commit.ts'
import type { Interest, InterestChange } from './interest.ts'
import { knowConnection } from './connections.ts'
import type { Connections } from './connections.ts'
import type { InputEntry } from './entry.ts'
import { KeyWindow } from './key-window.ts'
import { createLocks, knowLock } from './locks.ts'
import type { Locks } from './locks.ts'
import { createMembers, knowMember } from './members.ts'
import type { Members } from './members.ts'
import { createRateStore } from './rates.ts'
import type { RateStore } from './rates.ts'
import type { Retained } from './retained.ts'
import type { RoomState } from './room-state.ts'
import { nothingTold, toldBoot } from './slot-outgoing.ts'
import type { SlotTold } from './slot-outgoing.ts'

/** An entry that was read and waits to be consumed. `entry` is undefined when it could not be decoded. */
export interface PendingEntry {
  readonly id: string
  readonly body: string
  readonly entry: InputEntry | undefined
}

/**
 * A slot that this worker owns. `chain` holds the commits after `base`, contiguous in n: those under way, and after a server
 * went back in time those that it may lack. What it said ok to otherwise is in the lane's batches (lane-retained.ts).
 */
export interface SlotState {
  readonly slot: number
  epoch: number
  readonly owner: string
  inc: number
  run: string
  /** Last input entry consumed by a composed commit. */
  cursor: string
  readonly marks: Map<string, Mark>
  /** Cached text of `marks`. */
  marksText: string
  base: { n: number; token: string }
  chain: Retained[]
  readonly rooms: Map<string, RoomState>
  /** The publish keys of all its rooms. */
  readonly keys: KeyWindow
  readonly loading: Set<string>
  readonly interest: Map<string, Set<string>>
  /** Of users whose rooms are in the slot; only where their number is limited. */
  readonly connections: Connections
  readonly told: SlotTold
  /** Of rooms with presence. */
  readonly members: Members
  readonly locks: Locks
  /** What was leased lately of the rates of users. The next owner begins anew. */
  readonly rates: RateStore
  /** Texts of boots that were seen. */
  readonly boots: Map<string, string>
  /** Count of the lists of members when the slot was claimed: only the list after the next was surely read since. */
  listsAtClaim: number
  /** When it came from another owner, ms of the lane's clock. */
  claimedAtMs: number
  /** Changes that no input asked for: interest of dead boots to remove with the next commit. */
  dropped: InterestChange[]
  pending: PendingEntry[]
  pendingBytes: number
  /** Numbers the reads of input and rooms: an answer to an older one is ignored. */
  reads: number
  /** Rooms with events since the last digest. */
  readonly active: Set<string>
  digestDue: boolean
  /** The store lost the claim or more commits than are retained: a new epoch is needed before the next commit. */
  needsClaim: boolean
  /** The prefix found in the store when this chain follows it; lets a new claim keep `inc`. */
  holdsAfter: string | undefined
  /** The claim under which it is owned, and the prefix that the claim replaced. */
  claimed: { readonly n: number; readonly token: string }
  before: string | undefined
  /** The run to which the server changed under this owner, or under which it claimed: it knows of all that was written elsewhere. */
  returnedTo: string | undefined
}

export function ownSlot(slot: number, text: string, interest: readonly Interest[], keys = new KeyWindow(0)): SlotState {
  const value = parseSlotValue(text)
  const state: SlotState = {
    slot,
    epoch: value.epoch,
    owner: value.owner,
    inc: value.inc,
    run: value.run,
    cursor: value.cursor,
    marks: new Map(value.marks),
    marksText: formatMarks(value.marks),
    base: { n: value.n, token: value.token },
    chain: [],
    rooms: new Map(),
    keys,
    loading: new Set(),
    interest: new Map(),
    connections: new Map(),
    told: nothingTold(),
    members: createMembers(),
    locks: createLocks(),
    rates: createRateStore(),
    boots: new Map(),
    listsAtClaim: 0,
    claimedAtMs: 0,
    dropped: [],
    pending: [],
    pendingBytes: 0,
    reads: 0,
    active: new Set(),
    digestDue: false,
    needsClaim: false,
    holdsAfter: undefined,
    claimed: { n: value.n, token: value.token },
    before: undefined,
    returnedTo: undefined,
  }
  for (const row of interest) {
    const { room, boot, connection, member, lock, fences } = row
    if (boot === toldBoot) state.told.occupied.add(room)
    else if (lock !== undefined || fences !== undefined) knowLock(state.locks, row)
    else if (connection === undefined) interested(state, room).add(boot)
    else if (member !== undefined) knowMember(state.members, row, value.inc)
    else {
      const stale = knowConnection(state.connections, row, value.inc)
      if (stale !== undefined) state.dropped.push(stale)
    }
  }
  return state
}

export function interested(state: SlotState, room: string): Set<string> {
  let boots = state.interest.get(room)
  if (boots === undefined) state.interest.set(room, (boots = new Set()))
  return boots
}

/** The last commit of the chain, or what the chain follows. */
export function tip(state: SlotState): { readonly n: number; readonly token: string } {
  return state.chain.at(-1) ?? state.base
}

export function prefixAt(state: SlotState, at: { readonly n: number; readonly token: string }): string {
  return slotPrefix({ epoch: state.epoch, owner: state.owner, n: at.n, token: at.token })
}

/** Where in the chain the store stands: the index of the first commit it lacks, or undefined when it is not of this chain. */
export function missingFrom(state: SlotState, n: number, token: string): number | undefined {
  if (n === state.base.n && token === state.base.token) return 0
  const i = state.chain.findIndex((commit) => commit.n === n && commit.token === token)
  return i < 0 ? undefined : i + 1
}

/** The write of one commit of the chain. It carries the run last vouched for, never a newer one. */
export function composeCommit(state: SlotState, index: number): SlotCommit {
  const commit = state.chain[index]
  if (commit === undefined) throw new RangeError(`no commit ${index} in the chain of slot ${state.slot}`)
  const before = index === 0 ? state.base : (state.chain[index - 1] ?? state.base)
  const rest = `${state.inc}|${state.run}|${commit.cursor}|${commit.marks}`
  return {
    slot: state.slot,
    expect: prefixAt(state, before),
    value: prefixAt(state, commit) + rest,
    logs: commit.logs,
    outs: commit.outs,
    interest: commit.interest,
  }
}

/**
 * Gives the commits from `index` on new numbers, as the successors of a claim that was just made. Returns the bytes of
 * those before, which are let go of.
 */
export function rebase(state: SlotState, index: number, claimed: SlotValue): number {
  const dropped = state.chain.splice(0, index).reduce((sum, commit) => sum + commit.bytes, 0)
  for (const commit of state.chain) commit.cursor = claimed.cursor
  state.run = claimed.run
  state.before = undefined
  state.epoch = claimed.epoch
  state.base = { n: claimed.n, token: claimed.token }
  state.claimed = state.base
  state.chain.forEach((commit, i) => (commit.n = claimed.n + 1 + i))
  return dropped
}

/** Forgets what was read and not yet consumed: the input is read again from `cursor`. */
export function seek(state: SlotState, cursor: string): void {
  state.cursor = cursor
  state.reads += 1
  state.loading.clear()
  state.pending = []
  state.pendingBytes = 0
}

import type { Claim, ClaimReply, CommitReply, SlotCommit, SlotValues } from '@flotilla/core/commit'
import type { Interest } from '@flotilla/core/interest'
import type { Denial, DenialList } from '@flotilla/core/denials'
import type { LogEntry } from '@flotilla/core/entry'
import type { Member, Plan } from '@flotilla/core/plan'

/**
 * The port to the store. Two implementations, memory and Redis, are held by one contract suite (contract.ts).
 * Every call either resolves, or rejects with a {@link StoreError} within its deadline; `rooms.tail` has an error more.
 */
export interface Store {
  readonly inputs: InputStreams
  readonly slots: SlotStore
  readonly outboxes: Outboxes
  readonly rooms: RoomLogs
  readonly fleet: FleetStore
  readonly places: PlaceStore
  readonly shape: { readonly slots: number; readonly lanes: number }
  /** Replicas that must have a commit before its publishes are acknowledged; 0: the primary's own word is enough. */
  readonly ackReplicas: number
  /** Index of the primary that holds a lane; several lanes may share one. */
  primaryOf(lane: number): number
  /**
   * Calls back with the current run of every primary, and again whenever a primary's run turns out to have changed
   * (after a reconnect, or from a reply). Returns the disposer.
   */
  watchRuns(listener: (primary: number, run: string) => void): () => void
  close(): Promise<void>
}

/** `refused`: certainly not executed (not sent, or the server said no). `unknown`: it may have been, or may yet be. */
export class StoreError extends Error {
  readonly outcome: 'refused' | 'unknown'
  constructor(outcome: 'refused' | 'unknown', message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'StoreError'
    this.outcome = outcome
  }
}

export interface StreamEntry {
  readonly id: string
  readonly body: string
}
export interface ReadOptions {
  readonly blockMs: number
  readonly count: number
  readonly signal: AbortSignal
}

export interface InputStreams {
  /** Appends in call order per slot (as far as they are executed). A full server refuses it. What it resolves with means nothing. */
  append(slot: number, body: string): Promise<unknown>
  /**
   * Entries after each slot's cursor, in order, `count` per slot at the most; empty after `blockMs`. All slots are of
   * one lane. A call under way is woken by `wake(lane)`, so that a changed set of slots is read at once.
   */
  read(
    lane: number,
    cursors: ReadonlyMap<number, string>,
    options: ReadOptions,
  ): Promise<ReadonlyMap<number, readonly StreamEntry[]>>
  wake(lane: number): void
  /** The newest entries that the slot's input still has, newest first, `count` at the most, consumed or not. */
  newest(slot: number, count: number): Promise<readonly StreamEntry[]>
  /** Puts an entry that cannot be processed aside, with the reason; keeps the newest 10,000 per lane. */
  deadLetter(slot: number, entry: StreamEntry, reason: string): Promise<void>
}

export interface SlotStore {
  /**
   * Atomic: all of the commits, or none (see {@link CommitReply}). All slots are of one lane. When the server's run is
   * not `run` (`''`, or none: whatever it is) nothing is written, and every slot has `regressed`.
   */
  commit(lane: number, commits: readonly SlotCommit[], run?: string): Promise<CommitReply>
  claim(claim: Claim): Promise<ClaimReply>
  values(lane: number, slots: readonly number[]): Promise<SlotValues>
  /**
   * Writes the current run into each slot whose value still begins with its prefix; nothing unless all do, nor when that run is not
   * `run`, as for a commit.
   */
  vouch(lane: number, prefixes: ReadonlyMap<number, string>, run?: string): Promise<CommitReply>
  /**
   * Fenced like a commit: trims the slot's input below the stored cursor and renews the expiry of the rooms given.
   * A slot whose value does not begin with its prefix is left alone. Returns nothing: it is repeated every second.
   */
  maintain(lane: number, work: readonly { slot: number; prefix: string; rooms: readonly string[] }[]): Promise<void>
}

export interface OutboxRead {
  readonly exists: boolean
  readonly entries: readonly StreamEntry[]
  readonly run: string
}

export interface Outboxes {
  /** Creates the boot's outbox in the lane with a first entry. Does nothing when it exists. */
  open(lane: number, boot: string): Promise<void>
  /**
   * Entries after `after` (`'0-0'`: from the oldest), ids contiguous `1-0, 1-1, …` as long as none was trimmed or lost.
   * `exists: false` when the outbox is gone: the boot was declared dead, or the server lost it. `run` is the server's run
   * under which all of the entries were read; `''` when that is not certain, or `ackReplicas` is 0.
   */
  read(lane: number, boot: string, after: string, options: ReadOptions): Promise<OutboxRead>
  /**
   * Waits until `ackReplicas` replicas have everything that the lane's server had when this was called. Resolves with
   * that server's run, or `''` when they did not confirm it in time.
   */
  confirm(lane: number): Promise<string>
  /** Drops entries up to and including `through`. */
  trim(lane: number, boot: string, through: string): Promise<void>
  /** Removes the boot's outboxes of all lanes. */
  remove(boot: string): Promise<void>
}

export interface RoomLogs {
  /**
   * Log entries that contain a seq > `after`, oldest first, `limit` entries at the most. What this version cannot read is
   * left out: its reader meets a gap in seq.
   */
  range(room: string, after: number, limit: number): Promise<readonly LogEntry[]>
  /**
   * Log entries whose last seq is below `before`, newest first (`before` = Infinity: from the head). Rejects with
   * UnreadableLogError (core/whole-log.ts) when one of them cannot be read: a head that is not known must not be taken for
   * another.
   */
  tail(room: string, before: number, limit: number): Promise<readonly LogEntry[]>
  /**
   * Log entries that contain a seq above the one given, per room, oldest first, `count` per room at the most; empty after
   * `blockMs`. All rooms are of one lane. What this version cannot read rejects, as for `tail`.
   */
  follow(
    lane: number,
    after: ReadonlyMap<string, number>,
    options: ReadOptions,
  ): Promise<ReadonlyMap<string, readonly LogEntry[]>>
  /** Which boots declared interest in which rooms of the slot, and the connections that are counted there. */
  interest(slot: number): Promise<readonly Interest[]>
}

/** What each reader keeps of what was put aside for it, about. */
export const maxAside = 10_000

/** How far those have got who read on behalf of others, by name, and what they gave up. */
export interface PlaceStore {
  /** Null: there is none of that name. */
  read(name: string): Promise<{ readonly version: number; readonly text: string } | null>
  /** Writes it under `version` + 1, if its version is `version` (0: there is none). False: it is another, and nothing was written. */
  keep(name: string, version: number, text: string): Promise<boolean>
  /** Keeps the newest 10,000, about. */
  putAside(name: string, body: string): Promise<void>
  /** How many there are, and the newest of them, newest first. */
  aside(name: string, count: number): Promise<{ readonly total: number; readonly entries: readonly StreamEntry[] }>
}

export interface Beat {
  /** False when the record is gone: the member was declared dead, or the server lost it. Nothing was written then. */
  readonly known: boolean
  /** The current plan when its version is not the one given, else undefined. */
  readonly plan?: Plan
  readonly runs: readonly string[]
}

export interface FleetStore {
  /** Writes the member's record, whether or not it existed. */
  register(member: Member): Promise<void>
  /** Renews it; only if it exists. */
  heartbeat(member: Member, planVersion: number): Promise<Beat>
  /** All members and the plan, read together. */
  read(): Promise<{ readonly members: readonly Member[]; readonly plan: Plan | null; readonly runs: readonly string[] }>
  remove(boot: string): Promise<void>
  /**
   * The leader's writes. `lead` takes or renews the lease for `ttlMs` and returns whether `boot` has it: a higher `term` takes it from
   * whoever has it in a lower one (an election elsewhere decided), and in the same term nobody takes it from its holder; `plan` is
   * written only by its holder and only over a lower version. `nextEpoch` returns `count` epochs never issued before,
   * all above `above`, and the first of them.
   */
  lead(boot: string, ttlMs: number, term?: number): Promise<boolean>
  publishPlan(boot: string, plan: Plan): Promise<boolean>
  nextEpoch(boot: string, above: number, count: number): Promise<number>
  /** Keeps it; one with the same id takes the place of the one before. False: there are as many as there may be (`maxDenials`). */
  deny(denial: Denial, nowMs: number): Promise<boolean>
  /** False: there is none with this id. */
  allow(id: string): Promise<boolean>
  /** All of them when their version is not the one given, else undefined. */
  denials(version: string): Promise<DenialList | undefined>
}

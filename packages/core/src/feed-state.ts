import type { LogEntry, OutEvent, OutRecord } from './entry.ts'
import type { LossReason } from './frames.ts'
import type { Recent } from './feed-recent.ts'
import type { FeedLimits } from './limits.ts'
import type { Position, RoomEpoch } from './position.ts'

/** Where the live subscribers of a room stand: they have been given everything up to `seq`. */
export interface Place {
  epoch: RoomEpoch
  /** `epoch` as the records spell it: comparing texts spares the hot path a parse. */
  epochText: string
  seq: number
  /** The highest digest: a hole if it is still above `seq` at the next tick. */
  digest: number
}

export type FeedPhase =
  /** Nobody subscribes and nothing is declared. */
  | { readonly type: 'idle' }
  /** Waits for the worker's first word about where the room stands. */
  | { readonly type: 'joining' }
  | (Place & { readonly type: 'live' })
  /** Events up to `target` are missing: they are read from the log, and what is newer is held. */
  | (Place & { readonly type: 'backfilling'; target: number })
  /** Continuity is lost, or may be: nothing goes out until the worker has said where the room stands. */
  | { readonly type: 'rejoining'; readonly reason: LossReason }

export type Standing = Extract<FeedPhase, Place>

/** One room at one edge. Changed in place by `stepFeed` (feed.ts) only. */
export interface FeedState {
  readonly room: string
  /** Distinguishes this feed's declarations from those of an earlier feed of the room in this process. */
  readonly life: number
  readonly limits: FeedLimits
  /** Older events are not served, ms: as the room's policy has it. */
  historyMs: number
  phase: FeedPhase
  /** Ids of subscribers that get what is delivered. */
  readonly live: Set<number>
  /** Those whose position cannot be judged yet. */
  waiting: ReadonlyMap<number, Waiting>
  /** Declarations are numbered. Answers to those below `barrier` say nothing about now. */
  declared: number
  answered: number
  barrier: number
  declaredAtMs: number
  /** The declaration by which the owner is asked for its head, 0 for none; one at a time, whoever asks. */
  asking: number
  /** The owner's head at the answer `answered`. */
  ownerHead: number
  /** No word from an older incarnation counts. */
  minInc: number
  /** Events by seq, kept while something has to be merged with a read of the log. */
  held: ReadonlyMap<number, OutEvent>
  heldChars: number
  fetches: ReadonlyMap<number, Fetch>
  /** What replays brought is kept for a while (feed-recent.ts). */
  recent: Recent | null
  requests: number
  /** When the last subscriber left; null while there is one. */
  emptySinceMs: number | null
}

export interface Since {
  readonly epoch: RoomEpoch
  readonly seq: number
}
export interface Waiting {
  readonly since: Since | null
  readonly deadlineMs: number
  /** The declaration whose answer decides; 0: not asked. */
  asked: number
}

/** A read of the log, page by page: for a hole (`fill`), or for all subscribers that resume from the same seq. */
export interface Fetch {
  readonly purpose: 'fill' | 'replay'
  /** A fill moves on with the place; a replay keeps it. */
  after: number
  /** What pages brought so far, contiguous from `after + 1`. */
  readonly events: OutEvent[]
  chars: number
  /** When the first of them was committed; undefined before it is known. */
  firstTimeMs: number | undefined
  readonly subscribers: Map<number, Waiting>
  /** Reads in a row that brought nothing, because they failed or the log had nothing. */
  failures: number
  emptyReads: number
  retryAtMs: number | null
}

export type FeedInput =
  /** A subscriber with the id of another takes its place. */
  | { readonly type: 'add'; readonly subscriber: number; readonly since: Since | null }
  | { readonly type: 'remove'; readonly subscriber: number }
  | { readonly type: 'record'; readonly record: FeedRecord }
  | { readonly type: 'reset'; readonly inc: number }
  /** Records may have been lost: outbox hole, change of run, new boot. */
  | { readonly type: 'resync' }
  /** The outcome of a `fetch`; null: it failed. */
  | { readonly type: 'history'; readonly request: number; readonly entries: readonly LogEntry[] | null }
  /** The room's policy has another age from now on. */
  | { readonly type: 'keeps'; readonly historyMs: number }
  | { readonly type: 'tick' }
export type FeedRecord = Extract<OutRecord, { type: 'events' | 'interest' | 'head' | 'ephemeral' }>

/** To be executed in order. */
export type FeedEffect =
  | { readonly type: 'declare'; readonly nonce: string }
  | { readonly type: 'withdraw' }
  /** Read log entries with a seq > `after`; answered by `history` with the same request. */
  | { readonly type: 'fetch'; readonly request: number; readonly after: number; readonly limit: number }
  /** To every live subscriber, as `first` and following of the life `epoch`. */
  | { readonly type: 'deliver'; readonly epoch: string; readonly first: number; readonly events: readonly OutEvent[] }
  /** To every live subscriber. */
  | { readonly type: 'ephemeral'; readonly event: OutEvent }
  /** The subscription is live: its answer, then `events` (those with the last seqs up to `position`), then what is delivered. */
  | {
      readonly type: 'answer'
      readonly subscriber: number
      readonly position: Position
      readonly recovered: boolean
      readonly reason?: LossReason
      readonly events: readonly OutEvent[]
    }
  /** The subscription cannot be judged for now and is removed. */
  | { readonly type: 'refuse'; readonly subscriber: number; readonly retryAfterMs: number }
  /** To every live subscriber. */
  | {
      readonly type: 'position'
      readonly position: Position
      readonly recovered: boolean
      readonly reason?: LossReason
    }

export interface FeedClock {
  /** Monotonic, ms. */
  readonly now: number
  /** Wall clock, ms since 1970. */
  readonly wallMs: number
}

/** One step under way: what a function of the feed needs besides its own arguments. */
export interface Step {
  readonly state: FeedState
  readonly clock: FeedClock
  readonly effects: FeedEffect[]
  /** The owner is being asked in this step: everybody with a question may share it. */
  asking: boolean
}

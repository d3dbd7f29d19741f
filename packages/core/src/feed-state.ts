import type { OutEvent } from './entry.ts'
import type { LossReason } from './frames.ts'
import type { LogEntry, OutRecord } from './entry.ts'
import type { Position, RoomEpoch } from './position.ts'

/**
 * One room at one edge, in a state that belongs to `stepFeed` (feed.ts): where its live subscribers stand, what it
 * asked for, and who waits for what.
 */
export interface FeedState {
  readonly room: string
  /** Null until the worker's first answer. */
  epoch: RoomEpoch | null
  /** Live subscribers have been given everything up to here. */
  seq: number
  readonly subscribers: Map<number, Subscriber>
  /** Of the declaration whose answer counts; older answers are ignored. Null: none is under way. */
  nonce: string | null
  declarations: number
  /** Continuity is lost, or may be: no event is given to anybody until the worker has said where the room stands. */
  rejoining: { readonly reason: LossReason } | null
  /** Events by seq, kept while something has to be merged with a read of the log: bounded by `maxHeldEvents`. */
  readonly held: Map<number, OutEvent>
  /** The log is known to reach here: what is missing up to it is fetched. */
  target: number
  readonly fetches: Map<number, Fetch>
  requests: number
  /** A digest above `seq`: a hole if it is still above at the next tick. */
  digest: number
  fillAfter: number
  fillFailures: number
  /** When the last subscriber left; null while there is one. */
  emptySince: number | null
}

export type Subscriber =
  /** Waits for the worker to say where the room stands, or for the feed to reach its position. */
  | { type: 'waiting'; readonly since: Since | null; asked: boolean }
  | { type: 'replaying'; readonly since: Since; readonly fetch: number }
  | { type: 'live' }
export interface Since {
  readonly epoch: RoomEpoch
  readonly seq: number
}

/** A read of the log, for a hole (`fill`) or for all subscribers that resume from the same seq. */
export interface Fetch {
  readonly purpose: 'fill' | 'replay'
  readonly after: number
  /** What pages brought so far, contiguous from `after + 1`. */
  readonly events: OutEvent[]
  firstTimeMs: number
  pages: number
  failures: number
  retryAtMs: number | null
}

export type FeedInput =
  | { readonly type: 'add'; readonly subscriber: number; readonly since: Since | null }
  | { readonly type: 'remove'; readonly subscriber: number }
  | { readonly type: 'record'; readonly record: Extract<OutRecord, { type: 'events' | 'interest' | 'head' | 'ephemeral' }> }
  | { readonly type: 'reset'; readonly inc: number }
  /** Records may have been lost: outbox hole, change of run, new boot. */
  | { readonly type: 'resync' }
  | { readonly type: 'history'; readonly request: number; readonly entries: readonly LogEntry[] | null }
  | { readonly type: 'tick' }

export type FeedEffect =
  | { readonly type: 'declare'; readonly nonce: string }
  | { readonly type: 'withdraw' }
  /** Read log entries with a seq > `after`; answered by `history`, with null when the read failed. */
  | { readonly type: 'fetch'; readonly request: number; readonly after: number; readonly limit: number }
  /** To every live subscriber. */
  | { readonly type: 'deliver'; readonly first: number; readonly events: readonly OutEvent[] }
  | { readonly type: 'ephemeral'; readonly event: OutEvent }
  /** The answer to a subscription; the replayed events (`missed` of them) follow it. */
  | {
      readonly type: 'answer'
      readonly subscriber: number
      readonly position: Position
      readonly recovered: boolean
      readonly missed: number
      readonly reason?: LossReason
      readonly events: readonly OutEvent[]
    }
  /** The subscription cannot be answered for now, and is removed. */
  | { readonly type: 'refuse'; readonly subscriber: number; readonly retryAfterMs: number }
  /** To every live subscriber. */
  | { readonly type: 'position'; readonly position: Position; readonly recovered: boolean; readonly reason?: LossReason }

export interface FeedClock {
  /** Monotonic, ms. */
  readonly now: number
  /** Wall clock, ms since 1970. */
  readonly wallMs: number
}

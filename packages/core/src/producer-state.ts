import type { EphemeralMessage, InterestMessage, PublishMessage, PublishResult, StateMessage } from './entry.ts'
import { resendAfterMs } from './limits.ts'

/** What a producer is told, what it asks for and what it holds. The decisions are in producer.ts. */
export type ProducerInput =
  | { readonly type: 'publish'; readonly id: number; readonly message: PublishMessage; readonly deadlineAtMs: number }
  | { readonly type: 'declare'; readonly message: Declaration }
  | { readonly type: 'ephemeral'; readonly message: EphemeralMessage }
  | { readonly type: 'appended'; readonly attempt: number }
  | { readonly type: 'appendFailed'; readonly attempt: number; readonly outcome: 'refused' | 'unknown' }
  | {
      readonly type: 'ack'
      readonly generation: number
      readonly k: number
      readonly results: readonly PublishResult[]
    }
  | { readonly type: 'rewind'; readonly generation: number; readonly from: number }
  /** The server's run changed, or acknowledgements may have been lost: everything un-acknowledged is sent again. */
  | { readonly type: 'resync' }
  /** The process has a new boot id. */
  | { readonly type: 'reboot'; readonly boot: string }
  | { readonly type: 'tick' }

export type Settlement =
  | { readonly type: 'committed'; readonly epoch: string; readonly seq: number }
  | { readonly type: 'refused'; readonly code: string; readonly retryAfterMs: number }
  | { readonly type: 'unknown'; readonly retryAfterMs: number }

export type ProducerEffect =
  /** `attempt` is 0 for ephemeral entries, whose outcome nobody needs. */
  | { readonly type: 'append'; readonly attempt: number; readonly body: string }
  | { readonly type: 'settle'; readonly id: number; readonly outcome: Settlement }

/**
 * What all producers of a process hold together. Sizes are counted in UTF-16 units plus a constant per message: what
 * the strings cost in memory to within a factor of two, without walking every message.
 */
export interface ByteBudget {
  used: number
  readonly max: number
  /** Un-acknowledged entries of each producer at the most. */
  readonly entries?: number
}

export interface PendingPublish {
  readonly kind: 'publish'
  readonly id: number
  readonly message: PublishMessage
  readonly length: number
  readonly deadlineAtMs: number
  /** The entry it travels in; null while it is queued. */
  entry: WindowEntry | null
  /** It was in an entry that the worker consumed, and its result is not known. */
  consumed: boolean
  settled: boolean
}
/** What an edge tells of itself: never refused here, and the last word counts. */
export type Declaration = InterestMessage | StateMessage
export interface PendingDeclaration {
  readonly kind: 'declaration'
  readonly message: Declaration
  readonly length: number
  superseded: boolean
}
export type Pending = PendingPublish | PendingDeclaration

export interface WindowEntry {
  k: number
  messages: readonly Pending[]
  /** Attempts whose outcome is not known yet. */
  inFlight: number
  /** Some attempt was, or may have been, executed: from then on its content never changes under its number. */
  reached: boolean
  /** The last attempt failed. */
  failed: boolean
  readonly firstSentAtMs: number
  sentAtMs: number
}

/** Mutated by {@link stepProducer}. */
export interface ProducerState {
  boot: string
  generation: number
  nextK: number
  /** Accepted, not yet in an entry. */
  queue: Pending[]
  queuedBytes: number
  /** By room or connection. */
  readonly queuedDeclarations: Map<string, PendingDeclaration>
  superseded: number
  ephemerals: EphemeralMessage[]
  /** Sent and not acknowledged; k contiguous, ascending. */
  window: WindowEntry[]
  readonly attempts: Map<number, WindowEntry>
  nextAttempt: number
  readonly budget: ByteBudget
  /** No unsettled publish has an earlier deadline. */
  earliestDeadlineAtMs: number
  /** When an acknowledgement last moved, or the window was last sent again for want of one. */
  movedAtMs: number
  stallMs: number
  /** Entries from `from` on are to be sent again at `atMs`; a probe sends the first alone and waits for its outcome. */
  resend: { from: number; atMs: number; probe: boolean } | null
  failures: number
  flushedAtMs: number
}

/** What a producer counts for one message on top of its length. */
export const messageOverheadBytes = 128
/** Time a refused publisher is asked to wait, ms. */
export const overloadRetryMs = 1_000
export const sizeOf = (message: Pending): number => message.length + messageOverheadBytes

/** Time without an acknowledgement counts from now. */
export function restartStallTimer(state: ProducerState, nowMs: number): void {
  state.movedAtMs = nowMs
  state.stallMs = resendAfterMs
}

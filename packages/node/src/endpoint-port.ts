import type { OutEvent, StateMessage } from '@flotilla/core/entry'
import type { LogEntry } from '@flotilla/core/entry'
import type { Plan } from '@flotilla/core/plan'

/**
 * An endpoint is a process that puts messages in and gets answers out: an edge or an ingest process. It has a boot id,
 * a member record, one outbox per lane, and a producer per slot.
 */
export interface Endpoint {
  /** `id#boot`. Changes when the process was declared dead: then `onResync` is called for every lane. */
  readonly boot: string
  /** Whether the store answered a heartbeat within the last 3 s. */
  readonly healthy: boolean
  readonly plan: Plan | null
  /**
   * Calls `settled` once with the outcome, after this returned and at the latest after the publish deadline. It must not
   * throw. The same (room, sender, key) is one message however often it is published.
   */
  publish(message: PublishRequest, settled: (outcome: PublishOutcome) => void): void
  /** Fire and forget; may be dropped. */
  ephemeral(room: string, event: OutEvent): void
  /**
   * Declares or withdraws interest. Answered by an `interest` record that carries the nonce. Resent until committed.
   * A declaration that was never sent (the store is away) is replaced by the room's next one: only that is answered.
   */
  interest(room: string, on: boolean, nonce: string): void
  /**
   * Tells of a user's connection or a member of a room, or asks for the members. Resent until committed; `open` and `kept` are answered
   * by `connection` records, a query by a `presence` record. False: nothing was sent, as too much waits already;
   * that something has ended is never refused.
   */
  tell(message: StateMessage): boolean
  /** Committed events with a seq > `after`, oldest first, at the most `limit` log entries. Rejects with StoreError. */
  history(room: string, after: number, limit: number): Promise<readonly LogEntry[]>
  /** Newest log entries below `before`, newest first. */
  tail(room: string, before: number, limit: number): Promise<readonly LogEntry[]>
  /** Goes on as before, and says in its member record that it is about to leave. */
  drain(): void
  close(): Promise<void>
}

export interface PublishRequest {
  readonly room: string
  readonly key: string
  readonly sender: string
  readonly options: string
  readonly tail: string
  /** W3C trace context that the request came with. */
  readonly traceparent?: string | undefined
}

/**
 * `unknown`: it may have been committed or may yet be. `refused` with OVERLOADED: certainly not, and it will not be.
 * Any other code is the worker's refusal.
 */
export type PublishOutcome =
  | { readonly type: 'committed'; readonly epoch: string; readonly seq: number }
  | { readonly type: 'refused'; readonly code: string; readonly retryAfterMs: number }
  | { readonly type: 'unknown'; readonly retryAfterMs: number }

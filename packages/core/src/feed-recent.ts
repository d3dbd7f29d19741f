import type { OutEvent } from './entry.ts'
import { charsOf } from './feed-held.ts'
import type { FeedState } from './feed-state.ts'

/** How long what a replay brought is kept after its last use, ms, and how much of it, in UTF-16 units. */
export const recentMs = 10_000
export const maxRecentChars = 65_536

/**
 * What the last replays brought and what came after it, up to the place: clients that come back together are answered
 * with one read of the log per room, not one for each moment at which one of them comes.
 */
export interface Recent {
  /** Contiguous from `after + 1` to the place. */
  readonly after: number
  readonly events: OutEvent[]
  chars: number
  /** When the first of them was committed, wall clock. */
  readonly firstTimeMs: number
  usedAtMs: number
}

/** A replay is through: it goes further back than what is kept, or nothing was kept. */
export function remember(state: FeedState, replay: Omit<Recent, 'usedAtMs'>, nowMs: number): void {
  if (replay.chars > maxRecentChars || (state.recent !== null && state.recent.after <= replay.after)) return
  state.recent = { ...replay, usedAtMs: nowMs }
}

/** The place has moved on by these, from `first` on. */
export function follow(state: FeedState, first: number, events: readonly OutEvent[]): void {
  const { recent } = state
  if (recent === null || events.length === 0) return
  for (const event of events) recent.chars += charsOf(event)
  if (first === recent.after + recent.events.length + 1 && recent.chars <= maxRecentChars) recent.events.push(...events)
  else state.recent = null
}

/** Everything after `seq`, if all of it is kept and none of it too old to be served. */
export function recall(
  state: FeedState,
  seq: number,
  at: { readonly now: number; readonly wallMs: number },
): readonly OutEvent[] | undefined {
  const { recent } = state
  if (recent === null || seq < recent.after || at.wallMs - recent.firstTimeMs > state.historyMs) return undefined
  recent.usedAtMs = at.now
  return recent.events.slice(seq - recent.after)
}

export function forgetOld(state: FeedState, nowMs: number): void {
  if (state.recent !== null && nowMs - state.recent.usedAtMs >= recentMs) state.recent = null
}

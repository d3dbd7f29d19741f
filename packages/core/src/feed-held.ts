import type { OutEvent } from './entry.ts'
import { emptyMap, put } from './feed-maps.ts'
import type { FeedState } from './feed-state.ts'

export function charsOf(event: OutEvent): number {
  return event.options.length + event.tail.length
}

/** Keeps events for a merge. At the limit all are let go of: the log has them, and the read goes on until it has met us. */
export function hold(state: FeedState, first: number, events: readonly OutEvent[]): void {
  events.forEach((event, i) => {
    if (state.held.has(first + i)) return
    state.held = put(state.held, first + i, event)
    state.heldChars += charsOf(event)
  })
  if (state.held.size > state.limits.heldEvents || state.heldChars > state.limits.heldChars) dropHeld(state)
}

export function dropHeld(state: FeedState): void {
  state.held = emptyMap()
  state.heldChars = 0
}

/** The run of held events that begins with `seq`. They stay held: a replay may need them too. */
export function takeHeld(state: FeedState, seq: number): OutEvent[] {
  const run: OutEvent[] = []
  for (let event = state.held.get(seq); event !== undefined; event = state.held.get(seq + run.length)) run.push(event)
  return run
}

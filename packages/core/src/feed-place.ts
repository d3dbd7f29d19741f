import type { OutEvent } from './entry.ts'
import { dropHeld, takeHeld } from './feed-held.ts'
import { emptyMap, put, without } from './feed-maps.ts'
import { follow } from './feed-recent.ts'
import type { FeedClock, FeedPhase, FeedState, Standing, Step } from './feed-state.ts'
import type { LossReason } from './frames.ts'
import { epochForClient, formatEpoch } from './position.ts'
import type { Position, RoomEpoch } from './position.ts'

/** The place, when there is one. */
export function placeOf(phase: FeedPhase): Standing | undefined {
  return phase.type === 'live' || phase.type === 'backfilling' ? phase : undefined
}
export function standing(state: FeedState): Standing | undefined {
  return placeOf(state.phase)
}

/** Where live subscribers stand, as clients are told it. */
export function positionAt(place: Standing, clock: FeedClock): Position {
  return { epoch: epochForClient(place.epoch, clock.wallMs), seq: place.seq }
}

/** `fresh`: only an answer to this declaration, or to a later one, says where the room stands now. */
export function declare({ state, clock, effects }: Step, fresh: boolean): void {
  state.declared += 1
  state.declaredAtMs = clock.now
  if (fresh) state.barrier = state.declared
  effects.push({ type: 'declare', nonce: `${state.life}.${state.declared}` })
}

/** Nothing more goes out until the worker has said where the room stands; then everybody is told of the loss. */
export function rejoin(step: Step, reason: LossReason): void {
  const { state } = step
  stopReading(state)
  state.phase = { type: 'rejoining', reason }
  declare(step, true)
}

/** Begins at a place that the worker told. */
export function adopt({ state }: Step, epoch: RoomEpoch, seq: number): void {
  stopReading(state)
  state.phase = { type: 'live', epoch, epochText: formatEpoch(epoch), seq, digest: 0 }
  state.minInc = Math.max(state.minInc, epoch.inc)
}

/** What was read or held belongs to a place that is given up. Who waited for it is judged anew. */
function stopReading(state: FeedState): void {
  for (const fetch of state.fetches.values())
    for (const [id, waiting] of fetch.subscribers) state.waiting = put(state.waiting, id, waiting)
  state.fetches = emptyMap()
  state.recent = null
  dropHeld(state)
}

export function loseContinuity({ state, clock, effects }: Step, reason: LossReason): void {
  const place = standing(state)
  if (place !== undefined)
    effects.push({ type: 'position', position: positionAt(place, clock), recovered: false, reason })
}

/** Whether `epoch` is the life that an empty room came to: the same continuity under another name. */
export function livens(place: Standing, epoch: RoomEpoch): boolean {
  return place.epoch.tag === 0 && place.seq === 0 && epoch.tag > 0 && epoch.inc === place.epoch.inc
}

export function liven({ clock, effects }: Step, place: Standing, epoch: RoomEpoch): void {
  place.epoch = epoch
  place.epochText = formatEpoch(epoch)
  effects.push({ type: 'position', position: positionAt(place, clock), recovered: true })
}

/** Gives live subscribers the events after the place's seq, and whatever was held behind them. */
export function deliver({ state, effects }: Step, place: Standing, events: readonly OutEvent[]): void {
  const first = place.seq + 1
  place.seq += events.length
  let all = events
  if (place.type === 'backfilling') {
    const held = takeHeld(state, place.seq + 1)
    place.seq += held.length
    if (held.length > 0) all = [...events, ...held]
    if (place.seq >= place.target) endBackfill(state, place)
  }
  follow(state, first, all)
  if (state.live.size > 0 && all.length > 0)
    effects.push({ type: 'deliver', epoch: place.epochText, first, events: all })
}

function endBackfill(state: FeedState, place: Standing): void {
  const { epoch, epochText, seq, digest } = place
  state.phase = { type: 'live', epoch, epochText, seq, digest }
  for (const [request, fetch] of state.fetches)
    if (fetch.purpose === 'fill') state.fetches = without(state.fetches, request)
  if (state.fetches.size === 0) dropHeld(state)
}

import type { LogEntry } from './entry.ts'
import { charsOf, dropHeld, takeHeld } from './feed-held.ts'
import { deliver, liven, livens, positionAt, rejoin, standing } from './feed-place.ts'
import { put, without } from './feed-maps.ts'
import { recall, remember } from './feed-recent.ts'
import type { Fetch, FeedInput, Standing, Step, Waiting } from './feed-state.ts'
import type { LossReason } from './frames.ts'
import type { RoomEpoch } from './position.ts'

export { dropHeld, hold } from './feed-held.ts'

/** A read that failed, or found nothing where something must be, is repeated after this, doubled up to 16 times, ms. */
const retryMs = 100
/**
 * So often the log may have nothing: its owner may be writing again what a server that fell back has lost. 4.7 s in
 * all: just below the patience of a subscription.
 */
const maxEmptyReads = 7

/** Everything up to `target` exists: what is missing of it is read from the log before anything newer goes out. */
export function fillTo(step: Step, place: Standing, target: number): void {
  const { state } = step
  if (target <= place.seq) return
  if (place.type === 'backfilling') {
    place.target = Math.max(place.target, target)
    return
  }
  const { epoch, epochText, seq, digest } = place
  state.phase = { type: 'backfilling', epoch, epochText, seq, digest, target }
  begin(step, 'fill', seq)
}

/** One read serves all that resume from the same seq, and for a while those that come later. */
export function startReplay(
  step: Step,
  place: Standing,
  who: { readonly id: number; readonly waiting: Waiting },
): void {
  const { state, clock, effects } = step
  const { id, waiting } = who
  if (waiting.since === null) return
  state.waiting = without(state.waiting, id)
  const { seq } = waiting.since
  const events = recall(state, seq, clock)
  if (events !== undefined) {
    state.live.add(id)
    effects.push({ type: 'answer', subscriber: id, position: positionAt(place, clock), recovered: true, events })
    return
  }
  for (const fetch of state.fetches.values()) {
    if (fetch.purpose !== 'replay' || fetch.after !== seq) continue
    fetch.subscribers.set(id, waiting)
    return
  }
  begin(step, 'replay', seq).subscribers.set(id, waiting)
}

function begin({ state, effects }: Step, purpose: Fetch['purpose'], after: number): Fetch {
  const request = (state.requests += 1)
  const fetch: Fetch = {
    purpose,
    after,
    events: [],
    chars: 0,
    firstTimeMs: undefined,
    subscribers: new Map(),
    failures: 0,
    emptyReads: 0,
    retryAtMs: null,
  }
  state.fetches = put(state.fetches, request, fetch)
  effects.push({ type: 'fetch', request, after, limit: state.limits.page })
  return fetch
}

interface Read {
  readonly request: number
  readonly fetch: Fetch
  readonly place: Standing
  /** The first seq behind a gap in what the log gave; Infinity without one. */
  readonly behindGap: number
  /** The log gave nothing of what was asked for. */
  readonly empty: boolean
}

export function takeHistory(step: Step, input: Extract<FeedInput, { type: 'history' }>): void {
  const { state } = step
  const { request, entries } = input
  const fetch = state.fetches.get(request)
  const place = standing(state)
  if (fetch === undefined || place === undefined) return
  if (entries === null) return retryLater(step, fetch)
  if (!sameLife(step, place, entries)) return
  const before = fetch.events.length
  const behindGap = collect(fetch, entries)
  const empty = fetch.events.length === before
  fetch.failures = empty ? fetch.failures : 0
  fetch.emptyReads = empty ? fetch.emptyReads + 1 : 0
  const read = { request, fetch, place, behindGap, empty }
  if (fetch.purpose === 'fill') takeFill(step, read)
  else takeReplay(step, read)
}

/** False when the log tells of another life of the room: that has to be told before anything of it goes out. */
function sameLife(step: Step, place: Standing, entries: readonly LogEntry[]): boolean {
  for (const entry of entries) {
    const epoch: RoomEpoch = { inc: entry.inc, tag: entry.tag }
    if (livens(place, epoch)) liven(step, place, epoch)
    if (entry.inc === place.epoch.inc && entry.tag === place.epoch.tag) continue
    step.state.minInc = Math.max(step.state.minInc, entry.inc)
    rejoin(step, 'epoch')
    return false
  }
  return true
}

/** Appends what continues the fetch. Returns the first seq behind a gap, Infinity when there is none. */
function collect(fetch: Fetch, entries: readonly LogEntry[]): number {
  for (const entry of entries) {
    const next = fetch.after + fetch.events.length + 1
    if (entry.first > next) return entry.first
    for (const { options, tail } of entry.messages.slice(next - entry.first)) {
      fetch.firstTimeMs ??= entry.timeMs
      fetch.events.push({ options, tail })
      fetch.chars += options.length + tail.length
    }
  }
  return Infinity
}

function takeFill(step: Step, { request, fetch, place, behindGap, empty }: Read): void {
  const { state, effects } = step
  deliver(step, place, fetch.events.slice(Math.max(0, place.seq - fetch.after)))
  const now = standing(state)
  if (now?.type !== 'backfilling') return
  fetch.after = now.seq
  fetch.events.length = 0
  fetch.chars = 0
  if (behindGap > now.seq + 1 && behindGap !== Infinity) rejoin(step, 'trimmed')
  else if (!empty) effects.push({ type: 'fetch', request, after: now.seq, limit: state.limits.page })
  else if (fetch.emptyReads >= maxEmptyReads) rejoin(step, 'trimmed')
  else retryLater(step, fetch)
}

function takeReplay(step: Step, read: Read): void {
  const { state, clock, effects } = step
  const { request, fetch, place, behindGap, empty } = read
  for (const event of takeHeld(state, fetch.after + fetch.events.length + 1)) {
    fetch.events.push(event)
    fetch.chars += charsOf(event)
  }
  const reached = fetch.after + fetch.events.length
  const tooLarge = fetch.events.length > state.limits.heldEvents || fetch.chars > state.limits.heldChars
  const gap = behindGap > reached + 1 && behindGap !== Infinity
  if (reached < place.seq && !gap && !tooLarge && fetch.emptyReads < maxEmptyReads) {
    if (empty) retryLater(step, fetch)
    else effects.push({ type: 'fetch', request, after: reached, limit: state.limits.page })
    return
  }
  const expired = fetch.firstTimeMs !== undefined && clock.wallMs - fetch.firstTimeMs > state.historyMs
  finishReplay(step, read, reached < place.seq || tooLarge ? 'trimmed' : expired ? 'expired' : undefined)
}

/** All or nothing: a replay is never partial. */
function finishReplay(
  { state, clock, effects }: Step,
  { request, fetch, place }: Read,
  reason: LossReason | undefined,
): void {
  state.fetches = without(state.fetches, request)
  if (state.fetches.size === 0) dropHeld(state)
  const position = positionAt(place, clock)
  const events = reason === undefined ? fetch.events.slice(0, place.seq - fetch.after) : []
  const { after, firstTimeMs } = fetch
  if (events.length > 0 && firstTimeMs !== undefined) {
    const chars = events.reduce((sum, event) => sum + charsOf(event), 0)
    remember(state, { after, events: [...events], chars, firstTimeMs }, clock.now)
  }
  for (const subscriber of fetch.subscribers.keys()) {
    state.live.add(subscriber)
    const base = { type: 'answer', subscriber, position, events } as const
    effects.push(reason === undefined ? { ...base, recovered: true } : { ...base, recovered: false, reason })
  }
}

function retryLater({ clock }: Step, fetch: Fetch): void {
  fetch.failures += 1
  fetch.retryAtMs = clock.now + retryMs * Math.min(16, 2 ** (fetch.failures - 1))
}

/** A hole is tried for ever, because nothing may go out before it is filled; subscribers have their own deadline. */
export function fetchesToRetry({ state, clock, effects }: Step): void {
  for (const [request, fetch] of state.fetches) {
    if (fetch.purpose === 'replay' && fetch.subscribers.size === 0) state.fetches = without(state.fetches, request)
    if (fetch.retryAtMs === null || clock.now < fetch.retryAtMs) continue
    fetch.retryAtMs = null
    if (state.fetches.has(request)) {
      effects.push({ type: 'fetch', request, after: fetch.after + fetch.events.length, limit: state.limits.page })
    }
  }
  if (state.fetches.size === 0 && state.phase.type === 'live') dropHeld(state)
}

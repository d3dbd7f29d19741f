import type { LogEntry, OutEvent } from './entry.ts'
import type { Fetch, FeedClock, FeedEffect, FeedInput, FeedState } from './feed-state.ts'
import type { LossReason } from './frames.ts'
import { historyMs, maxHeldEvents } from './limits.ts'
import { epochForClient } from './position.ts'

/** Log entries per read. */
export const historyPage = 256
/** Reads that one replay may take, and failures of one read before a subscriber is sent away. */
const maxPages = 64
const maxFailures = 5
const retryMs = 100
/** Time to wait that a subscriber is told whose replay could not be read, ms. */
const retryAfterMs = 1_000

type Rejoin = (state: FeedState, reason: LossReason, effects: FeedEffect[]) => void

/** Keeps events for a merge. Above the limit all are let go of: the log has them. */
export function hold(state: FeedState, first: number, events: readonly OutEvent[]): void {
  if (state.held.size + events.length > maxHeldEvents) state.held.clear()
  if (events.length > maxHeldEvents) return
  events.forEach((event, i) => state.held.set(first + i, event))
}

/** One read serves all that resume from the same seq. */
export function fetchFor(state: FeedState, after: number, effects: FeedEffect[]): number {
  for (const [request, fetch] of state.fetches) {
    if (fetch.purpose === 'replay' && fetch.after === after) return request
  }
  return begin(state, 'replay', after, effects)
}

function begin(state: FeedState, purpose: Fetch['purpose'], after: number, effects: FeedEffect[]): number {
  const request = (state.requests += 1)
  state.fetches.set(request, { purpose, after, events: [], firstTimeMs: 0, pages: 0, failures: 0, retryAtMs: null })
  effects.push({ type: 'fetch', request, after, limit: historyPage })
  return request
}

/** Fetches what is missing up to `target`, unless that is under way. */
export function fill(state: FeedState, clock: FeedClock, effects: FeedEffect[]): void {
  if (state.rejoining !== null || state.target <= state.seq || clock.now < state.fillAfter) return
  for (const fetch of state.fetches.values()) if (fetch.purpose === 'fill') return
  begin(state, 'fill', state.seq, effects)
}

export function takeHistory(state: FeedState, input: Extract<FeedInput, { type: 'history' }>, clock: FeedClock, effects: FeedEffect[], rejoin: Rejoin): void {
  const fetch = state.fetches.get(input.request)
  if (fetch === undefined || state.epoch === null) return
  if (input.entries === null) return failed(state, input.request, fetch, { clock, effects })
  const { inc, tag } = state.epoch
  // The room has gone on under another incarnation or life; that has to be told before anything of it goes out.
  if (input.entries.some((entry) => entry.inc > inc || entry.tag !== tag)) return rejoin(state, 'epoch', effects)
  const before = fetch.events.length
  collect(fetch, input.entries)
  fetch.pages += 1
  if (fetch.purpose === 'fill') filled(state, input.request, fetch, { clock, effects, rejoin })
  else replay(state, input.request, fetch, { clock, effects, progress: fetch.events.length > before })
}

/** Appends what continues the fetch; entries that overlap what is there are cut. */
function collect(fetch: Fetch, entries: readonly LogEntry[]): void {
  for (const entry of entries) {
    const next = fetch.after + fetch.events.length + 1
    if (entry.first > next) return
    const fresh = entry.messages.slice(next - entry.first)
    if (fetch.events.length === 0 && fresh.length > 0) fetch.firstTimeMs = entry.timeMs
    for (const message of fresh) fetch.events.push({ options: message.options, tail: message.tail })
  }
}

function extendFromHeld(state: FeedState, fetch: Fetch): void {
  for (;;) {
    const event = state.held.get(fetch.after + fetch.events.length + 1)
    if (event === undefined) return
    fetch.events.push(event)
  }
}

function filled(state: FeedState, request: number, fetch: Fetch, on: { clock: FeedClock; effects: FeedEffect[]; rejoin: Rejoin }): void {
  state.fetches.delete(request)
  const fromLog = fetch.events.length
  extendFromHeld(state, fetch)
  const events = fetch.events.slice(state.seq - fetch.after)
  if (events.length > 0) {
    const first = state.seq + 1
    state.seq += events.length
    on.effects.push({ type: 'deliver', first, events })
  }
  if (fromLog > 0 || events.length > 0) state.fillFailures = 0
  else if ((state.fillFailures += 1) >= maxFailures) {
    // The log does not have it any more, or the room stands elsewhere than we were told.
    state.fillFailures = 0
    return on.rejoin(state, 'trimmed', on.effects)
  } else state.fillAfter = on.clock.now + retryMs
  tidy(state)
  fill(state, on.clock, on.effects)
}

function replay(state: FeedState, request: number, fetch: Fetch, on: { clock: FeedClock; effects: FeedEffect[]; progress: boolean }): void {
  extendFromHeld(state, fetch)
  const reached = fetch.after + fetch.events.length
  const { effects } = on
  if (reached < state.seq && on.progress && fetch.pages < maxPages && fetch.events.length < maxHeldEvents) {
    effects.push({ type: 'fetch', request, after: reached, limit: historyPage })
    return
  }
  state.fetches.delete(request)
  const expired = on.clock.wallMs - fetch.firstTimeMs > historyMs
  const reason: LossReason | null = reached < state.seq ? 'trimmed' : expired && fetch.firstTimeMs > 0 ? 'expired' : null
  const events = reason === null ? fetch.events.slice(0, state.seq - fetch.after) : []
  const position = { epoch: state.epoch === null ? '' : epochForClient(state.epoch, on.clock.wallMs), seq: state.seq }
  for (const [id, subscriber] of state.subscribers) {
    if (subscriber.type !== 'replaying' || subscriber.fetch !== request) continue
    state.subscribers.set(id, { type: 'live' })
    const base = { type: 'answer', subscriber: id, position, missed: events.length, events } as const
    effects.push(reason === null ? { ...base, recovered: true } : { ...base, recovered: false, reason })
  }
  tidy(state)
}

function failed(state: FeedState, request: number, fetch: Fetch, on: { clock: FeedClock; effects: FeedEffect[] }): void {
  fetch.failures += 1
  if (fetch.purpose === 'fill' || fetch.failures < maxFailures) {
    fetch.retryAtMs = on.clock.now + retryMs * Math.min(16, 2 ** fetch.failures)
    return
  }
  state.fetches.delete(request)
  for (const [id, subscriber] of state.subscribers) {
    if (subscriber.type !== 'replaying' || subscriber.fetch !== request) continue
    state.subscribers.delete(id)
    on.effects.push({ type: 'refuse', subscriber: id, retryAfterMs })
  }
  if (state.subscribers.size === 0) state.emptySince = on.clock.now
  tidy(state)
}

export function retryFetches(state: FeedState, clock: FeedClock, effects: FeedEffect[]): void {
  for (const [request, fetch] of state.fetches) {
    if (fetch.retryAtMs === null || clock.now < fetch.retryAtMs) continue
    fetch.retryAtMs = null
    effects.push({ type: 'fetch', request, after: fetch.after + fetch.events.length, limit: historyPage })
  }
}

/** What was held for a merge is not needed once nothing is being read and no hole is open. */
function tidy(state: FeedState): void {
  if (state.fetches.size > 0) return
  if (state.target <= state.seq) state.held.clear()
  else for (const seq of state.held.keys()) if (seq <= state.seq) state.held.delete(seq)
}

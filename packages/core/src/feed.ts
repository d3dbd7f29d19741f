import type { OutRecord } from './entry.ts'
import { fetchFor, fill, hold, takeHistory, retryFetches } from './feed-history.ts'
import type { FeedClock, FeedEffect, FeedInput, FeedState, Since, Subscriber } from './feed-state.ts'
import type { LossReason } from './frames.ts'
import { interestLingerMs } from './limits.ts'
import { compareEpochs, continues, epochForClient, parseEpoch } from './position.ts'
import type { Position, RoomEpoch } from './position.ts'

export function createFeed(room: string): FeedState {
  return {
    room,
    epoch: null,
    seq: 0,
    subscribers: new Map(),
    nonce: null,
    declarations: 0,
    rejoining: null,
    held: new Map(),
    target: 0,
    fetches: new Map(),
    requests: 0,
    digest: 0,
    fillAfter: 0,
    fillFailures: 0,
    emptySince: null,
  }
}

/** Whether the feed can be forgotten: nobody subscribes and its interest was withdrawn. */
export function isForgotten(state: FeedState): boolean {
  return state.subscribers.size === 0 && state.declarations === 0
}

/**
 * One room at one edge (docs/spec.md FE): every live subscriber gets every event after its position once and in order,
 * or is told that continuity was lost. `state` is changed in place.
 */
export function stepFeed(state: FeedState, input: FeedInput, clock: FeedClock): FeedEffect[] {
  const effects: FeedEffect[] = []
  switch (input.type) {
    case 'add':
      add(state, input, effects)
      break
    case 'remove':
      state.subscribers.delete(input.subscriber)
      if (state.subscribers.size === 0) state.emptySince = clock.now
      break
    case 'record':
      takeRecord(state, input.record, clock, effects)
      break
    case 'reset':
      if (state.epoch !== null && state.epoch.inc < input.inc) rejoin(state, 'epoch', effects)
      break
    case 'resync':
      if (state.declarations > 0) declare(state, effects)
      break
    case 'history':
      takeHistory(state, input, clock, effects, rejoin)
      break
    case 'tick':
      tick(state, clock, effects)
      break
  }
  serveWaiting(state, clock, effects)
  return effects
}

function add(state: FeedState, input: Extract<FeedInput, { type: 'add' }>, effects: FeedEffect[]): void {
  state.emptySince = null
  state.subscribers.set(input.subscriber, { type: 'waiting', since: input.since, asked: false })
  if (state.declarations === 0) declare(state, effects)
}

function declare(state: FeedState, effects: FeedEffect[]): void {
  state.declarations += 1
  state.nonce = state.declarations.toString(36)
  effects.push({ type: 'declare', nonce: state.nonce })
}

/** Says nothing more until the worker has said where the room stands; then everybody is told of the loss. */
function rejoin(state: FeedState, reason: LossReason, effects: FeedEffect[]): void {
  state.rejoining = { reason }
  state.held.clear()
  state.fetches.clear()
  state.target = 0
  declare(state, effects)
}

function takeRecord(state: FeedState, record: Extract<FeedInput, { type: 'record' }>['record'], clock: FeedClock, effects: FeedEffect[]): void {
  switch (record.type) {
    case 'interest':
      return takeInterest(state, record, clock, effects)
    case 'events':
      return takeEvents(state, record, clock, effects)
    case 'head': {
      const epoch = parseEpoch(record.epoch)
      if (state.epoch === null || state.rejoining !== null || epoch === undefined) return
      const order = compareEpochs(epoch, state.epoch)
      if (order > 0 && !comesToLife(state, epoch)) rejoin(state, 'epoch', effects)
      // The events may be behind the digest in another entry: only at the next tick it is a hole.
      else if (order >= 0) state.digest = Math.max(state.digest, record.head)
      return
    }
    case 'ephemeral':
      if (state.epoch !== null) effects.push({ type: 'ephemeral', event: record.event })
  }
}

function takeInterest(state: FeedState, record: Extract<OutRecord, { type: 'interest' }>, clock: FeedClock, effects: FeedEffect[]): void {
  const epoch = parseEpoch(record.epoch)
  if (record.nonce !== state.nonce || epoch === undefined) return
  state.nonce = null
  const before = state.epoch
  if (before === null) {
    state.epoch = epoch
    state.seq = record.head
    return
  }
  const order = compareEpochs(epoch, before)
  if (order < 0) return
  if (order === 0 && state.rejoining === null) state.target = Math.max(state.target, record.head)
  else if (order > 0 && state.rejoining === null && comesToLife(state, epoch)) {
    liven(state, epoch, clock, effects)
    state.target = record.head
  } else {
    const reason = state.rejoining?.reason ?? 'epoch'
    state.rejoining = null
    state.held.clear()
    state.fetches.clear()
    state.epoch = epoch
    state.seq = record.head
    state.target = 0
    effects.push({ type: 'position', position: position(state, clock), recovered: false, reason })
    for (const [id, subscriber] of state.subscribers) {
      if (subscriber.type === 'replaying') state.subscribers.set(id, { type: 'waiting', since: subscriber.since, asked: true })
    }
  }
  for (const subscriber of state.subscribers.values()) if (subscriber.type === 'waiting') markAnswered(subscriber, record.head)
  fill(state, clock, effects)
}

/** A subscriber ahead of the head that the owner just told is ahead of the room. */
function markAnswered(subscriber: Extract<Subscriber, { type: 'waiting' }>, head: number): void {
  if (subscriber.since !== null && subscriber.since.seq > head) subscriber.asked = true
}

/** An empty room gets its first message: the same continuity under a new epoch. */
function comesToLife(state: FeedState, epoch: RoomEpoch): boolean {
  return state.epoch !== null && state.epoch.inc === epoch.inc && state.epoch.tag === 0 && state.seq === 0
}

function liven(state: FeedState, epoch: RoomEpoch, clock: FeedClock, effects: FeedEffect[]): void {
  state.epoch = epoch
  effects.push({ type: 'position', position: position(state, clock), recovered: true })
}

function takeEvents(state: FeedState, record: Extract<OutRecord, { type: 'events' }>, clock: FeedClock, effects: FeedEffect[]): void {
  const epoch = parseEpoch(record.epoch)
  if (state.epoch === null || state.rejoining !== null || epoch === undefined) return
  const order = compareEpochs(epoch, state.epoch)
  if (order < 0) return
  if (order > 0) {
    if (!comesToLife(state, epoch)) return rejoin(state, 'epoch', effects)
    liven(state, epoch, clock, effects)
  }
  const last = record.first + record.events.length - 1
  if (last <= state.seq) return
  const events = record.events.slice(Math.max(0, state.seq + 1 - record.first))
  const first = last - events.length + 1
  if (first > state.seq + 1) {
    hold(state, first, events)
    state.target = Math.max(state.target, last)
    return fill(state, clock, effects)
  }
  if (state.fetches.size > 0) hold(state, first, events)
  deliver(state, first, events, effects)
}

function deliver(state: FeedState, first: number, events: Extract<FeedEffect, { type: 'deliver' }>['events'], effects: FeedEffect[]): void {
  state.seq = first + events.length - 1
  effects.push({ type: 'deliver', first, events })
}

/** Where live subscribers stand, as clients are told it. */
export function position(state: FeedState, clock: FeedClock): Position {
  return { epoch: state.epoch === null ? '' : epochForClient(state.epoch, clock.wallMs), seq: state.seq }
}

/** Answers those whose position can be judged now. */
function serveWaiting(state: FeedState, clock: FeedClock, effects: FeedEffect[]): void {
  if (state.epoch === null || state.rejoining !== null) return
  for (const [id, subscriber] of state.subscribers) {
    if (subscriber.type === 'waiting') serve(state, { id, subscriber }, clock, effects)
  }
}

function serve(state: FeedState, who: { id: number; subscriber: Extract<Subscriber, { type: 'waiting' }> }, clock: FeedClock, effects: FeedEffect[]): void {
  const { since } = who.subscriber
  if (since === null) return goLive(state, who.id, null, clock, effects)
  const reason = judge(state, since, who.subscriber.asked, clock)
  if (reason === 'ask') {
    // Our seq may lag behind the owner's head: only the owner can say that a client is ahead of the room.
    if (state.nonce === null && state.target < since.seq) declare(state, effects)
  } else if (reason !== null) goLive(state, who.id, reason, clock, effects)
  else if (since.seq === state.seq) goLive(state, who.id, null, clock, effects)
  else state.subscribers.set(who.id, { type: 'replaying', since, fetch: fetchFor(state, since.seq, effects) })
}

function judge(state: FeedState, since: Since, asked: boolean, clock: FeedClock): LossReason | 'ask' | null {
  const { epoch } = state
  if (epoch === null) return 'ask'
  if (!continues(since.epoch, epoch, clock.wallMs)) {
    // A newer life than ours is not a mistake of the client: we are the ones who have not heard of it yet.
    return compareEpochs(since.epoch, epoch) > 0 && !asked ? 'ask' : 'epoch'
  }
  if (since.seq > state.seq) return asked && state.target < since.seq ? 'ahead' : 'ask'
  return null
}

function goLive(state: FeedState, id: number, reason: LossReason | null, clock: FeedClock, effects: FeedEffect[]): void {
  state.subscribers.set(id, { type: 'live' })
  const base = { type: 'answer', subscriber: id, position: position(state, clock), missed: 0, events: [] } as const
  effects.push(reason === null ? { ...base, recovered: true } : { ...base, recovered: false, reason })
}

function tick(state: FeedState, clock: FeedClock, effects: FeedEffect[]): void {
  if (state.emptySince !== null && clock.now - state.emptySince >= interestLingerMs && state.declarations > 0) {
    const room = createFeed(state.room)
    Object.assign(state, room)
    effects.push({ type: 'withdraw' })
    return
  }
  if (state.digest > state.seq) state.target = Math.max(state.target, state.digest)
  state.digest = 0
  retryFetches(state, clock, effects)
  fill(state, clock, effects)
}

import type { OutRecord } from './entry.ts'
import { dropHeld, fetchesToRetry, fillTo, hold, startReplay, takeHistory } from './feed-history.ts'
import {
  adopt,
  declare,
  deliver,
  livens,
  liven,
  loseContinuity,
  placeOf,
  positionAt,
  rejoin,
  standing,
} from './feed-place.ts'
import { emptyMap, put, without } from './feed-maps.ts'
import { forgetOld } from './feed-recent.ts'
import type {
  FeedClock,
  FeedEffect,
  FeedInput,
  FeedRecord,
  FeedState,
  Since,
  Standing,
  Step,
  Waiting,
} from './feed-state.ts'
import type { LossReason } from './frames.ts'
import { feedLimits, interestLingerMs, historyMs } from './limits.ts'
import { compareEpochs, continues, parseEpoch } from './position.ts'

/** How long a subscription waits before it is refused for now, ms: well below the patience of a client. */
export const subscribeDeadlineMs = 5_000
/** A declaration without an answer for so long is repeated, ms. It costs little, and nothing may depend on one reply. */
const declareAgainMs = 10_000
/** What a refused subscriber is asked to wait, ms. */
const retryAfterMs = 1_000

/** `life` must differ between two feeds of one room in one process. */
export function createFeed(room: string, life = 0, limits = feedLimits, keepsMs = historyMs): FeedState {
  return {
    room,
    life,
    limits,
    historyMs: keepsMs,
    phase: { type: 'idle' },
    live: new Set(),
    waiting: emptyMap(),
    declared: 0,
    answered: 0,
    barrier: 0,
    declaredAtMs: 0,
    asking: 0,
    ownerHead: 0,
    minInc: 0,
    held: emptyMap(),
    heldChars: 0,
    fetches: emptyMap(),
    recent: null,
    requests: 0,
    emptySinceMs: null,
  }
}

/** Whether the feed can be forgotten: nobody subscribes and its interest was withdrawn. */
export function isForgotten(state: FeedState): boolean {
  return state.phase.type === 'idle'
}

/** Whether time alone can change anything, so that it has to be told of it. */
export function needsTick(state: FeedState): boolean {
  if (state.emptySinceMs !== null || state.waiting.size > 0 || state.fetches.size > 0 || state.recent !== null)
    return true
  const { phase } = state
  return (
    phase.type === 'backfilling' ||
    state.answered < state.declared ||
    (phase.type === 'live' && phase.digest > phase.seq)
  )
}

/**
 * One room at one edge (docs/spec.md FE, RS): every live subscriber is given every event after its position, once and
 * in order, or is told that continuity was lost. Changes `state` in place, because a room may have 100,000 subscribers.
 */
export function stepFeed(state: FeedState, input: FeedInput, clock: FeedClock): FeedEffect[] {
  const step: Step = { state, clock, effects: [], asking: false }
  switch (input.type) {
    case 'add':
      add(step, input)
      break
    case 'remove':
      forget(state, input.subscriber)
      markEmpty(step)
      break
    case 'record':
      takeRecord(step, input.record)
      break
    case 'reset':
      // Claims write a reset to every edge, also to those that learned of the new incarnation already.
      if (state.phase.type !== 'idle' && input.inc > state.minInc) {
        state.minInc = input.inc
        rejoin(step, 'epoch')
      }
      break
    case 'keeps':
      state.historyMs = input.historyMs
      break
    case 'resync':
      if (state.phase.type !== 'idle') declare(step, true)
      break
    case 'history':
      takeHistory(step, input)
      break
    case 'tick':
      tick(step)
      break
  }
  if (state.waiting.size > 0) judgeWaiting(step)
  return step.effects
}

function add(step: Step, input: Extract<FeedInput, { type: 'add' }>): void {
  const { state, clock } = step
  forget(state, input.subscriber)
  state.emptySinceMs = null
  state.waiting = put(state.waiting, input.subscriber, {
    since: input.since,
    deadlineMs: clock.now + subscribeDeadlineMs,
    asked: 0,
  })
  if (state.phase.type !== 'idle') return
  state.phase = { type: 'joining' }
  declare(step, true)
}

function forget(state: FeedState, subscriber: number): void {
  if (state.live.delete(subscriber)) return
  if (state.waiting.has(subscriber)) {
    state.waiting = without(state.waiting, subscriber)
    return
  }
  for (const fetch of state.fetches.values()) if (fetch.subscribers.delete(subscriber)) return
}

function markEmpty({ state, clock }: Step): void {
  if (state.phase.type === 'idle' || state.emptySinceMs !== null || state.live.size > 0 || state.waiting.size > 0)
    return
  for (const fetch of state.fetches.values()) if (fetch.subscribers.size > 0) return
  state.emptySinceMs = clock.now
}

function takeRecord(step: Step, record: FeedRecord): void {
  switch (record.type) {
    case 'interest':
      return takeInterest(step, record)
    case 'events':
      return takeEvents(step, record)
    case 'head': {
      const place = follow(step, record.epoch)
      // The events may be behind the digest in another entry: only at the next tick it is a hole.
      if (place !== undefined) place.digest = Math.max(place.digest, record.head)
      return
    }
    case 'ephemeral':
      if (standing(step.state) !== undefined && step.state.live.size > 0)
        step.effects.push({ type: 'ephemeral', event: record.event })
  }
}

/** The place, when a record under this epoch concerns it; a newer life of the room is entered, or asked about. */
function follow(step: Step, epochText: string): Standing | undefined {
  const place = standing(step.state)
  if (place === undefined || place.epochText === epochText) return place
  const epoch = parseEpoch(epochText)
  if (epoch === undefined || compareEpochs(epoch, place.epoch) < 0) return undefined
  if (livens(place, epoch)) {
    liven(step, place, epoch)
    return place
  }
  step.state.minInc = Math.max(step.state.minInc, epoch.inc)
  rejoin(step, 'epoch')
  return undefined
}

function takeInterest(step: Step, record: Extract<OutRecord, { type: 'interest' }>): void {
  const { state } = step
  const [life, n] = record.nonce.split('.').map(Number)
  const epoch = parseEpoch(record.epoch)
  if (life !== state.life || n === undefined || epoch === undefined || state.phase.type === 'idle') return
  if (!(n >= state.barrier && n > state.answered) || epoch.inc < state.minInc) return
  state.answered = n
  state.ownerHead = record.head
  if (n >= state.asking) state.asking = 0
  const place = standing(state)
  if (place === undefined) {
    const reason = state.phase.type === 'rejoining' ? state.phase.reason : undefined
    adopt(step, epoch, record.head)
    if (reason !== undefined) loseContinuity(step, reason)
  } else if (compareEpochs(epoch, place.epoch) === 0) fillTo(step, place, record.head)
  else if (livens(place, epoch)) {
    liven(step, place, epoch)
    fillTo(step, place, record.head)
  } else if (epoch.inc !== place.epoch.inc || epoch.tag !== 0) {
    adopt(step, epoch, record.head)
    loseContinuity(step, 'epoch')
  }
  // What is left is a room whose log went by after a day's silence: nobody missed anything, and its next life is told.
}

function takeEvents(step: Step, record: Extract<OutRecord, { type: 'events' }>): void {
  const place = follow(step, record.epoch)
  if (place === undefined) return
  const last = record.first + record.events.length - 1
  if (last <= place.seq) return
  const skip = Math.max(0, place.seq + 1 - record.first)
  const events = skip === 0 ? record.events : record.events.slice(skip)
  if (record.first > place.seq + 1) {
    hold(step.state, record.first, events)
    return fillTo(step, place, last)
  }
  if (step.state.fetches.size > 0) hold(step.state, place.seq + 1, events)
  deliver(step, place, events)
}

/** Answers those whose position can be judged now. */
function judgeWaiting(step: Step): void {
  const place = standing(step.state)
  if (place === undefined) return
  for (const [id, waiting] of step.state.waiting) {
    const verdict = waiting.since === null ? 'recovered' : judge(step, place, { ...waiting, since: waiting.since })
    if (verdict === 'ask') ask(step, waiting)
    else if (verdict === 'replay') startReplay(step, place, { id, waiting })
    else if (verdict !== 'wait') goLive(step, { id, place }, verdict)
  }
}

function judge(
  { state, clock }: Step,
  place: Standing,
  who: Waiting & { since: Since },
): LossReason | 'recovered' | 'replay' | 'ask' | 'wait' {
  const { since, asked } = who
  const told = asked > 0 && state.answered >= asked
  if (!continues(since.epoch, place.epoch, clock.wallMs)) {
    // A newer life than ours may be the truth: we are the ones who have not heard of it yet.
    return compareEpochs(since.epoch, place.epoch) > 0 && !told ? 'ask' : 'epoch'
  }
  if (since.seq === place.seq) return 'recovered'
  if (since.seq < place.seq) return 'replay'
  // Our seq may lag behind the owner's head: only the owner can say that a client is ahead of the room.
  if (!told) return 'ask'
  return since.seq > state.ownerHead ? 'ahead' : 'wait'
}

/** One question at a time, however many have one: whoever comes later waits for the next. */
function ask(step: Step, waiting: Waiting): void {
  const { state } = step
  if (waiting.asked > 0) return
  if (state.asking === 0) {
    declare(step, false)
    state.asking = state.declared
    step.asking = true
  }
  if (step.asking) waiting.asked = state.asking
}

function goLive(step: Step, who: { id: number; place: Standing }, verdict: LossReason | 'recovered'): void {
  const { state, clock, effects } = step
  state.waiting = without(state.waiting, who.id)
  state.live.add(who.id)
  const base = { type: 'answer', subscriber: who.id, position: positionAt(who.place, clock), events: [] } as const
  effects.push(verdict === 'recovered' ? { ...base, recovered: true } : { ...base, recovered: false, reason: verdict })
}

function tick(step: Step): void {
  const { state, clock } = step
  if (state.emptySinceMs !== null && clock.now - state.emptySinceMs >= interestLingerMs) return withdraw(step)
  if (state.answered < state.declared && clock.now - state.declaredAtMs >= declareAgainMs) declare(step, false)
  const place = placeOf(state.phase)
  if (place !== undefined) {
    const { digest } = place
    place.digest = 0
    fillTo(step, place, digest)
  }
  refuseLate(step)
  fetchesToRetry(step)
  forgetOld(state, clock.now)
}

function withdraw({ state, effects }: Step): void {
  state.phase = { type: 'idle' }
  state.emptySinceMs = null
  state.fetches = emptyMap()
  state.recent = null
  dropHeld(state)
  effects.push({ type: 'withdraw' })
}

/** Whoever waited too long is sent away, rather than left without an answer: the store may be away for long. */
function refuseLate(step: Step): void {
  const { state, clock, effects } = step
  const late = (waiters: ReadonlyMap<number, Waiting>): number[] =>
    [...waiters].flatMap(([id, { deadlineMs }]) => (clock.now < deadlineMs ? [] : [id]))
  const refused = late(state.waiting)
  for (const id of refused) state.waiting = without(state.waiting, id)
  for (const { subscribers } of state.fetches.values()) {
    for (const id of late(subscribers)) {
      subscribers.delete(id)
      refused.push(id)
    }
  }
  for (const subscriber of refused) effects.push({ type: 'refuse', subscriber, retryAfterMs })
  if (refused.length > 0) markEmpty(step)
}

import type { PublishResult } from './entry.ts'
import { dedupeMs } from './limits.ts'
import { keyOf, send } from './producer-queue.ts'
import { restartStallTimer, sizeOf } from './producer-state.ts'
import type {
  Pending,
  PendingPublish,
  ProducerEffect,
  ProducerInput,
  ProducerState,
  Settlement,
  WindowEntry,
} from './producer-state.ts'

/** What becomes of entries that were sent: outcomes of appends, acknowledgements, rewinds, resending. */

/** An entry is not sent again within this time because of repeated rewinds, ms. */
export const rewindQuietMs = 50
/** A failed append is tried again after 50 ms, doubling up to this, ms. */
const firstRetryMs = 50
const maxRetryMs = 1_000
/** The stall timer backs off up to this, ms. */
const maxStallMs = 15_000
/** What is sent again for want of an acknowledgement while that is new; from `probeAfterMs` on only the first entry is. */
const maxStallResendBytes = 1_048_576
const probeAfterMs = 4_000

function takeAttempt(state: ProducerState, attempt: number): WindowEntry | undefined {
  const entry = state.attempts.get(attempt)
  if (entry === undefined) return undefined
  state.attempts.delete(attempt)
  entry.inFlight -= 1
  return entry
}

export function appended(state: ProducerState, attempt: number, nowMs: number): void {
  const entry = takeAttempt(state, attempt)
  if (entry === undefined) return
  entry.reached = true
  const { resend } = state
  if (resend === null) state.failures = 0
  else if (resend.probe && entry.k === resend.from && resend.atMs <= nowMs) {
    // What came after the failed entry was dropped as a gap, whether or not it was appended.
    state.failures = 0
    state.resend = { from: entry.k + 1, atMs: nowMs, probe: false }
  }
}

type Failure = Extract<ProducerInput, { type: 'appendFailed' }>
export function appendFailed(state: ProducerState, input: Failure, nowMs: number): void {
  const entry = takeAttempt(state, input.attempt)
  if (entry === undefined) return
  if (input.outcome === 'unknown') entry.reached = true
  if (state.window[entry.k - (state.window[0]?.k ?? 0)] !== entry) return
  entry.failed = true
  const { resend } = state
  if (resend !== null && resend.atMs > nowMs) {
    resend.from = Math.min(resend.from, entry.k)
    return
  }
  const atMs = nowMs + Math.min(firstRetryMs * 2 ** state.failures, maxRetryMs)
  state.failures += 1
  state.resend = { from: Math.min(resend?.from ?? entry.k, entry.k), atMs, probe: true }
}

type Ack = Extract<ProducerInput, { type: 'ack' }>
export function acknowledge(state: ProducerState, ack: Ack, nowMs: number, effects: ProducerEffect[]): void {
  const first = state.window[0]
  if (ack.generation !== state.generation || first === undefined || ack.k < first.k) return
  const again: Pending[] = []
  for (const entry of state.window.splice(0, ack.k - first.k + 1)) {
    const lost = release(state, entry, entry.k === ack.k ? ack.results : [], effects)
    for (const message of lost) again.push(message)
  }
  if (again.length > 0) state.queue = [...again, ...state.queue]
  restartStallTimer(state, nowMs)
  const { resend } = state
  if (resend !== null && ack.k >= resend.from) {
    const failed = state.window.find((entry) => entry.failed)
    state.resend = failed === undefined ? null : { ...resend, from: failed.k }
  }
}

/** Settles an acknowledged entry's publishes; returns those whose results are not known, to be published again. */
function release(
  state: ProducerState,
  entry: WindowEntry,
  results: readonly PublishResult[],
  effects: ProducerEffect[],
): readonly PendingPublish[] {
  const publishes: PendingPublish[] = []
  for (const message of entry.messages) {
    state.budget.used -= sizeOf(message)
    if (message.kind === 'publish') publishes.push(message)
  }
  const known = results.length === publishes.length
  const lost: PendingPublish[] = []
  for (const [i, message] of publishes.entries()) {
    const result = known ? results[i] : undefined
    if (message.settled) continue
    if (result === undefined) {
      message.entry = null
      message.consumed = true
      state.budget.used += sizeOf(message)
      state.queuedBytes += message.length
      lost.push(message)
    } else if (result.ok) settle(message, { type: 'committed', epoch: result.epoch, seq: result.seq }, effects)
    else settle(message, { type: 'refused', code: result.code, retryAfterMs: result.retryAfterMs }, effects)
  }
  return lost
}

export function settle(message: PendingPublish, outcome: Settlement, effects: ProducerEffect[]): void {
  message.settled = true
  effects.push({ type: 'settle', id: message.id, outcome })
}

type Rewind = Extract<ProducerInput, { type: 'rewind' }>
export function rewind(state: ProducerState, input: Rewind, nowMs: number): void {
  if (input.generation < state.generation) return
  const first = state.window[0]?.k ?? state.nextK
  if (input.generation > state.generation || input.from < first) {
    // The worker misses what it once acknowledged, or knows another life of this producer: only the keys of the
    // publishes can tell now what was committed.
    renumber(state, input.generation + 1, nowMs)
    return
  }
  const entry = state.window[input.from - first]
  if (entry === undefined) return
  const atMs = Math.max(nowMs, entry.sentAtMs + rewindQuietMs)
  const { resend } = state
  if (resend === null) state.resend = { from: entry.k, atMs, probe: false }
  else state.resend = { from: Math.min(resend.from, entry.k), atMs: Math.min(resend.atMs, atMs), probe: false }
}

type Declared = Extract<Pending, { kind: 'declaration' }>

/** The last message about each connection that is not acknowledged. */
function lastWords(state: ProducerState): ReadonlyMap<string, Pending> {
  const last = new Map<string, Pending>()
  for (const message of [...state.window.flatMap((entry) => entry.messages), ...state.queue])
    if (message.kind === 'declaration' && isOfConnection(message)) last.set(keyOf(message.message), message)
  return last
}

/** The boot under which it was told may be forgotten: a connection that ended must not take anybody's place again, however shortly. */
function isOutdated(declared: Declared, last: ReadonlyMap<string, Pending>): boolean {
  return isOfConnection(declared) && last.get(keyOf(declared.message)) !== declared
}

const isOfConnection = ({ message: { type } }: Declared): boolean => type === 'connection' || type === 'member'

/**
 * Numbers everything un-acknowledged from 1 under a new generation or boot and sends it again. A publish that was
 * answered `unknown` long ago is left out: its key may be forgotten by now, and it would become a second message.
 */
export function renumber(state: ProducerState, generation: number, nowMs: number): void {
  const kept: WindowEntry[] = []
  const last = lastWords(state)
  for (const entry of state.window) {
    const old = nowMs - entry.firstSentAtMs > dedupeMs / 2
    const gone = (message: Pending): boolean =>
      message.kind === 'publish' ? old && message.settled : isOutdated(message, last)
    for (const message of entry.messages) if (gone(message)) state.budget.used -= sizeOf(message)
    entry.messages = entry.messages.filter((message) => !gone(message))
    if (entry.messages.length === 0) continue
    kept.push(entry)
    entry.k = kept.length
  }
  state.window = kept
  state.generation = generation
  state.nextK = kept.length + 1
  state.failures = 0
  state.resend = kept.length === 0 ? null : { from: 1, atMs: nowMs, probe: false }
}

export function runResend(state: ProducerState, nowMs: number, effects: ProducerEffect[]): void {
  const { resend } = state
  const first = state.window[0]
  if (resend === null || resend.atMs > nowMs) return
  const entries = first === undefined ? [] : state.window.slice(Math.max(0, resend.from - first.k))
  const [probe] = entries
  if (probe === undefined || !resend.probe) {
    state.resend = null
    for (const entry of entries) send(state, entry, nowMs, effects)
    if (entries.length > 0) state.movedAtMs = nowMs
  } else if (probe.inFlight === 0) {
    resend.from = probe.k
    send(state, probe, nowMs, effects)
  }
}

/**
 * No acknowledgement moved for a while although nothing failed: something was lost that nobody noticed, or nobody serves
 * the slot. For that case it must become little: what is sent again stays in the store until a worker comes.
 */
export function resendStalled(state: ProducerState, nowMs: number, effects: ProducerEffect[]): void {
  const first = state.window[0]
  if (first === undefined || first.inFlight > 0 || state.resend !== null) return
  if (nowMs - state.movedAtMs < state.stallMs) return
  state.movedAtMs = nowMs
  const most = state.stallMs < probeAfterMs ? maxStallResendBytes : 0
  state.stallMs = Math.min(state.stallMs * 2, maxStallMs)
  let bytes = 0
  for (const entry of state.window) {
    if (bytes > most) break
    for (const message of entry.messages) bytes += message.length
    send(state, entry, nowMs, effects)
  }
}

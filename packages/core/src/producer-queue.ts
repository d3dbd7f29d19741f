import { encodeInput, lengthOf } from './entry.ts'
import type { EphemeralMessage } from './entry.ts'
import { maxEntryBytes, maxWindowEntries } from './limits.ts'
import { messageOverheadBytes, overloadRetryMs, restartStallTimer, sizeOf } from './producer-state.ts'
import type {
  Declaration,
  Pending,
  PendingDeclaration,
  PendingPublish,
  ProducerEffect,
  ProducerInput,
  ProducerState,
  WindowEntry,
} from './producer-state.ts'

/** The way from a message accepted to an entry sent. */

/** Ephemeral messages that may wait for the next tick. */
export const maxQueuedEphemerals = 1_024
/** Above so many un-acknowledged entries a new one is made only when it is full or the last is this old, ms. */
const eagerEntries = 64
const lingerMs = 10

export function publish(
  state: ProducerState,
  input: Extract<ProducerInput, { type: 'publish' }>,
  effects: ProducerEffect[],
): void {
  const { id, message, deadlineAtMs } = input
  const length = lengthOf(message)
  const full = state.window.length >= (state.budget.entries ?? maxWindowEntries)
  if (full || state.budget.used + length + messageOverheadBytes > state.budget.max) {
    effects.push({
      type: 'settle',
      id,
      outcome: { type: 'refused', code: 'OVERLOADED', retryAfterMs: overloadRetryMs },
    })
    return
  }
  const pending: PendingPublish = {
    kind: 'publish',
    id,
    message,
    length,
    deadlineAtMs,
    entry: null,
    consumed: false,
    settled: false,
  }
  state.earliestDeadlineAtMs = Math.min(state.earliestDeadlineAtMs, deadlineAtMs)
  enqueue(state, pending)
}

function enqueue(state: ProducerState, message: Pending): void {
  state.queue.push(message)
  state.queuedBytes += message.length
  state.budget.used += sizeOf(message)
}

/**
 * Never refused, because a subscriber that the worker does not know would silently hear nothing. Bounded all the
 * same: a declaration that was never sent is replaced by the next one of the same room, or connection.
 */
export function declare(state: ProducerState, message: Declaration): void {
  const pending: PendingDeclaration = {
    kind: 'declaration',
    message,
    length: lengthOf(message),
    superseded: false,
  }
  const key = keyOf(message)
  const before = state.queuedDeclarations.get(key)
  if (before !== undefined) {
    before.superseded = true
    state.superseded += 1
  }
  state.queuedDeclarations.set(key, pending)
  enqueue(state, pending)
  if (state.superseded > 64 && state.superseded * 2 > state.queue.length) compact(state)
}

/** A room's name has a colon, a connection's id has none; neither has a space. */
export function keyOf(message: Declaration): string {
  switch (message.type) {
    case 'interest':
      return message.room
    case 'connection':
      return message.connection
    case 'member':
      return `${message.room} ${message.connection}`
    case 'query':
    case 'ask':
    case 'lock':
    case 'rate':
      // Who asks for locks counts on its own, and so does who asks for rates.
      return `${message.room} ${message.type} ${message.nonce}`
  }
}

const isGone = (message: Pending): boolean => (message.kind === 'publish' ? message.settled : message.superseded)

/** Takes out of the queue what need not be sent any more. */
export function compact(state: ProducerState): void {
  const kept: Pending[] = []
  let bytes = 0
  for (const message of state.queue) {
    if (isGone(message)) {
      state.budget.used -= sizeOf(message)
    } else {
      kept.push(message)
      bytes += message.length
    }
  }
  state.queue = kept
  state.queuedBytes = bytes
  state.superseded = 0
}

export function send(state: ProducerState, entry: WindowEntry, nowMs: number, effects: ProducerEffect[]): void {
  const attempt = state.nextAttempt++
  state.attempts.set(attempt, entry)
  entry.inFlight += 1
  entry.failed = false
  entry.sentAtMs = nowMs
  const head = { boot: state.boot, generation: state.generation, k: entry.k }
  effects.push({
    type: 'append',
    attempt,
    body: encodeInput(
      head,
      entry.messages.map(({ message }) => message),
    ),
  })
}

export function flush(state: ProducerState, nowMs: number, effects: ProducerEffect[]): void {
  if (state.ephemerals.length > 0) flushEphemerals(state, effects)
  // While a failed append waits for its next attempt new entries would be dropped as a gap; what stays in the queue
  // can still be refused for certain.
  if (state.resend?.probe === true) return
  while (state.queue.length > 0 && isRipe(state, nowMs)) {
    const messages = takeBatch(state)
    if (messages.length === 0) continue
    const entry: WindowEntry = {
      k: state.nextK++,
      messages,
      inFlight: 0,
      reached: false,
      failed: false,
      firstSentAtMs: nowMs,
      sentAtMs: nowMs,
    }
    for (const message of messages) if (message.kind === 'publish') message.entry = entry
    if (state.window.length === 0) restartStallTimer(state, nowMs)
    state.window.push(entry)
    state.flushedAtMs = nowMs
    send(state, entry, nowMs, effects)
  }
}

/** While acknowledgements are late entries grow instead of multiplying, so that a window outlasts a take-over. */
function isRipe(state: ProducerState, nowMs: number): boolean {
  if (state.window.length >= (state.budget.entries ?? maxWindowEntries)) return false
  return (
    state.window.length < eagerEntries || state.queuedBytes >= maxEntryBytes || nowMs - state.flushedAtMs >= lingerMs
  )
}

function takeBatch(state: ProducerState): readonly Pending[] {
  const messages: Pending[] = []
  let bytes = 0
  let taken = 0
  for (const message of state.queue) {
    if (messages.length > 0 && bytes + message.length > maxEntryBytes) break
    taken += 1
    state.queuedBytes -= message.length
    if (isGone(message)) {
      state.budget.used -= sizeOf(message)
      if (message.kind === 'declaration') state.superseded -= 1
      continue
    }
    if (message.kind === 'declaration') state.queuedDeclarations.delete(keyOf(message.message))
    messages.push(message)
    bytes += message.length
  }
  state.queue.splice(0, taken)
  return messages
}

function flushEphemerals(state: ProducerState, effects: ProducerEffect[]): void {
  const messages: readonly EphemeralMessage[] = state.ephemerals
  state.ephemerals = []
  // The store did not answer lately: they would be late, and they are the first thing to go.
  if (state.resend?.probe === true) return
  const head = { boot: state.boot, generation: state.generation, k: 0 }
  let from = 0
  while (from < messages.length) {
    let to = from
    let bytes = 0
    for (const message of messages.slice(from)) {
      bytes += lengthOf(message)
      if (to > from && bytes > maxEntryBytes) break
      to += 1
    }
    effects.push({ type: 'append', attempt: 0, body: encodeInput(head, messages.slice(from, to)) })
    from = to
  }
}

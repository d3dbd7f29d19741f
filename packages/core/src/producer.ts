import { resendAfterMs } from './limits.ts'
import { compact, declare, flush, maxQueuedEphemerals, publish } from './producer-queue.ts'
import { overloadRetryMs, sizeOf } from './producer-state.ts'
import type { ByteBudget, ProducerEffect, ProducerInput, ProducerState, Settlement } from './producer-state.ts'
import {
  acknowledge,
  appended,
  appendFailed,
  renumber,
  resendStalled,
  rewind,
  runResend,
  settle,
} from './producer-window.ts'

export function createProducer(boot: string, budget: ByteBudget): ProducerState {
  return {
    boot,
    generation: 0,
    nextK: 1,
    queue: [],
    queuedBytes: 0,
    queuedDeclarations: new Map(),
    superseded: 0,
    ephemerals: [],
    window: [],
    attempts: new Map(),
    nextAttempt: 1,
    budget,
    earliestDeadlineAtMs: Infinity,
    movedAtMs: 0,
    stallMs: resendAfterMs,
    resend: null,
    failures: 0,
    flushedAtMs: -Infinity,
  }
}

/** Nothing durable waits for an acknowledgement. */
export function isIdle(state: ProducerState): boolean {
  return state.queue.length === 0 && state.window.length === 0
}

/**
 * One process's producer for one slot (docs/spec.md PR): numbers what it appends, keeps it until the worker has
 * acknowledged it, and sends it again when the worker misses it. Whoever runs it executes `append` effects in order
 * and reports each outcome under the effect's `attempt`; a `tick` flushes what was queued since the last one.
 * Mutates `state`; `nowMs` must never go back.
 */
export function stepProducer(state: ProducerState, input: ProducerInput, nowMs: number): readonly ProducerEffect[] {
  const effects: ProducerEffect[] = []
  switch (input.type) {
    case 'publish':
      publish(state, input, effects)
      break
    case 'declare':
      declare(state, input.message)
      break
    case 'ephemeral':
      if (state.ephemerals.length < maxQueuedEphemerals) state.ephemerals.push(input.message)
      break
    case 'appended':
      appended(state, input.attempt, nowMs)
      break
    case 'appendFailed':
      appendFailed(state, input, nowMs)
      break
    case 'ack':
      acknowledge(state, input, nowMs, effects)
      break
    case 'rewind':
      rewind(state, input, nowMs)
      runResend(state, nowMs, effects)
      break
    case 'resync':
      state.resend = { from: 0, atMs: nowMs, probe: false }
      runResend(state, nowMs, effects)
      break
    case 'reboot':
      state.boot = input.boot
      renumber(state, 0, nowMs)
      runResend(state, nowMs, effects)
      break
    case 'tick':
      expire(state, nowMs, effects)
      resendStalled(state, nowMs, effects)
      runResend(state, nowMs, effects)
      flush(state, nowMs, effects)
      break
  }
  return effects
}

/** Answers the publishes whose time is up. */
function expire(state: ProducerState, nowMs: number, effects: ProducerEffect[]): void {
  if (nowMs < state.earliestDeadlineAtMs) return
  let earliest = Infinity
  let queued = false
  for (const message of [...state.queue, ...state.window.flatMap((entry) => entry.messages)]) {
    if (message.kind === 'declaration' || message.settled) continue
    if (message.deadlineAtMs > nowMs) {
      earliest = Math.min(earliest, message.deadlineAtMs)
      continue
    }
    const { entry } = message
    if (entry === null) queued = true
    const certain = !message.consumed && (entry === null || (!entry.reached && entry.inFlight === 0))
    if (certain && entry !== null) {
      // The entry's number stays: only its content goes.
      entry.messages = entry.messages.filter((other) => other !== message)
      state.budget.used -= sizeOf(message)
    }
    const outcome: Settlement = certain
      ? { type: 'refused', code: 'OVERLOADED', retryAfterMs: overloadRetryMs }
      : { type: 'unknown', retryAfterMs: overloadRetryMs }
    settle(message, outcome, effects)
  }
  state.earliestDeadlineAtMs = earliest
  if (queued) compact(state)
}

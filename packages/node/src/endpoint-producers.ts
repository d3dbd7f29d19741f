import type { OutRecord, StateMessage } from '@flotilla/core/entry'
import { maxWindowBytes, publishDeadlineMs } from '@flotilla/core/limits'
import { createProducer, isIdle, stepProducer } from '@flotilla/core/producer'
import { overloadRetryMs } from '@flotilla/core/producer-state'
import type { ByteBudget, ProducerEffect, ProducerInput, ProducerState } from '@flotilla/core/producer-state'
import { laneOf, slotOf } from '@flotilla/core/slot'
import type { EndpointMetrics } from './endpoint-metrics.ts'
import type { PublishOutcome, PublishRequest } from './endpoint-port.ts'
import type { Scope } from './scope.ts'
import { StoreError } from './store/port.ts'
import type { Store } from './store/port.ts'

/** How often deadlines and resend timers are looked at, ms. */
const tickEveryMs = 50
/**
 * Producers of a busy process append so far apart, ms: what comes meanwhile shares entries and one write. Further apart once so
 * many had something to append: then more of what comes is for the same slots.
 */
const flushEveryMs = 2
const flushEveryFullMs = 5
const fullFlush = 32

export interface ProducersOptions {
  readonly boot: string
  readonly store: Store
  readonly scope: Scope
  readonly maxWindowBytes?: number
  readonly publishDeadlineMs?: number
  readonly metrics?: EndpointMetrics
}

/** What is to be said whatever waits: that something has ended, or is open already. There is no more of it than of what was accepted. */
function isLast(message: StateMessage): boolean {
  if (message.type === 'connection') return message.change !== 'open'
  return message.type === 'member' && message.change !== 'in'
}

interface SlotProducer {
  readonly slot: number
  readonly lane: number
  readonly state: ProducerState
  dirty: boolean
}

type Settled = (outcome: PublishOutcome) => void
/**
 * Who waits for the outcome of a publish; used again for another one, as there are tens of thousands in a second. There are as many
 * as publishes ever waited at the same time, which the byte budget limits.
 */
interface Waiter {
  readonly id: number
  sinceMs: number
  settled: Settled | undefined
}

/** The producers of one process, one per slot in use: executes their effects and feeds them the answers. */
export class Producers {
  readonly #options: ProducersOptions
  readonly #budget: ByteBudget
  readonly #producers = new Map<number, SlotProducer>()
  readonly #waiters: Waiter[] = []
  readonly #free: Waiter[] = []
  #outcomes: { readonly settled: Settled; readonly outcome: PublishOutcome }[] = []
  readonly #idleWaiters: (() => void)[] = []
  #boot: string
  #flushedAtMs = -Infinity
  #flushEveryMs = flushEveryMs
  #dirty: SlotProducer[] = []
  #state: 'open' | 'refusing' | 'closed' = 'open'

  constructor(options: ProducersOptions) {
    this.#options = options
    this.#boot = options.boot
    this.#budget = { used: 0, max: options.maxWindowBytes ?? maxWindowBytes }
    options.scope.every(tickEveryMs, () => this.#tickAll())
  }

  /** Calls `settled` once, never before this returns. */
  publish(request: PublishRequest, settled: Settled): void {
    if (this.#state !== 'open') {
      this.#tell(settled, { type: 'refused', code: 'OVERLOADED', retryAfterMs: overloadRetryMs })
      return
    }
    const { room, key, sender, options, tail } = request
    const producer = this.#producerFor(room)
    const now = performance.now()
    const { id } = this.#wait(settled, now)
    const deadlineAtMs = now + (this.#options.publishDeadlineMs ?? publishDeadlineMs)
    const message = { type: 'publish', room, key, sender, options, tail } as const
    this.#step(producer, { type: 'publish', id, message, deadlineAtMs }, now)
    this.#touch(producer)
  }

  ephemeral(room: string, options: string, tail: string): void {
    this.#accept(room, { type: 'ephemeral', message: { type: 'ephemeral', room, options, tail } })
  }

  interest(room: string, on: boolean, nonce: string): void {
    this.#accept(room, { type: 'declare', message: { type: 'interest', room, on, nonce } })
  }

  /** False: nothing was sent, as what waits for the workers is as much as may. Only who comes is refused. */
  tell(message: StateMessage): boolean {
    const isFull = this.#state !== 'open' || this.#budget.used >= this.#budget.max
    if (isFull && !isLast(message)) return false
    this.#accept(message.room, { type: 'declare', message })
    return true
  }

  /** Acknowledgements and rewinds among the records of an outbox. */
  take(records: readonly OutRecord[]): void {
    for (const record of records) {
      if (record.type !== 'ack' && record.type !== 'rewind') continue
      const producer = this.#producers.get(record.slot)
      if (producer === undefined) continue
      this.#step(producer, record)
      if (producer.state.queue.length > 0) this.#touch(producer)
    }
    this.#tellIdle()
  }

  resync(lane: number): void {
    for (const producer of this.#producers.values())
      if (producer.lane === lane) this.#step(producer, { type: 'resync' })
  }

  reboot(boot: string): void {
    this.#boot = boot
    for (const producer of this.#producers.values()) this.#step(producer, { type: 'reboot', boot })
  }

  /** From now on new publishes are refused; what was accepted, and interest, go on. */
  refuse(): void {
    if (this.#state === 'open') this.#state = 'refusing'
  }

  /** Resolves when nothing durable waits for an acknowledgement. */
  whenIdle(): Promise<void> {
    return this.#isIdle() ? Promise.resolve() : new Promise((resolve) => this.#idleWaiters.push(resolve))
  }

  /** Answers every publish that still waits; nothing is appended any more. */
  close(): void {
    this.#state = 'closed'
    // Past every deadline, so each publish gets the answer that is true of it.
    for (const producer of this.#producers.values()) this.#step(producer, { type: 'tick' }, Infinity)
  }

  #producerFor(room: string): SlotProducer {
    const { slots, lanes } = this.#options.store.shape
    const slot = slotOf(room, slots)
    let producer = this.#producers.get(slot)
    if (producer === undefined) {
      producer = { slot, lane: laneOf(slot, lanes), state: createProducer(this.#boot, this.#budget), dirty: false }
      this.#producers.set(slot, producer)
    }
    return producer
  }

  #accept(room: string, input: ProducerInput): void {
    if (this.#state === 'closed') return
    const producer = this.#producerFor(room)
    this.#step(producer, input)
    this.#touch(producer)
  }

  #step(producer: SlotProducer, input: ProducerInput, nowMs = performance.now()): void {
    for (const effect of stepProducer(producer.state, input, nowMs)) {
      if (effect.type === 'settle') this.#settle(effect.id, effect.outcome)
      else if (this.#state !== 'closed') this.#append(producer, effect)
    }
  }

  #wait(settled: Settled, sinceMs: number): Waiter {
    const waiter = this.#free.pop() ?? { id: this.#waiters.length, sinceMs, settled }
    waiter.sinceMs = sinceMs
    waiter.settled = settled
    this.#waiters[waiter.id] = waiter
    return waiter
  }

  #settle(id: number, outcome: PublishOutcome): void {
    const waiter = this.#waiters[id]
    if (waiter?.settled === undefined) return
    this.#options.metrics?.published(outcome.type, performance.now() - waiter.sinceMs)
    this.#tell(waiter.settled, outcome)
    waiter.settled = undefined
    this.#free.push(waiter)
  }

  /** When what led to it is over: all that one read brought share one turn. */
  #tell(settled: Settled, outcome: PublishOutcome): void {
    if (this.#outcomes.length === 0) queueMicrotask(() => this.#tellOutcomes())
    this.#outcomes.push({ settled, outcome })
  }

  #tellOutcomes(): void {
    const outcomes = this.#outcomes
    this.#outcomes = []
    for (const { settled, outcome } of outcomes) settled(outcome)
  }

  #append(producer: SlotProducer, { attempt, body }: Extract<ProducerEffect, { type: 'append' }>): void {
    this.#options.store.inputs.append(producer.slot, body).then(
      () => this.#appended(producer, { type: 'appended', attempt }),
      (error: unknown) => {
        // Anything but a StoreError is a fault of ours, after which only the careful answer is right.
        const outcome = error instanceof StoreError ? error.outcome : 'unknown'
        this.#appended(producer, { type: 'appendFailed', attempt, outcome })
      },
    )
  }

  #appended(producer: SlotProducer, input: Extract<ProducerInput, { type: 'appended' | 'appendFailed' }>): void {
    this.#options.metrics?.appended(input.type === 'appended')
    if (input.attempt === 0) return
    this.#step(producer, input)
    if (producer.state.resend !== null) this.#touch(producer)
  }

  /** The producer is ticked at the end of this turn of the event loop, or a little later when that was done just now. */
  #touch(producer: SlotProducer): void {
    if (producer.dirty) return
    producer.dirty = true
    if (this.#dirty.length === 0) {
      const restMs = this.#flushEveryMs - (performance.now() - this.#flushedAtMs)
      if (restMs > 0.5) setTimeout(() => this.#flush(), restMs)
      else setImmediate(() => this.#flush())
    }
    this.#dirty.push(producer)
  }

  #flush(): void {
    const batch = this.#dirty
    this.#dirty = []
    const now = performance.now()
    this.#flushedAtMs = now
    this.#flushEveryMs = batch.length < fullFlush ? flushEveryMs : flushEveryFullMs
    for (const producer of batch) {
      producer.dirty = false
      this.#step(producer, { type: 'tick' }, now)
    }
  }

  #tickAll(): void {
    const now = performance.now()
    for (const producer of this.#producers.values())
      if (!isIdle(producer.state)) this.#step(producer, { type: 'tick' }, now)
    this.#options.metrics?.window(this.#budget.used)
    this.#tellIdle()
  }

  #isIdle(): boolean {
    for (const producer of this.#producers.values()) if (!isIdle(producer.state)) return false
    return true
  }

  #tellIdle(): void {
    if (this.#idleWaiters.length === 0 || !this.#isIdle()) return
    for (const resolve of this.#idleWaiters.splice(0)) resolve()
  }
}

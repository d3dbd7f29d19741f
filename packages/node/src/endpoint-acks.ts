import { createHeldAcks, stepHeldAcks } from '@flotilla/core/held-acks'
import type { HeldAcksInput } from '@flotilla/core/held-acks'
import type { OutRecord } from '@flotilla/core/entry'
import { createBackoff, wait } from './backoff.ts'
import type { Log } from './log.ts'
import type { Scope } from './scope.ts'
import type { Store } from './store/port.ts'

/** Replicas that do not confirm are said again as often, ms. */
const sayAgainMs = 10_000

export interface AcksDeps {
  readonly store: Store
  readonly log: Log
  readonly scope: Scope
  /** How long the replicas took to confirm; undefined: they did not. */
  confirmed(ms: number | undefined): void
  /** Acknowledgements and rewinds to be acted on, in order. */
  onAcks(records: readonly OutRecord[]): void
  /** What was held is void: the lane's producers have to send again what is not acknowledged. */
  onDropped(lane: number): void
}

export interface Acks {
  /** What one read of the outbox brought, and the run that it was read under. */
  take(records: readonly OutRecord[], run: string): void
  stop(): void
}

/** Lets acknowledgements through at once, or, where replicas have to confirm, once they have. */
export function createAcks(lane: number, deps: AcksDeps): Acks {
  if (deps.store.ackReplicas === 0) return { take: deps.onAcks, stop: () => undefined }
  return new HeldBack(lane, deps)
}

class HeldBack implements Acks {
  readonly #lane: number
  readonly #deps: AcksDeps
  readonly #state = createHeldAcks()
  /** Grows with each answer that let nothing through. */
  readonly #backoff = createBackoff({ baseMs: 20, maxMs: 500, random: Math.random })
  #inVain = false
  #saidAtMs = -Infinity
  #stopped = false

  constructor(lane: number, deps: AcksDeps) {
    this.#lane = lane
    this.#deps = deps
  }

  take(records: readonly OutRecord[], run: string): void {
    this.#step({ type: 'read', records, run })
  }
  stop(): void {
    this.#stopped = true
  }

  #step(input: HeldAcksInput): void {
    if (this.#stopped || this.#deps.scope.signal.aborted) return
    for (const effect of stepHeldAcks(this.#state, input)) {
      if (effect.type === 'ask') void this.#ask()
      else if (effect.type === 'drop') this.#drop()
      else {
        this.#inVain = false
        this.#backoff.reset()
        this.#release(effect.records)
      }
    }
  }

  /** A fault of ours must not become a silent loss: everything is asked for again. */
  #release(records: readonly OutRecord[]): void {
    try {
      this.#deps.onAcks(records)
    } catch (error) {
      this.#deps.log.error('acknowledgements could not be processed', { lane: this.#lane, err: error })
      this.#deps.onDropped(this.#lane)
    }
  }

  #drop(): void {
    this.#inVain = true
    this.#deps.onDropped(this.#lane)
  }

  async #ask(): Promise<void> {
    const { store, scope, log, confirmed } = this.#deps
    if (this.#inVain) await wait(this.#backoff.next(), scope.signal).catch(() => undefined)
    const startedMs = performance.now()
    const run = await store.outboxes.confirm(this.#lane).catch((error: unknown) => {
      log.debug('replicas not asked', { lane: this.#lane, err: error })
      return ''
    })
    confirmed(run === '' ? undefined : performance.now() - startedMs)
    if (run === '') this.#unconfirmed()
    this.#step({ type: 'answered', run })
  }

  #unconfirmed(): void {
    this.#inVain = true
    const nowMs = performance.now()
    if (nowMs - this.#saidAtMs < sayAgainMs) return
    this.#saidAtMs = nowMs
    const { store, log } = this.#deps
    log.warn('replicas do not confirm: publishes wait for their acknowledgement', {
      lane: this.#lane,
      needed: store.ackReplicas,
    })
  }
}

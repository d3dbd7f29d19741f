import { after, fullJitterMs, hintedMs } from './backoff.ts'
import { FlotillaError, QueueFullError, TimeoutError } from './errors.ts'
import type { Settings } from './options.ts'
import { isRetryable } from './wire.ts'
import type { DataFrame, ErrorFrame, Wire } from './wire.ts'

interface Ask {
  readonly fields: string
  readonly resolve: (frame: DataFrame) => void
  readonly reject: (error: FlotillaError) => void
  readonly stopTimeout: () => void
  stopWaiting: (() => void) | undefined
  asked: boolean
  refusals: number
}

/** What is asked for, how many may be under way, as the server allows, and whether it may be done twice. */
export interface Kind {
  readonly type: 'history' | 'call'
  readonly maxInFlight: number
  readonly repeats: boolean
}

/** Requests that may wait at once. */
const maxAsks = 100

/** Requests that are answered with data: asked again after a refusal for now, and, where that does no harm, on the next connection. */
export class Requests {
  readonly #settings: Settings
  readonly #wire: Wire
  readonly #kind: Kind
  readonly #asks = new Set<Ask>()

  constructor(settings: Settings, wire: Wire, kind: Kind) {
    this.#settings = settings
    this.#wire = wire
    this.#kind = kind
  }

  /** `what`: for who waits too long, `… within 20000 ms`. */
  ask(fields: string, what: string, timeoutMs: number): Promise<DataFrame> {
    return new Promise((resolve, reject) => {
      if (this.#asks.size >= maxAsks) throw new QueueFullError(`${maxAsks} requests wait already`)
      const late = `${what} within ${timeoutMs} ms`
      const stopTimeout = after(timeoutMs, () => this.#fail(ask, this.#unknownIf(ask, late) ?? new TimeoutError(late)))
      const ask: Ask = { fields, resolve, reject, stopTimeout, stopWaiting: undefined, asked: false, refusals: 0 }
      this.#asks.add(ask)
      this.flush()
    })
  }

  /** A connection is there, or an answer has made room. */
  flush(): void {
    if (!this.#wire.up) return
    let free = this.#kind.maxInFlight - [...this.#asks].filter(({ asked }) => asked).length
    for (const ask of this.#asks) {
      if (free <= 0) return
      if (ask.asked || ask.stopWaiting !== undefined) continue
      free -= 1
      ask.asked = true
      this.#wire.get(this.#kind.type, ask.fields, (reply) => this.#answered(ask, reply))
    }
  }

  /** The connection is gone, and with it every request. */
  lost(): void {
    for (const ask of this.#asks) {
      const error = this.#unknownIf(ask, 'the connection was lost')
      if (error !== undefined) this.#fail(ask, error)
      ask.asked = false
    }
  }

  close(error: FlotillaError): void {
    for (const ask of this.#asks) this.#fail(ask, this.#unknownIf(ask, error.message) ?? error)
  }

  /** What is on its way may have been done. */
  #unknownIf({ asked }: Ask, why: string): FlotillaError | undefined {
    if (!asked || this.#kind.repeats) return undefined
    return new FlotillaError('UNKNOWN', `${why}: it may have been done`)
  }

  #answered(ask: Ask, reply: DataFrame | ErrorFrame): void {
    ask.asked = false
    if (reply.type !== 'error') {
      if (this.#end(ask)) ask.resolve(reply)
    } else if (isRetryable(reply) && (this.#kind.repeats || reply.code !== 'UNKNOWN')) {
      const random = this.#settings.random()
      const backOff = fullJitterMs(ask.refusals, { minMs: 500, maxMs: 10_000 }, random)
      ask.refusals += 1
      const waitMs = reply.retryAfterMs === undefined ? backOff : hintedMs(reply.retryAfterMs, random)
      ask.stopWaiting = after(waitMs, () => {
        ask.stopWaiting = undefined
        this.flush()
      })
    } else this.#fail(ask, new FlotillaError(reply.code, reply.message, { reason: reply.reason }))
    this.flush()
  }

  #fail(ask: Ask, error: FlotillaError): void {
    if (this.#end(ask)) ask.reject(error)
  }

  #end(ask: Ask): boolean {
    ask.stopTimeout()
    ask.stopWaiting?.()
    return this.#asks.delete(ask)
  }
}

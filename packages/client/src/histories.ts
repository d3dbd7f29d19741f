import { after, fullJitterMs, hintedMs } from './backoff.ts'
import { FlotillaError, QueueFullError, TimeoutError } from './errors.ts'
import type { Settings } from './options.ts'
import { fieldsOf, isRetryable } from './wire.ts'
import type { ErrorFrame, PageFrame, Wire } from './wire.ts'

/** Which page of what a room keeps: what is before a seq, after one, or the newest there is. */
export interface HistoryOptions {
  readonly before?: number
  readonly after?: number
  /** Events of the page at the most, 1 to 100; 100 when it is left out. A page of large events is shorter. */
  readonly limit?: number
  /** Rejects with `TimeoutError` after this, ms; 20,000 when it is left out. */
  readonly timeoutMs?: number
}

/** A page, oldest first. The one before it is asked for with `before: first`, the one after it with `after: last`. */
export interface HistoryPage {
  readonly events: readonly {
    readonly seq: number
    readonly event: string
    readonly data: unknown
    readonly meta: PageFrame['events'][number]['meta']
  }[]
  /** What the page goes over, also events that were not for this user; null: there is nothing. */
  readonly first: number | null
  readonly last: number | null
  /** With a seq a position to subscribe from; undefined when the page is empty. */
  readonly epoch: string | undefined
}

interface Ask {
  readonly fields: string
  readonly resolve: (page: HistoryPage) => void
  readonly reject: (error: FlotillaError) => void
  stopTimeout: () => void
  stopWaiting: (() => void) | undefined
  asked: boolean
  refusals: number
}

/** Pages that may be asked for at once, and those of one connection, as the server allows. */
const maxAsks = 100
const maxInFlight = 4
const defaultTimeoutMs = 20_000

/** Pages of history that are asked for: again on the next connection, and after a refusal for now. */
export class Histories {
  readonly #settings: Settings
  readonly #wire: Wire
  readonly #asks = new Set<Ask>()

  constructor(settings: Settings, wire: Wire) {
    this.#settings = settings
    this.#wire = wire
  }

  ask(
    room: string,
    { before, after: from, limit, timeoutMs = defaultTimeoutMs }: HistoryOptions,
  ): Promise<HistoryPage> {
    return new Promise((resolve, reject) => {
      if (this.#asks.size >= maxAsks) throw new QueueFullError(`${maxAsks} pages are asked for already`)
      const fields = fieldsOf({ room, before, after: from, limit })
      const empty = { stopTimeout: () => {}, stopWaiting: undefined, asked: false, refusals: 0 }
      const ask: Ask = { fields, resolve, reject, ...empty }
      ask.stopTimeout = after(timeoutMs, () =>
        this.#end(ask, () => reject(new TimeoutError(`the history of ${room} was not read within ${timeoutMs} ms`))),
      )
      this.#asks.add(ask)
      this.flush()
    })
  }

  /** A connection is there, or an answer has made room. */
  flush(): void {
    if (!this.#wire.up) return
    let free = maxInFlight - [...this.#asks].filter(({ asked }) => asked).length
    for (const ask of this.#asks) {
      if (free <= 0) return
      if (ask.asked || ask.stopWaiting !== undefined) continue
      free -= 1
      ask.asked = true
      this.#wire.page(ask.fields, (reply) => this.#answered(ask, reply))
    }
  }

  /** The connection is gone, and with it every request. */
  lost(): void {
    for (const ask of this.#asks) ask.asked = false
  }

  close(error: FlotillaError): void {
    for (const ask of this.#asks) this.#end(ask, () => ask.reject(error))
  }

  #answered(ask: Ask, reply: PageFrame | ErrorFrame): void {
    ask.asked = false
    if (reply.type === 'history') {
      const { events, first, last, epoch } = reply
      this.#end(ask, () => ask.resolve({ events, first, last, epoch }))
    } else if (isRetryable(reply)) {
      const random = this.#settings.random()
      const backOff = fullJitterMs(ask.refusals, { minMs: 500, maxMs: 10_000 }, random)
      ask.refusals += 1
      const waitMs = reply.retryAfterMs === undefined ? backOff : hintedMs(reply.retryAfterMs, random)
      ask.stopWaiting = after(waitMs, () => {
        ask.stopWaiting = undefined
        this.flush()
      })
    } else this.#end(ask, () => ask.reject(new FlotillaError(reply.code, reply.message)))
    this.flush()
  }

  #end(ask: Ask, settle: () => void): void {
    if (!this.#asks.delete(ask)) return
    ask.stopTimeout()
    ask.stopWaiting?.()
    settle()
  }
}

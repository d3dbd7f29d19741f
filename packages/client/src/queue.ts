import type { Position } from '@flotilla/core/position'
import { after, fullJitterMs, hintedMs } from './backoff.ts'
import { FlotillaError, PublishRefusedError, PublishUnknownError, QueueFullError, TimeoutError } from './errors.ts'
import { checkPublishTimeout } from './options.ts'
import type { Settings } from './options.ts'
import { fieldsOf, isRetryable } from './wire.ts'
import type { ErrorFrame, OkFrame, Wire } from './wire.ts'

/** Whom an event is for. */
export interface Recipients {
  /** false: not to this connection. */
  readonly echo?: boolean
  /** Ids of users and connections that do not get it, at most 100. */
  readonly except?: readonly string[]
  /** Attributes that filters are judged by, besides the data. */
  readonly match?: Readonly<Record<string, unknown>>
}

export interface PublishOptions extends Recipients {
  /** Names the message: published again under it within 2 minutes it stays one message. Default: a random one. */
  readonly key?: string
  readonly timeoutMs?: number
  /** How long the server serves it, 1,000 to 86,400,000 ms; as long as the room keeps it when it is left out. */
  readonly ttl?: number
}

/** Of an event that nobody keeps or acknowledges. */
export interface EphemeralOptions extends Recipients {
  readonly ephemeral: true
  /** Of the events of this connection with this key, 1 to 64 characters, that wait on their way only the newest goes on. */
  readonly conflate?: string
}

/** Where the message stands in its room. */
export interface Published {
  readonly position: Position
  readonly key: string
}

export interface Publish {
  readonly room: string
  readonly event: string
  readonly data: unknown
  readonly options: PublishOptions
}

interface Item {
  readonly room: string
  readonly key: string
  readonly fields: string
  readonly bytes: number
  readonly resolve: (published: Published) => void
  readonly reject: (error: FlotillaError) => void
  stopTimeout: () => void
  inFlight: boolean
  /** An attempt ended without anybody knowing its outcome. */
  doubt: boolean
  /** Times it was refused with a retryable code. */
  refusals: number
  /** Set while it waits to be sent again. */
  stopWaiting: (() => void) | undefined
  settled: boolean
}

interface Lane {
  /** In call order. */
  readonly items: Item[]
  /** How many of them were refused before and are not settled: while there are any, one goes at a time. */
  refused: number
}

/** What the server allows on one connection (`maxPublishesInFlight` of docs/protocol.md). */
export const maxInFlight = 256
/** `maxDataBytes` of docs/protocol.md. */
export const maxDataBytes = 1_000_000
const encoder = new TextEncoder()

function randomKey(): string {
  // randomUUID is there in secure contexts only; getRandomValues is everywhere.
  if (typeof crypto.randomUUID === 'function') return crypto.randomUUID()
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('')
}

/** Event data as JSON. Undefined is null. Throws `VALIDATION_ERROR` or `PAYLOAD_TOO_LARGE`. */
export function encodePublish(
  publish: Pick<Publish, 'room' | 'event' | 'data'>,
  rest: object,
): { fields: string; bytes: number } {
  let data: string
  try {
    data = JSON.stringify(publish.data ?? null) ?? 'null'
  } catch (cause) {
    throw new FlotillaError('VALIDATION_ERROR', 'the data cannot be written as JSON', { cause })
  }
  const bytes = encoder.encode(data).length
  if (bytes > maxDataBytes)
    throw new FlotillaError('PAYLOAD_TOO_LARGE', `the data has ${bytes} bytes of at most ${maxDataBytes}`)
  const { room, event } = publish
  return { fields: `${fieldsOf({ room, event, ...rest })},"data":${data}`, bytes }
}

/**
 * Publishes on their way, bounded. Per room they leave in call order; several may be on their way at once
 * (`pipeline`), and are sent again in the same order, under the same keys, after a reconnect. One that the server
 * refused for now is tried again before anything of its room that was not sent yet.
 */
export class PublishQueue {
  readonly #settings: Settings
  readonly #wire: Wire
  readonly #lanes = new Map<string, Lane>()
  #count = 0
  #bytes = 0
  #inFlight = 0
  /** Something was not sent because the window of the connection was full. */
  #starved = false

  constructor(settings: Settings, wire: Wire) {
    this.#settings = settings
    this.#wire = wire
  }

  publish(publish: Publish): Promise<Published> {
    const { key = randomKey(), timeoutMs = this.#settings.publishTimeoutMs } = publish.options
    const { echo, except, match, ttl } = publish.options
    return new Promise((resolve, reject) => {
      checkPublishTimeout(timeoutMs)
      const { fields, bytes } = encodePublish(publish, { key, echo, except, match, ttl })
      const { maxItems, maxBytes } = this.#settings.queue
      if (this.#count >= maxItems || this.#bytes + bytes > maxBytes) {
        throw new QueueFullError(`${this.#count} publishes of ${this.#bytes} bytes wait already`)
      }
      const { room } = publish
      const fresh = { inFlight: false, doubt: false, refusals: 0, stopWaiting: undefined, settled: false }
      const item: Item = { room, key, fields, bytes, resolve, reject, stopTimeout: () => {}, ...fresh }
      item.stopTimeout = after(timeoutMs, () =>
        this.#fail(item, new TimeoutError(`not published within ${timeoutMs} ms`)),
      )
      const lane = this.#lanes.get(room) ?? { items: [], refused: 0 }
      this.#lanes.set(room, lane)
      lane.items.push(item)
      this.#count += 1
      this.#bytes += bytes
      this.#pump(lane)
    })
  }

  /** The connection is there (again). */
  flush(): void {
    for (const lane of this.#lanes.values()) this.#pump(lane)
  }

  /** The connection is gone: what was on its way may have arrived. */
  lost(): void {
    for (const lane of this.#lanes.values()) {
      for (const item of lane.items) {
        if (!item.inFlight) continue
        item.inFlight = false
        item.doubt = true
      }
    }
    this.#inFlight = 0
  }

  close(error: FlotillaError): void {
    const items = Array.from(this.#lanes.values()).flatMap((lane) => lane.items)
    for (const item of items) this.#fail(item, error)
  }

  #pump(lane: Lane): void {
    let onTheirWay = 0
    for (const item of lane.items) {
      if (!this.#wire.up || onTheirWay >= this.#settings.pipeline) return
      if (this.#inFlight >= maxInFlight) {
        this.#starved = true
        return
      }
      if (!item.inFlight && item.stopWaiting === undefined) this.#transmit(lane, item)
      // Whatever comes after a refused publish waits for it, or the retry would be overtaken.
      if (lane.refused > 0) return
      onTheirWay += 1
    }
  }

  #transmit(lane: Lane, item: Item): void {
    item.inFlight = true
    this.#inFlight += 1
    this.#wire.request('publish', item.fields, (reply) => {
      if (item.settled) return
      item.inFlight = false
      this.#inFlight -= 1
      if (reply.type === 'ok') this.#published(item, reply)
      else this.#refused(lane, item, reply)
      this.#refill()
    })
  }

  #refill(): void {
    if (!this.#starved) return
    this.#starved = false
    this.flush()
  }

  #published(item: Item, reply: OkFrame): void {
    const { position } = reply
    if (position === undefined) {
      item.doubt = true
      return this.#fail(item, new FlotillaError('BAD_FRAME', 'the answer has no position'))
    }
    this.#remove(item)
    item.resolve({ position, key: item.key })
  }

  #refused(lane: Lane, item: Item, reply: ErrorFrame): void {
    const { code, message, retryAfterMs } = reply
    if (!isRetryable(reply)) {
      return this.#fail(item, new PublishRefusedError(code, message, item.key))
    }
    // These two say that nothing was appended; any other retryable answer leaves it open.
    if (code !== 'OVERLOADED' && code !== 'RATE_LIMITED') item.doubt = true
    if (item.refusals === 0) lane.refused += 1
    const random = this.#settings.random()
    const backOff = fullJitterMs(item.refusals, { minMs: 200, maxMs: 5_000 }, random)
    item.refusals += 1
    item.stopWaiting = after(retryAfterMs === undefined ? backOff : hintedMs(retryAfterMs, random), () => {
      item.stopWaiting = undefined
      this.#pump(lane)
    })
  }

  /** Rejects with `error`, or, when the message may have been published all the same, says so. */
  #fail(item: Item, error: FlotillaError): void {
    const unknown = item.doubt || (item.inFlight && !(error instanceof PublishRefusedError))
    this.#remove(item)
    item.reject(
      unknown
        ? new PublishUnknownError(`it is not known whether it was published: ${error.message}`, item.key, {
            cause: error,
          })
        : error,
    )
  }

  #remove(item: Item): void {
    item.settled = true
    item.stopTimeout()
    item.stopWaiting?.()
    item.stopWaiting = undefined
    if (item.inFlight) this.#inFlight -= 1
    item.inFlight = false
    this.#count -= 1
    this.#bytes -= item.bytes
    const lane = this.#lanes.get(item.room)
    if (lane === undefined) return
    lane.items.splice(lane.items.indexOf(item), 1)
    if (item.refusals > 0) lane.refused -= 1
    if (lane.items.length === 0) this.#lanes.delete(item.room)
    else this.#pump(lane)
  }
}

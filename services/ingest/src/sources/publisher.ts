import { errorCodes } from '@flotilla/core/codes'
import { createBackoff, wait } from '@flotilla/node/backoff'
import { published } from '@flotilla/node/endpoint'
import type { Endpoint, PublishOutcome } from '@flotilla/node/endpoint-port'
import type { MappedEvent } from './mapping.ts'

/** `abandoned`: it may or may not be in some of its rooms, and is to be published again under the same key. */
export type Published =
  | { readonly type: 'published' }
  | { readonly type: 'refused'; readonly code: string }
  | { readonly type: 'abandoned' }

export interface PublisherOptions {
  readonly endpoint: Endpoint
  readonly sender: string
  /** Whether a room's events wait for each other. */
  readonly ordered: boolean
  retried(): void
}

export interface Publication {
  readonly event: MappedEvent
  readonly key: string
  /** It may have been published longer ago than the fleet remembers keys: the rooms' logs are searched for it first. */
  readonly old: boolean
  /** Aborts what waits; what is under way is heard out. */
  readonly signal: AbortSignal
}

/** Resolves when it is in every room, was refused for good, or was given up. Never rejects. */
export type Publish = (publication: Publication) => Promise<Published>

/** Delays between attempts, ms: at the least what the answer asks for. */
const retryBaseMs = 100
const retryMaxMs = 5_000
/** Newest entries of a room's log that are searched for an old event. */
const maxSearched = 256

/** Publishes until the fleet has committed. A room has one event of the source at a time, in the order of the calls. */
export function createPublisher(options: PublisherOptions): Publish {
  const last = new Map<string, Promise<Published>>()
  const inTurn = (room: string, publication: Publication): Promise<Published> => {
    if (!options.ordered) return publishRoom(room, publication, options)
    const before = last.get(room)
    const mine =
      before === undefined
        ? publishRoom(room, publication, options)
        : before.then(() => publishRoom(room, publication, options))
    last.set(room, mine)
    void mine.then(() => {
      if (last.get(room) === mine) last.delete(room)
    })
    return mine
  }
  return async (publication) => {
    const { rooms, options: eventOptions, tail, ephemeral } = publication.event
    if (ephemeral) {
      for (const room of rooms) options.endpoint.ephemeral(room, { options: eventOptions, tail })
      return { type: 'published' }
    }
    const all = await Promise.all(rooms.map((room) => inTurn(room, publication)))
    const of = (type: Published['type']) => all.find((each) => each.type === type)
    return of('abandoned') ?? of('refused') ?? { type: 'published' }
  }
}

async function publishRoom(room: string, publication: Publication, options: PublisherOptions): Promise<Published> {
  const { signal } = publication
  const backoff = createBackoff({ baseMs: retryBaseMs, maxMs: retryMaxMs, random: Math.random })
  for (;;) {
    if (signal.aborted) return { type: 'abandoned' }
    const outcome = await attempt(room, publication, options)
    if (outcome.type === 'committed') return { type: 'published' }
    if (outcome.type === 'refused' && isFinal(outcome.code)) return { type: 'refused', code: outcome.code }
    options.retried()
    const delayMs = Math.min(retryMaxMs, Math.max(outcome.retryAfterMs, retryBaseMs)) + backoff.next()
    // Rejects when it is to end.
    await wait(delayMs, signal).catch(() => undefined)
  }
}

async function attempt(room: string, publication: Publication, options: PublisherOptions): Promise<PublishOutcome> {
  const { event, key, old } = publication
  const { endpoint, sender } = options
  if (old) {
    try {
      for (const entry of await endpoint.tail(room, Number.MAX_SAFE_INTEGER, maxSearched)) {
        const at = entry.messages.findIndex((message) => message.key === key && message.sender === sender)
        if (at >= 0) return { type: 'committed', epoch: '', seq: entry.first + at }
      }
    } catch {
      // The store does not answer: whether it is there is not known.
      return { type: 'unknown', retryAfterMs: retryBaseMs }
    }
  }
  return published(endpoint, { room, key, sender, options: event.options, tail: event.tail })
}

/** A code that is not known is a newer worker's, and may be gone at the next attempt. */
function isFinal(code: string): boolean {
  return Object.hasOwn(errorCodes, code) && !errorCodes[code as keyof typeof errorCodes].retry
}

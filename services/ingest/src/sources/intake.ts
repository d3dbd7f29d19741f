import { dedupeMs } from '@flotilla/core/limits'
import type { Endpoint } from '@flotilla/node/endpoint-port'
import type { Log } from '@flotilla/node/log'
import type { PolicySource } from '@flotilla/node/policy'
import { createMapping } from './mapping.ts'
import type { Misfit, SourceMessage } from './mapping.ts'
import type { SourceMetrics } from './metrics.ts'
import { createPublisher } from './publisher.ts'
import type { Source } from './schema.ts'

/** A message, and how its source is told what became of it. */
export interface Incoming {
  readonly message: SourceMessage
  /** The same whenever this message is given out. */
  readonly key: string
  /** Whether it was given out before. */
  readonly again: boolean
  /** It is in every room. */
  acknowledge(): void
  /** It can never be published. Resolves when the source has it aside and gives it out no more; rejects when that is not known. */
  putAside(reason: Misfit, detail: string): Promise<void>
}

/** The way of a source's messages, from its hands into the rooms. */
export interface Intake {
  /** Messages that were taken and are not settled. */
  readonly size: number
  /** Takes its place in its rooms at once; resolves when it is settled or, once the signal aborts, given up. Never rejects. */
  take(incoming: Incoming, signal: AbortSignal): Promise<void>
  /** Resolves when there are fewer, or the signal aborts. */
  fewerThan(count: number, signal?: AbortSignal): Promise<void>
}

export interface IntakeDeps {
  readonly endpoint: Endpoint
  readonly log: Log
  readonly metrics: SourceMetrics
  /** Its sensitive fields are left out. */
  readonly policy?: PolicySource
}

/** Older messages that are given out again are searched for: half of the time for which their keys are remembered, as clocks differ. */
const oldAfterMs = dedupeMs / 2

export function createIntake(source: Source, { endpoint, log, metrics, policy }: IntakeDeps): Intake {
  const { name } = source
  const sender = `source:${name}`
  const mapping = createMapping(source.map, sender, () => policy?.current.sensitive ?? null)
  const [received, acknowledged, retries, inFlight] = [
    metrics.received.labels(name),
    metrics.published.labels(name),
    metrics.retries.labels(name),
    metrics.inFlight.labels(name),
  ]
  const publish = createPublisher({ endpoint, sender, ordered: source.ordered, retried: () => retries.inc() })
  const waiting = new Set<{ readonly count: number; readonly resolve: () => void }>()
  let size = 0

  function move(by: number): void {
    size += by
    inFlight.set(size)
    for (const each of waiting) if (size < each.count) each.resolve()
  }

  function fewerThan(count: number, signal?: AbortSignal): Promise<void> {
    if (size < count || signal?.aborted === true) return Promise.resolve()
    return new Promise((done) => {
      const resolve = (): void => {
        waiting.delete(each)
        signal?.removeEventListener('abort', resolve)
        done()
      }
      const each = { count, resolve }
      waiting.add(each)
      signal?.addEventListener('abort', resolve, { once: true })
    })
  }

  async function aside(incoming: Incoming, reason: Misfit, detail: string): Promise<void> {
    const { message, key } = incoming
    log.warn('a message was put aside', { subject: message.subject, key, reason, detail })
    metrics.aside.labels(name, reason).inc()
    await incoming.putAside(reason, detail)
  }

  async function settle(incoming: Incoming, signal: AbortSignal): Promise<void> {
    const { message, key, again } = incoming
    const mapped = mapping(message)
    if (!mapped.ok) return aside(incoming, mapped.reason, mapped.detail)
    const old = again && Date.now() - message.timeMs > oldAfterMs
    const result = await publish({ event: mapped.event, key, old, signal })
    if (result.type === 'refused') return aside(incoming, 'refused', `the room refuses it: ${result.code}`)
    if (result.type === 'abandoned') return
    incoming.acknowledge()
    acknowledged.inc()
  }

  return {
    get size() {
      return size
    },
    take: async (incoming, signal) => {
      received.inc()
      move(1)
      try {
        await settle(incoming, signal)
      } catch (error) {
        // It was not acknowledged, so it comes again.
        log.debug('a message was not settled', { key: incoming.key, err: error })
      } finally {
        move(-1)
      }
    },
    fewerThan,
  }
}

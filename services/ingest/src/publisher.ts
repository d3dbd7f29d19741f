import type { Endpoint } from '@flotilla/node/endpoint-port'
import type { PolicySource } from '@flotilla/node/policy'
import { readCloudEvent } from './cloud-event.ts'
import { allows } from './key-scopes.ts'
import type { IngestKey } from './keys.ts'
import { eventCounts } from './metrics.ts'
import type { IngestMetrics } from './metrics.ts'
import { checkEvent, publishEvent, refusal } from './publish.ts'
import type { EventAnswer } from './publish.ts'

export interface PublisherOptions {
  readonly endpoint: Endpoint
  readonly metrics: IngestMetrics
  readonly policy: PolicySource
  /** Publishes (one per room of an event) that may wait for their commit at the same time. */
  readonly maxInFlight: number
}
interface Publication {
  readonly body: unknown
  /** Whether the body is a CloudEvent in its JSON form. */
  readonly cloud: boolean
  readonly key: IngestKey
  /** Names the event when the body does not. */
  readonly fallbackId: string | undefined
  readonly traceparent: string | undefined
}
/** `rooms` are those that the event named, as far as it could be read. */
type Settled = (answer: EventAnswer, rooms: readonly string[]) => void
/** Publishes one event, or refuses it; settles once, now or later. */
export type Publish = (publication: Publication, settled: Settled) => void

const busyRetryMs = 1_000
const none: readonly string[] = []

export function createPublisher({ endpoint, metrics, policy, maxInFlight }: PublisherOptions): Publish {
  let inFlight = 0
  const count = eventCounts(metrics)
  const move = (weight: number): void => {
    inFlight += weight
    metrics.inFlight.set(inFlight)
  }
  const run = ({ body, cloud, key, fallbackId, traceparent }: Publication, settled: Settled): void => {
    const read = cloud ? readCloudEvent(body) : undefined
    if (read?.ok === false) return settled(read, none)
    const context = { keyName: key.name, nowMs: Date.now(), fallbackId, policy: policy.current }
    const checked = checkEvent(read === undefined ? body : read.value, context)
    if (!checked.ok) return settled(checked, none)
    const { event } = checked
    const { id, rooms } = event
    if (key.scopes !== null && !rooms.every((room) => allows(key.scopes, 'publish', room))) {
      return settled({ ...refusal('FORBIDDEN', 'The key does not allow this.'), id }, rooms)
    }
    const weight = rooms.length
    if (inFlight + weight > maxInFlight) {
      const busy = refusal('OVERLOADED', 'Nothing was appended: too many publishes wait.')
      return settled({ ...busy, id, retryAfterMs: busyRetryMs }, rooms)
    }
    move(weight)
    let waits = true
    const done = (): void => {
      if (waits) move(-weight)
      waits = false
    }
    try {
      publishEvent(endpoint, { event, keyName: key.name, traceparent }, (answer) => {
        done()
        settled(answer, rooms)
      })
    } catch (error) {
      done()
      throw error
    }
  }
  return (publication, settled) =>
    run(publication, (answer, rooms) => {
      count(answer.ok ? 'OK' : answer.code)
      settled(answer, rooms)
    })
}

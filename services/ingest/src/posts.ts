import { isUtf8 } from 'node:buffer'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { jsonLimits, parseJson } from '@flotilla/core/json-guard'
import type { JsonLimits } from '@flotilla/core/json-guard'
import type { Endpoint } from '@flotilla/node/endpoint-port'
import { sendBatch, sendEvent, sendProblem } from './answers.ts'
import { eventCounts } from './metrics.ts'
import type { IngestMetrics } from './metrics.ts'
import { checkEvent, publishEvent, refusal } from './publish.ts'
import type { EventAnswer } from './publish.ts'
import { batchEnvelope, describeIssues, maxBatchEvents } from './schema.ts'

export interface PostOptions {
  readonly endpoint: Endpoint
  readonly metrics: IngestMetrics
  /** Publishes (one per room of an event) that may wait for their commit at the same time. */
  readonly maxInFlight: number
}

/** A request whose key is known and whose body was read, and what it is answered through. */
export interface Post {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  /** None where the request had none. */
  readonly body: unknown
  readonly keyName: string
}
/** Answers once, later or now. */
export type AnswerPost = (post: Post) => void
export interface Posts {
  readonly postEvent: AnswerPost
  readonly postBatch: AnswerPost
}

/** A batch's events are inside an object and an array, and share the keys. */
const batchJsonLimits: JsonLimits = { maxDepth: jsonLimits.maxDepth + 2, maxKeys: maxBatchEvents * 100 }
const busyRetryMs = 1_000

/** Both posts, whoever has read their requests: the framework or the server itself. */
export function createPosts(options: PostOptions): Posts {
  const publish = createPublisher(options)
  return { postEvent: (post) => postEvent(publish, post), postBatch: (post) => postBatch(publish, post) }
}

interface Publication {
  readonly body: unknown
  readonly keyName: string
  readonly fallbackId?: string
  readonly traceparent?: string | undefined
}
type Settled = (answer: EventAnswer) => void
type Publish = (publication: Publication, settled: Settled) => void

function createPublisher({ endpoint, metrics, maxInFlight }: PostOptions): Publish {
  let inFlight = 0
  const count = eventCounts(metrics)
  const move = (weight: number): void => {
    inFlight += weight
    metrics.inFlight.set(inFlight)
  }
  const run = ({ body, keyName, fallbackId, traceparent }: Publication, settled: Settled): void => {
    const context = { keyName, nowMs: Date.now(), ...(fallbackId === undefined ? {} : { fallbackId }) }
    const checked = checkEvent(body, context)
    if (!checked.ok) return settled(checked)
    const { event } = checked
    const weight = event.rooms.length
    if (inFlight + weight > maxInFlight) {
      const busy = refusal('OVERLOADED', 'Nothing was appended: too many publishes wait.')
      return settled({ ...busy, id: event.id, retryAfterMs: busyRetryMs })
    }
    move(weight)
    let waits = true
    const done = (): void => {
      if (waits) move(-weight)
      waits = false
    }
    try {
      publishEvent(endpoint, { event, keyName, traceparent }, (answer) => {
        done()
        settled(answer)
      })
    } catch (error) {
      done()
      throw error
    }
  }
  return (publication, settled) =>
    run(publication, (answer) => {
      count(answer.ok ? 'OK' : answer.code)
      settled(answer)
    })
}

function postEvent(publish: Publish, { req, res, body, keyName }: Post): void {
  const parsed = parseBody(body, jsonLimits)
  if (!parsed.ok) return sendProblem(res, parsed)
  const key = idempotencyKey(req)
  const publication = {
    body: parsed.value,
    keyName,
    ...traceOf(req),
    ...(key === undefined ? {} : { fallbackId: key }),
  }
  publish(publication, (answer) => sendEvent(res, answer))
}

function postBatch(publish: Publish, { req, res, body, keyName }: Post): void {
  const parsed = parseBody(body, batchJsonLimits)
  if (!parsed.ok) return sendProblem(res, parsed)
  const batch = batchEnvelope.safeParse(parsed.value)
  if (!batch.success) return sendProblem(res, refusal('VALIDATION_ERROR', describeIssues(batch.error)))
  const key = idempotencyKey(req)
  const { events } = batch.data
  const trace = traceOf(req)
  const answers: EventAnswer[] = []
  let left = events.length
  // Each publish is queued before the next one begins, so a room gets them in the batch's order.
  events.forEach((event, i) => {
    const publication = { body: event, keyName, ...trace, ...(key === undefined ? {} : { fallbackId: `${key}.${i}` }) }
    publish(publication, (answer) => {
      answers[i] = answer
      left -= 1
      if (left === 0) sendBatch(res, answers)
    })
  })
}

type ParsedBody = { readonly ok: true; readonly value: unknown } | ReturnType<typeof refusal>

function parseBody(body: unknown, limits: JsonLimits): ParsedBody {
  // Without a body the parser leaves none.
  if (!Buffer.isBuffer(body) || !isUtf8(body)) return refusal('VALIDATION_ERROR', 'The body is not JSON text in UTF-8.')
  const parsed = parseJson(body.toString('utf8'), limits)
  if (parsed.ok) return parsed
  if (parsed.code === 'BAD_JSON') return refusal('VALIDATION_ERROR', 'The body is not valid JSON.')
  return refusal('UNSAFE_JSON', 'The body is nested too deep, has too many keys, or a forbidden one.')
}

/** A request without one leaves it to this process whether its events are traced. */
function traceOf({ headers }: IncomingMessage): { readonly traceparent?: string } {
  const { traceparent } = headers
  return typeof traceparent === 'string' ? { traceparent } : {}
}

/** The draft standard writes the key as a quoted text, most clients as it is. */
function idempotencyKey({ headers }: IncomingMessage): string | undefined {
  const key = headers['idempotency-key']
  return typeof key === 'string' ? key.replace(/^"(.*)"$/, '$1') : undefined
}

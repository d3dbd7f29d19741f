import type { IncomingMessage, ServerResponse } from 'node:http'
import { validKey } from '@flotilla/core/room-name'
import { batchReply, eventReply, problemReply, sendReply } from './answers.ts'
import type { Reply } from './answers.ts'
import { isBroadcast } from './audit.ts'
import type { Audit } from './audit.ts'
import { contentMode } from './cloud-headers.ts'
import type { ContentMode } from './cloud-headers.ts'
import type { IngestKey } from './keys.ts'
import type { IngestMetrics } from './metrics.ts'
import { readBatch, readBinaryEvent, readCloudBatch, readEvent } from './post-body.ts'
import { refusal } from './publish.ts'
import type { EventAnswer, Refusal } from './publish.ts'
import { createPublisher } from './publisher.ts'
import type { Publish, PublisherOptions } from './publisher.ts'
import { takeEvents } from './rate.ts'
import { fingerprintOf, idempotencyKey } from './request-name.ts'
import { knownCode, statuses } from './routes.ts'
import { signatureHeader } from '@flotilla/node/signed-header'
import { verifiedSignature } from './signature.ts'
import { createStoredAnswers } from './stored-answers.ts'
import type { StoredAnswers } from './stored-answers.ts'

export interface PostOptions extends PublisherOptions {
  readonly audit: Audit
}

/** A request whose key is known and whose body was read, and what it is answered through. */
export interface Post {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  /** None where the request had none. */
  readonly body: unknown
  readonly key: IngestKey
}
/** Answers once, later or now. */
export type AnswerPost = (post: Post) => void
export interface Posts {
  readonly postEvent: AnswerPost
  readonly postBatch: AnswerPost
}

interface Deps {
  readonly publish: Publish
  readonly audit: Audit
  readonly stored: StoredAnswers
  readonly metrics: IngestMetrics
}
/** A post on its way to its answer. */
interface Work extends Post {
  readonly route: keyof Posts
  readonly mode: ContentMode
  /** Names an event that has no id of its own. */
  readonly fallbackId: string | undefined
  /** Under what its answer is stored. */
  readonly storedAs: string | undefined
}
/** What an answer says of the rooms: it is final, open, or nothing was done. */
type Effect = 'answer' | 'open' | 'nothing'

const inUseRetryMs = 1_000

/** Both posts, whoever has read their requests: the framework or the server itself. */
export function createPosts(options: PostOptions): Posts {
  const { audit, metrics } = options
  const deps = { publish: createPublisher(options), audit, metrics, stored: createStoredAnswers() }
  return {
    postEvent: (post) => begin(deps, 'postEvent', post),
    postBatch: (post) => begin(deps, 'postBatch', post),
  }
}

function begin(deps: Deps, route: keyof Posts, post: Post): void {
  const { req, res, body, key } = post
  const mode = contentMode(req.headers)
  const given = idempotencyKey(req)
  const work: Work = { req, res, body, key, route, mode: mode ?? 'plain', fallbackId: given, storedAs: undefined }
  if (mode === undefined || (route === 'postBatch' && (mode === 'binary' || mode === 'structured'))) {
    return refuse(
      deps,
      work,
      refusal('UNSUPPORTED_MEDIA_TYPE', 'Content-Type: JSON, or a form of CloudEvents in JSON.'),
    )
  }
  if (key.signingSecret !== null) return runSigned(deps, work, key.signingSecret)
  if (given !== undefined) return runOnce(deps, work, given)
  run(deps, work)
}

/** The signature covers the body alone, so nothing else may say what is published, or under which name. */
function runSigned(deps: Deps, work: Work, secret: string): void {
  const { req, res, body, mode, fallbackId } = work
  const bytes = Buffer.isBuffer(body) ? body : Buffer.alloc(0)
  const header = req.headers[signatureHeader]
  const signature = verifiedSignature(secret, { header, body: bytes, nowMs: Date.now() })
  if (signature === undefined) {
    res.setHeader('WWW-Authenticate', 'Bearer realm="flotilla"')
    return refuse(
      deps,
      work,
      refusal('UNAUTHORIZED', 'The signature of the body is missing, wrong or not of this time.'),
    )
  }
  if (mode === 'binary' || fallbackId !== undefined) {
    const why = 'a signed post has all that it says in its body: no ce- headers, no Idempotency-Key'
    return refuse(deps, work, refusal('VALIDATION_ERROR', why))
  }
  run(deps, { ...work, fallbackId: `sig.${signature}` })
}

function runOnce(deps: Deps, work: Work, given: string): void {
  const { req, res, body, key, route, mode } = work
  if (!validKey(given))
    return refuse(deps, work, refusal('VALIDATION_ERROR', 'Idempotency-Key: 1 to 128 printable characters'))
  const storedAs = `${key.name}\n${given}`
  const begun = deps.stored.begin(storedAs, fingerprintOf({ route, mode, headers: req.headers, body }))
  if (begun.type !== 'new') deps.metrics.repeats.labels(begun.type).inc()
  switch (begun.type) {
    case 'answered':
      res.setHeader('Idempotent-Replayed', 'true')
      return sendReply(res, begun.reply)
    case 'underWay': {
      const busy = refusal('IDEMPOTENCY_KEY_IN_USE', 'A request with this Idempotency-Key is being answered.')
      return refuse(deps, work, { ...busy, retryAfterMs: inUseRetryMs })
    }
    case 'reused':
      return refuse(
        deps,
        work,
        refusal('IDEMPOTENCY_KEY_REUSED', 'This Idempotency-Key came with another body before.'),
      )
    case 'new':
  }
  try {
    run(deps, { ...work, storedAs })
  } catch (error) {
    deps.stored.end(storedAs, { type: 'open' })
    throw error
  }
}

function run(deps: Deps, work: Work): void {
  if (work.route === 'postBatch' || work.mode === 'batched') runBatch(deps, work)
  else runEvent(deps, work)
}

function runEvent(deps: Deps, work: Work): void {
  const { req, body, mode, key, fallbackId } = work
  const limited = overLimit(work, 1)
  if (limited !== undefined) return refuse(deps, work, limited)
  const read = mode === 'binary' ? readBinaryEvent(req.headers, body) : readEvent(body)
  if (!read.ok) return refuse(deps, work, read)
  const publication = { body: read.value, cloud: mode !== 'plain', key, fallbackId, traceparent: traceOf(req) }
  deps.publish(publication, (answer, rooms) => {
    if (!answer.ok && isRefused(answer)) return refuse(deps, work, answer, rooms)
    if (rooms.some(isBroadcast)) {
      deps.audit.broadcast({ ...work, targets: rooms, outcomes: { [answer.ok ? 'OK' : answer.code]: 1 } })
    }
    finish(deps, work, eventReply(answer), effectOf(answer))
  })
}

function runBatch(deps: Deps, work: Work): void {
  const { req, body, mode, key, fallbackId } = work
  const cloud = mode === 'batched'
  const read = cloud ? readCloudBatch(body) : readBatch(body)
  if (!read.ok) return refuse(deps, work, read)
  const events = read.value
  const limited = overLimit(work, events.length)
  if (limited !== undefined) return refuse(deps, work, limited)
  const traceparent = traceOf(req)
  const answers: EventAnswer[] = []
  const targets: (readonly string[])[] = []
  let left = events.length
  if (left === 0) return finishBatch(deps, work, { answers, targets })
  // Each publish is queued before the next one begins, so a room gets them in the batch's order.
  events.forEach((event, i) => {
    const named = fallbackId === undefined ? undefined : `${fallbackId}.${i}`
    deps.publish({ body: event, cloud, key, fallbackId: named, traceparent }, (answer, rooms) => {
      answers[i] = answer
      targets[i] = rooms
      left -= 1
      if (left === 0) finishBatch(deps, work, { answers, targets })
    })
  })
}

interface Batch {
  readonly answers: readonly EventAnswer[]
  /** Rooms of each event, as far as it could be read. */
  readonly targets: readonly (readonly string[])[]
}

function finishBatch(deps: Deps, work: Work, { answers, targets }: Batch): void {
  const told = targets.filter((rooms, i) => isTold(answers[i], rooms)).flat()
  const refused = answers.some((answer) => !answer.ok && isRefused(answer))
  if (refused || told.length > 0) {
    const outcomes: Record<string, number> = {}
    for (const answer of answers) {
      const code = answer.ok ? 'OK' : answer.code
      outcomes[code] = (outcomes[code] ?? 0) + 1
    }
    deps.audit[told.some(isBroadcast) ? 'broadcast' : 'refused']({ ...work, targets: told, outcomes })
  }
  const effects = answers.map(effectOf)
  const effect = effects.every((each) => each === 'nothing') ? 'nothing' : answers.every(isFinal) ? 'answer' : 'open'
  finish(deps, work, batchReply(answers), effect)
}

/** Whether the audit is to know of an event's rooms. */
function isTold(answer: EventAnswer | undefined, rooms: readonly string[]): boolean {
  return (answer?.ok === false && isRefused(answer)) || rooms.some(isBroadcast)
}

/** For what the request is, not for what the fleet is in the middle of. */
function isRefused({ code }: Refusal): boolean {
  return statuses[knownCode(code)] < 500
}

function isFinal(answer: EventAnswer): boolean {
  return answer.ok || (isRefused(answer) && answer.code !== 'RATE_LIMITED')
}

function effectOf(answer: EventAnswer): Effect {
  if (answer.ok) return 'answer'
  return answer.code === 'UNKNOWN' ? 'open' : 'nothing'
}

function refuse(deps: Deps, work: Work, why: Refusal, rooms: readonly string[] = []): void {
  deps.audit.refused({ ...work, targets: rooms, outcomes: { [why.code]: 1 } })
  finish(deps, work, problemReply(why), 'nothing')
}

function finish({ stored }: Deps, { res, storedAs }: Work, reply: Reply, effect: Effect): void {
  if (storedAs !== undefined) stored.end(storedAs, effect === 'answer' ? { type: 'answer', reply } : { type: effect })
  sendReply(res, reply)
}

function overLimit({ key, res }: Work, events: number): Refusal | undefined {
  const taken = key.limit === null ? undefined : takeEvents(key.limit, events, res)
  if (taken === undefined || taken.ok) return undefined
  return {
    ...refusal('RATE_LIMITED', 'Nothing was published: the key posts too fast.'),
    retryAfterMs: taken.retryAfterMs,
  }
}

/** A request without one leaves it to this process whether its events are traced. */
function traceOf({ headers }: IncomingMessage): string | undefined {
  const { traceparent } = headers
  return typeof traceparent === 'string' ? traceparent : undefined
}

import { isUtf8 } from 'node:buffer'
import express from 'express'
import type { Express, NextFunction, Request, RequestHandler, Response } from 'express'
import { jsonLimits, parseJson } from '@flotilla/core/json-guard'
import type { JsonLimits } from '@flotilla/core/json-guard'
import { parseRoomName } from '@flotilla/core/room-name'
import type { Endpoint } from '@flotilla/node/endpoint-port'
import { notFound, problemErrors } from '@flotilla/node/http'
import type { Log } from '@flotilla/node/log'
import { StoreError } from '@flotilla/node/store/port'
import { sendBatch, sendEvent, sendProblem } from './answers.ts'
import { readHistory } from './history.ts'
import type { IngestKeys } from './keys.ts'
import type { IngestMetrics } from './metrics.ts'
import { openapiDocument } from './openapi.ts'
import { checkEvent, publishEvent, refusal } from './publish.ts'
import type { EventAnswer } from './publish.ts'
import { maxBodyBytes, routes } from './routes.ts'
import type { RouteName } from './routes.ts'
import { batchEnvelope, describeIssues, historyQuery, maxBatchEvents } from './schema.ts'

export interface AppOptions {
  readonly endpoint: Endpoint
  readonly keys: IngestKeys
  readonly log: Log
  readonly metrics: IngestMetrics
  /** Publishes (one per room of an event) that may wait for their commit at the same time. */
  readonly maxInFlight: number
  readonly version: string
}

/** A batch's events are inside an object and an array, and share the keys. */
const batchJsonLimits: JsonLimits = { maxDepth: jsonLimits.maxDepth + 2, maxKeys: maxBatchEvents * 100 }
const busyRetryMs = 1_000

/** The HTTP surface of ingest, without a server. */
export function createApp(options: AppOptions): Express {
  const app = express()
  app.disable('x-powered-by')
  app.set('query parser', 'simple')
  const names = new WeakMap<Request, string>()
  const publish = createPublisher(options)
  const body = express.raw({ limit: maxBodyBytes, type: () => true })
  const authenticate = authenticator(options.keys, names)
  const document = openapiDocument(options.version)
  const handlers: Readonly<Record<RouteName, readonly RequestHandler[]>> = {
    postEvent: [authenticate, body, postEvent(publish, names)],
    postBatch: [authenticate, body, postBatch(publish, names)],
    getHistory: [authenticate, getHistory(options)],
    getOpenapi: [(_req, res) => void res.json(document)],
  }
  for (const name of Object.keys(handlers) as RouteName[]) {
    const { method, path } = routes[name]
    app[method](path, observe(name, options.metrics), ...handlers[name])
  }
  app.use(notFound)
  app.use(problemErrors(options.log))
  return app
}

function observe(route: RouteName, metrics: IngestMetrics): RequestHandler {
  return (_req, res, next) => {
    const stop = metrics.seconds.startTimer({ route })
    res.once('close', () => {
      stop()
      metrics.requests.inc({ route, status: res.writableFinished ? String(res.statusCode) : 'aborted' })
    })
    next()
  }
}

/** Before the body is read: a stranger costs no memory. */
function authenticator(keys: IngestKeys, names: WeakMap<Request, string>): RequestHandler {
  return (req: Request, res: Response, next: NextFunction) => {
    const [scheme = '', secret = ''] = (req.headers.authorization ?? '').split(' ')
    const name = scheme.toLowerCase() === 'bearer' ? keys.identify(secret) : undefined
    if (name === undefined) {
      res.setHeader('WWW-Authenticate', 'Bearer realm="flotilla"')
      sendProblem(res, refusal('UNAUTHORIZED', 'A key is needed: Authorization: Bearer <key>.'))
      return
    }
    names.set(req, name)
    next()
  }
}

interface Publication {
  readonly body: unknown
  readonly keyName: string
  readonly fallbackId?: string
}
type Publish = (publication: Publication) => Promise<EventAnswer>

function createPublisher({ endpoint, metrics, maxInFlight }: AppOptions): Publish {
  let inFlight = 0
  const run = async ({ body, keyName, fallbackId }: Publication): Promise<EventAnswer> => {
    const context = { keyName, nowMs: Date.now(), ...(fallbackId === undefined ? {} : { fallbackId }) }
    const checked = checkEvent(body, context)
    if (!checked.ok) return checked
    const { event } = checked
    const weight = event.rooms.length
    if (inFlight + weight > maxInFlight) {
      return {
        ...refusal('OVERLOADED', 'Nothing was appended: too many publishes wait.'),
        id: event.id,
        retryAfterMs: busyRetryMs,
      }
    }
    inFlight += weight
    metrics.inFlight.set(inFlight)
    try {
      return await publishEvent(endpoint, event, keyName)
    } finally {
      inFlight -= weight
      metrics.inFlight.set(inFlight)
    }
  }
  return async (publication) => {
    const answer = await run(publication)
    metrics.events.inc({ code: answer.ok ? 'OK' : answer.code })
    return answer
  }
}

function postEvent(publish: Publish, names: WeakMap<Request, string>): RequestHandler {
  return async (req, res) => {
    const parsed = parseBody(req.body, jsonLimits)
    if (!parsed.ok) return sendProblem(res, parsed)
    const key = idempotencyKey(req)
    const publication = {
      body: parsed.value,
      keyName: names.get(req) ?? '',
      ...(key === undefined ? {} : { fallbackId: key }),
    }
    sendEvent(res, await publish(publication))
  }
}

function postBatch(publish: Publish, names: WeakMap<Request, string>): RequestHandler {
  return async (req, res) => {
    const parsed = parseBody(req.body, batchJsonLimits)
    if (!parsed.ok) return sendProblem(res, parsed)
    const batch = batchEnvelope.safeParse(parsed.value)
    if (!batch.success) return sendProblem(res, refusal('VALIDATION_ERROR', describeIssues(batch.error)))
    const key = idempotencyKey(req)
    const keyName = names.get(req) ?? ''
    // Each publish is queued before the next one begins, so a room gets them in the batch's order.
    const answers = batch.data.events.map((body, i) =>
      publish({ body, keyName, ...(key === undefined ? {} : { fallbackId: `${key}.${i}` }) }),
    )
    sendBatch(res, await Promise.all(answers))
  }
}

function getHistory({ endpoint, log }: AppOptions): RequestHandler {
  return async (req, res) => {
    const room = String(req.params['room'])
    if (!parseRoomName(room).ok)
      return sendProblem(res, refusal('INVALID_ROOM', 'A room is type:id or type:tenant:id.'))
    const query = historyQuery.safeParse(req.query)
    if (!query.success) return sendProblem(res, refusal('VALIDATION_ERROR', describeIssues(query.error)))
    const { after, limit } = query.data
    try {
      const request = { room, limit, nowMs: Date.now(), ...(after === undefined ? {} : { after }) }
      res.setHeader('Cache-Control', 'no-store')
      res.json(await readHistory(endpoint, request))
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      log.warn('history could not be read', { room, err: error })
      sendProblem(res, { ...refusal('OVERLOADED', 'The history cannot be read now.'), retryAfterMs: busyRetryMs })
    }
  }
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

/** The draft standard writes the key as a quoted text, most clients as it is. */
function idempotencyKey(req: Request): string | undefined {
  const key = req.get('Idempotency-Key')
  return key === undefined ? undefined : key.replace(/^"(.*)"$/, '$1')
}

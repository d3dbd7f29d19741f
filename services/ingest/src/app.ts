import express from 'express'
import type { ErrorRequestHandler, Express, RequestHandler, Response } from 'express'
import type { RequestListener } from 'node:http'
import { parseRoomName } from '@flotilla/core/room-name'
import { readHistory } from '@flotilla/node/history'
import { notFound, problemErrors } from '@flotilla/node/http'
import { historyOf } from '@flotilla/core/policy'
import type { Log } from '@flotilla/node/log'
import type { PolicySource } from '@flotilla/node/policy'
import { StoreError } from '@flotilla/node/store/port'
import type { Store } from '@flotilla/node/store/port'
import { sendProblem } from './answers.ts'
import { createAudit } from './audit.ts'
import type { Audit } from './audit.ts'
import { denialHandlers } from './denials.ts'
import type { DenialDeps } from './denials.ts'
import { allows } from './key-scopes.ts'
import { keyOf } from './keys.ts'
import type { IngestKey, IngestKeys } from './keys.ts'
import { observeRequests } from './metrics.ts'
import { openapiDocument } from './openapi.ts'
import { createReader } from './outgoing/reader.ts'
import { streamHandler } from './outgoing/stream.ts'
import type { Webhook } from './outgoing/webhook-file.ts'
import { webhookHandlers } from './outgoing/webhook-routes.ts'
import { plainPosts } from './plain.ts'
import { getPresence } from './presence.ts'
import { createPosts } from './posts.ts'
import type { AnswerPost, PostOptions, Posts } from './posts.ts'
import { refusal } from './publish.ts'
import type { Refusal } from './publish.ts'
import type { Questions } from './questions.ts'
import { getUserRooms } from './rooms-of-user.ts'
import { maxBodyBytes, routes } from './routes.ts'
import type { RouteName } from './routes.ts'
import { describeIssues, historyQuery } from './schema.ts'
import { userRoomHandlers } from './user-rooms.ts'

export interface AppOptions extends Omit<PostOptions, 'audit'> {
  readonly keys: IngestKeys
  readonly log: Log
  readonly policy: PolicySource
  readonly fleet: DenialDeps['fleet']
  /** Where outgoing events are read from; what they are sent to. */
  readonly store: Pick<Store, 'rooms' | 'places' | 'shape'>
  readonly webhooks?: readonly Webhook[]
  /** Aborts when no request is to wait for events any more. */
  readonly closing: AbortSignal
  readonly questions: Pick<Questions, 'ask'>
  /** What the audit is written to; `log` by default. */
  readonly auditLog?: Log | undefined
  readonly version: string
}
interface RouterOptions extends AppOptions, PostOptions {
  readonly posts: Posts
}
const busyRetryMs = 1_000

/** The HTTP surface of ingest, without a server. */
export function createApp(options: AppOptions): RequestListener {
  const audited = { ...options, audit: createAudit(options.auditLog ?? options.log) }
  const posts = createPosts(audited)
  return plainPosts({ ...audited, posts, otherwise: createRouter({ ...audited, posts }) })
}

function createRouter(options: RouterOptions): Express {
  const { posts, audit, keys } = options
  const app = express()
  app.disable('x-powered-by')
  app.set('query parser', 'simple')
  const body = express.raw({ limit: maxBodyBytes, type: () => true })
  const document = openapiDocument(options.version)
  const post = (name: keyof Posts): readonly (RequestHandler | ErrorRequestHandler)[] => {
    return [authenticator(keys, audit, name), body, auditUnread(audit, name), answerBy(posts[name])]
  }
  const denials = denialHandlers({ ...options, keyOf: keyOfLocals })
  const { webhooks = [], store, policy } = options
  const outgoing = { ...options, webhooks, reader: createReader({ store, policy }), slots: store.shape.slots }
  const hooks = webhookHandlers({ ...outgoing, keyOf: keyOfLocals })
  const userRooms = userRoomHandlers({ ...options, keyOf: keyOfLocals })
  const sendDocument: RequestHandler = (_req, res) => void res.json(document)
  const handlers: Readonly<Record<RouteName, readonly (RequestHandler | ErrorRequestHandler)[]>> = {
    postEvent: post('postEvent'),
    postBatch: post('postBatch'),
    getHistory: [authenticator(keys, audit, 'getHistory'), getHistory(options)],
    getPresence: [authenticator(keys, audit, 'getPresence'), getPresence({ ...options, keyOf: keyOfLocals })],
    postDenial: [authenticator(keys, audit, 'postDenial'), body, auditUnread(audit, 'postDenial'), denials.postDenial],
    getDenials: [authenticator(keys, audit, 'getDenials'), denials.getDenials],
    deleteDenial: [authenticator(keys, audit, 'deleteDenial'), denials.deleteDenial],
    getStream: [authenticator(keys, audit, 'getStream'), streamHandler({ ...outgoing, keyOf: keyOfLocals })],
    getWebhooks: [authenticator(keys, audit, 'getWebhooks'), hooks.getWebhooks],
    postReplay: [authenticator(keys, audit, 'postReplay'), body, auditUnread(audit, 'postReplay'), hooks.postReplay],
    postUserRoom: [
      authenticator(keys, audit, 'postUserRoom'),
      body,
      auditUnread(audit, 'postUserRoom'),
      userRooms.postUserRoom,
    ],
    getUserRooms: [authenticator(keys, audit, 'getUserRooms'), getUserRooms({ ...options, keyOf: keyOfLocals })],
    deleteUserRoom: [authenticator(keys, audit, 'deleteUserRoom'), userRooms.deleteUserRoom],
    getOpenapi: [sendDocument],
  }
  for (const name of Object.keys(handlers) as RouteName[]) {
    const { method, path } = routes[name]
    const observe = observeRequests(options.metrics, name)
    const first: RequestHandler = (_req, res, next) => (observe(res), next())
    app[method](path, first, ...handlers[name])
  }
  app.use(notFound)
  app.use(problemErrors(options.log))
  return app
}

/** Before the body is read: a stranger costs no memory. */
function authenticator(keys: IngestKeys, audit: Audit, route: RouteName): RequestHandler {
  return (req, res, next) => {
    const key = keyOf(keys, req)
    if (key === undefined) {
      audit.refused({ req, res, route, outcomes: { UNAUTHORIZED: 1 } })
      res.setHeader('WWW-Authenticate', 'Bearer realm="flotilla"')
      sendProblem(res, refusal('UNAUTHORIZED', 'A key is needed: Authorization: Bearer <key>.'))
      return
    }
    res.locals['key'] = key
    next()
  }
}

/** What the authenticator found. */
const keyOfLocals = ({ locals }: Response): IngestKey => locals['key'] as IngestKey

/** A body that the framework does not read is refused like any other. */
function auditUnread(audit: Audit, route: RouteName): ErrorRequestHandler {
  return (error: unknown, req, res, next) => {
    const status = error instanceof Error && 'status' in error ? error.status : undefined
    const code = status === 413 ? 'PAYLOAD_TOO_LARGE' : 'VALIDATION_ERROR'
    if (typeof status === 'number' && status < 500) {
      audit.refused({ req, res, route, key: keyOfLocals(res), outcomes: { [code]: 1 } })
    }
    next(error)
  }
}

function answerBy(answer: AnswerPost): RequestHandler {
  return (req, res) => answer({ req, res, body: req.body, key: keyOfLocals(res) })
}

function getHistory({ endpoint, log, audit, policy }: RouterOptions): RequestHandler {
  return async (req, res) => {
    const room = String(req.params['room'])
    const key = keyOfLocals(res)
    const refuse = (why: Refusal): void => {
      audit.refused({ req, res, route: 'getHistory', key, targets: [room], outcomes: { [why.code]: 1 } })
      sendProblem(res, why)
    }
    if (!parseRoomName(room).ok) return refuse(refusal('INVALID_ROOM', 'A room is type:id or type:tenant:id.'))
    if (!allows(key.scopes, 'history', room)) return refuse(refusal('FORBIDDEN', 'The key does not allow this.'))
    const query = historyQuery.safeParse(req.query)
    if (!query.success) return refuse(refusal('VALIDATION_ERROR', describeIssues(query.error)))
    const { after, before, limit } = query.data
    try {
      const { ageMs } = historyOf(policy.current, room)
      const request = { room, limit, ageMs, nowMs: Date.now(), after, before }
      res.setHeader('Cache-Control', 'no-store')
      res.json(await readHistory(endpoint, request))
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      log.warn('history could not be read', { room, err: error })
      sendProblem(res, { ...refusal('OVERLOADED', 'The history cannot be read now.'), retryAfterMs: busyRetryMs })
    }
  }
}

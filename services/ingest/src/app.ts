import express from 'express'
import type { Express, RequestHandler } from 'express'
import type { RequestListener } from 'node:http'
import { parseRoomName } from '@flotilla/core/room-name'
import { notFound, problemErrors } from '@flotilla/node/http'
import type { Log } from '@flotilla/node/log'
import { StoreError } from '@flotilla/node/store/port'
import { sendProblem } from './answers.ts'
import { readHistory } from './history.ts'
import { keyNameOf } from './keys.ts'
import type { IngestKeys } from './keys.ts'
import { observeRequests } from './metrics.ts'
import { openapiDocument } from './openapi.ts'
import { plainPosts } from './plain.ts'
import { createPosts } from './posts.ts'
import type { AnswerPost, PostOptions, Posts } from './posts.ts'
import { refusal } from './publish.ts'
import { maxBodyBytes, routes } from './routes.ts'
import type { RouteName } from './routes.ts'
import { describeIssues, historyQuery } from './schema.ts'

export interface AppOptions extends PostOptions {
  readonly keys: IngestKeys
  readonly log: Log
  readonly version: string
}
const busyRetryMs = 1_000

/** The HTTP surface of ingest, without a server. */
export function createApp(options: AppOptions): RequestListener {
  const posts = createPosts(options)
  return plainPosts({ ...options, posts, otherwise: createRouter(options, posts) })
}

function createRouter(options: AppOptions, posts: Posts): Express {
  const app = express()
  app.disable('x-powered-by')
  app.set('query parser', 'simple')
  const body = express.raw({ limit: maxBodyBytes, type: () => true })
  const authenticate = authenticator(options.keys)
  const document = openapiDocument(options.version)
  const handlers: Readonly<Record<RouteName, readonly RequestHandler[]>> = {
    postEvent: [authenticate, body, answerBy(posts.postEvent)],
    postBatch: [authenticate, body, answerBy(posts.postBatch)],
    getHistory: [authenticate, getHistory(options)],
    getOpenapi: [(_req, res) => void res.json(document)],
  }
  for (const name of Object.keys(handlers) as RouteName[]) {
    const { method, path } = routes[name]
    const observe = observeRequests(options.metrics, name)
    app[method](path, (_req, res, next) => (observe(res), next()), ...handlers[name])
  }
  app.use(notFound)
  app.use(problemErrors(options.log))
  return app
}

/** Before the body is read: a stranger costs no memory. */
function authenticator(keys: IngestKeys): RequestHandler {
  return (req, res, next) => {
    const name = keyNameOf(keys, req)
    if (name === undefined) {
      res.setHeader('WWW-Authenticate', 'Bearer realm="flotilla"')
      sendProblem(res, refusal('UNAUTHORIZED', 'A key is needed: Authorization: Bearer <key>.'))
      return
    }
    res.locals['keyName'] = name
    next()
  }
}

function answerBy(answer: AnswerPost): RequestHandler {
  return (req, res) => answer({ req, res, body: req.body, keyName: String(res.locals['keyName']) })
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

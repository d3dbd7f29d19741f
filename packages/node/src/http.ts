import { STATUS_CODES, createServer } from 'node:http'
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http'
import type { ErrorRequestHandler, RequestHandler } from 'express'
import type { ErrorCode } from '@flotilla/core/codes'
import { wait } from './backoff.ts'
import { redactUrl } from './log.ts'
import type { Log } from './log.ts'
import type { Metrics } from './metrics.ts'

export interface CheckState {
  readonly ok: boolean
  /** Why, for people. */
  readonly detail?: string
}
/** One thing that has to be true. One that throws, or takes longer than a second, counts as failed. */
export type Check = () => CheckState | Promise<CheckState>
export type Checks = Readonly<Record<string, Check>>

export interface AdminReply {
  readonly status: number
  readonly json: unknown
}

type Pages = Readonly<Record<string, () => AdminReply | Promise<AdminReply>>>

export interface AdminOptions {
  /** 0 takes a free one. */
  readonly port: number
  readonly host: string
  readonly metrics: Metrics
  readonly log: Log
  /** Failing: the process is beyond repair, restart it. Must not look at anything outside the process. */
  readonly live: Checks
  /** Failing: send it no new work. */
  readonly ready: Checks
  /** Further GET pages by path, as `/health`. */
  readonly pages?: Pages
  /** What may be asked for by POST, by path, as `/drain`. */
  readonly posts?: Pages
}

export interface AdminServer {
  /** The port it listens on. */
  readonly port: number
  close(): Promise<void>
}

const checkTimeoutMs = 1_000
const maxAdminConnections = 128
/** For every HTTP server of the fleet: slow or endless requests hold no socket for long (spec HT8). */
export const serverLimits = {
  headersTimeout: 5_000,
  requestTimeout: 10_000,
  connectionsCheckingInterval: 1_000,
  keepAliveTimeout: 5_000,
  maxHeaderSize: 16_384,
} as const

/** Listens with `/livez`, `/readyz`, `/metrics` and the pages. Not for the public: keep it on an inner port. */
export async function createAdminServer(options: AdminOptions): Promise<AdminServer> {
  const server = createServer(serverLimits, (req, res) => {
    answer(req, res, options).catch((error: unknown) => {
      options.log.error('an admin page failed', { url: req.url, err: error })
      problem(res, { status: 500, code: 'INTERNAL_ERROR', detail: 'The page failed; the log says why.' })
    })
  })
  server.maxHeadersCount = 64
  server.maxConnections = maxAdminConnections
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port, options.host, () => {
      server.off('error', reject)
      resolve()
    })
  })
  return { port: portOf(server), close: () => closeServer(server) }
}

function portOf(server: Server): number {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server does not listen on a port')
  return address.port
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    // An error here says that it was closed before, which is what is wanted.
    server.close(() => resolve())
    server.closeAllConnections()
  })
}

async function answer(req: IncomingMessage, res: ServerResponse, options: AdminOptions): Promise<void> {
  const path = (req.url ?? '/').split('?', 1)[0] ?? '/'
  const post = pageAt(options.posts, path)
  if (post !== undefined) {
    // A page in somebody's browser can send a POST anywhere it reaches, but not without saying where it came from.
    if (req.headers.origin !== undefined)
      return problem(res, { status: 403, code: 'FORBIDDEN', detail: 'Not from a web page.' })
    if (req.method === 'POST') return sendJson(res, await post())
    res.setHeader('Allow', 'POST')
    return problem(res, { status: 405, code: 'VALIDATION_ERROR', detail: 'Only POST is answered here.' })
  }
  if (req.method !== 'GET' && req.method !== 'HEAD') {
    res.setHeader('Allow', 'GET, HEAD')
    return problem(res, { status: 405, code: 'VALIDATION_ERROR', detail: 'Only GET and HEAD are answered here.' })
  }
  if (path === '/livez') return sendJson(res, await runChecks(options.live))
  if (path === '/readyz') return sendJson(res, await runChecks(options.ready))
  if (path === '/metrics') {
    const { contentType, body } = await options.metrics.render()
    return send(res, { status: 200, contentType, body })
  }
  const page = pageAt(options.pages, path)
  if (page !== undefined) return sendJson(res, await page())
  problem(res, { status: 404, code: 'NOT_FOUND', detail: 'No such page.' })
}

function pageAt(pages: Pages | undefined, path: string): Pages[string] | undefined {
  return pages !== undefined && Object.hasOwn(pages, path) ? pages[path] : undefined
}

async function runChecks(checks: Checks): Promise<AdminReply> {
  const states = await Promise.all(
    Object.entries(checks).map(async ([name, check]) => [name, await runCheck(check)] as const),
  )
  const ok = states.every(([, state]) => state.ok)
  return { status: ok ? 200 : 503, json: { status: ok ? 'ok' : 'failing', checks: Object.fromEntries(states) } }
}

async function runCheck(check: Check): Promise<CheckState> {
  const timer = new AbortController()
  const late = wait(checkTimeoutMs, timer.signal).then(
    () => ({ ok: false, detail: `no answer within ${checkTimeoutMs} ms` }),
    () => ({ ok: false, detail: 'cancelled' }),
  )
  try {
    return await Promise.race([Promise.resolve().then(check), late])
  } catch (error) {
    return { ok: false, detail: redactUrl(error instanceof Error ? error.message : String(error)) }
  } finally {
    timer.abort()
  }
}

interface Body {
  readonly status: number
  readonly contentType: string
  readonly body: string
}

function send(res: ServerResponse, { status, contentType, body }: Body): void {
  res.statusCode = status
  res.setHeader('Content-Type', contentType)
  res.setHeader('Cache-Control', 'no-store')
  res.setHeader('Content-Length', Buffer.byteLength(body))
  res.end(res.req.method === 'HEAD' ? undefined : body)
}

function sendJson(res: ServerResponse, { status, json }: AdminReply): void {
  send(res, { status, contentType: 'application/json; charset=utf-8', body: JSON.stringify(json) })
}

export interface Problem {
  readonly status: number
  readonly code: ErrorCode
  /** The status' name by default, as RFC 9457 wants it for a problem without a type of its own. */
  readonly title?: string
  /** For people: what is wrong and what would be right. Nothing of the inside. */
  readonly detail: string
  readonly retryAfterMs?: number
}

/** Answers with problem+json (RFC 9457). After headers were sent all that is left is to break the connection off. */
export function problem(res: ServerResponse, { status, code, title, detail, retryAfterMs }: Problem): void {
  if (res.headersSent) {
    res.destroy()
    return
  }
  // Rounded up: a client that waits for the header's whole seconds must not come too early.
  if (retryAfterMs !== undefined) res.setHeader('Retry-After', Math.ceil(Math.max(0, retryAfterMs) / 1_000))
  const body = {
    type: 'about:blank',
    title: title ?? STATUS_CODES[status] ?? 'Error',
    status,
    detail,
    code,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  }
  send(res, { status, contentType: 'application/problem+json; charset=utf-8', body: JSON.stringify(body) })
}

/** The last middleware of an express service. */
export function problemErrors(log: Log): ErrorRequestHandler {
  // Express tells an error handler by its four parameters.
  return (error: unknown, req, res, _next) => failRequest(log, error, { req, res, url: req.originalUrl })
}

interface FailedRequest {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  /** As it came, where a router has changed it. */
  readonly url?: string
}

/** Answers a request whose handling threw: nothing of an unexpected error reaches the client, all of it the log. */
export function failRequest(log: Log, error: unknown, { req, res, url = req.url ?? '' }: FailedRequest): void {
  const known = knownProblem(error)
  if (known === null) {
    log.error('a request failed', { method: req.method, url, err: error })
    problem(res, { status: 500, code: 'INTERNAL_ERROR', detail: 'The request failed for a reason of ours.' })
  } else {
    log.debug('a request was refused', { method: req.method, url, status: known.status, err: error })
    problem(res, known)
  }
}

/** What body-parser and the router throw: errors with a `type` or a 4xx `status`. */
function knownProblem(error: unknown): Problem | null {
  if (!(error instanceof Error)) return null
  const type = 'type' in error ? error.type : undefined
  const status = 'status' in error ? error.status : undefined
  if (type === 'entity.too.large') {
    return { status: 413, code: 'PAYLOAD_TOO_LARGE', detail: 'The body is larger than the limit.' }
  }
  if (type === 'entity.parse.failed') {
    return { status: 400, code: 'VALIDATION_ERROR', detail: 'The body is not valid JSON.' }
  }
  if (typeof status === 'number' && status >= 400 && status < 500) {
    return { status, code: 'VALIDATION_ERROR', detail: 'The request cannot be read.' }
  }
  return null
}

/** What the parser refuses before there is a request, by its code; whatever else it refuses is a 400. */
const unreadStatus: Readonly<Record<string, number>> = {
  HPE_HEADER_OVERFLOW: 431,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
}

/** Answers what is no request, or none within the server's limits, with a problem document too, and ends its connection. */
export function refuseUnread(server: Server): void {
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    // Nobody is there any more, or only half of them: an answer would not arrive.
    if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
    const status = unreadStatus[error.code ?? ''] ?? 400
    const title = STATUS_CODES[status] ?? 'Error'
    const code: ErrorCode = status === 413 ? 'PAYLOAD_TOO_LARGE' : 'VALIDATION_ERROR'
    const body = JSON.stringify({ type: 'about:blank', title, status, detail: 'The request cannot be read.', code })
    const head = `Content-Type: application/problem+json; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(body)}`
    socket.end(`HTTP/1.1 ${status} ${title}\r\nConnection: close\r\n${head}\r\n\r\n${body}`, () => socket.destroy())
  })
}

/** For a server with `requireHostHeader: false`, whose own answer to a request without `Host` would be no problem document. */
export function requireHost(listener: RequestListener): RequestListener {
  return (req, res) => {
    if (req.headers.host !== undefined || req.httpVersion === '1.0') return listener(req, res)
    problem(res, { status: 400, code: 'VALIDATION_ERROR', detail: 'A request names its host.' })
  }
}

/** The middleware after all routes. */
export const notFound: RequestHandler = (_req, res) => {
  problem(res, { status: 404, code: 'NOT_FOUND', detail: 'No such resource.' })
}

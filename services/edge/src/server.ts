import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { createBucket, take } from '@flotilla/core/bucket'
import { serverLimits } from '@flotilla/node/http'
import { acceptHandshake, bearerOf, tokenOf } from './handshake.ts'
import type { EdgeMetrics } from './metrics.ts'

/** Time to wait that a client is told when too many connect at once, s, and as much again at random. */
const retryAfterSeconds = 1
/** When thousands connect at once the last of them are read seconds after they came: that is not their fault, ms. */
const stormLimits = { headersTimeout: 15_000, requestTimeout: 20_000 }

export interface ServerOptions {
  readonly host: string
  readonly port: number
  readonly origins: readonly string[]
  readonly maxConnections: number
  readonly acceptsPerSecond: number
}
export interface Page {
  readonly type: string
  readonly body: string
  readonly policy?: string
}
/** How a WebSocket begins. Nothing of the request may outlive this: there are as many as there are connections. */
export interface Opening {
  /** To be written before anything else. */
  readonly answer: Buffer
  /** What the client sent behind its request. */
  readonly head: Buffer
  readonly token: string | undefined
}
export interface ServerDeps {
  readonly metrics: EdgeMetrics
  /** Open connections, and whether new ones are taken. */
  admits(): boolean
  connections(): number
  onConnection(socket: Duplex, opening: Opening): void
  /** GET pages by path; what resolves with null needs a token in the Authorization header, or a better one. */
  readonly pages: Readonly<Record<string, (token: string | undefined) => Page | Promise<Page | null>>>
}

function destroy(this: Duplex): void {
  this.destroy()
}

export interface EdgeServer {
  readonly port: number
  /** Accepts nothing new. */
  stop(): void
  close(): Promise<void>
}

/** Listens on the port of clients: `/ws`, and the pages. */
export async function listen(options: ServerOptions, deps: ServerDeps): Promise<EdgeServer> {
  const http = createServer({ ...serverLimits, ...stormLimits }, (request, response) => {
    respond(request, response, deps).catch(() => response.writeHead(500).end())
  })
  const accepts = createBucket({ capacity: options.acceptsPerSecond, refillPerSecond: options.acceptsPerSecond })
  http.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', destroy)
    if (socket instanceof Socket) socket.setNoDelay(true)
    const refusal = judge(request, { options, deps, accepts })
    const answer = refusal ?? acceptHandshake(request) ?? noHandshake
    if ('reason' in answer) {
      deps.metrics.turnedAway.inc({ reason: answer.reason })
      return turnAway(socket, answer)
    }
    deps.metrics.accepted.inc()
    deps.onConnection(socket, { answer, head, token: tokenOf(request) })
  })
  const port = await bind(http, options)
  return {
    port,
    stop: () => {
      http.close()
    },
    close: () =>
      new Promise((resolve) => {
        http.close(() => resolve())
        http.closeAllConnections()
      }),
  }
}

const noHandshake: TurnAway = { status: '400 Bad Request', reason: 'handshake' }

interface TurnAway {
  readonly status: string
  readonly reason: 'rate' | 'full' | 'draining' | 'origin' | 'path' | 'handshake'
}

/** Before anything is parsed: a storm must cost less than what it asks for. */
function judge(
  request: IncomingMessage,
  on: { options: ServerOptions; deps: ServerDeps; accepts: ReturnType<typeof createBucket> },
): TurnAway | undefined {
  if (!on.deps.admits()) return { status: '503 Service Unavailable', reason: 'draining' }
  if (on.deps.connections() >= on.options.maxConnections) return { status: '503 Service Unavailable', reason: 'full' }
  if (!take(on.accepts, 1, performance.now()).ok) return { status: '503 Service Unavailable', reason: 'rate' }
  if (pathOf(request) !== '/ws') return { status: '404 Not Found', reason: 'path' }
  if (!originAllowed(request, on.options.origins)) return { status: '403 Forbidden', reason: 'origin' }
  return undefined
}

function turnAway(socket: Duplex, { status, reason }: TurnAway): void {
  const wait = retryAfterSeconds + Math.floor(Math.random() * (retryAfterSeconds + 1))
  const retry = status.startsWith('503') ? `Retry-After: ${wait}\r\n` : ''
  socket.end(
    `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\nX-Flotilla-Reason: ${reason}\r\n${retry}\r\n`,
  )
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? '/').split('?', 1)[0] ?? '/'
}

/** Browsers always send where a page came from; what sends nothing is no browser, and has to show its token all the same. */
function originAllowed(request: IncomingMessage, origins: readonly string[]): boolean {
  const { origin, host } = request.headers
  if (origin === undefined) return true
  if (origins.length > 0) return origins.includes(origin)
  return origin === `http://${host ?? ''}` || origin === `https://${host ?? ''}`
}

async function respond(request: IncomingMessage, response: ServerResponse, { pages }: ServerDeps): Promise<void> {
  const path = pathOf(request)
  const page = Object.hasOwn(pages, path) ? pages[path] : undefined
  if (page === undefined || (request.method !== 'GET' && request.method !== 'HEAD')) {
    response.writeHead(404, { 'content-type': 'text/plain' }).end('not found\n')
    return
  }
  const shown = await page(bearerOf(request))
  if (shown === null) {
    const headers = { 'content-type': 'application/json', 'www-authenticate': 'Bearer' }
    response.writeHead(401, headers).end(JSON.stringify({ code: 'UNAUTHORIZED' }))
    return
  }
  const { type, body, policy } = shown
  response.writeHead(200, {
    'content-type': type,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    ...(policy === undefined ? {} : { 'content-security-policy': policy }),
  })
  response.end(body)
}

async function bind(http: Server, { host, port }: ServerOptions): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    http.once('error', reject)
    http.listen({ port, host, backlog: 2_048 }, () => {
      http.off('error', reject)
      resolve()
    })
  })
  const address = http.address()
  return typeof address === 'object' && address !== null ? address.port : port
}

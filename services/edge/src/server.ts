import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { createBucket, take } from '@flotilla/core/bucket'
import { maxFrameBytes } from '@flotilla/core/limits'
import { serverLimits } from '@flotilla/node/http'
import { WebSocket, WebSocketServer } from 'ws'
import type { Connection } from './connection.ts'
import type { EdgeMetrics } from './metrics.ts'

/** The subprotocol of the native protocol; a token may come as a second one, and is never sent back. */
const subprotocol = 'flotilla.v1'
const tokenProtocol = 'flotilla.token.'
/** Time to wait that a client is told when too many connect at once, s, and as much again at random. */
const retryAfterSeconds = 1
/** Fragments of one message: one-byte fragments would otherwise cost a hundred times their size. */
const maxFragments = 64

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
export interface ServerDeps {
  readonly metrics: EdgeMetrics
  /** Open connections, and whether new ones are taken. */
  admits(): boolean
  connections(): number
  /** Both carry what the library has written already. */
  onConnection(socket: WebSocket, raw: Duplex): Connection
  onToken(connection: Connection, token: string): void
  /** GET pages by path; what resolves with null needs a token in the Authorization header, or a better one. */
  readonly pages: Readonly<Record<string, (token: string | undefined) => Page | Promise<Page | null>>>
}

/** A socket that knows its connection, so that all sockets share their listeners. */
class ClientSocket extends WebSocket {
  connection: Connection | null = null
}
const connectionOf = (socket: WebSocket): Connection | null =>
  socket instanceof ClientSocket ? socket.connection : null

function onMessage(this: WebSocket, data: Buffer, isBinary: boolean): void {
  connectionOf(this)?.onMessage(data, isBinary)
}
function onPing(this: WebSocket, data: Buffer): void {
  connectionOf(this)?.onPing(data)
}
function onPong(this: WebSocket): void {
  connectionOf(this)?.onPong()
}
function onClose(this: WebSocket): void {
  connectionOf(this)?.onEnd()
}
/** What went wrong is in the close that follows: too big, bad UTF-8, a protocol error, a broken socket. */
function onError(): void {}
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
  const http = createServer(
    { ...serverLimits, keepAliveTimeout: 5_000 },
    (request, response) => void respond(request, response, deps),
  )
  const upgrades = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: maxFrameBytes,
    ...{ maxFragments },
    // Pongs go out with everything else, and a client that sends pings faster than it reads is not read for a while.
    autoPong: false,
    clientTracking: false,
    WebSocket: ClientSocket,
    handleProtocols: (offered) => (offered.has(subprotocol) ? subprotocol : false),
  })
  const accepts = createBucket({ capacity: options.acceptsPerSecond, refillPerSecond: options.acceptsPerSecond })
  http.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', destroy)
    const refusal = judge(request, { options, deps, accepts })
    if (refusal !== undefined) {
      deps.metrics.turnedAway.inc({ reason: refusal.reason })
      return turnAway(socket, refusal)
    }
    // The answer to the handshake goes out with the first frame, if that comes in this turn of the event loop.
    socket.cork()
    setImmediate(uncorkNextTurn, socket)
    upgrades.handleUpgrade(request, socket, head, (ws) => connect(ws, { request, socket, deps }))
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

/** What was done in this turn is written in its check phase: the turn after that is the first that can be too late. */
function uncorkNextTurn(socket: Duplex): void {
  setImmediate(uncork, socket)
}
function uncork(socket: Duplex): void {
  socket.uncork()
}

/** The request is needed until here only: nothing that lives as long as the connection may refer to it. */
function connect(
  ws: ClientSocket,
  { request, socket, deps }: { request: IncomingMessage; socket: Duplex; deps: ServerDeps },
): void {
  deps.metrics.accepted.inc()
  ws.on('message', onMessage)
  ws.on('ping', onPing)
  ws.on('pong', onPong)
  ws.on('close', onClose)
  ws.on('error', onError)
  ws.connection = deps.onConnection(ws, socket)
  const token = tokenOf(request)
  if (token !== undefined) deps.onToken(ws.connection, token)
}

interface TurnAway {
  readonly status: string
  readonly reason: 'rate' | 'full' | 'draining' | 'origin' | 'path'
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

/** Subprotocol, then header, then query: the one least likely to be written into somebody's log counts. */
function tokenOf(request: IncomingMessage): string | undefined {
  const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((each) => each.trim())
  const encoded = offered.find((each) => each.startsWith(tokenProtocol))
  if (encoded !== undefined) return Buffer.from(encoded.slice(tokenProtocol.length), 'base64url').toString('utf8')
  const bearer = bearerOf(request)
  if (bearer !== undefined) return bearer
  const query = (request.url ?? '').split('?', 2)[1]
  return query === undefined ? undefined : (new URLSearchParams(query).get('token') ?? undefined)
}

function bearerOf({ headers }: IncomingMessage): string | undefined {
  return /^Bearer (.+)$/i.exec(headers.authorization ?? '')?.[1]
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

import { randomInt } from 'node:crypto'
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { maxFrameBytes } from '@flotilla/core/limits'
import { serverLimits } from '@flotilla/node/http'
import type { Log } from '@flotilla/node/log'
import { WebSocketServer } from 'ws'
import { ClientSocket, closeTimeoutMs } from './client-socket.ts'
import type { Gate } from './gate.ts'
import { createGates } from './gates.ts'
import type { Paces } from './gates.ts'
import type { EdgeMetrics, TurnAwayReason } from './metrics.ts'
import { shownBy, tokenOf } from './token-places.ts'
import type { TokenPlace } from './token-places.ts'

/** The subprotocol of the native protocol; a token may come as a second one (token-places.ts), and is never sent back. */
const subprotocol = 'flotilla.v1'
/** Offered by a client that was connected before and comes back, or moves. */
const resumeProtocol = 'flotilla.resume'
/** Offered with it where connections per user are limited: the id of the connection that the client had, or moves from. */
const ticketProtocol = /(?:^|,) *flotilla\.ticket\.([\w.-]{1,128}) *(?:,|$)/
/** Time to wait that a client is told when too many connect at once, whole s at random: they are not to come back together. */
const retryAfterSeconds = [1, 5] as const
/** Who was turned away and does not close is cut after so long, ms. */
const lingerMs = 1_000
/**
 * Accepted by the kernel before this process looks. Who does not find a place in it tries again after 1, 3, 7 … s: of five thousand who
 * came at once to 1,024 places most did, and with 128 one of ten thousand needed 57 s. Linux keeps it below net.core.somaxconn, 4,096.
 */
const backlog = 4_096
/** When thousands connect at once the last of them are read seconds after they came: that is not their fault, ms. */
const stormLimits = { headersTimeout: 15_000, requestTimeout: 20_000 }
/** Fragments of one message: one-byte fragments would otherwise cost a hundred times their size. */
const maxFragments = 64

export interface ServerOptions extends Paces {
  readonly host: string
  readonly port: number
  readonly origins: readonly string[]
  readonly maxConnections: number
  /** From one address; 0: no limit. */
  readonly connectionsPerAddress: number
  /** Where tokens are looked for, in order. */
  readonly tokenFrom: readonly TokenPlace[]
}
export interface ServerDeps {
  readonly log: Log
  readonly metrics: EdgeMetrics
  /** Open connections, and whether new ones are taken. */
  admits(): boolean
  connections(): number
  /** `raw` is corked: the handshake's answer goes out with the first frames. */
  onConnection(socket: ClientSocket, raw: Duplex, came: CameWith): void
  /** GET pages by path; they are given the token that came along. */
  readonly pages: Readonly<Record<string, (token: string | undefined) => Promise<Page>>>
}
/** What a handshake brought. */
export interface CameWith {
  /** Null: the client wants to be anonymous; undefined: nothing yet. */
  readonly token: string | null | undefined
  /** The connection whose place is to be taken; `''`: none. */
  readonly ticket: string
  /** The client says that it was connected before, or still is. */
  readonly returns: boolean
}
export interface Page {
  readonly status?: number
  readonly type: string
  readonly body: string
  readonly policy?: string
}

function destroy(this: Duplex): void {
  this.destroy()
}

export interface EdgeServer {
  readonly port: number
  /** How long whoever was accepted in the last second or two waited for it, ms: the longest. */
  acceptMs(): number
  close(): Promise<void>
}

/** Listens on the port of clients: `/ws`, and the pages. */
export async function listen(options: ServerOptions, deps: ServerDeps): Promise<EdgeServer> {
  const http = createServer({ ...serverLimits, ...stormLimits }, (request, response) => {
    respond(request, response, { pages: deps.pages, tokenFrom: options.tokenFrom }).catch((error: unknown) => {
      deps.log.error('a page failed', { path: pathOf(request), err: error })
      response.writeHead(500).end()
    })
  })
  const upgrades = new WebSocketServer({
    noServer: true,
    WebSocket: ClientSocket,
    perMessageDeflate: false,
    maxPayload: maxFrameBytes,
    ...{ maxFragments, closeTimeout: closeTimeoutMs },
    // With everything else that goes to this client (connection.ts).
    autoPong: false,
    clientTracking: false,
    handleProtocols: (offered) => (offered.has(subprotocol) ? subprotocol : false),
  })
  const { reads, accepts, resumes } = createGates(options)
  const addresses = countAddresses(options.connectionsPerAddress)
  readAtPace(http, reads, deps.metrics)
  upgrades.on('wsClientError', (_, socket) => refuse(socket, noHandshake))
  http.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', destroy)
    const refusal = closedTo(accepts.waiting + resumes.waiting) ?? judge(request, options) ?? addresses.enter(socket)
    if (refusal !== undefined) return refuse(socket, refusal)
    const returns = isResume(request)
    const gate = returns ? resumes : accepts
    const entered = gate.enter({
      // It may have waited: the client may be gone, and the edge may drain or be full.
      go: (waitedMs) => {
        const late = socket.destroyed ? gone : closedTo(0)
        deps.metrics.gateSeconds.observe({ gate: returns ? 'resume' : 'accept' }, waitedMs / 1_000)
        if (late === undefined) accept(request, socket, head)
        else refuse(socket, late)
        return late === undefined
      },
      giveUp: () => refuse(socket, tooMany),
    })
    if (!entered) refuse(socket, tooMany)
  })
  const closedTo = (waiting: number): TurnAway | undefined => {
    if (!deps.admits()) return { status: '503 Service Unavailable', reason: 'draining' }
    const isFull = deps.connections() + waiting >= options.maxConnections
    return isFull ? { status: '503 Service Unavailable', reason: 'full' } : undefined
  }
  const accept = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    socket.cork()
    upgrades.handleUpgrade(request, socket, head, (ws) => {
      deps.metrics.accepted.inc()
      const came = { token: shownBy(request, options.tokenFrom), ticket: ticketOf(request), returns: isResume(request) }
      deps.onConnection(ws, socket, came)
    })
  }
  const refuse = (socket: Duplex, refusal: TurnAway): void => {
    deps.metrics.turnedAway.inc({ reason: refusal.reason })
    turnAway(socket, refusal)
  }
  const port = await bind(http, options)
  return {
    port,
    acceptMs: () => Math.round(reads.longestWaitMs() + Math.max(accepts.longestWaitMs(), resumes.longestWaitMs())),
    close: () =>
      new Promise((resolve) => {
        // Those who wait are not among the connections that http knows.
        for (const gate of [reads, accepts, resumes]) gate.close()
        http.close(() => resolve())
        http.closeAllConnections()
      }),
  }
}

/**
 * A connection is read when its turn comes: to parse what five thousand ask for who come at once would take as long as half a second, in
 * which nobody else is served.
 */
function readAtPace(http: Server, gate: Gate, metrics: EdgeMetrics): void {
  const read = http.listeners('connection')
  http.removeAllListeners('connection')
  // As net.createServer's option, which http.createServer does not hand on: what is read before the parser is there would be lost.
  Object.assign(http, { pauseOnConnect: true })
  http.on('connection', (socket) => {
    const drop = (): void => void socket.destroy()
    const refuse = (): void => {
      metrics.turnedAway.inc({ reason: 'rate' })
      turnAway(socket, tooMany)
    }
    socket.on('error', drop)
    const entered = gate.enter({
      go: (waitedMs) => {
        if (socket.destroyed) return false
        metrics.gateSeconds.observe({ gate: 'read' }, waitedMs / 1_000)
        socket.off('error', drop)
        for (const listener of read) Reflect.apply(listener, http, [socket])
        socket.resume()
        return true
      },
      giveUp: refuse,
    })
    if (!entered) refuse()
  })
}

const noHandshake: TurnAway = { status: '400 Bad Request', reason: 'handshake' }

interface TurnAway {
  readonly status: string
  readonly reason: TurnAwayReason
}

/** A hint, not a proof: who says so falsely is held back with those that come back, and not with the newcomers. */
function isResume(request: IncomingMessage): boolean {
  return request.headers['sec-websocket-protocol']?.includes(resumeProtocol) === true
}

/** Before anything is parsed: a storm must cost less than what it asks for. */
function judge(request: IncomingMessage, options: ServerOptions): TurnAway | undefined {
  if (pathOf(request) !== '/ws') return { status: '404 Not Found', reason: 'path' }
  if (!originAllowed(request, options.origins)) return { status: '403 Forbidden', reason: 'origin' }
  return undefined
}

const tooManyOfAddress: TurnAway = { status: '429 Too Many Requests', reason: 'address' }

/** Counts sockets by where they come from, from their handshake on, until they are closed. */
function countAddresses(limit: number): { enter(socket: Duplex): TurnAway | undefined } {
  const counts = new Map<string, number>()
  return {
    enter: (socket) => {
      const address = limit === 0 ? undefined : (socket as Partial<Socket>).remoteAddress
      if (address === undefined || socket.destroyed) return undefined
      const count = counts.get(address) ?? 0
      if (count >= limit) return tooManyOfAddress
      counts.set(address, count + 1)
      socket.once('close', () => {
        const left = (counts.get(address) ?? 1) - 1
        if (left === 0) counts.delete(address)
        else counts.set(address, left)
      })
      return undefined
    },
  }
}

const tooMany: TurnAway = { status: '503 Service Unavailable', reason: 'rate' }
/** Nobody reads the answer; it is counted. */
const gone: TurnAway = { status: '503 Service Unavailable', reason: 'gone' }

function turnAway(socket: Duplex, { status, reason }: TurnAway): void {
  const wait = randomInt(retryAfterSeconds[0], retryAfterSeconds[1] + 1)
  const retry = /^(?:503|429)/.test(status) ? `Retry-After: ${wait}\r\n` : ''
  if (socket.destroyed) return
  socket.end(
    `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\nX-Flotilla-Reason: ${reason}\r\n${retry}\r\n`,
  )
  // It is read and thrown away: what is closed with something unread is reset, and the answer may be lost.
  socket.resume()
  const cut = setTimeout(() => socket.destroy(), lingerMs).unref()
  socket.once('close', () => clearTimeout(cut))
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

/** It proves nothing and needs not to: only a connection of the user whom the token names can be replaced. */
function ticketOf({ headers }: IncomingMessage): string {
  return ticketProtocol.exec(headers['sec-websocket-protocol'] ?? '')?.[1] ?? ''
}

/** Pages always send their token in the header: that they are no handshakes no setting changes. */
async function respond(
  request: IncomingMessage,
  response: ServerResponse,
  { pages, tokenFrom }: Pick<ServerDeps, 'pages'> & Pick<ServerOptions, 'tokenFrom'>,
): Promise<void> {
  const path = pathOf(request)
  const page = Object.hasOwn(pages, path) ? pages[path] : undefined
  if (page === undefined || (request.method !== 'GET' && request.method !== 'HEAD')) {
    response.writeHead(404, { 'content-type': 'text/plain' }).end('not found\n')
    return
  }
  const { status = 200, type, body, policy } = await page(tokenOf(request, [...tokenFrom, 'header']))
  response.writeHead(status, {
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
    http.listen({ port, host, backlog }, () => {
      http.off('error', reject)
      resolve()
    })
  })
  const address = http.address()
  return typeof address === 'object' && address !== null ? address.port : port
}

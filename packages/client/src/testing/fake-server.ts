import { clientFrame, serverFrame } from '@flotilla/core/frames'
import type { ClientFrame, ServerFrame } from '@flotilla/core/frames'
import type { Position } from '@flotilla/core/position'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { WebSocketServer } from 'ws'
import type { WebSocket } from 'ws'

/** Time after which a test that waits for the client fails, ms. */
const deadlineMs = 5_000

export type FrameOf<T extends ClientFrame['type']> = Extract<ClientFrame, { type: T }>
type Answer = Omit<Extract<ServerFrame, { type: 'ok' }>, 'type' | 'id'>
type Refusal = Omit<Extract<ServerFrame, { type: 'error' }>, 'type' | 'id'>

/** A queue with one reader at a time, who waits until `deadlineMs`. */
class Arrivals<T> {
  readonly #items: T[] = []
  #wake: (() => void) | undefined

  push(item: T): void {
    this.#items.push(item)
    this.#wake?.()
  }

  get size(): number {
    return this.#items.length
  }

  async next(what: string): Promise<T> {
    if (this.#items.length === 0) {
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`${what} did not arrive`)), deadlineMs)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
    const item = this.#items.shift()
    if (item === undefined) throw new Error(`${what} did not arrive`)
    return item
  }
}

/** The server's end of one connection. Every frame in either direction is checked against the protocol's schemas. */
export class Peer {
  readonly request: IncomingMessage
  readonly closed: Promise<number>
  /** As `connected` tells it. */
  readonly connectionId: string
  readonly #socket: WebSocket
  readonly #frames = new Arrivals<ClientFrame>()

  constructor(socket: WebSocket, request: IncomingMessage, connectionId: string) {
    this.#socket = socket
    this.request = request
    this.connectionId = connectionId
    this.closed = once(socket, 'close').then(([code]) => Number(code))
    socket.on('message', (data) => this.#frames.push(clientFrame.parse(JSON.parse(String(data)))))
    socket.on('error', () => {})
  }

  /** Frames that arrived and were not taken by `expect`. */
  get unread(): number {
    return this.#frames.size
  }

  /** The next frame, which must be of this type. Pings are answered and passed over, unless one is what is expected. */
  async expect<T extends ClientFrame['type']>(type: T): Promise<FrameOf<T>> {
    for (;;) {
      const frame = await this.#frames.next(`a ${type} frame`)
      if (isOfType(frame, type)) return frame
      if (frame.type !== 'ping') throw new Error(`expected ${type}, got ${JSON.stringify(frame)}`)
      this.send({ type: 'pong', timestamp: '2026-01-01T00:00:00.000Z' })
    }
  }

  next(): Promise<ClientFrame> {
    return this.#frames.next('a frame')
  }

  /** Frames of one call reach the client in one piece, as a tick of the edge does. */
  send(...frames: readonly ServerFrame[]): void {
    const { _socket: tcp } = this.#socket as unknown as { _socket: { cork(): void; uncork(): void } }
    tcp.cork()
    for (const frame of frames) this.#socket.send(JSON.stringify(serverFrame.parse(frame)))
    tcp.uncork()
  }

  sendText(text: string): void {
    this.#socket.send(text)
  }

  /** Takes the `auth` frame and says `connected`. */
  async welcome(rooms: readonly string[] = [], pingIntervalMs = 25_000): Promise<void> {
    await this.expect('auth')
    this.send(connected(this.connectionId, rooms, pingIntervalMs))
  }

  /** `behind`: frames that come in one piece with the answer. */
  ok(request: { id?: string | number | undefined }, answer: Answer, ...behind: readonly ServerFrame[]): void {
    this.send({ type: 'ok', ...answer, ...(request.id === undefined ? {} : { id: request.id }) }, ...behind)
  }

  refuse(request: { id?: string | number | undefined }, refusal: Refusal): void {
    this.send({ type: 'error', ...refusal, ...(request.id === undefined ? {} : { id: request.id }) })
  }

  close(code: number, reason = ''): void {
    this.#socket.close(code, reason)
  }

  /** As a process that was killed, or a network that was cut. */
  kill(): void {
    this.#socket.terminate()
  }

  /** Reads nothing any more and answers nothing. */
  freeze(): void {
    this.#socket.pause()
  }
}

function isOfType<T extends ClientFrame['type']>(frame: ClientFrame, type: T): frame is FrameOf<T> {
  return frame.type === type
}

export function connected(
  connectionId = 'edge-1.boot.1',
  rooms: readonly string[] = [],
  pingIntervalMs = 25_000,
): ServerFrame {
  return {
    type: 'connected',
    protocol: 1,
    userId: 'alice',
    connectionId,
    rooms: [...rooms],
    timestamp: '2026-01-01T00:00:00.000Z',
    resumeWindow: { events: 1_000, ms: 120_000 },
    pingIntervalMs,
  }
}

/** A durable event, or with seq null an ephemeral one. Its data is its number. */
export function event(room: string, seq: number | null, name = 'message'): ServerFrame {
  const meta = { userId: 'bob', timestamp: '2026-01-01T00:00:00.000Z' }
  return { type: 'event', room, event: name, data: { n: seq }, meta, ...(seq === null ? {} : { seq }) }
}

export const at = (seq: number, epoch = '5.12'): Position => ({ epoch, seq })

export interface FakeServer {
  readonly url: string
  /** The next connection. */
  accept(): Promise<Peer>
  /** Connections made and not accepted. */
  readonly waiting: number
  close(): Promise<void>
}

/** A WebSocket server on loopback whose every word is the test's. */
export async function startFakeServer(): Promise<FakeServer> {
  const server = new WebSocketServer({
    host: '127.0.0.1',
    port: 0,
    handleProtocols: (offered) => (offered.has('flotilla.v1') ? 'flotilla.v1' : false),
  })
  const peers = new Arrivals<Peer>()
  let count = 0
  server.on('connection', (socket, request) => peers.push(new Peer(socket, request, `edge-1.boot.${(count += 1)}`)))
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  return {
    url: `ws://127.0.0.1:${address.port}/ws`,
    accept: () => peers.next('a connection'),
    get waiting() {
      return peers.size
    },
    close: () =>
      new Promise((resolve) => {
        for (const socket of server.clients) socket.terminate()
        server.close(() => resolve())
      }),
  }
}

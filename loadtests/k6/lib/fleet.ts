import { hmac } from 'k6/crypto'
import encoding from 'k6/encoding'
import http from 'k6/http'
import { Counter, Rate, Trend } from 'k6/metrics'
import { setTimeout } from 'k6/timers'
import { WebSocket } from 'k6/websockets'

/**
 * Where the fleet is and who may use it: FLOTILLA_WS, FLOTILLA_INGEST, FLOTILLA_JWT_SECRET, and FLOTILLA_INGEST_KEY or the first of FLOTILLA_INGEST_KEYS
 * (`name:key,…`, as ingest takes them).
 */
const env = (name: string, usual: string): string => __ENV[name] ?? usual
const wsUrl = env('FLOTILLA_WS', 'ws://127.0.0.1:8080/ws')
const ingestUrl = env('FLOTILLA_INGEST', 'http://127.0.0.1:8081')
const secret = env('FLOTILLA_JWT_SECRET', 'flotilla-development-secret-change-me')
const key = env('FLOTILLA_INGEST_KEY', env('FLOTILLA_INGEST_KEYS', '').split(',')[0]?.split(':').at(-1) ?? '')

/** Of what was delivered: events that never came, came twice, or came before an earlier one. Each must stay 0. */
const lost = new Counter('flotilla_lost')
const doubled = new Counter('flotilla_doubled')
const disordered = new Counter('flotilla_disordered')
/** Times that a client was told of a loss. */
const told = new Counter('flotilla_told_of_loss')
const received = new Counter('flotilla_received')
const connects = new Rate('flotilla_connect_ok')
/** Closes that no script asked for: also 1012, by which an edge that drains sends away whoever has not moved. */
const unexpectedCloses = new Counter('flotilla_unexpected_closes')
/** From when an event was due at its publisher to its delivery, ms: publisher and listener have one clock. */
const deliveryMs = new Trend('flotilla_delivery', true)
/** Connections that were lost, on purpose or not, and whose subscription was answered again. */
const resumed = new Counter('flotilla_resumed')
/** From a lost connection to the answer of the resume, ms. */
const resumeMs = new Trend('flotilla_resume', true)
const posted = new Rate('flotilla_posted')

const base64 = (text: string): string => encoding.b64encode(text, 'rawurl')

/** A token of the user, for an hour. */
function tokenOf(user: string): string {
  const now = Math.floor(Date.now() / 1_000)
  const claims = { sub: user, tenantId: 'k6', iat: now, exp: now + 3_600 }
  const text = `${base64('{"alg":"HS256","typ":"JWT"}')}.${base64(JSON.stringify(claims))}`
  return `${text}.${hmac('sha256', secret, text, 'base64rawurl')}`
}

interface Position {
  readonly epoch: string
  readonly seq: number
}
interface Frame {
  readonly type: string
  readonly room?: string
  readonly seq?: number
  readonly position?: Position
  readonly recovered?: boolean
  readonly missed?: number
  readonly connectionId?: string
  readonly data?: { readonly t?: number }
}

/** One connection that hears one room, and keeps account of its numbers. It comes back until it is closed. */
export class Listener {
  readonly #user: string
  readonly #room: string
  #socket: WebSocket | undefined
  #place: Position | undefined
  #ticket = ''
  #closed = false
  #answered = false
  #lostAt = 0

  constructor(user: string, room: string) {
    this.#user = user
    this.#room = room
    this.#open()
  }

  /** The connection is lost, as a network loses it, and made again. */
  drop(): void {
    this.#socket?.close(4_000)
  }

  close(): void {
    this.#closed = true
    this.#socket?.close()
  }

  #open(): void {
    // k6 ignores its argument for subprotocols.
    const comesBack = this.#ticket === '' ? '' : `, flotilla.resume, flotilla.ticket.${this.#ticket}`
    const headers = {
      Authorization: `Bearer ${tokenOf(this.#user)}`,
      'Sec-WebSocket-Protocol': `flotilla.v1${comesBack}`,
    }
    // Tags of its own: the usual one is the address.
    const socket = new WebSocket(wsUrl, null, { headers, tags: { name: 'ws' } })
    this.#socket = socket
    this.#answered = false
    socket.onmessage = (message) => this.#take(JSON.parse(message?.data as string) as Frame)
    // The types know nothing of what it is called with.
    Object.assign(socket, { onclose: ({ code }: { code: number }) => this.#ended(code) })
    socket.onerror = () => undefined
  }

  #ended(code: number): void {
    if (!this.#answered) connects.add(false)
    if (this.#closed) return
    if (code !== 4_000) unexpectedCloses.add(1)
    this.#lostAt = Date.now()
    setTimeout(() => this.#open(), 200 + Math.random() * 800)
  }

  #take(frame: Frame): void {
    switch (frame.type) {
      case 'connected':
        this.#ticket = frame.connectionId ?? ''
        this.#socket?.send(JSON.stringify({ type: 'subscribe', id: 1, room: this.#room, since: this.#place }))
        return
      // Of rooms that the server joined it to there is more than of its own.
      case 'ok':
        if (frame.room === this.#room) this.#subscribed(frame)
        return
      case 'position':
        if (frame.room !== this.#room) return
        if (frame.recovered === false) told.add(1)
        this.#place = frame.position
        return
      case 'event':
        if (frame.room === this.#room) this.#deliver(frame)
    }
  }

  #subscribed({ position, recovered, missed = 0 }: Frame): void {
    if (position === undefined) return
    connects.add(true)
    this.#answered = true
    if (this.#lostAt > 0) {
      resumed.add(1)
      resumeMs.add(Date.now() - this.#lostAt)
      this.#lostAt = 0
    }
    if (recovered === false) told.add(1)
    // What was missed follows as events.
    const seq = position.seq - missed
    if (this.#place !== undefined && recovered !== false && seq > this.#place.seq) lost.add(seq - this.#place.seq)
    this.#place = { epoch: position.epoch, seq }
  }

  #deliver({ seq, data }: Frame): void {
    if (seq === undefined || this.#place === undefined) return
    received.add(1)
    const { seq: last, epoch } = this.#place
    if (seq === last) doubled.add(1)
    else if (seq < last) disordered.add(1)
    else if (seq > last + 1) lost.add(seq - last - 1)
    this.#place = { epoch, seq: Math.max(last, seq) }
    if (data?.t !== undefined) deliveryMs.add(Date.now() - data.t)
  }
}

/** Posts one event to a room; again, under the same id, until it is taken or ten times. */
export function post(room: string, id: string): void {
  const body = JSON.stringify({ room, event: 'k6', id, data: { t: Date.now() } })
  const headers = { 'Content-Type': 'application/json', Authorization: `Bearer ${key}` }
  for (let attempt = 0; attempt < 10; attempt += 1) {
    const { status } = http.post(`${ingestUrl}/v1/events`, body, { headers, tags: { name: 'events' } })
    if (status === 202) return posted.add(true)
  }
  posted.add(false)
}

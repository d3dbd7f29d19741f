import type { ServerFrame } from '@flotilla/core/frames'
import { after } from './backoff.ts'
import type { Carriage, Log } from './options.ts'

/** The part of a WebSocket that is used: the browser's, Node's and that of `ws` have it. */
export interface SocketLike {
  readonly readyState: number
  onopen: ((event: never) => void) | null
  onmessage: ((event: never) => void) | null
  onclose: ((event: never) => void) | null
  onerror: ((event: never) => void) | null
  send(text: string): void
  close(code?: number, reason?: string): void
  /** `ws` only: ends the connection without a handshake. */
  terminate?(): void
}
export type SocketConstructor = new (url: string, protocols?: string[]) => SocketLike

export interface LinkOptions {
  readonly url: string
  /** Undefined: none; it can be left out of a frame only. */
  readonly token: string | undefined
  readonly carriage: Carriage
  readonly WebSocket: SocketConstructor
  readonly pingTimeoutMs: number
  readonly log: Log
  /** Whether this client was connected before: edges accept more of those per second. */
  readonly returns: boolean
  /** Its id then: the new connection takes the place of that one, where connections per user are limited. */
  readonly ticket?: string | undefined
}

export type ConnectedFrame = Extract<ServerFrame, { type: 'connected' }>

export interface LinkListener {
  connected(frame: ConnectedFrame): void
  /** Every frame after `connected`, in order. */
  frame(frame: ServerFrame): void
  /** Once, and nothing after it. */
  down(why: Down): void
}

/** Why a connection ended. */
export interface Down {
  readonly closeCode: number
  readonly reason: string
  /** Code and message of the error frame before the close, if it answered no request. */
  readonly error?: { readonly code: string; readonly message: string }
  readonly hintMs?: number
}

const open = 1
/** What the WebSocket API reports for a connection that broke; here also for one that this side gave up. */
export const brokenCode = 1006
const subprotocol = 'flotilla.v1'
const resumeProtocol = 'flotilla.resume'
const ticketProtocol = 'flotilla.ticket'
/** What can be offered: with anything else no connection could be made. */
const ticketForm = /^[\w.-]{1,128}$/

/** Base64url without padding of the UTF-8 bytes. */
export function base64url(text: string): string {
  const bytes = String.fromCharCode(...new TextEncoder().encode(text))
  return btoa(bytes).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
}

function socketUrl({ url, carriage, token = '' }: LinkOptions): string {
  const base = url.replace(/^http/i, 'ws')
  if (carriage !== 'query') return base
  return `${base}${base.includes('?') ? '&' : '?'}token=${encodeURIComponent(token)}`
}

function isServerFrame(value: unknown): value is ServerFrame {
  return typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string'
}

/** One connection, from the handshake to its end: carries the token, keeps the connection alive, parses frames. */
export class Link {
  readonly #socket: SocketLike
  #listener: LinkListener
  readonly #options: LinkOptions
  #error: Down['error']
  #hintMs: number | undefined
  #connected = false
  #ended = false
  #heardAtMs = 0
  #stopWatch: () => void = () => {}

  /** Throws what the WebSocket constructor throws (a URL that is none). */
  constructor(options: LinkOptions, listener: LinkListener) {
    this.#options = options
    this.#listener = listener
    const url = socketUrl(options)
    const offered = [
      ...(options.carriage === 'subprotocol' ? [`flotilla.token.${base64url(options.token ?? '')}`] : []),
      ...(options.returns ? [resumeProtocol] : []),
      ...(ticketForm.test(options.ticket ?? '') ? [`${ticketProtocol}.${options.ticket}`] : []),
    ]
    this.#socket =
      offered.length > 0 ? new options.WebSocket(url, [subprotocol, ...offered]) : new options.WebSocket(url)
    this.#socket.onopen = () => {
      if (options.carriage === 'frame') this.send(JSON.stringify({ type: 'auth', id: 0, token: options.token }))
    }
    this.#socket.onmessage = (event: { data: unknown }) => this.#receive(event.data)
    // The close event follows and says as much as is known.
    this.#socket.onerror = () => {}
    this.#socket.onclose = (event: { code: number; reason: string }) => this.#end(event.code, event.reason)
  }

  send(text: string): void {
    if (this.#socket.readyState === open) this.#socket.send(text)
  }

  /** From now on somebody else is told. */
  handTo(listener: LinkListener): void {
    this.#listener = listener
  }

  /** Tells the server that this side is done. Nothing is reported to the listener after it. */
  close(code: number, reason: string): void {
    this.#forget()
    this.#socket.close(code, reason)
  }

  /** Gives the connection up without waiting for the other side, and reports it. */
  abandon(reason: string): void {
    const { readyState } = this.#socket
    this.#end(brokenCode, reason)
    if (readyState > open) return
    if (this.#socket.terminate === undefined) this.#socket.close(4009, reason)
    else this.#socket.terminate()
  }

  #forget(): void {
    this.#ended = true
    this.#stopWatch()
  }

  #end(closeCode: number, reason: string): void {
    if (this.#ended) return
    this.#forget()
    const error = this.#error === undefined ? {} : { error: this.#error }
    const hint = this.#hintMs === undefined ? {} : { hintMs: this.#hintMs }
    this.#listener.down({ closeCode, reason, ...error, ...hint })
  }

  #receive(data: unknown): void {
    if (this.#ended) return
    this.#heardAtMs = performance.now()
    let frame: unknown
    try {
      frame = typeof data === 'string' ? JSON.parse(data) : undefined
    } catch {
      frame = undefined
    }
    if (!isServerFrame(frame)) return this.#options.log('a frame that is not of the protocol', data)
    if (frame.type === 'connected') {
      this.#connected = true
      // The answer to a ping needs time too: who wants to know sooner than the server's interval asks sooner.
      const intervalMs = Math.min(frame.pingIntervalMs, this.#options.pingTimeoutMs / 2)
      this.#watch(intervalMs, intervalMs)
      return this.#listener.connected(frame)
    }
    // An error that answers no request (authentication has the id 0) says why the close that follows is made.
    const says = frame.type === 'error' && (frame.id === undefined || frame.id === 0) ? frame : undefined
    this.#error = says && { code: says.code, message: says.message }
    this.#hintMs = says?.retryAfterMs
    if (this.#connected) this.#listener.frame(frame)
  }

  /** After `intervalMs` of silence asks for a sign of life; none within the rest of the time: the connection is dead. */
  #watch(waitMs: number, intervalMs: number): void {
    this.#stopWatch()
    this.#stopWatch = after(waitMs, () => {
      const silentMs = performance.now() - this.#heardAtMs
      if (silentMs < intervalMs) return this.#watch(intervalMs - silentMs, intervalMs)
      const askedAtMs = performance.now()
      this.send('{"type":"ping"}')
      this.#stopWatch = after(Math.max(this.#options.pingTimeoutMs - intervalMs, 1), () => {
        if (this.#heardAtMs >= askedAtMs) this.#watch(intervalMs, intervalMs)
        else this.abandon('nothing heard within the ping timeout')
      })
    })
  }
}

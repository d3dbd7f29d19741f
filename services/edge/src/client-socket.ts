import type { Duplex } from 'node:stream'
import { maxFrameBytes } from '@flotilla/core/limits'
import { FrameReader } from './frame-reader.ts'
import type { FrameSink } from './frame-reader.ts'
import { closeFrame } from './wire.ts'

/** What a socket tells its connection. */
export interface SocketListener {
  onMessage(data: Buffer, isBinary: boolean): void
  onPing(data: Buffer): void
  onPong(): void
  /** The last: the client is gone, or closes. */
  onEnd(): void
}

/** Time that a client has to answer a close, or to end its side after one, ms; then the socket is cut. */
const closeTimeoutMs = 5_000

interface Bound extends Duplex {
  flotilla?: ClientSocket
}

/**
 * A WebSocket after its handshake. What is written goes to `raw` directly, frame by frame (wire.ts). All sockets share
 * their listeners: there are many thousands of them.
 */
export class ClientSocket implements FrameSink {
  readonly raw: Duplex
  readonly #reader = new FrameReader(maxFrameBytes)
  #listener: SocketListener | null = null
  #state: 'open' | 'closing' | 'closed' = 'open'

  constructor(raw: Duplex) {
    this.raw = raw
  }

  /** From here on the client is read; `head` came with the handshake. */
  start(listener: SocketListener, head: Buffer): void {
    const { raw } = this
    this.#listener = listener
    ;(raw as Bound).flotilla = this
    raw.on('data', onData)
    raw.on('end', onEnd)
    raw.on('close', onClose)
    if (head.length > 0) raw.unshift(head)
  }

  pause(): void {
    this.raw.pause()
  }

  resume(): void {
    this.raw.resume()
  }

  /** Closes with the handshake of section 7.1.2; nothing that the client sends is heard any more. */
  close(code: number, reason: string, timeoutMs = closeTimeoutMs): void {
    if (this.#state !== 'open') return
    this.#state = 'closing'
    if (this.raw.writable) this.raw.write(closeFrame(code, reason))
    this.#listener = null
    this.#cutAfter(timeoutMs)
  }

  onMessage(payload: Buffer, isBinary: boolean): void {
    this.#listener?.onMessage(payload, isBinary)
  }
  onPing(payload: Buffer): void {
    this.#listener?.onPing(payload)
  }
  onPong(): void {
    this.#listener?.onPong()
  }
  /** Answered with the client's own code, unless it answers us. */
  onClose(code: number): void {
    const answer = this.#state === 'open' && this.raw.writable ? closeFrame(code === 1005 ? 1000 : code, '') : undefined
    this.#leave()
    this.raw.end(answer)
    this.#cutAfter(closeTimeoutMs)
  }

  onBytes(chunk: Buffer): void {
    if (this.#state === 'closed') return
    const fault = this.#reader.push(chunk, this)
    if (fault === undefined) return
    const listener = this.#listener
    this.close(fault.code, fault.reason)
    listener?.onEnd()
    // What follows cannot be understood.
    this.#state = 'closed'
  }

  /** The socket is gone. */
  onGone(): void {
    this.#leave()
    this.raw.end()
  }

  onHalfClosed(): void {
    this.onGone()
    this.#cutAfter(closeTimeoutMs)
  }

  #leave(): void {
    this.#state = 'closed'
    const listener = this.#listener
    this.#listener = null
    listener?.onEnd()
  }

  #cutAfter(ms: number): void {
    const timer = setTimeout(() => this.raw.destroy(), ms)
    timer.unref()
    this.raw.once('close', () => clearTimeout(timer))
  }
}

function onData(this: Bound, chunk: Buffer): void {
  this.flotilla?.onBytes(chunk)
}
function onEnd(this: Bound): void {
  this.flotilla?.onHalfClosed()
}
function onClose(this: Bound): void {
  this.flotilla?.onGone()
}

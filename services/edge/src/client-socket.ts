import type { RawData } from 'ws'
import { WebSocket } from 'ws'

/** What a socket tells its connection. */
export interface SocketListener {
  onMessage(data: Buffer, isBinary: boolean): void
  onPing(data: Buffer): void
  onPong(): void
  /** The last: the socket is gone. */
  onEnd(): void
}

/** Time that a client has to answer a close, ms; then the socket is cut. */
export const closeTimeoutMs = 5_000

/** The library's WebSocket, told apart only by whom it tells: all of them share their listeners, there are many thousands. */
export class ClientSocket extends WebSocket {
  #listener: SocketListener | null = null

  /** From here on the client is heard. */
  start(listener: SocketListener): void {
    this.#listener = listener
    this.on('message', onMessage)
    this.on('ping', onPing)
    this.on('pong', onPong)
    this.on('close', onClose)
    // What went wrong is in the close that follows: too big, bad UTF-8, a protocol error, a broken socket.
    this.on('error', ignore)
  }

  /** Cuts the socket when it is still there then: a client that reads nothing will not answer a close. */
  cutAfter(ms: number): void {
    const timer = setTimeout(() => this.terminate(), ms)
    timer.unref()
    this.once('close', () => clearTimeout(timer))
  }

  static listenerOf(socket: WebSocket): SocketListener | null {
    return #listener in socket ? socket.#listener : null
  }
}

function onMessage(this: WebSocket, data: RawData, isBinary: boolean): void {
  ClientSocket.listenerOf(this)?.onMessage(data as Buffer, isBinary)
}
function onPing(this: WebSocket, data: Buffer): void {
  ClientSocket.listenerOf(this)?.onPing(data)
}
function onPong(this: WebSocket): void {
  ClientSocket.listenerOf(this)?.onPong()
}
function onClose(this: WebSocket): void {
  ClientSocket.listenerOf(this)?.onEnd()
}
function ignore(): void {
  // Told by the close.
}

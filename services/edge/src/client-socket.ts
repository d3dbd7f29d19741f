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

/**
 * The library's WebSocket, which tells its connection directly: there are many thousands of them, and the five listeners
 * that each of them would need are a table of 250 bytes.
 */
export class ClientSocket extends WebSocket {
  #listener: SocketListener | null = null

  /** From here on the client is heard. */
  start(listener: SocketListener): void {
    this.#listener = listener
  }

  get isOpen(): boolean {
    return this.readyState === WebSocket.OPEN
  }

  override emit(event: string | symbol, ...args: unknown[]): boolean {
    const listener = this.#listener
    switch (event) {
      case 'message':
        listener?.onMessage(args[0] as Buffer, args[1] as boolean)
        return true
      case 'ping':
        listener?.onPing(args[0] as Buffer)
        return true
      case 'pong':
        listener?.onPong()
        return true
      case 'close':
        listener?.onEnd()
        return super.emit(event, ...args)
      case 'error':
        // What went wrong is in the close that follows: too big, bad UTF-8, a protocol error, a broken socket.
        return true
      default:
        return super.emit(event, ...args)
    }
  }

  /** Cuts the socket when it is still there then: a client that reads nothing will not answer a close. */
  cutAfter(ms: number): void {
    const timer = setTimeout(() => this.terminate(), ms)
    timer.unref()
    this.once('close', () => clearTimeout(timer))
  }
}

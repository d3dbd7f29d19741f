import type { WebSocket } from 'ws'
import type { Duplex } from 'node:stream'
import { closeCodes } from '@flotilla/core/codes'
import type { CloseName } from '@flotilla/core/codes'
import type { ServerFrame } from '@flotilla/core/frames'
import { hardBufferBytes, pingIntervalMs, pingTimeoutMs, softBufferBytes, stuckSocketMs } from '@flotilla/core/limits'
import { createSession, isDue, stepSession } from '@flotilla/core/session'
import type {
  SessionClock,
  SessionEffect,
  SessionInput,
  SessionLimits,
  SessionState,
} from '@flotilla/core/session-state'
import type { Verifier } from '@flotilla/node/jwt'
import type { EdgeMetrics } from './metrics.ts'
import { textFrame } from './wire.ts'

/** Time that a client has to answer a close, ms; then the socket is cut. */
const closeTimeoutMs = 5_000

const clock: SessionClock = {
  get now() {
    return performance.now()
  },
  get wallMs() {
    return Date.now()
  },
  get timestamp() {
    return new Date().toISOString()
  },
}

export interface ConnectionDeps {
  readonly limits: SessionLimits
  readonly verifier: Verifier
  readonly metrics: EdgeMetrics
  /** Effects that concern rooms. */
  onRooms(connection: Connection, effect: RoomEffect): void
  onClosed(connection: Connection): void
  /** The connection has something to write at the end of this tick. */
  onDirty(connection: Connection): void
}
export type RoomEffect = Extract<
  SessionEffect,
  { type: 'subscribe' | 'unsubscribe' | 'release' | 'publish' | 'ephemeral' | 'advance' }
>

/**
 * A socket and its session. All data frames are built here and written raw, in order; the library writes only control
 * frames (pings, pongs, close), each as a whole.
 */
export class Connection {
  readonly id: string
  readonly #socket: WebSocket
  readonly #raw: Duplex
  readonly #session: SessionState
  readonly #deps: ConnectionDeps
  #out: Buffer[] = []
  #outBytes = 0
  #heldBytes = 0
  #replayBytes = 0
  #heardAt = performance.now()
  #pingAt = performance.now() + Math.random() * pingIntervalMs
  /** When the socket's buffer was last empty, or the client last read something. */
  #movedAt = performance.now()
  #flushedBytes = 0
  #readBytes = 0
  #closed = false
  /** The client is not read while it leaves so much unread: its own requests would make it a slow consumer. */
  #paused = false
  #drains = false
  #userId = ''

  constructor(id: string, socket: WebSocket, raw: Duplex, deps: ConnectionDeps) {
    this.id = id
    this.#socket = socket
    this.#raw = raw
    this.#deps = deps
    this.#session = createSession(id, clock.now, deps.limits)
    socket.on('message', (data: Buffer, isBinary: boolean) => {
      this.#heardAt = performance.now()
      deps.metrics.frames.inc()
      this.step(isBinary ? { type: 'binary' } : { type: 'frame', text: data.toString('utf8'), bytes: data.length })
    })
    socket.on('pong', () => (this.#heardAt = performance.now()))
    socket.on('close', () => this.#end())
    // What went wrong is in the close that follows: too big, bad UTF-8, a protocol error, a broken socket.
    socket.on('error', () => undefined)
  }

  /** Empty until authenticated. */
  get userId(): string {
    return this.#userId
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Bytes that the client has not read yet, or that wait for the tick or an answer. */
  get buffered(): number {
    return this.#raw.writableLength + this.#outBytes + this.#heldBytes + this.#replayBytes
  }

  get isSlow(): boolean {
    return this.buffered > softBufferBytes
  }

  step(input: SessionInput): void {
    if (this.#closed) return
    for (const effect of stepSession(this.#session, input, clock)) {
      // Executing one may end the connection: a subscription made after that would have nobody to end it.
      if (this.#closed) return
      this.#execute(effect)
    }
  }

  #execute(effect: SessionEffect): void {
    switch (effect.type) {
      case 'verify':
        void this.#verify(effect.attempt, effect.token)
        return
      case 'send':
        return this.send(effect.frame)
      case 'close':
        return this.close(effect.name, effect.reason)
      case 'opened':
        this.#userId = effect.identity.userId
        return
      case 'subscribe':
      case 'unsubscribe':
      case 'release':
      case 'publish':
      case 'ephemeral':
      case 'advance':
        this.#deps.onRooms(this, effect)
    }
  }

  async #verify(attempt: number, token: string): Promise<void> {
    const verdict = await this.#deps.verifier.verify(token)
    if (this.#closed) return
    if (verdict.ok) this.step({ type: 'verdict', attempt, verdict: { ok: true, identity: verdict.claims } })
    else this.step({ type: 'verdict', attempt, verdict: { ok: false, retryable: verdict.retryable } })
  }

  send(frame: ServerFrame): void {
    if (frame.type === 'error') this.#deps.metrics.refusals.inc({ code: frame.code })
    this.write(textFrame(JSON.stringify(frame)))
  }

  /** Written at the end of the tick, with everything else of this socket. */
  write(frame: Buffer): void {
    if (this.#closed) return
    // Judged by what the client left unread before: a large event does not make a consumer slow.
    if (this.#raw.writableLength > hardBufferBytes) return this.close('slowConsumer')
    if (this.#out.length === 0) this.#deps.onDirty(this)
    this.#out.push(frame)
    this.#outBytes += frame.length
    if (!this.#paused && this.isSlow) {
      this.#paused = true
      this.#socket.pause()
    }
  }

  /** Whether so much may be held back for an answer; if not, the connection is closed: it can resume. */
  mayHold(bytes: number): boolean {
    if (this.#heldBytes > hardBufferBytes) {
      this.close('slowConsumer')
      return false
    }
    this.#heldBytes += bytes
    return true
  }

  /**
   * Whether a replay may be held beside others. One alone always may, whatever its size: the client would come back
   * for the same one for ever.
   */
  mayHoldReplay(bytes: number): boolean {
    if (this.#replayBytes > 0 && this.#replayBytes + bytes > hardBufferBytes) return false
    this.#replayBytes += bytes
    return true
  }

  letGoReplay(bytes: number): void {
    this.#replayBytes -= bytes
  }

  letGo(bytes: number): void {
    this.#heldBytes -= bytes
  }

  droppedEphemerals(count: number): void {
    if (count > 0) this.#deps.metrics.dropped.inc(count)
  }

  /** One write to the kernel, whatever came together in this tick. */
  flush(): void {
    const out = this.#out
    if (out.length === 0) return
    this.#out = []
    this.#flushedBytes += this.#outBytes
    this.#outBytes = 0
    if (!this.#raw.writable) return
    this.#deps.metrics.writes.inc()
    const [first] = out
    if (out.length === 1 && first !== undefined) this.#raw.write(first)
    else {
      this.#raw.cork()
      for (const frame of out) this.#raw.write(frame)
      this.#raw.uncork()
    }
    if (this.#paused) this.#listenAgain()
  }

  /** Once what was unread is small again: now, at the buffer's end, or at the next check. */
  #listenAgain(): void {
    if (!this.#paused || this.#closed) return
    if (this.#raw.writableLength <= softBufferBytes / 2) {
      this.#paused = false
      // What it may have sent meanwhile was not heard.
      this.#heardAt = performance.now()
      this.#socket.resume()
    } else if (!this.#drains) {
      this.#drains = true
      this.#raw.once('drain', () => {
        this.#drains = false
        this.#listenAgain()
      })
    }
  }

  /** Once a second: keep-alive, expiry, and sockets that do not move. */
  check(now: number, wallMs: number): void {
    if (isDue(this.#session, now, wallMs)) this.step({ type: 'tick' })
    if (this.#closed) return
    const buffered = this.#raw.writableLength
    const read = this.#flushedBytes - buffered
    if (buffered === 0 || read > this.#readBytes) {
      this.#movedAt = now
      // A client that reads is alive, also while it is not listened to.
      if (this.#paused) this.#heardAt = now
    }
    this.#readBytes = read
    this.#listenAgain()
    if (now - this.#movedAt > stuckSocketMs) return this.close('slowConsumer')
    if (now - this.#heardAt > pingTimeoutMs) return this.close('pingTimeout')
    if (now >= this.#pingAt) {
      this.#pingAt = now + pingIntervalMs
      this.#socket.ping()
    }
  }

  close(name: CloseName, reason?: string): void {
    if (this.#closed) return
    this.flush()
    this.#closed = true
    const { code, reason: usual } = closeCodes[name]
    this.#deps.metrics.closed.inc({ code: String(code) })
    this.#socket.close(code, reason ?? usual)
    // A client that does not read will not answer the close either.
    const patience = name === 'slowConsumer' ? 1_000 : closeTimeoutMs
    const timer = setTimeout(() => this.#socket.terminate(), patience)
    timer.unref()
    this.#socket.once('close', () => clearTimeout(timer))
    this.#deps.onClosed(this)
  }

  #end(): void {
    if (this.#closed) return
    this.#closed = true
    this.#deps.onClosed(this)
  }
}

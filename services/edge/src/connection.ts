import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { closeCodes } from '@flotilla/core/codes'
import type { CloseName } from '@flotilla/core/codes'
import type { ServerFrame } from '@flotilla/core/frames'
import { hardBufferBytes, pingIntervalMs, pingTimeoutMs, softBufferBytes } from '@flotilla/core/limits'
import { createSession, isDue, stepSession } from '@flotilla/core/session'
import type { SessionOptions } from '@flotilla/core/session'
import type {
  SessionEffect,
  SessionIdentity,
  SessionInput,
  SessionLimits,
  SessionState,
} from '@flotilla/core/session-state'
import type { PolicySource } from '@flotilla/node/policy'
import { startAging } from './age.ts'
import type { AgeLimits, Aging } from './age.ts'
import { refusalsOf } from './audit.ts'
import type { Refusal } from './audit.ts'
import { clock } from './connection-socket.ts'
import type { ConnectionSocket } from './connection-socket.ts'
import type { DenialSource } from './denials.ts'
import type { Subscriber } from './fanout.ts'
import type { EdgeMetrics } from './metrics.ts'
import type { HookEffect } from './hooks/hooks.ts'
import type { PresenceSessionEffect } from './presence.ts'
import { behind, createReading, isSlow, isStuck, isTooSlow, mayReplay, queuedBytes } from './pressure.ts'
import type { Tokens } from './verify.ts'
import { pingFrame, pongFrame, textFrame } from './wire.ts'

/** Time that a client which does not read has before its socket is cut, ms: it will not answer the close either. */
const slowCloseTimeoutMs = 1_000

export interface ConnectionDeps {
  readonly limits: SessionLimits
  readonly age: AgeLimits
  readonly tokens: Tokens
  readonly metrics: EdgeMetrics
  readonly policy: PolicySource
  readonly denials: DenialSource
  readonly rates: Pick<SessionOptions, 'userRates' | 'leases'>
  /** Effects that concern rooms. */
  onRooms(connection: Connection, effect: RoomEffect): void
  /** There is a limit of connections per user. */
  onRegister(connection: Connection, effect: Extract<SessionEffect, { type: 'register' }>): void
  /** It is authenticated, and is a user's from now on. */
  onOpened(connection: Connection): void
  /** Effects that concern members of rooms. */
  onPresence(connection: Connection, effect: PresenceSessionEffect): void
  onLock(connection: Connection, effect: Extract<SessionEffect, { type: 'lock' }>): void
  onRate(connection: Connection, effect: Extract<SessionEffect, { type: 'rate' }>): void
  onRefused(connection: Connection, refusals: readonly Refusal[]): void
  /** Effects that a service is asked for. */
  onHook(connection: Connection, effect: HookEffect): void
  onClosed(connection: Connection): void
  /** The connection has something to write at the end of this tick. */
  onDirty(connection: Connection): void
}
export type RoomEffect = Extract<
  SessionEffect,
  { type: 'subscribe' | 'unsubscribe' | 'release' | 'publish' | 'ephemeral' | 'history' | 'advance' }
>

/**
 * A socket and its session. All frames are written to `raw`, in order, what came together in one write. There are many
 * thousands of them, so none has a timer or a closure that it does not need.
 */
export class Connection {
  readonly id: string
  /** Its subscriptions, by room. */
  readonly rooms = new Map<string, Subscriber>()
  /** Waits for the end of the tick. */
  queued = false
  readonly aging: Aging
  readonly #socket: ConnectionSocket
  readonly #raw: Duplex
  readonly #session: SessionState
  readonly #deps: ConnectionDeps
  readonly #reading = createReading(performance.now())
  #out: Buffer | Buffer[] | null = null
  #outBytes = 0
  /** Held back until the client has been answered: replays, and what came after them. */
  #heldReplayBytes = 0
  #heldBytes = 0
  #heardAt = performance.now()
  #pingAt = performance.now() + Math.random() * pingIntervalMs
  #awaitsPong = false
  #corked = false
  #paused = false
  #awaitsDrain = false
  #closed = false
  #identity: SessionIdentity | null = null
  /** Whom a good token named, also one who is kept out. */
  named: SessionIdentity | null = null

  constructor(
    { id, replaces = '', returns = false }: Pick<SessionOptions, 'replaces' | 'returns'> & { readonly id: string },
    socket: ConnectionSocket,
    raw: Duplex,
    deps: ConnectionDeps,
  ) {
    this.id = id
    this.#socket = socket
    this.#raw = raw
    this.#deps = deps
    this.aging = startAging(deps.age, performance.now(), Math.random())
    const { limits, policy, denials, rates } = deps
    const now = { policy: policy.current, denials: denials.current, ...rates }
    this.#session = createSession(id, performance.now(), { limits, replaces, returns, ...now })
  }

  /** Empty until authenticated. */
  get userId(): string {
    return this.#identity?.userId ?? ''
  }

  /** Null until authenticated. */
  get identity(): SessionIdentity | null {
    return this.#identity
  }

  get address(): string | undefined {
    return (this.#raw as Partial<Socket>).remoteAddress
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Whether what may be left out should be. */
  get isSlow(): boolean {
    return isSlow(this.#reading, this.#raw.writableLength)
  }

  /** The answer to the handshake waits in `raw`, which is corked: it goes out with the first frames, or alone. */
  start(): void {
    this.#out = []
    this.#corked = true
    this.#deps.onDirty(this)
  }

  onMessage(data: Buffer, isBinary: boolean): void {
    if (this.#closed) return
    this.#heardAt = performance.now()
    this.#deps.metrics.frames.inc()
    this.step(isBinary ? { type: 'binary' } : { type: 'frame', text: data.toString('utf8'), bytes: data.length })
    this.#pauseIfBehind()
  }

  onPing(data: Buffer): void {
    this.#heardAt = performance.now()
    this.#push(pongFrame(data))
    this.#pauseIfBehind()
  }

  onPong(): void {
    const now = performance.now()
    this.#heardAt = now
    // Others are allowed, and measure nothing.
    if (!this.#awaitsPong) return
    this.#awaitsPong = false
    // The ping was sent one interval before the next one is due.
    this.#deps.metrics.pongSeconds.observe(Math.max(0, now - this.#pingAt + pingIntervalMs) / 1_000)
  }

  onEnd(): void {
    if (!this.#closed) this.#finish()
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
        return this.#verify(effect)
      case 'verifyRoom':
        return this.#verifyRoom(effect)
      case 'ask':
      case 'call':
        return this.#deps.onHook(this, effect)
      case 'send':
        return this.send(effect.frame)
      case 'close':
        return this.close(effect.name, effect.reason)
      case 'opened':
        this.#identity = effect.identity
        return this.#deps.onOpened(this)
      case 'register':
        return this.#registerIfThere(effect)
      case 'attend':
      case 'show':
        this.#deps.onPresence(this, effect)
        return
      case 'lock':
        return this.#deps.onLock(this, effect)
      case 'rate':
        return this.#deps.onRate(this, effect)
      case 'unsubscribe':
        this.#deps.onPresence(this, effect)
        return this.#deps.onRooms(this, effect)
      case 'subscribe':
      case 'release':
      case 'publish':
      case 'ephemeral':
      case 'history':
      case 'advance':
        this.#deps.onRooms(this, effect)
    }
  }

  /**
   * A client that gave up, while it waited for its turn or this process stood still, has closed its connection long ago: it must not take the
   * place of the connection that it has made since. In the next but one turn of the event loop that has been read.
   */
  #registerIfThere(effect: Extract<SessionEffect, { type: 'register' }>): void {
    setImmediate(() =>
      setImmediate(() => {
        const isThere = this.#socket.isOpen && !this.#raw.readableEnded
        if (!this.#closed && isThere) this.#deps.onRegister(this, effect)
      }),
    )
  }

  #verify({ attempt, token }: Extract<SessionEffect, { type: 'verify' }>): void {
    void this.#deps.tokens.verdictOf(token).then((verdict) => {
      if (verdict.ok) this.named ??= verdict.identity
      this.step({ type: 'verdict', attempt, verdict })
    })
  }

  #verifyRoom({ request, token }: Extract<SessionEffect, { type: 'verifyRoom' }>): void {
    void this.#deps.tokens.roomVerdictOf(token).then((verdict) => this.step({ type: 'roomToken', request, verdict }))
  }

  send(frame: ServerFrame): void {
    const refusals = refusalsOf(frame)
    if (refusals.length > 0) this.#deps.onRefused(this, refusals)
    this.#push(textFrame(JSON.stringify(frame)))
  }

  /** Frames of a room, written at the end of the tick with everything else of this socket. */
  write(frames: Buffer): void {
    if (isTooSlow(this.#reading, this.#raw.writableLength)) this.close('slowConsumer')
    else this.#push(frames)
  }

  /** A replay: what is unread up to its end does not count against the client. */
  writeReplay(frames: Buffer): void {
    this.#push(frames)
    this.#reading.replayEnd = this.#reading.written + this.#outBytes
  }

  #push(frames: Buffer): void {
    if (this.#closed) return
    const out = this.#out
    if (out === null) this.#out = frames
    else if (Array.isArray(out)) out.push(frames)
    else this.#out = [out, frames]
    this.#outBytes += frames.length
    if (!this.queued) this.#deps.onDirty(this)
  }

  /**
   * Holds back what a room gets before its answer. False: it does not fit, and the client has to ask again. One replay
   * alone always fits, whatever its size: the client would come back for the same one for ever.
   */
  hold(bytes: number, isReplay: boolean): boolean {
    if (isReplay) {
      if (!mayReplay(this.#raw.writableLength + this.#outBytes)) return false
      if (this.#heldReplayBytes > 0 && this.#heldReplayBytes + bytes > hardBufferBytes) return false
      this.#heldReplayBytes += bytes
    } else {
      if (this.#heldBytes + bytes > hardBufferBytes) return false
      this.#heldBytes += bytes
    }
    return true
  }

  letGo(bytes: number, isReplay: boolean): void {
    if (isReplay) this.#heldReplayBytes -= bytes
    else this.#heldBytes -= bytes
  }

  droppedEphemerals(count: number): void {
    if (count > 0) this.#deps.metrics.dropped.inc(count)
  }

  /** One write to the kernel, whatever came together in this tick. Returns whether there was anything. */
  flush(): boolean {
    const out = this.#out
    if (out !== null) {
      this.#out = null
      this.#reading.written += this.#outBytes
      this.#outBytes = 0
      this.#hand(out)
    }
    return out !== null
  }

  #hand(out: Buffer | Buffer[]): void {
    // The library ends it when the client does.
    if (!this.#raw.writable) return
    if (!Array.isArray(out)) this.#raw.write(out)
    else {
      if (!this.#corked) this.#raw.cork()
      for (const frames of out) this.#raw.write(frames)
      this.#raw.uncork()
      this.#corked = false
    }
  }

  get #unanswered(): number {
    return behind(this.#reading, this.#raw.writableLength) + this.#outBytes
  }

  /** A client that asks faster than it reads the answers waits: its own burst must not make it a slow consumer. */
  #pauseIfBehind(): void {
    if (this.#paused || this.#closed || this.#unanswered <= softBufferBytes) return
    this.#paused = true
    this.#socket.pause()
    if (this.#awaitsDrain) return
    this.#awaitsDrain = true
    // Under steady traffic it may never be empty; then the next look resumes it.
    this.#raw.once('drain', () => {
      this.#awaitsDrain = false
      this.#resume()
    })
  }

  #resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#socket.resume()
  }

  /** Once a second: keep-alive, expiry, and sockets that do not move. */
  check(now: number, wallMs: number): void {
    if (isDue(this.#session, now, wallMs)) this.step({ type: 'tick' })
    if (this.#closed) return
    const unread = this.#raw.writableLength
    if (unread > 0 || this.#reading.queued > 0) {
      if (isStuck(this.#reading, { nowMs: now, unread, queued: queuedBytes(this.#raw) }))
        return this.close('slowConsumer')
    } else this.#reading.movedAtMs = now
    if (this.#paused) {
      // Its pongs are not read either; that it reads says that it is there.
      this.#heardAt = Math.max(this.#heardAt, this.#reading.movedAtMs)
      if (this.#unanswered <= softBufferBytes) this.#resume()
    }
    if (now - this.#heardAt > pingTimeoutMs) return this.close('pingTimeout')
    if (now >= this.#pingAt) {
      this.#pingAt = now + pingIntervalMs
      this.#awaitsPong = true
      this.#push(pingFrame)
    }
  }

  /** The edge drains, or the connection is old: the client is to go on elsewhere, and begins to at some moment within this time. */
  tellToMove(withinMs: number): void {
    this.send({ type: 'drain', afterMs: withinMs })
  }

  close(name: CloseName, reason?: string): void {
    if (this.#closed) return
    this.flush()
    const { code, reason: usual } = closeCodes[name]
    this.#deps.metrics.closed.inc({ code: String(code) })
    // Its answer has to be read.
    this.#resume()
    this.#socket.close(code, reason ?? usual)
    if (name === 'slowConsumer') this.#socket.cutAfter(slowCloseTimeoutMs)
    this.#finish()
  }

  #finish(): void {
    this.#closed = true
    this.#out = null
    stepSession(this.#session, { type: 'closed' }, clock)
    this.#deps.onClosed(this)
  }
}

import { closeCodes, reconnectPolicy } from '@flotilla/core/codes'
import type { ServerFrame } from '@flotilla/core/frames'
import { after, nextStep } from './backoff.ts'
import { ClosedError, ConnectError } from './errors.ts'
import type { FlotillaError } from './errors.ts'
import type { Settings } from './options.ts'
import { Successor } from './successor.ts'
import type { SuccessorPort, TakeOver } from './successor.ts'
import { brokenCode, Link } from './socket.ts'
import type { ConnectedFrame, Down } from './socket.ts'

/** `connecting` until the first `connected`, `reconnecting` after a loss, `closed` for good. */
export type ClientState = 'connecting' | 'connected' | 'reconnecting' | 'closed'

export interface ConnectorListener {
  up(frame: ConnectedFrame): void
  frame(frame: ServerFrame): void
  /** What another connection has to resume before it takes over from one whose server drains. */
  readonly asks: SuccessorPort['asks']
  /** After `down`: another connection is up already, and has resumed; its frames follow. */
  tookOver(taken: TakeOver): void
  /** The connection that was `up` is gone; another will be tried unless `closed` follows. */
  down(): void
  closed(error: FlotillaError): void
  state(state: ClientState): void
}

/** A connection that lasted this long, ms, makes the next loss a first one. */
const stableMs = 10_000

function codeOf(closeCode: number): string {
  if (closeCode === closeCodes.unauthorized.code) return 'UNAUTHORIZED'
  return reconnectPolicy(closeCode) === 'terminal' ? 'CLOSED_BY_SERVER' : 'CONNECTION_LOST'
}

function errorOf(down: Down): ConnectError {
  const code = down.error?.code ?? codeOf(down.closeCode)
  const message = down.error?.message ?? (down.reason === '' ? 'the connection was lost' : down.reason)
  return new ConnectError(code, message, { closeCode: down.closeCode })
}

type Phase =
  | { readonly type: 'idle' }
  | { readonly type: 'opening'; readonly stopDeadline: () => void; link?: Link }
  | { readonly type: 'up'; readonly stopStable: () => void; readonly link: Link; successor?: Successor }
  | { readonly type: 'waiting'; readonly stopWaiting: () => void }
  | { readonly type: 'closed' }

/** Keeps one connection: dials, tells of its ups and downs, waits as long as backoff.ts says, and dials again. */
export class Connector {
  readonly #settings: Settings
  readonly #listener: ConnectorListener
  #phase: Phase = { type: 'idle' }
  #attempt = 0
  #refreshed = false
  /** The id of the last connection that a server took in: the next one takes its place. */
  #lastId: string | undefined
  #lastError: FlotillaError | undefined

  constructor(settings: Settings, listener: ConnectorListener) {
    this.#settings = settings
    this.#listener = listener
    globalThis.addEventListener?.('online', this.#online)
  }

  get state(): ClientState {
    if (this.#phase.type === 'closed') return 'closed'
    if (this.#phase.type === 'up') return 'connected'
    return this.#lastId === undefined ? 'connecting' : 'reconnecting'
  }

  get lastError(): FlotillaError | undefined {
    return this.#lastError
  }

  get up(): boolean {
    return this.#phase.type === 'up'
  }

  open(): void {
    const stopDeadline = after(this.#settings.attemptTimeoutMs, () => this.drop('no answer in time'))
    const phase: Phase = { type: 'opening', stopDeadline }
    this.#phase = phase
    void this.#dial(phase)
  }

  send(text: string): void {
    if (this.#phase.type === 'up') this.#phase.link.send(text)
  }

  /** Gives up the attempt or connection of now, as if it had broken. */
  drop(reason: string): void {
    const phase = this.#phase
    if (phase.type !== 'opening' && phase.type !== 'up') return
    if (phase.link === undefined) this.#down({ closeCode: brokenCode, reason })
    else phase.link.abandon(reason)
  }

  close(error: FlotillaError = new ClosedError()): void {
    const phase = this.#phase
    if (phase.type === 'closed') return
    this.#leave()
    this.#phase = { type: 'idle' }
    if (phase.type === 'opening' || phase.type === 'up')
      phase.link?.close(closeCodes.normal.code, closeCodes.normal.reason)
    if (phase.type === 'up') this.#listener.down()
    this.#end(error)
  }

  async #dial(phase: Extract<Phase, { type: 'opening' }>): Promise<void> {
    const { url, token: source, carriage, WebSocket, pingTimeoutMs, log } = this.#settings
    let token: string | undefined
    try {
      token = typeof source === 'function' ? await source() : source
    } catch (cause) {
      if (this.#phase === phase)
        this.#down({ closeCode: brokenCode, reason: `the token function failed: ${String(cause)}` })
      return
    }
    // While the token was awaited the attempt may have been given up.
    if (this.#phase !== phase) return
    try {
      const ticket = this.#lastId
      const options = { url, token, carriage, WebSocket, pingTimeoutMs, log, ticket, returns: ticket !== undefined }
      phase.link = new Link(options, this.#linkListener)
    } catch (cause) {
      this.#leave()
      this.#end(new ConnectError('CONNECTION_LOST', `no connection can be made to ${url}`, { cause }))
    }
  }

  readonly #linkListener = {
    connected: (frame: ConnectedFrame): void => {
      const phase = this.#phase
      if (phase.type !== 'opening' || phase.link === undefined) return
      phase.stopDeadline()
      this.#refreshed = false
      this.#lastId = frame.connectionId
      this.#phase = { type: 'up', link: phase.link, stopStable: this.#watchStable() }
      this.#listener.up(frame)
      this.#listener.state('connected')
    },
    frame: (frame: ServerFrame): void => {
      if (frame.type === 'drain') this.#succeed(frame.afterMs)
      else this.#listener.frame(frame)
    },
    down: (why: Down): void => this.#down(why),
  }

  #watchStable(): () => void {
    return after(stableMs, () => {
      this.#attempt = 0
    })
  }

  /** The server drains: another connection is made beside this one, and this one is left when that has resumed. */
  #succeed(withinMs: number): void {
    const phase = this.#phase
    if (phase.type !== 'up' || phase.successor !== undefined) return
    const { asks } = this.#listener
    phase.successor = new Successor(this.#settings, withinMs, {
      asks,
      ticket: () => this.#lastId,
      connected: (frame) => {
        this.#lastId = frame.connectionId
      },
      takeOver: (taken) => this.#takeOver(phase, taken),
    })
  }

  #takeOver(phase: Extract<Phase, { type: 'up' }>, taken: TakeOver): void {
    phase.stopStable()
    phase.link.close(closeCodes.normal.code, closeCodes.normal.reason)
    // Nothing is sent while the last frames of the old one are handed on: what it has not answered goes before anything new.
    this.#phase = { type: 'idle' }
    this.#listener.down()
    // A listener of theirs may have closed the client.
    if (this.state === 'closed') return taken.link.close(closeCodes.normal.code, closeCodes.normal.reason)
    taken.link.handTo(this.#linkListener)
    const next: Phase = { type: 'up', link: taken.link, stopStable: this.#watchStable() }
    this.#phase = next
    this.#listener.tookOver(taken)
    for (const frame of taken.frames) {
      if (this.#phase !== next) return
      this.#linkListener.frame(frame)
    }
  }

  #down(why: Down): void {
    const wasUp = this.#phase.type === 'up'
    this.#leave()
    this.#phase = { type: 'idle' }
    this.#lastError = errorOf(why)
    if (wasUp) this.#listener.down()
    // A listener of the last frames may have closed the client.
    if (this.state === 'closed') return
    const { reconnect, random, token } = this.#settings
    const canRefreshToken = typeof token === 'function' && !this.#refreshed
    const ended = { closeCode: why.closeCode, hintMs: why.hintMs, attempt: this.#attempt, canRefreshToken }
    const next = nextStep(ended, reconnect, random())
    if (next.type === 'stop') return this.#end(this.#lastError)
    this.#attempt += 1
    this.#refreshed ||= next.refresh
    this.#phase = { type: 'waiting', stopWaiting: after(next.ms, () => this.open()) }
    if (wasUp) this.#listener.state('reconnecting')
  }

  /** Stops the timers of the phase that ends. */
  #leave(): void {
    const phase = this.#phase
    if (phase.type === 'opening') phase.stopDeadline()
    if (phase.type === 'up') {
      phase.stopStable()
      phase.successor?.stop()
    }
    if (phase.type === 'waiting') phase.stopWaiting()
  }

  #end(error: FlotillaError): void {
    if (this.#phase.type === 'closed') return
    this.#phase = { type: 'closed' }
    if (!(error instanceof ClosedError)) this.#lastError = error
    globalThis.removeEventListener?.('online', this.#online)
    this.#listener.closed(error)
    this.#listener.state('closed')
  }

  /** The network is back: what the back-off waited for has happened. */
  readonly #online = (): void => {
    if (this.#phase.type !== 'waiting') return
    this.#phase.stopWaiting()
    this.open()
  }
}

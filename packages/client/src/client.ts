import type { ServerFrame } from '@flotilla/core/frames'
import type { Position } from '@flotilla/core/position'
import { after } from './backoff.ts'
import { Connector } from './connector.ts'
import type { ClientState } from './connector.ts'
import { Emitter } from './emitter.ts'
import type { EventListener, Off, RoomEvent } from './emitter.ts'
import { ClosedError, TimeoutError } from './errors.ts'
import type { FlotillaError } from './errors.ts'
import { settle } from './options.ts'
import type { ConnectOptions, Settings } from './options.ts'
import { encodePublish, PublishQueue } from './queue.ts'
import type { EphemeralOptions, Published, PublishOptions, Recipients } from './queue.ts'
import { call, callKind } from './calls.ts'
import type { CallOptions } from './calls.ts'
import { askPage, historyKind } from './histories.ts'
import type { HistoryOptions, HistoryPage } from './histories.ts'
import { Locks } from './locks.ts'
import type { Lock, LockOptions } from './locks.ts'
import { Showing } from './presence.ts'
import type { Member, PresenceListener, RoomPresence, Shown } from './presence.ts'
import { Renewal } from './renewal.ts'
import { Requests } from './requests.ts'
import { Rooms } from './rooms.ts'
import type { ConnectedFrame } from './socket.ts'
import type { SubscribeOptions, Subscription } from './subscription.ts'
import { Wire } from './wire.ts'

export {
  ClosedError,
  ConnectError,
  FlotillaError,
  PublishRefusedError,
  PublishUnknownError,
  QueueFullError,
  TimeoutError,
} from './errors.ts'
export type { ReconnectOptions } from './backoff.ts'
export type { Carriage, ConnectOptions, Log, QueueOptions, TokenSource } from './options.ts'
export type { Continuity, Filter, SubscribeOptions, Subscription } from './subscription.ts'
export type { SocketConstructor, SocketLike } from './socket.ts'
export type {
  CallOptions,
  ClientState,
  ConnectedFrame,
  EphemeralOptions,
  EventListener,
  HistoryOptions,
  HistoryPage,
  Lock,
  LockOptions,
  Member,
  Off,
  Position,
  PresenceListener,
  Published,
  PublishOptions,
  Recipients,
  RoomEvent,
  RoomPresence,
  Shown,
}

export interface Client {
  readonly state: ClientState
  /** Why the last connection, or attempt to make one, ended. */
  readonly lastError: FlotillaError | undefined
  /** What the server said of this user and connection at the last `connected`. */
  readonly session: ConnectedFrame | undefined
  /**
   * Resolves at the server's answer, across reconnects if need be. Rejects with the server's code, or
   * `ALREADY_SUBSCRIBED` when the room is subscribed with another filter or a position is given.
   * @example const chat = await client.subscribe('conversation:9', { onEvent: (e) => show(e.data) })
   */
  subscribe(room: string, options?: SubscribeOptions): Promise<Subscription>
  /**
   * Resolves when the message is committed. It is tried again, under the same key, until the server takes or refuses
   * it (`PublishRefusedError`) or the time is over (`PublishUnknownError`, or `TimeoutError` when it was certainly not
   * published). Rejects at once with `QueueFullError` when too many wait.
   * @example const { position } = await client.publish('conversation:9', 'message', { text: 'hello' })
   */
  publish(
    room: string,
    event: string,
    data: unknown,
    options?: PublishOptions & { readonly ephemeral?: false },
  ): Promise<Published>
  /** An ephemeral event is sent when there is a connection, else dropped; nobody acknowledges it. */
  publish(room: string, event: string, data: unknown, options: EphemeralOptions): Promise<void>
  /**
   * A page of what the room keeps, the newest one without options. Asked for again after a reconnect, and after a refusal for now; rejects
   * with the server's code, `TimeoutError`, or at once with `QueueFullError`.
   * @example const { events, first } = await client.history('conversation:9', { limit: 50 })
   */
  history(room: string, options?: HistoryOptions): Promise<HistoryPage>
  /**
   * What others see of this user in every room of this connection that has presence; said again after a reconnect. Resolves at the
   * server's answer.
   * @example await client.setPresence({ status: 'busy', data: { page: '/deals/7' } })
   */
  setPresence(shown: Shown): Promise<void>
  /**
   * Locks a room, or something in it by a name: nobody else has it until it is released, or nothing is heard of this client for `ttlMs`. Rejects with
   * `LOCKED` when somebody else has it, unless it is to wait.
   * @example const lock = await client.lock('document:acme:7', { name: 'title', waitMs: 5_000 })
   */
  lock(room: string, options?: LockOptions): Promise<Lock>
  /**
   * Calls a service of the backend: the part of `method` before its first dot says which one. Rejects with `CALL_REFUSED` and the service's
   * `reason`, with `UNKNOWN` when it may have been done, or with the server's code. Asked again only when nothing was done.
   * @example const { total } = await client.call('billing.total', { invoice: 7 })
   */
  call(method: string, params?: unknown, options?: CallOptions): Promise<unknown>
  /** Events of every room, by name or all with `*`. */
  on(event: string, listener: EventListener): Off
  room(room: string): RoomView
  onState(listener: (state: ClientState) => void): Off
  /** Ends the connection. What waits is rejected with `ClosedError` (`PublishUnknownError` when it was on its way). */
  close(): void
}

/** One room of a client. */
export interface RoomView {
  on(event: string, listener: EventListener): Off
  subscribe(options?: SubscribeOptions): Promise<Subscription>
  publish(event: string, data: unknown, options?: PublishOptions): Promise<Published>
}

interface Settle {
  resolve(client: Client): void
  reject(error: FlotillaError): void
}

class FleetClient implements Client {
  readonly #settings: Settings
  readonly #connector: Connector
  readonly #renewal: Renewal
  readonly #wire: Wire
  readonly #rooms: Rooms
  readonly #queue: PublishQueue
  readonly #histories: Requests
  readonly #calls: Requests
  readonly #showing: Showing
  readonly #locks: Locks
  readonly #events: Emitter<RoomEvent>
  readonly #byRoom = new Map<string, Emitter<RoomEvent>>()
  readonly #states: Emitter<ClientState>
  readonly #stopTimeout: () => void
  /** Frames held while `#paused`. */
  #inbox: ServerFrame[] = []
  #paused = false
  #session: ConnectedFrame | undefined

  constructor(given: Settings, ready: Settle) {
    this.#renewal = new Renewal(given, () => this.#wire)
    const { settings } = this.#renewal
    this.#settings = settings
    this.#events = new Emitter(settings.log)
    this.#states = new Emitter(settings.log)
    this.#stopTimeout = after(settings.timeoutMs, () => {
      const cause = this.#connector.lastError
      this.#connector.close(new TimeoutError(`not connected within ${settings.timeoutMs} ms`, { cause }))
    })
    this.#connector = this.#connect(ready)
    this.#wire = new Wire(
      () => this.#connector.up,
      (text) => this.#connector.send(text),
    )
    this.#queue = new PublishQueue(settings, this.#wire)
    this.#histories = new Requests(settings, this.#wire, historyKind)
    this.#calls = new Requests(settings, this.#wire, callKind)
    this.#showing = new Showing(settings, this.#wire)
    this.#locks = new Locks(settings, this.#wire)
    this.#rooms = new Rooms(settings, this.#wire, {
      deliver: (event) => {
        const inRoom = this.#byRoom.get(event.room)?.emit(event.event, event) ?? false
        return this.#events.emit(event.event, event) || inRoom
      },
      pause: () => this.#pause(),
      drop: (reason) => this.#connector.drop(reason),
    })
    this.#connector.open()
  }

  get state(): ClientState {
    return this.#connector.state
  }
  get lastError(): FlotillaError | undefined {
    return this.#connector.lastError
  }
  get session(): ConnectedFrame | undefined {
    return this.#session
  }

  subscribe(room: string, options: SubscribeOptions = {}): Promise<Subscription> {
    if (this.state === 'closed') return Promise.reject(new ClosedError())
    return this.#rooms.subscribe(room, options)
  }

  publish(
    room: string,
    event: string,
    data: unknown,
    options?: PublishOptions & { readonly ephemeral?: false },
  ): Promise<Published>
  publish(room: string, event: string, data: unknown, options: EphemeralOptions): Promise<void>
  publish(
    room: string,
    event: string,
    data: unknown,
    options: PublishOptions & { readonly ephemeral?: boolean; readonly conflate?: string } = {},
  ): Promise<Published | void> {
    if (this.state === 'closed') return Promise.reject(new ClosedError())
    if (options.ephemeral !== true) return this.#queue.publish({ room, event, data, options })
    try {
      const { echo, except, match, conflate } = options
      const { fields } = encodePublish({ room, event, data }, { ephemeral: true, echo, except, match, conflate })
      if (this.#wire.up) this.#wire.tell('publish', fields)
      return Promise.resolve()
    } catch (error) {
      return Promise.reject(error)
    }
  }

  history(room: string, options: HistoryOptions = {}): Promise<HistoryPage> {
    if (this.state === 'closed') return Promise.reject(new ClosedError())
    return askPage(this.#histories, room, options)
  }

  setPresence(shown: Shown): Promise<void> {
    if (this.state === 'closed') return Promise.reject(new ClosedError())
    return this.#showing.show(shown)
  }

  lock(room: string, options: LockOptions = {}): Promise<Lock> {
    if (this.state === 'closed') return Promise.reject(new ClosedError())
    return this.#locks.lock(room, options)
  }

  call(method: string, params?: unknown, options: CallOptions = {}): Promise<unknown> {
    if (this.state === 'closed') return Promise.reject(new ClosedError())
    return call(this.#calls, { method, params }, options)
  }

  on(event: string, listener: EventListener): Off {
    return this.#events.on(event, listener)
  }

  room(room: string): RoomView {
    return {
      on: (event, listener) => this.#onRoom(room, event, listener),
      subscribe: (options) => this.subscribe(room, options),
      publish: (event, data, options) => this.publish(room, event, data, options),
    }
  }

  onState(listener: (state: ClientState) => void): Off {
    return this.#states.on('*', listener)
  }

  close(): void {
    this.#locks.leave()
    this.#connector.close()
  }

  #onRoom(room: string, event: string, listener: EventListener): Off {
    const emitter = this.#byRoom.get(room) ?? new Emitter<RoomEvent>(this.#settings.log)
    this.#byRoom.set(room, emitter)
    const off = emitter.on(event, listener)
    return () => {
      off()
      if (emitter.empty && this.#byRoom.get(room) === emitter) this.#byRoom.delete(room)
    }
  }

  #connect(ready: Settle): Connector {
    return new Connector(this.#settings, {
      up: (frame) => {
        this.#session = frame
        this.#stopTimeout()
        this.#renewal.up()
        this.#showing.up()
        this.#rooms.up(frame.rooms)
        this.#queue.flush()
        this.#histories.flush()
        this.#calls.flush()
        this.#locks.flush()
        ready.resolve(this)
        this.#pause()
      },
      frame: (frame) => {
        if (this.#paused) this.#inbox.push(frame)
        else this.#receive(frame)
      },
      asks: (rooms) => this.#rooms.asks(rooms),
      tookOver: ({ connected, rooms }) => {
        this.#session = connected
        this.#renewal.up()
        this.#showing.up()
        this.#rooms.takeOver(rooms, connected.rooms)
        this.#queue.flush()
        this.#histories.flush()
        this.#calls.flush()
        this.#locks.flush()
      },
      down: () => {
        this.#drain(true)
        this.#wire.forget()
        this.#renewal.lost()
        this.#rooms.lost()
        this.#queue.lost()
        this.#histories.lost()
        this.#calls.lost()
        this.#locks.lost()
      },
      closed: (error) => {
        this.#stopTimeout()
        ready.reject(error)
        this.#rooms.close(error)
        this.#queue.close(error)
        this.#histories.close(error)
        this.#calls.close(error)
        this.#showing.close(error)
        this.#locks.close(error)
      },
      state: (state) => this.#states.emit('*', state),
    })
  }

  #receive(frame: ServerFrame): void {
    switch (frame.type) {
      case 'event':
        return this.#rooms.event(frame)
      case 'position':
        return this.#rooms.position(frame)
      case 'unsubscribed':
        return this.#rooms.unsubscribed(frame)
      case 'presence':
        return this.#rooms.presence(frame)
      case 'ok':
      case 'history':
      case 'result':
        this.#wire.answer(frame)
        return
      case 'error':
        if (!this.#wire.answer(frame) && frame.id === undefined)
          this.#settings.log('the server reports an error', frame)
        return
      default:
        // `pong` is a sign of life, heard below; what is not known is a newer server's.
        return
    }
  }

  /**
   * Frames behind the answer to `connect` or `subscribe` often arrive together with it. They wait for the next
   * task, so that who awaited the answer has set its listeners by then.
   */
  #pause(): void {
    if (this.#paused) return
    this.#paused = true
    setTimeout(() => this.#drain(false), 0)
  }

  /** `all`: the connection is gone, so nothing may be left. */
  #drain(all: boolean): void {
    this.#paused = false
    while (this.#inbox.length > 0 && (all || !this.#paused)) {
      const frame = this.#inbox.shift()
      if (frame !== undefined) this.#receive(frame)
    }
    if (all) this.#paused = false
  }
}

/**
 * Connects to a fleet. Resolves when the server has said `connected`. Rejects with `ConnectError` when the server refuses
 * for good, with `TimeoutError` after `timeoutMs`, with `FlotillaError('VALIDATION_ERROR')` on a wrong option.
 * @example const client = await connect({ url: 'wss://live.example.com/ws', token: () => fetchToken() })
 */
export function connect(options: ConnectOptions): Promise<Client> {
  return new Promise((resolve, reject) => {
    // It settles the promise when it is connected or closed.
    void new FleetClient(settle(options), { resolve, reject })
  })
}

import type { Cursor } from '@flotilla/core/cursor'
import { positionOf } from '@flotilla/core/cursor'
import type { LossReason } from '@flotilla/core/frames'
import type { Position } from '@flotilla/core/position'
import { Emitter } from './emitter.ts'
import type { EventListener, Off, RoomEvent } from './emitter.ts'
import type { FlotillaError } from './errors.ts'
import type { Log, TokenSource } from './options.ts'
import type { Pass } from './pass.ts'
import type { Attendance, PresenceListener, RoomPresence } from './presence.ts'

export type Filter = Readonly<Record<string, unknown>>

/** What the server said of a room's continuity. `reason` is there when `recovered` is false. */
export interface Continuity {
  readonly position: Position
  readonly recovered: boolean
  /** Events between the position that was given and this one; they follow. */
  readonly missed: number
  readonly reason?: LossReason
}

export interface SubscribeOptions {
  /** Go on from here: what came after it is delivered first. */
  readonly since?: Position | undefined
  /** Only events that match; kept over reconnects. */
  readonly filter?: Filter
  /** Every event of the room. Set here it hears the very first one too. */
  readonly onEvent?: EventListener
  readonly onPosition?: (continuity: Continuity) => void
  /** Who is in the room: told once at the beginning, and at every change. Where the policy does not allow it, never. */
  readonly onPresence?: PresenceListener
  /** A signed token for this room; a function is asked at the beginning, and again when the server does not take the last one any more. */
  readonly token?: TokenSource | undefined
  /** Default: waits as long as the client lives. */
  readonly timeoutMs?: number
}

export interface Subscription {
  readonly room: string
  /** The place after the last event delivered: store it, and give it as `since` next time. */
  readonly position: Position
  /** Of the server's last answer: whether everything since the position given was, or is being, delivered. */
  readonly recovered: boolean
  readonly missed: number
  readonly reason: LossReason | undefined
  /** Hears events of this room by name, or all with `*`. */
  on(event: string, listener: EventListener): Off
  /**
   * Told after a reconnect (`recovered: true`: the missed events follow), and whenever continuity was lost
   * (`recovered: false`: reload what the room is about, then go on).
   */
  onPosition(listener: (continuity: Continuity) => void): Off
  /** The server took the subscription away (for example `FORBIDDEN` after a reconnect); nothing follows. */
  onError(listener: (error: FlotillaError) => void): Off
  unsubscribe(): void
}

/** What the client keeps of a room. */
export interface RoomRecord {
  readonly room: string
  readonly filter: Filter | undefined
  readonly cursor: Cursor
  readonly handles: Set<Handle>
  readonly pass: Pass | undefined
  /** Null: nobody wants to be told of the members. */
  attendance: Attendance | null
  /** The server put this connection into the room by itself. */
  joined: boolean
  /** A service had the server do so while the connection was open: the next connection has to be asked for it. */
  added: boolean
  /** The request under way for it; an answer to another is too late. */
  asking: object | undefined
  stopRetry: (() => void) | undefined
  refusals: number
  last: Continuity | undefined
}

/** One `subscribe` call. Several of one room share its record. */
export class Handle implements Subscription {
  readonly room: string
  readonly #record: RoomRecord
  readonly #events: Emitter<RoomEvent>
  readonly #positions: Emitter<Continuity>
  readonly #errors: Emitter<FlotillaError>
  readonly #presence: Emitter<RoomPresence>
  readonly #detach: (handle: Handle) => void
  #settle: { resolve(subscription: Subscription): void; reject(error: FlotillaError): void } | undefined
  stopTimeout: () => void = () => {}

  constructor(record: RoomRecord, log: Log, detach: (handle: Handle) => void) {
    this.room = record.room
    this.#record = record
    this.#events = new Emitter(log)
    this.#positions = new Emitter(log)
    this.#errors = new Emitter(log)
    this.#presence = new Emitter(log)
    this.#detach = detach
  }

  get position(): Position {
    return positionOf(this.#record.cursor) ?? { epoch: '', seq: this.#record.cursor.seq }
  }
  get recovered(): boolean {
    return this.#record.last?.recovered ?? false
  }
  get missed(): number {
    return this.#record.last?.missed ?? 0
  }
  get reason(): LossReason | undefined {
    return this.#record.last?.reason
  }

  on(event: string, listener: EventListener): Off {
    return this.#events.on(event, listener)
  }
  onPosition(listener: (continuity: Continuity) => void): Off {
    return this.#positions.on('*', listener)
  }
  onPresence(listener: PresenceListener): Off {
    return this.#presence.on('*', listener)
  }
  onError(listener: (error: FlotillaError) => void): Off {
    return this.#errors.on('*', listener)
  }

  unsubscribe(): void {
    this.silence()
    this.#detach(this)
  }

  /** Resolves with this handle at the first answer. */
  answered(): Promise<Subscription> {
    return new Promise((resolve, reject) => {
      this.#settle = { resolve, reject }
    })
  }

  /** True when somebody was waiting for it. */
  resolve(): boolean {
    const settle = this.#settle
    this.#settle = undefined
    this.stopTimeout()
    settle?.resolve(this)
    return settle !== undefined
  }

  fail(error: FlotillaError): void {
    const settle = this.#settle
    this.#settle = undefined
    this.stopTimeout()
    if (settle === undefined) this.#errors.emit('*', error)
    else settle.reject(error)
    this.silence()
  }

  /** Returns whether anybody listens. */
  event(event: RoomEvent): boolean {
    return this.#events.emit(event.event, event)
  }
  continuity(continuity: Continuity): void {
    this.#positions.emit('*', continuity)
  }
  present(presence: RoomPresence): void {
    this.#presence.emit('*', presence)
  }
  silence(): void {
    for (const emitter of [this.#events, this.#positions, this.#errors, this.#presence]) emitter.clear()
  }
}

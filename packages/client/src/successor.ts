import { closeCodes } from '@flotilla/core/codes'
import type { ServerFrame } from '@flotilla/core/frames'
import type { Position } from '@flotilla/core/position'
import { after, fullJitterMs, hintedMs } from './backoff.ts'
import type { Settings } from './options.ts'
import { Link } from './socket.ts'
import type { ConnectedFrame, Down } from './socket.ts'
import type { RoomRecord } from './subscription.ts'
import { isRetryable, noAnswer, Wire } from './wire.ts'
import type { RoomAnswer } from './wire.ts'

/** What one room was asked for, and what the new connection answered. */
export interface Resumed {
  readonly record: RoomRecord
  /** Where the room stood when it was asked for; undefined when that was not known yet. */
  readonly since: Position | undefined
  readonly answer: RoomAnswer
}

/** A connection that has resumed every room, and what it has sent since. */
export interface TakeOver {
  readonly link: Link
  readonly connected: ConnectedFrame
  readonly rooms: readonly Resumed[]
  /** In order, without what came for a room before its answer: the old connection has delivered that. */
  readonly frames: readonly ServerFrame[]
}

/** One `resume` frame, and the rooms in it. */
export interface ResumeAsk {
  readonly fields: string
  readonly asked: readonly { readonly record: RoomRecord; readonly since: Position | undefined }[]
}

export interface SuccessorPort {
  /** What is to be asked for now: of every room, or of these. */
  asks(rooms?: ReadonlySet<string>): readonly ResumeAsk[]
  /** The connection whose place is to be taken. */
  ticket(): string | undefined
  /** The server has taken the new connection in, in the place of that one. */
  connected(frame: ConnectedFrame): void
  /** Called once. */
  takeOver(taken: TakeOver): void
}

/** Frames that are kept until the take-over; beyond, the attempt is given up and made again. */
const maxFrames = 20_000
/** An edge drains within seconds to minutes: longer pauses would let its clients down. */
const maxBackOffMs = 5_000

/**
 * Make-before-break: the connection that is opened beside one whose server drains. It takes over when every room has been
 * answered; until then the old one serves, and an attempt that fails is made again as long as that lives.
 */
export class Successor {
  readonly #settings: Settings
  readonly #port: SuccessorPort
  #attempts = 0
  #attempt: Attempt | undefined
  #stopTimer: () => void = () => {}
  #ended = false

  /** `withinMs`: the first attempt begins at a random moment of that time. */
  constructor(settings: Settings, withinMs: number, port: SuccessorPort) {
    this.#settings = settings
    this.#port = port
    this.#stopTimer = after(settings.random() * withinMs, () => this.#try())
  }

  /** The old connection is gone, or the client is closed. */
  stop(): void {
    this.#ended = true
    this.#stopTimer()
    this.#attempt?.stop()
  }

  #try(): void {
    const { reconnect, random, attemptTimeoutMs } = this.#settings
    const backOff = { minMs: reconnect.minMs, maxMs: Math.min(reconnect.maxMs, maxBackOffMs) }
    const attempt = new Attempt(this.#settings, this.#port, {
      ready: (taken) => {
        this.#ended = true
        this.#stopTimer()
        this.#port.takeOver(taken)
      },
      failed: (hintMs) => {
        if (this.#ended) return
        this.#stopTimer()
        const waitMs =
          hintMs === undefined ? fullJitterMs(this.#attempts, backOff, random()) : hintedMs(hintMs, random())
        this.#attempts += 1
        this.#stopTimer = after(waitMs, () => this.#try())
      },
    })
    this.#attempt = attempt
    this.#stopTimer = after(attemptTimeoutMs, () => attempt.fail())
    void attempt.open()
  }
}

interface AttemptPort {
  ready(taken: TakeOver): void
  /** Once, unless it was stopped. */
  failed(hintMs?: number): void
}

class Attempt {
  readonly #settings: Settings
  readonly #port: SuccessorPort
  readonly #outcome: AttemptPort
  readonly #wire: Wire
  readonly #rooms = new Map<string, Resumed>()
  readonly #waiting = new Set<string>()
  readonly #retries = new Set<() => void>()
  #frames: ServerFrame[] = []
  #link: Link | undefined
  #connected: ConnectedFrame | undefined
  #over = false

  constructor(settings: Settings, port: SuccessorPort, outcome: AttemptPort) {
    this.#settings = settings
    this.#port = port
    this.#outcome = outcome
    this.#wire = new Wire(
      () => !this.#over && this.#connected !== undefined,
      (text) => this.#link?.send(text),
    )
  }

  stop(): void {
    if (this.#end()) this.#leave()
  }

  fail(hintMs?: number): void {
    if (!this.#end()) return
    this.#leave()
    this.#outcome.failed(hintMs)
  }

  #leave(): void {
    this.#link?.close(closeCodes.normal.code, closeCodes.normal.reason)
  }

  #end(): boolean {
    if (this.#over) return false
    this.#over = true
    for (const stop of this.#retries) stop()
    return true
  }

  async open(): Promise<void> {
    try {
      const { token: source, ...options } = this.#settings
      const token = typeof source === 'function' ? await source() : source
      if (this.#over) return
      this.#link = new Link(
        { ...options, token, ticket: this.#port.ticket(), returns: true },
        {
          connected: (frame) => this.#up(frame),
          frame: (frame) => this.#receive(frame),
          down: (why: Down) => this.fail(why.hintMs),
        },
      )
    } catch (error) {
      this.#settings.log('a connection to take over could not be opened', error)
      this.fail()
    }
  }

  #up(frame: ConnectedFrame): void {
    this.#connected = frame
    this.#port.connected(frame)
    this.#ask()
    this.#finish()
  }

  #ask(only?: ReadonlySet<string>): void {
    for (const { fields, asked } of this.#port.asks(only)) {
      for (const { record } of asked) this.#waiting.add(record.room)
      this.#wire.request('resume', fields, (reply) => {
        const refusal = reply.type === 'error' ? reply : noAnswer
        const answers = new Map(reply.type === 'ok' ? reply.rooms?.map((each) => [each.room, each]) : [])
        for (const { record, since } of asked) {
          this.#answered({ record, since, answer: answers.get(record.room) ?? { error: refusal } })
        }
        this.#finish()
      })
    }
  }

  /** A room that cannot be read now is asked for again: the old connection still delivers it. */
  #answered(resumed: Resumed): void {
    const { record, answer } = resumed
    const { error } = answer
    if (error !== undefined && isRetryable(error)) {
      const stop = after(
        hintedMs(error.retryAfterMs ?? this.#settings.reconnect.minMs, this.#settings.random()),
        () => {
          this.#retries.delete(stop)
          this.#waiting.delete(record.room)
          this.#ask(new Set([record.room]))
          this.#finish()
        },
      )
      this.#retries.add(stop)
      return
    }
    this.#waiting.delete(record.room)
    this.#rooms.set(record.room, resumed)
  }

  #receive(frame: ServerFrame): void {
    if (frame.type === 'ok' || frame.type === 'error') {
      this.#wire.answer(frame)
      return
    }
    if ((frame.type === 'event' || frame.type === 'position') && this.#waiting.has(frame.room)) return
    // Without a number nobody could tell that the old connection delivers it too.
    if (frame.type === 'event' && frame.seq === undefined) return
    this.#frames.push(frame)
    if (this.#frames.length > maxFrames) this.fail()
  }

  #finish(): void {
    const [link, connected] = [this.#link, this.#connected]
    if (this.#over || this.#waiting.size > 0 || link === undefined || connected === undefined) return
    this.#over = true
    this.#outcome.ready({
      link,
      connected,
      rooms: [...this.#rooms.values()],
      frames: this.#frames.filter(this.#isNews),
    })
    this.#frames = []
  }

  /** Of a loss that the old connection has told already, and gone on from. */
  readonly #isNews = (frame: ServerFrame): boolean => {
    if (frame.type !== 'position') return true
    const cursor = this.#rooms.get(frame.room)?.record.cursor
    return cursor === undefined || cursor.epoch !== frame.position.epoch || frame.position.seq > cursor.seq
  }
}

import { accept, answered, createCursor, joined, moveTo, positionOf } from '@flotilla/core/cursor'
import type { EventFrame, ServerFrame } from '@flotilla/core/frames'
import { after, fullJitterMs, hintedMs } from './backoff.ts'
import { Copies } from './copies.ts'
import type { RoomEvent } from './emitter.ts'
import { FlotillaError, TimeoutError } from './errors.ts'
import { maxRooms } from './options.ts'
import type { Settings } from './options.ts'
import { Pass } from './pass.ts'
import { Attendance } from './presence.ts'
import type { PresenceFrame } from './presence.ts'
import { askOf, batches, continuityOf, isPending, lacksToken, noToken, sameFilter } from './room-asks.ts'
import type { Resumed, ResumeAsk } from './successor.ts'
import { Handle } from './subscription.ts'
import type { Continuity, RoomRecord, SubscribeOptions, Subscription } from './subscription.ts'
import { fieldsOf, isRetryable, noAnswer } from './wire.ts'
import type { ErrorFrame, OkFrame, Refusal, RoomAnswer, Wire } from './wire.ts'

export type PositionFrame = Extract<ServerFrame, { type: 'position' }>

export type UnsubscribedFrame = Extract<ServerFrame, { type: 'unsubscribed' }>

export interface RoomsPort {
  /** Every event that is delivered, in order. Returns whether anybody listens. */
  deliver(event: RoomEvent): boolean
  /** A promise was settled: let its owner act on it before the next frame. */
  pause(): void
  /** The server does not answer: give this connection up. */
  drop(reason: string): void
}

/** What the client is subscribed to: asks for it again on every connection, and judges every event by its cursor. */
export class Rooms {
  readonly #settings: Settings
  readonly #wire: Wire
  readonly #port: RoomsPort
  readonly #records = new Map<string, RoomRecord>()
  /** Unsubscribes under way per room: its events are not wanted any more. */
  readonly #leaving = new Map<string, number>()
  readonly #deadlines = new Set<() => void>()
  readonly #copies = new Copies()

  constructor(settings: Settings, wire: Wire, port: RoomsPort) {
    this.#settings = settings
    this.#wire = wire
    this.#port = port
  }

  subscribe(room: string, options: SubscribeOptions): Promise<Subscription> {
    const known = this.#records.get(room)
    // A room that only the server joined can still be given a filter or a position.
    const { since, filter, token } = options
    const shared = known !== undefined && (known.handles.size > 0 || (!since && !filter && token === undefined))
    const refusal = this.#refusalOf(room, shared ? known : undefined, options)
    if (refusal !== undefined) return Promise.reject(refusal)
    const record = shared ? known : this.#create(room, options, known?.joined ?? false)
    const handle = this.#attach(record, options)
    const answer = handle.answered()
    if (options.onPresence !== undefined) this.#watch(record)
    if (record.last !== undefined) handle.resolve()
    else if (!isPending(record) && this.#wire.up) this.#ask(record)
    return answer
  }

  #watch(record: RoomRecord): void {
    if (record.attendance !== null) return
    record.attendance = new Attendance()
    // Of a room that is subscribed already nobody has asked who is there.
    if (record.last !== undefined && this.#wire.up) this.#ask(record)
  }

  #refusalOf(room: string, shared: RoomRecord | undefined, options: SubscribeOptions): FlotillaError | undefined {
    if (shared !== undefined && (options.since !== undefined || !sameFilter(shared.filter, options.filter))) {
      return new FlotillaError('ALREADY_SUBSCRIBED', `${room} is subscribed already, with another filter or position`)
    }
    if (shared !== undefined || this.#records.has(room) || this.#records.size < maxRooms) return undefined
    return new FlotillaError('TOO_MANY_SUBSCRIPTIONS', `at most ${maxRooms} rooms`)
  }

  /** A new connection: asks for every room in one frame. `joined` are those the server put it into by itself. */
  up(joined: readonly string[]): void {
    this.#join(joined)
    this.#resumeAll(Array.from(this.#records.values()))
  }

  /** Those that have no token yet are asked for when they have. */
  #resumeAll(records: readonly RoomRecord[]): void {
    for (const record of records) if (lacksToken(record) && record.stopRetry === undefined) this.#fetch(record)
    for (const batch of batches(records.filter((record) => !lacksToken(record)))) this.#resume(batch)
  }

  /** The rooms that the server put this connection into by itself. */
  #join(rooms: readonly string[]): void {
    const now = new Set(rooms)
    for (const record of this.#records.values()) {
      record.joined = now.has(record.room)
      if (!record.joined && !record.added && record.handles.size === 0) this.#records.delete(record.room)
    }
    for (const room of now) if (!this.#records.has(room)) this.#adopt(room, false)
  }

  /** What a second connection has to ask for to go on here: of every room, or of these. */
  asks(rooms?: ReadonlySet<string>): ResumeAsk[] {
    const records = Array.from(this.#records.values()).filter(
      (record) => !lacksToken(record) && (rooms?.has(record.room) ?? true),
    )
    return batches(records).map((batch) => ({
      fields: fieldsOf({ rooms: batch.map(askOf) }),
      asked: batch.map((record) => ({ record, since: positionOf(record.cursor) })),
    }))
  }

  /** A second connection goes on in place of this one, which has delivered what it had until now. */
  takeOver(resumed: readonly Resumed[], joinedNow: readonly string[]): void {
    this.#join(joinedNow)
    const known = new Map(resumed.map((each) => [each.record, each]))
    // Unsubscribed meanwhile, perhaps with a successor under another filter.
    for (const { record, answer } of resumed)
      if (this.#records.get(record.room) !== record && answer.error === undefined) this.#leave(record.room)
    const again = Array.from(this.#records.values()).filter((record) => {
      const found = known.get(record)
      return found === undefined || !this.#goOn(record, found)
    })
    // A room that was refused may have made the application close the client.
    if (!this.#wire.up) return
    this.#resumeAll(again)
  }

  /** False: what was answered does not fit where the room stands by now. */
  #goOn(record: RoomRecord, { since, answer }: Resumed): boolean {
    const { position, recovered = true, missed = 0 } = answer
    const isFirst = record.cursor.epoch === null
    if (isFirst || position === undefined) {
      this.#answered(record, answer)
      return true
    }
    const { epoch, seq } = record.cursor
    if (since !== undefined && since.epoch === epoch && since.seq === seq) {
      // Nothing came meanwhile: an answer like any other. A room without a log has another epoch every hour.
      answered(record.cursor, { position, recovered, missed })
    } else if (since === undefined || since.seq > seq || !joined(record.cursor, { position, recovered, missed }))
      return false
    record.refusals = 0
    // Nothing was interrupted, so there is nothing to tell, unless something was lost.
    record.last = continuityOf(answer, position)
    if (!recovered) this.#tell(record, record.last)
    for (const handle of record.handles) if (handle.resolve()) this.#port.pause()
    return true
  }

  /** The connection is gone, and with it every request. */
  lost(): void {
    this.#leaving.clear()
    for (const stop of this.#deadlines) stop()
    this.#deadlines.clear()
    for (const record of this.#records.values()) {
      record.asking = undefined
      record.stopRetry?.()
      record.stopRetry = undefined
    }
  }

  close(error: FlotillaError): void {
    this.lost()
    const handles = [...this.#records.values()].flatMap((record) => [...record.handles])
    this.#records.clear()
    for (const handle of handles) handle.fail(error)
  }

  event(frame: EventFrame): void {
    if (this.#leaving.has(frame.room)) return
    const record = this.#records.get(frame.room) ?? this.#adopt(frame.room, false)
    if (frame.seq === undefined) return this.#deliver(record, frame)
    // What comes before the answer is not lost: the answer's replay begins at the cursor.
    if (isPending(record) && record.cursor.epoch !== null) return
    const verdict = accept(record.cursor, frame.seq)
    if (verdict === 'deliver') this.#deliver(record, frame)
    else if (verdict === 'gap') this.#ask(record)
  }

  position(frame: PositionFrame): void {
    if (this.#leaving.has(frame.room)) return
    const record = this.#records.get(frame.room) ?? this.#adopt(frame.room, true)
    if (isPending(record)) return
    moveTo(record.cursor, frame.position, frame.recovered)
    const continuity = continuityOf(frame, frame.position)
    if (!frame.recovered) this.#tell(record, continuity)
    // The first word about a room that was added: who subscribes now is answered by it.
    else record.last ??= continuity
  }

  presence(frame: PresenceFrame): void {
    const record = this.#records.get(frame.room)
    const news = record?.attendance?.take(frame)
    if (record === undefined || news === undefined) return
    for (const handle of Array.from(record.handles)) handle.present(news)
  }

  /** The server ended the subscription: who asked for it is told, as when it is refused. */
  unsubscribed({ room, code, message }: UnsubscribedFrame): void {
    const record = this.#records.get(room)
    // While it is asked for again the answer to that counts.
    if (record === undefined || isPending(record)) return
    record.joined = false
    this.#refused(record, { code, message })
  }

  #create(room: string, options: SubscribeOptions, joined: boolean): RoomRecord {
    const { since, filter, token } = options
    const cursor = createCursor({ filtered: filter !== undefined, ...(since === undefined ? {} : { since }) })
    const empty = {
      attendance: null,
      added: false,
      asking: undefined,
      stopRetry: undefined,
      refusals: 0,
      last: undefined,
    }
    const pass = token === undefined ? undefined : new Pass(token, this.#settings)
    const record: RoomRecord = { room, filter, cursor, joined, pass, handles: new Set(), ...empty }
    this.#records.set(room, record)
    return record
  }

  /** A room the server put this connection into: at its begin, or `added` since, as its first position tells. */
  #adopt(room: string, added: boolean): RoomRecord {
    const record = this.#create(room, {}, true)
    record.added = added
    // Beyond the limit its events are still delivered, but it is not resumed.
    if (this.#records.size > maxRooms) this.#records.delete(room)
    return record
  }

  #attach(record: RoomRecord, options: SubscribeOptions): Handle {
    const handle = new Handle(record, this.#settings.log, (gone) => this.#detach(record, gone))
    if (options.onEvent !== undefined) handle.on('*', options.onEvent)
    if (options.onPosition !== undefined) handle.onPosition(options.onPosition)
    if (options.onPresence !== undefined) handle.onPresence(options.onPresence)
    const { timeoutMs } = options
    if (timeoutMs !== undefined) {
      handle.stopTimeout = after(timeoutMs, () => {
        this.#detach(record, handle)
        handle.fail(new TimeoutError(`${record.room} was not subscribed within ${timeoutMs} ms`))
      })
    }
    record.handles.add(handle)
    return handle
  }

  #detach(record: RoomRecord, handle: Handle): void {
    const { room } = record
    if (!record.handles.delete(handle) || record.handles.size > 0) return
    if (record.joined || record.added || this.#records.get(room) !== record) return
    this.#forget(record)
    if (this.#wire.up) this.#leave(room)
  }

  #leave(room: string): void {
    this.#leaving.set(room, (this.#leaving.get(room) ?? 0) + 1)
    this.#wire.request('unsubscribe', fieldsOf({ room }), () => {
      const left = (this.#leaving.get(room) ?? 1) - 1
      if (left === 0) this.#leaving.delete(room)
      else this.#leaving.set(room, left)
    })
  }

  #forget(record: RoomRecord): void {
    this.#records.delete(record.room)
    record.asking = undefined
    record.stopRetry?.()
    record.stopRetry = undefined
  }

  #ask(record: RoomRecord): void {
    if (lacksToken(record)) return this.#fetch(record)
    this.#request('subscribe', fieldsOf(askOf(record)), [record], (reply) => {
      if (reply.type === 'error') return () => ({ error: reply })
      return () => reply
    })
  }

  #fetch(record: RoomRecord): void {
    record.stopRetry = record.pass?.fetch(() => {
      record.stopRetry = undefined
      if (lacksToken(record)) this.#refused(record, noToken)
      else if (this.#wire.up) this.#ask(record)
    })
  }

  #resume(records: readonly RoomRecord[]): void {
    this.#request('resume', fieldsOf({ rooms: records.map(askOf) }), records, (reply) => {
      if (reply.type === 'error') return () => ({ error: reply })
      const answers = new Map(reply.rooms?.map((answer) => [answer.room, answer]))
      return (room) => answers.get(room)
    })
  }

  /** `read` turns the reply into the answer of each room. */
  #request(
    type: 'subscribe' | 'resume',
    fields: string,
    records: readonly RoomRecord[],
    read: (reply: OkFrame | ErrorFrame) => (room: string) => RoomAnswer | undefined,
  ): void {
    const asking = {}
    const isCurrent = (record: RoomRecord): boolean => record.asking === asking
    for (const record of records) record.asking = asking
    const stopDeadline = after(this.#settings.attemptTimeoutMs, () => {
      this.#deadlines.delete(stopDeadline)
      if (records.some(isCurrent)) this.#port.drop('a subscription was not answered in time')
    })
    this.#deadlines.add(stopDeadline)
    this.#wire.request(type, fields, (reply) => {
      stopDeadline()
      this.#deadlines.delete(stopDeadline)
      const answerOf = read(reply)
      for (const record of records.filter(isCurrent)) {
        record.asking = undefined
        this.#answered(record, answerOf(record.room) ?? {})
      }
    })
  }

  #answered(record: RoomRecord, answer: RoomAnswer): void {
    const { position, recovered = true, missed = 0 } = answer
    if (answer.error !== undefined || position === undefined) return this.#refused(record, answer.error ?? noAnswer)
    const hadPosition = record.cursor.epoch !== null
    record.refusals = 0
    record.pass?.taken()
    answered(record.cursor, { position, recovered, missed })
    const continuity = continuityOf(answer, position)
    record.last = continuity
    if (hadPosition) this.#tell(record, continuity)
    for (const handle of record.handles) if (handle.resolve()) this.#port.pause()
  }

  #refused(record: RoomRecord, refusal: Refusal): void {
    const { code, message, retryAfterMs } = refusal
    const again = record.pass?.outlived(code)
    if (again === 'now') return this.#fetch(record)
    if (again === 'later' || isRetryable(refusal)) {
      const random = this.#settings.random()
      const backOff = fullJitterMs(record.refusals, { minMs: 500, maxMs: 10_000 }, random)
      record.refusals += 1
      record.stopRetry = after(retryAfterMs === undefined ? backOff : hintedMs(retryAfterMs, random), () => {
        record.stopRetry = undefined
        this.#ask(record)
      })
      return
    }
    // A room that the server joined by itself goes on being delivered.
    if (!record.joined) this.#forget(record)
    const handles = [...record.handles]
    record.handles.clear()
    for (const handle of handles) handle.fail(new FlotillaError(code, message))
    if (handles.length > 0) this.#port.pause()
  }

  #tell(record: RoomRecord, continuity: Continuity): void {
    record.last = continuity
    for (const handle of Array.from(record.handles)) handle.continuity(continuity)
  }

  #deliver(record: RoomRecord, frame: EventFrame): void {
    if (this.#copies.has(frame)) return
    const { room, event, data, meta, seq } = frame
    const { epoch } = record.cursor
    const place = seq === undefined || epoch === null ? {} : { position: { epoch, seq } }
    const delivered: RoomEvent = { room, event, data, meta, ...place }
    let heard = false
    for (const handle of Array.from(record.handles)) heard = handle.event(delivered) || heard
    // Where nobody listens another room may still bring it to somebody.
    if (this.#port.deliver(delivered) || heard) this.#copies.add(frame)
  }
}

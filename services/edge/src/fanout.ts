import type { OutEvent } from '@flotilla/core/entry'
import { parseObject, readOptions } from '@flotilla/core/event-options'
import type { ReadOptions } from '@flotilla/core/event-options'
import { filterKey, matches } from '@flotilla/core/filter'
import type { Filter } from '@flotilla/core/filter'
import type { Connection } from './connection.ts'
import { keepMissed, newest, withMissed } from './newest.ts'
import { ephemeralText, eventText, positionText, textFrame, textFrames } from './wire.ts'

/** A connection's subscription of a room. */
export interface Subscriber {
  readonly id: number
  readonly connection: Connection
  readonly filter: Filter | null
  /** The same text for equal filters; `''`: none. Made once: it costs more than a write. */
  readonly filterKey: string
  /** The feed has answered: from here on it gets what the room gets. */
  live: boolean
  /** What waits for the next tick begins for it with this one: the answer covered what is before. */
  from: number
  /** Nothing goes out before the answer has; what comes meanwhile waits here. */
  gate: Held[] | null
  /** Under a filter: a position frame is due, because events were kept away since the last. */
  lagging: boolean
  /** The newest of each conflation key that came while the connection was slow; null: none. */
  missed: Map<string, Item> | null
}
interface Held {
  readonly frames: Buffer
  readonly isReplay: boolean
}

export function createSubscriber(id: number, connection: Connection, filter: Filter | null): Subscriber {
  const key = filter === null ? '' : filterKey(filter)
  return { id, connection, filter, filterKey: key, live: false, from: 0, gate: [], lagging: false, missed: null }
}

/** An event that waits for the next tick. */
export interface Item {
  /** Undefined: ephemeral. */
  readonly seq: number | undefined
  readonly event: OutEvent
  /** The life of the room that it belongs to. */
  readonly epoch: string
  /** The event's options and its data as filters need them: read for the first that does. */
  options?: ReadOptions
  /** What it replaces and is replaced by; `''`: nothing. */
  conflate?: string
  data?: { readonly value: unknown }
}
/** What fan-out needs of a room: its name as JSON, and its subscribers by id. */
export interface Audience {
  readonly json: string
  readonly subscribers: ReadonlyMap<number, Subscriber>
}

/**
 * Writes a batch to every live subscriber: encoded once for all that get the same. Returns how many events were written,
 * who could not hold back what its answer has to precede, how many events others of the batch replaced, and whether something is kept for
 * somebody who reads too slowly ({@link catchUp}).
 */
export function fanOut(room: Audience, all: readonly Item[]): FannedOut {
  const ephemeral = all.some(({ seq }) => seq === undefined)
  const items = ephemeral ? newest(all) : all
  const batch: Batch = { all, items, excepted: exceptedFrom(items), ephemeral, encoded: undefined, whole: undefined }
  const full: Subscriber[] = []
  let behind = false
  // What most subscribers get; nothing is built or looked up for each of them.
  let plain: Encoded | undefined
  let written = 0
  for (const subscriber of room.subscribers.values()) {
    if (!subscriber.live) continue
    const { connection, filter } = subscriber
    let own: Encoded
    const isLate = subscriber.missed !== null || (ephemeral && connection.isSlow)
    const isApart = filter !== null || subscriber.from > 0 || isLate
    if (isApart || isExcepted(batch, connection)) own = encodeApart(room, batch, subscriber)
    else own = plain ??= encodeFor(room, items, subscriber)
    if (own.skips) subscriber.lagging = true
    if (subscriber.missed !== null) behind = true
    if (own.frames === null) continue
    if (give(subscriber, own.frames)) written += own.count
    else full.push(subscriber)
  }
  return { written, full, replaced: all.length - items.length, behind }
}

export interface FannedOut {
  readonly written: number
  readonly full: readonly Subscriber[]
  readonly replaced: number
  readonly behind: boolean
}

/** Those of the room who have read what they were behind with get what was kept for them; as {@link fanOut}. */
export function catchUp(room: Audience): FannedOut {
  const full: Subscriber[] = []
  let behind = false
  let written = 0
  for (const subscriber of room.subscribers.values()) {
    if (subscriber.missed === null) continue
    if (subscriber.connection.isSlow) {
      behind = true
      continue
    }
    const { frames, count } = encodeFor(room, withMissed(subscriber, []), subscriber)
    if (frames === null) continue
    if (give(subscriber, frames)) written += count
    else full.push(subscriber)
  }
  return { written, full, replaced: 0, behind }
}

interface Batch {
  /** Everything that came, for those who join within it. */
  readonly all: readonly Item[]
  readonly items: readonly Item[]
  /** Users and connections that some event is kept from; null: none. */
  readonly excepted: ReadonlySet<string> | null
  readonly ephemeral: boolean
  /** What others like this one got, by what makes them alike. */
  encoded: Map<string, Encoded> | undefined
  /** All of it, and where the frame of each event ends. */
  whole: { readonly frames: Buffer; readonly ends: readonly number[] } | undefined
}

/** For a slow or a new subscriber, under a filter, or when an event is kept from this one. */
function encodeApart(room: Audience, batch: Batch, subscriber: Subscriber): Encoded {
  const { connection, from, filterKey: wish } = subscriber
  subscriber.from = 0
  const due = from === 0 ? batch.items : newest(batch.all.slice(from))
  const drops = batch.ephemeral && connection.isSlow
  if (drops) connection.droppedEphemerals(keepMissed(subscriber, due))
  else if (subscriber.missed !== null && !connection.isSlow)
    return encodeFor(room, withMissed(subscriber, due), subscriber)
  const wanted = drops ? due.filter(isDurable) : due
  if (isExcepted(batch, connection)) {
    if (wish === '' && from === 0 && !drops) return encodeAround(room, batch, connection)
    return encodeFor(room, wanted, subscriber)
  }
  const key = from === 0 && !drops ? wish : `${from} ${drops} ${wish}`
  batch.encoded ??= new Map<string, Encoded>()
  const own = batch.encoded.get(key) ?? encodeFor(room, wanted, subscriber)
  batch.encoded.set(key, own)
  return own
}

/**
 * As {@link encodeFor} for somebody without a filter from whom something is kept, out of pieces that are encoded once for all of
 * them: where everybody's cursor comes to everybody else nobody gets the same.
 */
function encodeAround(room: Audience, batch: Batch, connection: Connection): Encoded {
  const { items } = batch
  const { frames, ends } = (batch.whole ??= wholeOf(room, items))
  const pieces: Buffer[] = []
  const tell = ({ epoch, seq = 0 }: Item) => pieces.push(textFrame(positionText(room.json, epoch, seq)))
  let count = 0
  /** Where what is wanted in a row begins. */
  let from: number | undefined
  let passed: Item | undefined
  items.forEach((item, i) => {
    const begin = ends[i - 1] ?? 0
    if (isFor(item, null, connection)) {
      count += 1
      if (passed !== undefined) tell(passed)
      passed = undefined
      from ??= begin
      return
    }
    if (from !== undefined) pieces.push(frames.subarray(from, begin))
    from = undefined
    if (item.seq !== undefined) passed = item
  })
  if (from !== undefined) pieces.push(frames.subarray(from))
  if (passed !== undefined) tell(passed)
  return { frames: pieces.length === 0 ? null : pieces, count, skips: false }
}

function wholeOf({ json }: Audience, items: readonly Item[]): NonNullable<Batch['whole']> {
  const ends: number[] = []
  const texts = items.map(({ seq, event }) =>
    seq === undefined ? ephemeralText(json, event) : eventText(json, seq, event),
  )
  return { frames: textFrames(texts, ends), ends }
}

export interface Encoded {
  /** Whole frames, in one piece or in several. */
  readonly frames: Buffer | readonly Buffer[] | null
  readonly count: number
  /** Under a filter: the last durable event was left out. */
  readonly skips: boolean
}

/** Whether some event is kept from somebody. */
export const isPersonal = (items: readonly Item[]): boolean =>
  items.some(({ event }) => event.options !== '' && event.options.includes('"except"'))
const isDurable = (item: Item): boolean => item.seq !== undefined

/**
 * The frames of one subscriber. Without a filter a client takes a number that is left out for a hole, so an event that
 * its publisher kept from it, or whose time is over, is replaced by a position frame; under a filter positions are told now and then.
 */
export function encodeFor(
  room: Pick<Audience, 'json'>,
  items: readonly Item[],
  subscriber: { readonly filter: Filter | null; readonly connection: Pick<Connection, 'userId' | 'id'> },
): Encoded {
  const { filter, connection } = subscriber
  const texts: string[] = []
  let count = 0
  let skips = false
  // Of several in a row the last says it for all.
  let passed = ''
  for (const item of items) {
    const { seq, event, epoch } = item
    const wanted = (event.options === '' && filter === null) || isFor(item, filter, connection)
    if (wanted) {
      if (passed !== '') texts.push(passed)
      passed = ''
      texts.push(seq === undefined ? ephemeralText(room.json, event) : eventText(room.json, seq, event))
      count += 1
    } else if (seq !== undefined && filter === null) passed = positionText(room.json, epoch, seq)
    if (seq !== undefined) skips = !wanted && filter !== null
  }
  if (passed !== '') texts.push(passed)
  return { frames: texts.length === 0 ? null : textFrames(texts), count, skips }
}

function isFor(item: Item, filter: Filter | null, { userId, id }: Pick<Connection, 'userId' | 'id'>): boolean {
  const { except, match, until } = optionsOf(item)
  if (except.includes(userId) || except.includes(id)) return false
  if (until !== undefined && until <= Date.now()) return false
  if (filter === null) return true
  item.data ??= { value: parseObject(`{${item.event.tail}}`)['data'] }
  return matches(filter, item.data.value, match)
}

function optionsOf(item: Item): ReadOptions {
  return (item.options ??= readOptions(item.event.options))
}

/** Whether the publisher kept an event with these options from this connection, or its user. */
export function isKeptFrom(options: string, { userId, id }: Pick<Connection, 'userId' | 'id'>): boolean {
  if (options === '') return false
  const { except } = readOptions(options)
  return except.includes(userId) || except.includes(id)
}

function exceptedFrom(items: readonly Item[]): ReadonlySet<string> | null {
  if (!isPersonal(items)) return null
  return new Set(items.flatMap((item) => optionsOf(item).except))
}

function isExcepted({ excepted }: Batch, { userId, id }: Connection): boolean {
  return excepted !== null && (excepted.has(userId) || excepted.has(id))
}

/** To the socket, or behind the gate. False: it does not fit there. */
export function give(subscriber: Subscriber, frames: Buffer | readonly Buffer[], isReplay = false): boolean {
  const { gate, connection } = subscriber
  if (!Buffer.isBuffer(frames)) return frames.every((piece) => give(subscriber, piece, isReplay))
  if (gate === null) connection.write(frames)
  else if (connection.hold(frames.length, isReplay)) gate.push({ frames, isReplay })
  else return false
  return true
}

/** The answer is out: what was held back follows it. */
export function openGate(subscriber: Subscriber): void {
  const { gate, connection } = subscriber
  subscriber.gate = null
  for (const { frames, isReplay } of gate ?? []) {
    connection.letGo(frames.length, isReplay)
    if (isReplay) connection.writeReplay(frames)
    else connection.write(frames)
  }
}

/** The subscription ends, and with it what was held back for it. */
export function dropGate({ gate, connection }: Subscriber): void {
  for (const { frames, isReplay } of gate ?? []) connection.letGo(frames.length, isReplay)
}

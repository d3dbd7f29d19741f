import type { EventOptions, OutEvent } from '@flotilla/core/entry'
import { filterKey, matches } from '@flotilla/core/filter'
import type { Filter } from '@flotilla/core/filter'
import type { RoomEpoch } from '@flotilla/core/position'
import type { Connection } from './connection.ts'
import { ephemeralText, eventText, positionText, textFrames } from './wire.ts'

/** A connection's subscription of a room. */
export interface Subscriber {
  readonly id: number
  readonly connection: Connection
  readonly filter: Filter | null
  /** The feed has answered: from here on it gets what the room gets. */
  live: boolean
  /** Nothing goes out before the answer has; what comes meanwhile waits here. */
  gate: Buffer[] | null
  /** What goes out before it, when the gate opens. */
  replay: Buffer | null
  /** Under a filter: a position frame is due, because events were kept away since the last. */
  lagging: boolean
}

/** An event that waits for the next tick. */
export interface Item {
  /** Undefined: ephemeral. */
  readonly seq: number | undefined
  readonly event: OutEvent
  /** The life of the room that it belongs to. */
  readonly epoch: RoomEpoch
}

/** What fan-out needs of a room: its name as JSON. */
export interface RoomWire {
  readonly json: string
}

/** Writes a batch to every subscriber: encoded once for all that get the same. Returns how many events were written. */
export function fanOut(room: RoomWire, items: readonly Item[], subscribers: Iterable<Subscriber>): number {
  const personal = items.some(({ event }) => event.options.includes('"except"'))
  const encoded = new Map<string, Encoded>()
  // What most subscribers get; nothing is built or looked up for each of them.
  let plain: Encoded | undefined
  let written = 0
  for (const subscriber of subscribers) {
    const { connection, filter } = subscriber
    const slow = connection.isSlow
    let own: Encoded
    if (personal || slow || filter !== null)
      own = encodeApart(room, { items, slow, encoded: personal ? undefined : encoded }, subscriber)
    else own = plain ??= encodeFor(room, items, subscriber)
    if (own.skips) subscriber.lagging = true
    if (own.frames === null) continue
    write(subscriber, own.frames)
    written += own.count
  }
  return written
}

interface Batch {
  readonly items: readonly Item[]
  readonly slow: boolean
  /** What others like this one got; undefined when everybody gets something else. */
  readonly encoded: Map<string, Encoded> | undefined
}

/** For a slow connection, under a filter, or when an event is not for everybody. */
function encodeApart(room: RoomWire, { items, slow, encoded }: Batch, subscriber: Subscriber): Encoded {
  const { connection, filter } = subscriber
  const wanted = slow ? items.filter(isDurable) : items
  connection.droppedEphemerals(items.length - wanted.length)
  const key = `${wanted.length} ${filter === null ? '' : filterKey(filter)}`
  const own = encoded?.get(key) ?? encodeFor(room, wanted, subscriber)
  encoded?.set(key, own)
  return own
}

interface Encoded {
  readonly frames: Buffer | null
  readonly count: number
  /** Under a filter: the last durable event was left out. */
  readonly skips: boolean
}

const isDurable = (item: Item): boolean => item.seq !== undefined

/**
 * The frames of one subscriber. Without a filter a client takes a number that is left out for a hole, so an event that
 * its publisher kept from it is replaced by a position frame; under a filter positions are told now and then.
 */
export function encodeFor(
  room: RoomWire,
  items: readonly Item[],
  subscriber: Pick<Subscriber, 'filter' | 'connection'>,
): Encoded {
  const { filter, connection } = subscriber
  const texts: string[] = []
  let count = 0
  let skips = false
  for (const { seq, event, epoch } of items) {
    const wanted = (event.options === '' && filter === null) || isFor(event, filter, connection)
    if (wanted) {
      texts.push(seq === undefined ? ephemeralText(room.json, event) : eventText(room.json, seq, event))
      count += 1
    } else if (seq !== undefined && filter === null) texts.push(positionText(room.json, epoch, seq))
    if (seq !== undefined) skips = !wanted && filter !== null
  }
  return { frames: texts.length === 0 ? null : textFrames(texts), count, skips }
}

function isFor({ options, tail }: OutEvent, filter: Filter | null, { userId, id }: Connection): boolean {
  const chosen = options === '' ? {} : (JSON.parse(options) as EventOptions)
  if (chosen.except !== undefined && (chosen.except.includes(userId) || chosen.except.includes(id))) return false
  if (filter === null) return true
  const { data } = JSON.parse(`{${tail}}`) as { data: unknown }
  return matches(filter, data, chosen.match)
}

/** To the socket, or behind the gate. */
export function write(subscriber: Subscriber, frame: Buffer): void {
  if (subscriber.gate === null) subscriber.connection.write(frame)
  else if (subscriber.connection.mayHold(frame.length)) subscriber.gate.push(frame)
}

import type { EventOptions, OutEvent } from '@flotilla/core/entry'
import { filterKey, matches } from '@flotilla/core/filter'
import type { Filter } from '@flotilla/core/filter'
import type { Connection } from './connection.ts'
import { ephemeralText, eventText, textFrames } from './wire.ts'

/** A connection's subscription of a room. */
export interface Subscriber {
  readonly id: number
  readonly connection: Connection
  readonly filter: Filter | null
  /** The feed has answered: from here on it gets what the room gets. */
  live: boolean
  /** Nothing goes out before the answer has; what comes meanwhile waits here. */
  gate: Buffer[] | null
  /** Under a filter: a position frame is due, because events were kept away since the last. */
  lagging: boolean
}

/** An event that waits for the next tick. */
export interface Item {
  /** Undefined: ephemeral. */
  readonly seq: number | undefined
  readonly event: OutEvent
}

/** What fan-out needs of a room: its name as JSON, and the position frame of a seq. */
export interface RoomWire {
  readonly json: string
  positionText(seq: number): string
}

/** Writes a batch to every subscriber: encoded once for all that get the same. Returns how many events were written. */
export function fanOut(room: RoomWire, items: readonly Item[], subscribers: Iterable<Subscriber>): number {
  const personal = items.some(({ event }) => event.options.includes('"except"'))
  const encoded = new Map<string, Encoded>()
  let written = 0
  for (const subscriber of subscribers) {
    const { connection, filter } = subscriber
    const wanted = connection.isSlow ? items.filter(isDurable) : items
    connection.droppedEphemerals(items.length - wanted.length)
    const key = `${wanted.length} ${filter === null ? '' : filterKey(filter)}`
    let own = personal ? undefined : encoded.get(key)
    if (own === undefined) {
      own = encodeFor(room, wanted, subscriber)
      if (!personal) encoded.set(key, own)
    }
    if (own.skips) subscriber.lagging = true
    if (own.frames === null) continue
    write(subscriber, own.frames)
    written += own.count
  }
  return written
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
  for (const { seq, event } of items) {
    const wanted = (event.options === '' && filter === null) || isFor(event, filter, connection)
    if (wanted) {
      texts.push(seq === undefined ? ephemeralText(room.json, event) : eventText(room.json, seq, event))
      count += 1
    } else if (seq !== undefined && filter === null) texts.push(room.positionText(seq))
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

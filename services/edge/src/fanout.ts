import type { EventOptions, OutEvent } from '@flotilla/core/entry'
import { filterKey, matches } from '@flotilla/core/filter'
import type { Filter } from '@flotilla/core/filter'
import type { Connection } from './connection.ts'
import { ephemeralText, eventText, positionText, textFrames } from './wire.ts'

/** A connection's subscription of a room. */
export interface Subscriber {
  readonly id: number
  readonly connection: Connection
  readonly filter: Filter | null
  /** The feed has answered: from here on it gets what the room gets. */
  live: boolean
  /** What waits for the next tick begins for it with this one: the answer covered what is before. */
  from: number
  /** Nothing goes out before the answer has; what comes meanwhile waits here. */
  gate: Held[] | null
  /** Under a filter: a position frame is due, because events were kept away since the last. */
  lagging: boolean
}
interface Held {
  readonly frames: Buffer
  readonly isReplay: boolean
}

export function createSubscriber(id: number, connection: Connection, filter: Filter | null): Subscriber {
  return { id, connection, filter, live: false, from: 0, gate: [], lagging: false }
}

/** An event that waits for the next tick. */
export interface Item {
  /** Undefined: ephemeral. */
  readonly seq: number | undefined
  readonly event: OutEvent
  /** The life of the room that it belongs to. */
  readonly epoch: string
}

/** What fan-out needs of a room: its name as JSON, and its subscribers by id. */
export interface Audience {
  readonly json: string
  readonly subscribers: ReadonlyMap<number, Subscriber>
}

/**
 * Writes a batch to every live subscriber: encoded once for all that get the same. Returns how many events were written,
 * and who could not hold back what its answer has to precede.
 */
export function fanOut(room: Audience, items: readonly Item[]): { written: number; full: readonly Subscriber[] } {
  const batch: Batch = {
    items,
    personal: isPersonal(items),
    ephemeral: items.some(({ seq }) => seq === undefined),
    encoded: undefined,
  }
  const full: Subscriber[] = []
  // What most subscribers get; nothing is built or looked up for each of them.
  let plain: Encoded | undefined
  let written = 0
  for (const subscriber of room.subscribers.values()) {
    if (!subscriber.live) continue
    const { connection, filter } = subscriber
    let own: Encoded
    if (batch.personal || filter !== null || subscriber.from > 0 || (batch.ephemeral && connection.isSlow))
      own = encodeApart(room, batch, subscriber)
    else own = plain ??= encodeFor(room, items, subscriber)
    if (own.skips) subscriber.lagging = true
    if (own.frames === null) continue
    if (give(subscriber, own.frames)) written += own.count
    else full.push(subscriber)
  }
  return { written, full }
}

interface Batch {
  readonly items: readonly Item[]
  /** Some event is not for everybody. */
  readonly personal: boolean
  readonly ephemeral: boolean
  /** What others like this one got, by what makes them alike. */
  encoded: Map<string, Encoded> | undefined
}

/** For a slow or a new subscriber, under a filter, or when an event is not for everybody. */
function encodeApart(room: Audience, batch: Batch, subscriber: Subscriber): Encoded {
  const { connection, filter, from } = subscriber
  subscriber.from = 0
  const due = from === 0 ? batch.items : batch.items.slice(from)
  const drops = batch.ephemeral && connection.isSlow
  const wanted = drops ? due.filter(isDurable) : due
  connection.droppedEphemerals(due.length - wanted.length)
  if (batch.personal) return encodeFor(room, wanted, subscriber)
  const key = `${from} ${drops} ${filter === null ? '' : filterKey(filter)}`
  batch.encoded ??= new Map<string, Encoded>()
  const own = batch.encoded.get(key) ?? encodeFor(room, wanted, subscriber)
  batch.encoded.set(key, own)
  return own
}

export interface Encoded {
  readonly frames: Buffer | null
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
 * its publisher kept from it is replaced by a position frame; under a filter positions are told now and then.
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

function isFor(
  { options, tail }: OutEvent,
  filter: Filter | null,
  { userId, id }: Pick<Connection, 'userId' | 'id'>,
): boolean {
  const { except, match } = (options === '' ? {} : read(options)) as EventOptions
  if (Array.isArray(except) && (except.includes(userId) || except.includes(id))) return false
  if (filter === null) return true
  return matches(filter, read(`{${tail}}`)['data'], isObject(match) ? match : undefined)
}

/** Producers write what can be read. Of others, or of a version to come, an event without options is made: one text may not end every edge. */
function read(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) ? value : {}
  } catch {
    return {}
  }
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** To the socket, or behind the gate. False: it does not fit there. */
export function give(subscriber: Subscriber, frames: Buffer, isReplay = false): boolean {
  const { gate, connection } = subscriber
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

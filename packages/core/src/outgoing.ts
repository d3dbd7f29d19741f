import { encodeLogMessage } from './entry.ts'
import type { RoomLimits } from './limits.ts'
import { slotOf } from './slot.ts'

/**
 * Outgoing events: what the backend is told of connections, rooms and users' messages (docs/spec.md OE). Those of a slot's
 * rooms are in one log of the slot, kept like a room's log under a name that no client can use.
 */
export const outgoingEvents = [
  'connection.opened',
  'connection.closed',
  'room.occupied',
  'room.vacated',
  'member.joined',
  'member.left',
  'presence.changed',
  'user.message',
] as const
/** What a policy may ask for. */
export type OutgoingEvent = (typeof outgoingEvents)[number]

/** What a policy asks for; of events that concern rooms, those of these types. */
export interface Outgoing {
  readonly events: ReadonlySet<OutgoingEvent>
  /** Null: every type. */
  readonly types: ReadonlySet<string> | null
  /** What each slot's log keeps: events at the most, and up to which age, ms, they are served. */
  readonly retain: { readonly events: number; readonly ageMs: number }
}

/** Events that a policy may have a slot's log keep, and that it keeps when the policy does not say. */
export const maxEventLogEvents = 50_000
export const eventLogEvents = 1_000
/** UTF-16 units of one slot's log of events; above half of it older ones go. */
export const maxEventLogChars = 8_388_608
/** A room is vacated so long after nobody was interested any more, ms: whoever moves to another edge has come back by then. */
export const vacatedAfterMs = 5_000

const logType = '$events'
const edgeType = '$edge'

export const isEventLog = (room: string): boolean => room.startsWith(`${logType}:`)

/**
 * The name of each slot's log of events: the first of `$events:0`, `$events:1`, … `$events:z`, `$events:10`, … that is a name in the slot.
 * @throws RangeError when `slots` is not what {@link slotOf} takes.
 */
export function eventLogs(slots: number): readonly string[] {
  const names = Array.from({ length: slots }, () => '')
  for (let n = 0, missing = slots; missing > 0; n += 1) {
    const name = `${logType}:${n.toString(36)}`
    const slot = slotOf(name, slots)
    if (names[slot] !== '') continue
    names[slot] = name
    missing -= 1
  }
  return names
}

/**
 * An edge that tells of connections declares interest in a room of its own, and withdraws it when it has told of them all.
 * Who sees the interest of a dead boot dropped knows that nobody will.
 */
export const edgeRoom = (boot: string): string => `${edgeType}:${boot}`
export const isEdgeRoom = (room: string): boolean => room.startsWith(`${edgeType}:`)

/** Where the log of events differs from a room: it gives way at once, for nobody publishes to it under a key of his own. */
export function eventLogLimits(limits: RoomLimits, outgoing: Outgoing | null): RoomLimits {
  const historyEvents = outgoing?.retain.events ?? eventLogEvents
  return { ...limits, historyEvents, keepMs: 0, chars: Math.min(limits.chars, maxEventLogChars) }
}

/** Whether the policy asks for this event of that room. Names that are not a client's are nobody's room. */
export function wants({ events, types }: Outgoing, event: OutgoingEvent, room: string): boolean {
  if (!events.has(event) || room.startsWith('$')) return false
  return types === null || types.has(room.slice(0, room.indexOf(':')))
}

/** Whether the policy asks whether anybody is in that room. */
export const watches = (outgoing: Outgoing, room: string): boolean =>
  wants(outgoing, 'room.occupied', room) || wants(outgoing, 'room.vacated', room)

/** Whether the policy asks for connections. */
export const tellsConnections = ({ events }: Outgoing): boolean =>
  events.has('connection.opened') || events.has('connection.closed')

/** The text of an outgoing event, as publishes carry it. `data` is JSON text. */
export const outgoingTail = (event: OutgoingEvent | 'edge.lost', data: string): string =>
  `"event":"${event}","data":${data}`

/** One that its worker writes: it has no sender and no key, for nobody sends it twice. */
export const toldByWorker = (tail: string): string => encodeLogMessage({ sender: '', key: '', options: '', tail })

/**
 * The tail of the `user.message` of a message, or undefined when it is not a client's: of all that publish only an edge says which connection it
 * was. Within JSON text a quotation mark is escaped, so the last `"meta":{` is the message's own.
 */
export function userMessage(
  room: string,
  at: { readonly epoch: string; readonly seq: number },
  tail: string,
): string | undefined {
  const meta = tail.lastIndexOf('"meta":{')
  if (meta < 0 || !tail.includes('"connectionId":"', meta)) return undefined
  return outgoingTail('user.message', `{"room":${JSON.stringify(room)},"position":${JSON.stringify(at)},${tail}}`)
}

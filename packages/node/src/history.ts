import type { LogEntry } from '@flotilla/core/entry'
import { isOver } from '@flotilla/core/event-options'
import type { EventFrame } from '@flotilla/core/frames'
import { formatEpoch } from '@flotilla/core/position'
import type { Endpoint } from './endpoint-port.ts'

/** An event as a room's history has it. */
export type HistoryEvent = Pick<EventFrame, 'event' | 'data' | 'meta'> & { readonly seq: number }
interface LoggedEvent {
  readonly seq: number
  readonly entry: LogEntry
  readonly tail: string
  readonly options: string
}
export interface HistoryPage {
  readonly room: string
  readonly events: readonly HistoryEvent[]
  /** Epoch of the page's last event: with its seq it is a position. */
  readonly epoch?: string
  /** seq of the first and last event that the page goes over, shown or not; null when there is none. */
  readonly first: number | null
  readonly last: number | null
}
export interface HistoryRequest {
  readonly room: string
  /** Events after this seq, the oldest of them; or before this one, the newest of them. Without either the newest there are. */
  readonly after?: number | undefined
  readonly before?: number | undefined
  readonly limit: number
  /** Older events are not served, ms. */
  readonly ageMs: number
  readonly nowMs: number
  /** A page ends, short of its limit, with the event that brings it above this, in UTF-16 units: a caller asks for the rest. */
  readonly maxChars?: number
  /** Whether an event with these options is shown to who asks; to everybody when it is left out. */
  readonly shows?: (options: string) => boolean
}

/** The part of an endpoint that reads. */
type HistoryReader = Pick<Endpoint, 'history' | 'tail'>

/** Log entries per read at the most, and no more than events are missing: one may hold as many messages as a commit, or one of a megabyte. */
const maxEntriesPerRead = 8
/** Of a page, in UTF-16 units, where its request does not say less. */
const maxPageChars = 8_388_608

/**
 * A page of what the room keeps: what is older than the policy's age is not served, although the log may still have
 * it. A page whose `first` is above `after + 1` says that what was between them is gone. Rejects with StoreError.
 */
export async function readHistory(endpoint: HistoryReader, request: HistoryRequest): Promise<HistoryPage> {
  const { room, after } = request
  const logged = after === undefined ? await newest(endpoint, request) : await following(endpoint, request, after)
  const last = logged.at(-1)
  return {
    room,
    events: logged
      .filter(({ options }) => !isOver(options, request.nowMs) && (request.shows?.(options) ?? true))
      .map(eventOf),
    ...(last === undefined ? {} : { epoch: formatEpoch(last.entry) }),
    first: logged[0]?.seq ?? null,
    last: last?.seq ?? null,
  }
}

const entriesFor = (missing: number): number => Math.min(maxEntriesPerRead, missing)

const isServed = (entry: LogEntry, { nowMs, ageMs }: HistoryRequest): boolean => entry.timeMs >= nowMs - ageMs

async function newest(endpoint: HistoryReader, request: HistoryRequest): Promise<readonly LoggedEvent[]> {
  const { before: end = Infinity, limit, room } = request
  const found: LoggedEvent[] = []
  let chars = 0
  // An entry that holds `end` begins before it: its last seq is what the log goes by.
  for (
    let before = await lastBelow(endpoint, room, end);
    found.length < limit && chars <= (request.maxChars ?? maxPageChars);
  ) {
    const count = entriesFor(limit - found.length)
    const page = await endpoint.tail(room, before, count)
    const served = page.filter((entry) => isServed(entry, request))
    for (const entry of served) {
      const events = eventsOf(entry).filter(({ seq }) => seq < end)
      found.push(...events.toReversed())
      for (const { tail } of events) chars += tail.length
    }
    const oldest = page.at(-1)
    if (oldest === undefined || served.length < page.length || page.length < count) break
    before = oldest.first
  }
  return fitting(found.slice(0, limit), request.maxChars).toReversed()
}

/** Below which last seq the entries end that have events before `end`. */
async function lastBelow(endpoint: HistoryReader, room: string, end: number): Promise<number> {
  if (end === Infinity) return Infinity
  // The one with the event before it.
  const [entry] = await endpoint.history(room, end - 2, 1)
  return entry === undefined ? Infinity : entry.first + entry.messages.length
}

/** The first events that fit into a page, one at the least. */
function fitting(events: readonly LoggedEvent[], maxChars = maxPageChars): readonly LoggedEvent[] {
  let chars = 0
  const end = events.findIndex((event) => (chars += event.tail.length) > maxChars)
  return end < 0 ? events : events.slice(0, Math.max(1, end))
}

async function following(
  endpoint: HistoryReader,
  request: HistoryRequest,
  after: number,
): Promise<readonly LoggedEvent[]> {
  const events: LoggedEvent[] = []
  let [chars, isOld] = [0, false]
  for (let from = after; events.length < request.limit && chars <= (request.maxChars ?? maxPageChars);) {
    // Thousands of entries may be too old before the first one that is served.
    const count = isOld ? maxEntriesPerRead : entriesFor(request.limit - events.length)
    const page = await endpoint.history(request.room, from, count)
    for (const entry of page) {
      const served = isServed(entry, request) ? eventsOf(entry).filter((event) => event.seq > after) : []
      events.push(...served)
      for (const event of served) chars += event.tail.length
      from = entry.first + entry.messages.length - 1
    }
    if (page.length < count) break
    isOld = events.length === 0
  }
  return fitting(events.slice(0, request.limit), request.maxChars)
}

function eventsOf(entry: LogEntry): readonly LoggedEvent[] {
  return entry.messages.map(({ tail, options }, i) => ({ seq: entry.first + i, entry, tail, options }))
}

function eventOf({ seq, tail }: LoggedEvent): HistoryEvent {
  const { event, data, meta } = JSON.parse(`{${tail}}`) as Omit<HistoryEvent, 'seq'>
  return { seq, event, data, meta }
}

import { historyMs } from '@flotilla/core/limits'
import type { LogEntry } from '@flotilla/core/entry'
import { formatEpoch } from '@flotilla/core/position'
import type { Endpoint } from '@flotilla/node/endpoint-port'

/** An event as a room's history has it. */
interface HistoryEvent {
  readonly seq: number
  readonly event: string
  readonly data: unknown
  readonly meta: unknown
}
interface LoggedEvent {
  readonly seq: number
  readonly entry: LogEntry
  readonly tail: string
}
export interface HistoryPage {
  readonly room: string
  readonly events: readonly HistoryEvent[]
  /** Epoch of the page's last event: with its seq it is a position. */
  readonly epoch?: string
  /** seq of the page's first and last event; null when it is empty. */
  readonly first: number | null
  readonly last: number | null
}
export interface HistoryRequest {
  readonly room: string
  /** Events after this seq, oldest first; without it the newest ones. */
  readonly after?: number
  readonly limit: number
  readonly nowMs: number
}

/** The part of an endpoint that reads. */
type HistoryReader = Pick<Endpoint, 'history' | 'tail'>

/** Log entries per read: one may hold as many messages as a commit. */
const entriesPerRead = 8
/** A page ends, short of its limit, with the event that brings it above this, in UTF-16 units: a caller asks for the rest. */
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
    events: logged.map(eventOf),
    ...(last === undefined ? {} : { epoch: formatEpoch(last.entry) }),
    first: logged[0]?.seq ?? null,
    last: last?.seq ?? null,
  }
}

const isServed = (entry: LogEntry, nowMs: number): boolean => entry.timeMs >= nowMs - historyMs

async function newest(endpoint: HistoryReader, request: HistoryRequest): Promise<readonly LoggedEvent[]> {
  const newestFirst: LogEntry[] = []
  let count = 0
  let chars = 0
  for (let before = Infinity; count < request.limit && chars <= maxPageChars;) {
    const page = await endpoint.tail(request.room, before, entriesPerRead)
    const served = page.filter((entry) => isServed(entry, request.nowMs))
    newestFirst.push(...served)
    for (const entry of served) {
      count += entry.messages.length
      for (const message of entry.messages) chars += message.tail.length
    }
    const oldest = page.at(-1)
    if (oldest === undefined || served.length < page.length || page.length < entriesPerRead) break
    before = oldest.first
  }
  return fitting(newestFirst.flatMap((entry) => eventsOf(entry).toReversed()).slice(0, request.limit)).toReversed()
}

/** The first events that fit into a page, one at the least. */
function fitting(events: readonly LoggedEvent[]): readonly LoggedEvent[] {
  let chars = 0
  const end = events.findIndex((event) => (chars += event.tail.length) > maxPageChars)
  return end < 0 ? events : events.slice(0, Math.max(1, end))
}

async function following(
  endpoint: HistoryReader,
  request: HistoryRequest,
  after: number,
): Promise<readonly LoggedEvent[]> {
  const events: LoggedEvent[] = []
  let chars = 0
  for (let from = after; events.length < request.limit && chars <= maxPageChars;) {
    const page = await endpoint.history(request.room, from, entriesPerRead)
    for (const entry of page) {
      if (isServed(entry, request.nowMs)) events.push(...eventsOf(entry).filter((event) => event.seq > after))
      for (const message of entry.messages) chars += message.tail.length
      from = entry.first + entry.messages.length - 1
    }
    if (page.length < entriesPerRead) break
  }
  return fitting(events.slice(0, request.limit))
}

function eventsOf(entry: LogEntry): readonly LoggedEvent[] {
  return entry.messages.map((message, i) => ({ seq: entry.first + i, entry, tail: message.tail }))
}

function eventOf({ seq, tail }: LoggedEvent): HistoryEvent {
  const { event, data, meta } = JSON.parse(`{${tail}}`) as Omit<HistoryEvent, 'seq'>
  return { seq, event, data, meta }
}

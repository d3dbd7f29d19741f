import { historyMs } from '@flotilla/core/limits'
import type { LogEntry } from '@flotilla/core/entry'
import type { Endpoint } from '@flotilla/node/endpoint-port'

/** An event as a room's history has it. */
export interface HistoryEvent {
  readonly seq: number
  readonly event: string
  readonly data: unknown
  readonly meta: unknown
}
export interface HistoryPage {
  readonly room: string
  readonly events: readonly HistoryEvent[]
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

/** Log entries per read: one may hold as many messages as a commit. */
const entriesPerRead = 32

/**
 * A page of what the room keeps: what is older than the policy's age is not served, although the log may still have
 * it. A page whose `first` is above `after + 1` says that what was between them is gone. Rejects with StoreError.
 */
export async function readHistory(endpoint: Endpoint, request: HistoryRequest): Promise<HistoryPage> {
  const events = request.after === undefined ? await newest(endpoint, request) : await following(endpoint, request, request.after)
  return { room: request.room, events, first: events[0]?.seq ?? null, last: events.at(-1)?.seq ?? null }
}

const isServed = (entry: LogEntry, nowMs: number): boolean => entry.timeMs >= nowMs - historyMs

async function newest(endpoint: Endpoint, request: HistoryRequest): Promise<readonly HistoryEvent[]> {
  const newestFirst: LogEntry[] = []
  let count = 0
  for (let before = Infinity; count < request.limit; ) {
    const page = await endpoint.tail(request.room, before, entriesPerRead)
    const served = page.filter((entry) => isServed(entry, request.nowMs))
    newestFirst.push(...served)
    for (const entry of served) count += entry.messages.length
    const oldest = page.at(-1)
    if (oldest === undefined || served.length < page.length || page.length < entriesPerRead) break
    before = oldest.first
  }
  return newestFirst.toReversed().flatMap(eventsOf).slice(-request.limit)
}

async function following(endpoint: Endpoint, request: HistoryRequest, after: number): Promise<readonly HistoryEvent[]> {
  const events: HistoryEvent[] = []
  for (let from = after; events.length < request.limit; ) {
    const page = await endpoint.history(request.room, from, entriesPerRead)
    for (const entry of page) {
      if (isServed(entry, request.nowMs)) events.push(...eventsOf(entry).filter((event) => event.seq > after))
      from = entry.first + entry.messages.length - 1
    }
    if (page.length < entriesPerRead) break
  }
  return events.slice(0, request.limit)
}

function eventsOf(entry: LogEntry): readonly HistoryEvent[] {
  return entry.messages.map((message, i) => {
    const frame = JSON.parse(`{${message.tail}}`) as { readonly event: string; readonly data: unknown; readonly meta: unknown }
    return { seq: entry.first + i, event: frame.event, data: frame.data, meta: frame.meta }
  })
}

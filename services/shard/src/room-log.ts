import type { LogEntry } from '@flotilla/core/entry'
import type { Store } from '@flotilla/node/store/port'

/** Log entries per page when a room is loaded, at the most, and what a page is to bring at the most, about, in UTF-16 units. */
const firstRoomPage = 2
const maxRoomPage = 1_024
const roomPageChars = 262_144
/** What was written since the room was read ahead is mostly on one page. */
const sincePage = 32

export interface RoomLogOptions {
  /** Whether somebody still waits for it. */
  wanted(): boolean
  /** What was read of this log before, oldest first: the rest of it need not be read again. */
  readonly ahead?: readonly LogEntry[]
}

/**
 * All entries of the room's log, oldest first: what it keeps is what must be remembered. Undefined when nobody wants it any
 * more. An entry never changes: where the newest entry of `ahead` is found again, and `ahead` was read from one state of the server,
 * those before it are still there too, but for what was trimmed from the front.
 */
export async function readRoomLog(
  store: Store,
  room: string,
  { wanted, ahead = [] }: RoomLogOptions,
): Promise<LogEntry[] | undefined> {
  const known = isWhole(ahead) ? ahead.at(-1) : undefined
  const newestFirst: LogEntry[] = []
  let limit = known === undefined ? firstRoomPage : sincePageOf(ahead)
  for (let before = Infinity; ;) {
    if (!wanted()) return undefined
    const page = await store.rooms.tail(room, before, limit)
    const found = known === undefined ? -1 : page.findIndex((entry) => isSame(entry, known))
    newestFirst.push(...(found < 0 ? page : page.slice(0, found)))
    if (found >= 0) return [...ahead, ...newestFirst.toReversed()]
    const oldest = page.at(-1)
    if (oldest === undefined || page.length < limit) return newestFirst.toReversed()
    before = oldest.first
    limit = Math.min(maxRoomPage, fitting(limit, charsOf(page), roomPageChars))
  }
}

/** What the events of these entries hold, UTF-16 units. */
export function charsOf(entries: readonly LogEntry[]): number {
  let chars = 0
  for (const { messages } of entries) for (const { tail, options } of messages) chars += tail.length + options.length
  return chars
}

/** Each entry begins where the one before it ends. */
function isWhole(entries: readonly LogEntry[]): boolean {
  return entries.every((entry, i) => {
    const before = entries[i - 1]
    return before === undefined || entry.first === before.first + before.messages.length
  })
}

/** So many as fit on a page if they are as large as the last ones that are known. */
function sincePageOf(ahead: readonly LogEntry[]): number {
  const last = ahead.slice(-sincePage)
  const most = Math.floor((roomPageChars * last.length) / Math.max(1, charsOf(last)))
  return Math.max(1, Math.min(sincePage, most))
}

function isSame(one: LogEntry, other: LogEntry): boolean {
  return one.first === other.first && JSON.stringify(one) === JSON.stringify(other)
}

/** Four times as many while they are small, fewer when they were more than `most`. */
export function fitting(count: number, chars: number, most: number): number {
  return chars <= most / 4 ? count * 4 : Math.max(1, Math.floor((count * most) / Math.max(1, chars)))
}

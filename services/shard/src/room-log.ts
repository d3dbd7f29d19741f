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
 * more. An entry never changes, and a server that lost the end of a log writes another there: so where the newest entry of
 * `ahead` is found again, those before it are still there too, but for what was trimmed from the front.
 */
export async function readRoomLog(
  store: Store,
  room: string,
  { wanted, ahead = [] }: RoomLogOptions,
): Promise<LogEntry[] | undefined> {
  const known = ahead.at(-1)
  const newestFirst: LogEntry[] = []
  let limit = known === undefined ? firstRoomPage : sincePage
  for (let before = Infinity; ;) {
    if (!wanted()) return undefined
    const page = await store.rooms.tail(room, before, limit)
    const found = known === undefined ? -1 : page.findIndex((entry) => isSame(entry, known))
    newestFirst.push(...(found < 0 ? page : page.slice(0, found)))
    if (found >= 0) return [...ahead, ...newestFirst.toReversed()]
    const oldest = page.at(-1)
    if (oldest === undefined || page.length < limit) return newestFirst.toReversed()
    before = oldest.first
    let chars = 0
    for (const entry of page)
      for (const message of entry.messages) chars += message.tail.length + message.options.length
    limit = Math.min(maxRoomPage, fitting(limit, chars, roomPageChars))
  }
}

function isSame(one: LogEntry, other: LogEntry): boolean {
  return one.first === other.first && JSON.stringify(one) === JSON.stringify(other)
}

/** Four times as many while they are small, fewer when they were more than `most`. */
export function fitting(count: number, chars: number, most: number): number {
  return chars <= most / 4 ? count * 4 : Math.max(1, Math.floor((count * most) / Math.max(1, chars)))
}

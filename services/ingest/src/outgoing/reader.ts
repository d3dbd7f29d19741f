import { eventLogs } from '@flotilla/core/outgoing'
import type { LogEntry } from '@flotilla/core/entry'
import { roomIdleMs } from '@flotilla/core/limits'
import { laneOf } from '@flotilla/core/slot'
import { wait } from '@flotilla/node/backoff'
import type { PolicySource } from '@flotilla/node/policy'
import type { Store } from '@flotilla/node/store/port'
import type { Place, Places } from './cursor.ts'
import { composePage } from './page.ts'
import type { Page, PageLimits, TextEvent } from './page.ts'

/** UTF-16 units of a page, about, and of the entries read for it. */
const maxPageChars = 2_097_152
const maxReadChars = 4_194_304
/** Logs that are looked at for having begun anew, per read that has found something elsewhere. */
const maxLooked = 4
/** Log entries of each slot per read, at the most. */
const maxReadCount = 16
const silentCount = 4

export interface ReadRequest {
  readonly places: Places
  /** Events of the page, at the most. */
  readonly limit: number
  /** Which events are wanted: the others do not count. All when it is left out. */
  shows?(event: TextEvent): boolean
  /** How long to wait for an event when there is none, ms; and then for others that follow it. */
  readonly waitMs: number
  readonly gatherMs: number
  readonly signal: AbortSignal
}

/** Reads outgoing events, of all slots together. Every call rejects with a StoreError, or an UnreadableLogError. */
export interface OutgoingReader {
  read(request: ReadRequest): Promise<Page>
  /** Where what is served begins, and where the logs end, now. */
  starts(): Promise<Places>
  ends(): Promise<Places>
}

export interface ReaderDeps {
  readonly store: Pick<Store, 'rooms' | 'shape'>
  readonly policy: Pick<PolicySource, 'current'>
}

/** An entry may be of a megabyte, and so many of each slot are read: after silence nothing is known of what they are like now. */
function nextCount(count: number, chars: number): number {
  if (chars === 0) return silentCount
  if (chars > maxReadChars) return Math.max(1, Math.floor(count / 2))
  return chars * 2 > maxReadChars ? count : Math.min(maxReadCount, count * 2)
}

export function createReader({ store, policy }: ReaderDeps): OutgoingReader {
  const { slots, lanes } = store.shape
  const names = eventLogs(slots)
  const slotsByName = new Map(names.map((name, slot) => [name, slot]))
  const logs: Logs = { rooms: store.rooms, slots, lanes, names, slotsByName }
  let count = 1
  const sinceMs = (): number => Date.now() - (policy.current.outgoing?.retain.ageMs ?? roomIdleMs)
  const limitsOf = ({ limit, shows = () => true }: ReadRequest): PageLimits => ({
    shows,
    events: limit,
    chars: maxPageChars,
    sinceMs: sinceMs(),
  })
  const readNext = async (places: Places, signal: AbortSignal): Promise<SlotEntries> => {
    const { found, chars } = await readNow(logs, places, { count, signal })
    count = nextCount(count, chars)
    return found
  }
  return {
    read: async (request) => {
      const { places, waitMs, gatherMs, signal } = request
      let found = await readNext(places, signal)
      // Where there is always something new these are never all looked at; a few each time, not always the same, are in the end.
      const looked = found.size === 0 ? [...places] : someOf(places, found)
      found = new Map([...found, ...(await replaced(logs, looked))])
      if (found.size === 0 && waitMs > 0 && !signal.aborted) {
        await awaitAny(logs, places, { waitMs, signal })
        if (gatherMs > 0) await wait(gatherMs, signal).catch(() => undefined)
        found = await readNext(places, signal)
      }
      return composePage(places, found, limitsOf(request))
    },
    starts: async () => {
      const since = sinceMs()
      const begins = await Promise.all(names.map((name) => startOf(store.rooms, name, since)))
      return new Map(begins.flatMap((place, slot): [number, Place][] => (place === undefined ? [] : [[slot, place]])))
    },
    ends: async () => {
      const heads = await Promise.all(names.map((name) => store.rooms.tail(name, Infinity, 1)))
      return new Map(
        heads.flatMap(([head], slot): [number, Place][] =>
          head === undefined ? [] : [[slot, { inc: head.inc, tag: head.tag, seq: lastOf(head) }]],
        ),
      )
    },
  }
}

type SlotEntries = ReadonlyMap<number, readonly LogEntry[]>
interface Logs {
  readonly rooms: Store['rooms']
  readonly slots: number
  readonly lanes: number
  /** By slot, and back. */
  readonly names: readonly string[]
  readonly slotsByName: ReadonlyMap<string, number>
}

const nameOf = ({ names }: Logs, slot: number): string => names[slot] ?? ''

function ofLane(logs: Logs, lane: number, places: Places): ReadonlyMap<string, number> {
  const after = new Map<string, number>()
  for (let slot = 0; slot < logs.slots; slot += 1)
    if (laneOf(slot, logs.lanes) === lane) after.set(nameOf(logs, slot), places.get(slot)?.seq ?? 0)
  return after
}

/** What is there after the places, one lane after the other so that there is never too much of it in memory. */
async function readNow(
  logs: Logs,
  places: Places,
  { count, signal }: { readonly count: number; readonly signal: AbortSignal },
): Promise<{ readonly found: SlotEntries; readonly chars: number }> {
  const { rooms, lanes, slotsByName } = logs
  const found = new Map<number, readonly LogEntry[]>()
  // Not always the same first: those behind it must get their turn.
  const first = Math.floor(Math.random() * lanes)
  let chars = 0
  for (let i = 0; i < lanes && chars < maxReadChars; i += 1) {
    const lane = (first + i) % lanes
    for (const [name, entries] of await rooms.follow(lane, ofLane(logs, lane, places), { blockMs: 0, count, signal })) {
      const slot = slotsByName.get(name) ?? -1
      const place = places.get(slot)
      // Numbers of another life of the log say nothing about this one.
      const other = place === undefined ? undefined : entries.findLast((entry) => !isSameLife(place, entry))
      found.set(
        slot,
        place === undefined || other === undefined ? entries : await fromStart(logs, slot, { place, other }),
      )
      for (const { messages } of entries) for (const { tail } of messages) chars += tail.length
    }
  }
  return { found, chars }
}

/** All of a log that was not read, where what was read of it may be from before a loss: `other` is an entry of another life. */
async function fromStart(
  logs: Logs,
  slot: number,
  { place, other }: { readonly place: Place; readonly other: LogEntry },
): Promise<readonly LogEntry[]> {
  // Of a fleet that began anew with its store, whose numbers are low again, nothing was read.
  const isAnew = !isUnread(place, other)
  for (let after = 0; ;) {
    const page = await logs.rooms.range(nameOf(logs, slot), after, maxReadCount)
    const unread = page.filter((entry) => isAnew || isUnread(place, entry))
    const last = page.at(-1)
    if (unread.length > 0 || last === undefined) return unread
    after = lastOf(last)
  }
}

/** Before the first event of a log that is served; undefined when the log has none at all. */
async function startOf(rooms: Store['rooms'], name: string, sinceMs: number): Promise<Place | undefined> {
  let place: Place | undefined
  for (let after = 0; ;) {
    const page = await rooms.range(name, after, maxReadCount)
    const first = page.find(({ timeMs }) => timeMs >= sinceMs)
    if (first !== undefined) return { inc: first.inc, tag: first.tag, seq: first.first - 1 }
    const last = page.at(-1)
    if (last === undefined) return place
    after = lastOf(last)
    place = { inc: last.inc, tag: last.tag, seq: after }
  }
}

/** Logs that are not what was read any more, though nothing follows it: they began anew, with lower numbers. */
async function replaced(logs: Logs, places: readonly (readonly [number, Place])[]): Promise<SlotEntries> {
  const found = new Map<number, readonly LogEntry[]>()
  const look = async ([slot, place]: readonly [number, Place]): Promise<void> => {
    const [head] = await logs.rooms.tail(nameOf(logs, slot), Infinity, 1)
    if (head === undefined || isSameLife(place, head)) return
    const unread = await fromStart(logs, slot, { place, other: head })
    if (unread.length > 0) found.set(slot, unread)
  }
  await Promise.all(places.map(look))
  return found
}

/** Some of the places of which nothing was found. */
function someOf(places: Places, found: SlotEntries): readonly (readonly [number, Place])[] {
  const others = [...places].filter(([slot]) => !found.has(slot))
  const first = Math.floor(Math.random() * others.length)
  return [...others.slice(first), ...others.slice(0, first)].slice(0, maxLooked)
}

/** Until anything follows the places in any lane, for so long at the most. */
async function awaitAny(
  logs: Logs,
  places: Places,
  { waitMs, signal }: { readonly waitMs: number; readonly signal: AbortSignal },
): Promise<void> {
  const one = new AbortController()
  const either = { blockMs: waitMs, count: 1, signal: AbortSignal.any([signal, one.signal]) }
  const waits = Array.from({ length: logs.lanes }, (_, lane) =>
    logs.rooms.follow(lane, ofLane(logs, lane, places), either),
  )
  try {
    await Promise.race(waits)
  } finally {
    one.abort()
    await Promise.allSettled(waits)
  }
}

const lastOf = ({ first, messages }: LogEntry): number => first + messages.length - 1
/** Incarnations and lives only grow, as long as anybody remembers them. */
function isUnread({ inc, tag, seq }: Place, entry: LogEntry): boolean {
  if (entry.inc !== inc) return entry.inc > inc
  return entry.tag === tag ? lastOf(entry) > seq : entry.tag > tag
}
const isSameLife = ({ inc, tag }: Place, entry: LogEntry): boolean => entry.inc === inc && entry.tag === tag

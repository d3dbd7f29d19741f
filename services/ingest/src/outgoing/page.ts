import type { LogEntry } from '@flotilla/core/entry'
import type { Place, Places } from './cursor.ts'

/** An outgoing event, as its readers get it. */
export interface TextEvent {
  /** `room.occupied` and the like; `''` if it has a form that this version does not know. */
  readonly event: string
  readonly slot: number
  readonly place: Place
  /** Of the room that it is about, if it is about one. */
  readonly roomType: string | undefined
  /** When it was committed, by the clock of its worker, ms since 1970. */
  readonly timeMs: number
  /** The event as JSON. */
  readonly text: string
}

/**
 * Something was not read, and cannot be any more. `trimmed`: the log keeps less, or it is too old to be served. `expired`: the log was not used for
 * a day and is gone; who had read it to its end has missed nothing. `lost`: the fleet cannot prove that nothing was lost.
 */
export interface Gap {
  readonly slot: number
  readonly reason: 'trimmed' | 'expired' | 'lost'
  /** How many events; null: not known. */
  readonly missed: number | null
}

export interface Page {
  readonly events: readonly TextEvent[]
  readonly gaps: readonly Gap[]
  /** Where to read on; where, if only the gaps are to be passed over. */
  readonly places: Places
  readonly afterGaps: Places
}

export interface PageLimits {
  readonly events: number
  /** UTF-16 units after which it ends, with the event that reaches them. */
  readonly chars: number
  /** Events that were committed before this are not served, ms since 1970. */
  readonly sinceMs: number
  /** Which events are on it, and count. */
  shows(event: TextEvent): boolean
}

/** One slot's part of what was read. */
interface Source {
  readonly slot: number
  place: Place | undefined
  readonly entries: readonly LogEntry[]
  /** The entry that is next. */
  at: number
  /** Whether an event of it is on the page. */
  isShown: boolean
}

/**
 * A page of what was read after `places`. The oldest event comes first, but those of a slot in the order of their log. A gap comes before all
 * events of its slot: one that would not is left for the next page.
 */
export function composePage(places: Places, read: ReadonlyMap<number, readonly LogEntry[]>, limits: PageLimits): Page {
  const [next, afterGaps] = [new Map(places), new Map(places)]
  const page: OpenPage = { events: [], gaps: [], chars: 0 }
  const sources = [...read].map(([slot, entries]): Source => ({
    slot,
    place: places.get(slot),
    entries,
    at: 0,
    isShown: false,
  }))
  while (hasRoom(page, limits)) {
    const source = oldest(sources)
    const entry = source?.entries[source.at]
    if (source === undefined || entry === undefined) break
    const gap = gapBefore(source, entry, limits)
    if (gap !== undefined && source.isShown) {
      source.at = source.entries.length
      continue
    }
    const begin = beginOf(source, entry, limits)
    if (gap !== undefined) {
      addGap(page.gaps, gap)
      afterGaps.set(source.slot, { inc: entry.inc, tag: entry.tag, seq: begin - 1 })
    }
    const seq = takeEvents(source, entry, { begin, page, limits })
    source.place = { inc: entry.inc, tag: entry.tag, seq }
    next.set(source.slot, source.place)
    if (seq === lastOf(entry)) source.at += 1
  }
  return { events: page.events, gaps: page.gaps, places: next, afterGaps }
}

interface OpenPage {
  readonly events: TextEvent[]
  readonly gaps: Gap[]
  chars: number
}

const hasRoom = ({ events, chars }: OpenPage, limits: PageLimits): boolean =>
  events.length < limits.events && chars < limits.chars
const lastOf = ({ first, messages }: LogEntry): number => first + messages.length - 1

/** The seq of the first event of the entry that is to be served. */
function beginOf({ place }: Source, entry: LogEntry, { sinceMs }: PageLimits): number {
  if (entry.timeMs < sinceMs) return lastOf(entry) + 1
  const isSame = place?.inc === entry.inc && place.tag === entry.tag
  return isSame ? Math.max(entry.first, place.seq + 1) : entry.first
}

interface Taking {
  readonly begin: number
  readonly page: OpenPage
  readonly limits: PageLimits
}

/** Puts events of the entry on the page, as many as it has room for. Returns the seq of the last one that was looked at. */
function takeEvents(source: Source, entry: LogEntry, { begin, page, limits }: Taking): number {
  let seq = begin - 1
  for (const { tail } of entry.messages.slice(begin - entry.first)) {
    if (!hasRoom(page, limits)) break
    seq += 1
    const event = textEvent(source.slot, entry, { seq, tail })
    if (!limits.shows(event)) continue
    source.isShown = true
    page.events.push(event)
    page.chars += tail.length
  }
  return seq
}

function oldest(sources: readonly Source[]): Source | undefined {
  let first: Source | undefined
  const timeOf = ({ entries, at }: Source): number => entries[at]?.timeMs ?? Infinity
  for (const source of sources) if (timeOf(source) < (first === undefined ? Infinity : timeOf(first))) first = source
  return first
}

/** What is missing between the source's place and the entry. */
function gapBefore({ slot, place }: Source, entry: LogEntry, { sinceMs }: PageLimits): Gap | undefined {
  const last = lastOf(entry)
  const tooOld = entry.timeMs < sinceMs
  if (place === undefined) {
    const missed = tooOld ? last : entry.first - 1
    return missed === 0 ? undefined : { slot, reason: 'trimmed', missed }
  }
  if (place.inc !== entry.inc) return { slot, reason: 'lost', missed: null }
  if (place.tag !== entry.tag) return { slot, reason: 'expired', missed: null }
  const missed = (tooOld ? last + 1 : entry.first) - place.seq - 1
  return missed > 0 ? { slot, reason: 'trimmed', missed } : undefined
}

/** What is missing in one piece is told in one. */
function addGap(gaps: Gap[], gap: Gap): void {
  const at = gaps.findLastIndex(({ slot }) => slot === gap.slot)
  const before = gaps[at]
  if (before?.reason !== 'trimmed' || gap.reason !== 'trimmed') gaps.push(gap)
  else gaps[at] = { ...gap, missed: (before.missed ?? 0) + (gap.missed ?? 0) }
}

const form = /^"event":"([a-z.]+)","data":\{(?:"room":"([a-z][a-z0-9_-]*):)?/

function textEvent(slot: number, entry: LogEntry, { seq, tail }: { seq: number; tail: string }): TextEvent {
  const [, event = '', roomType] = form.exec(tail) ?? []
  const id = [slot, entry.inc, entry.tag, seq].map((part) => part.toString(36)).join('-')
  const time = new Date(entry.timeMs).toISOString()
  const place = { inc: entry.inc, tag: entry.tag, seq }
  return { event, slot, place, roomType, timeMs: entry.timeMs, text: `{"id":"${id}","time":"${time}",${tail}}` }
}

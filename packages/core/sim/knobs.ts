import { feedLimits, laneLimits } from '../src/limits.ts'
import type { FeedLimits, LaneLimits } from '../src/limits.ts'
import type { Random } from './random.ts'

/** What differs from fleet to fleet: limits as they are, or small enough to be reached. */
export interface Knobs {
  readonly lane: LaneLimits
  readonly feed: FeedLimits
  /** Un-acknowledged entries per producer, and bytes of all producers of an edge. */
  readonly window: { readonly entries: number; readonly bytes: number }
  readonly outboxEntries: number
  /** Entries that a read of input brings at the most, per slot. */
  readonly readCount: number
  readonly primaries: number
}

export const largeKnobs: Knobs = {
  lane: laneLimits,
  feed: feedLimits,
  window: { entries: 1_024, bytes: 1_000_000 },
  outboxEntries: 100_000,
  readCount: 20,
  primaries: 1,
}

export function drawKnobs(random: Random): Knobs {
  const { lane, feed, window, outboxEntries, readCount } = largeKnobs
  const tight = random.chance(0.7)
  const small = (usual: number, ...few: readonly number[]): number =>
    tight && random.chance(0.3) ? random.pick(few) : usual
  // What was refused at these is taken two minutes later: such a fleet takes long, so there are few of them.
  const seldom = (usual: number, ...few: readonly number[]): number =>
    tight && random.chance(0.05) ? random.pick(few) : usual
  // Whoever loads a room takes all that its log has for new: these limits are reached where none is loaded again and again.
  const rememberedKeys = seldom(lane.rememberedKeys, 25, 40)
  const fewKeys = rememberedKeys < lane.rememberedKeys
  const historyEvents = fewKeys ? 2 : small(lane.rooms.historyEvents, 2, 10)
  // A room keeps its history, so it must be able to hold more.
  const dedupeMax = historyEvents < 1_000 ? seldom(lane.rooms.dedupeMax, 12, 20) : lane.rooms.dedupeMax
  const chars = seldom(lane.rooms.chars, 250, 400)
  const fills = fewKeys || dedupeMax < lane.rooms.dedupeMax || chars < lane.rooms.chars
  return {
    lane: {
      commitMessages: small(lane.commitMessages, 1, 3, 8),
      commitBytes: small(lane.commitBytes, 100, 400),
      retainedBytes: small(lane.retainedBytes, 500, 2_000, 8_000),
      loadedRooms: fills ? lane.loadedRooms : small(lane.loadedRooms, 1, 2),
      rememberedKeys,
      rooms: {
        ...lane.rooms,
        dedupeMax,
        historyEvents,
        chars,
        trimStep: fewKeys ? 1 : small(lane.rooms.trimStep, 1, 4),
      },
    },
    feed: {
      heldEvents: small(feed.heldEvents, 1, 4),
      heldChars: small(feed.heldChars, 20, 60),
      page: small(feed.page, 1, 3),
    },
    window: { entries: small(window.entries, 2, 5), bytes: small(window.bytes, 2_000, 5_000) },
    outboxEntries: small(outboxEntries, 5, 20),
    readCount: small(readCount, 1, 3),
    primaries: random.pick([1, 2, 2]),
  }
}

import { performance } from 'node:perf_hooks'

/** A rest shorter than this is none: timers count whole milliseconds. */
const leastRestMs = 0.5

export interface ReadPaceOptions {
  /** Reads begin so far apart when little comes, ms, and at the most so far apart however much does. */
  readonly leastMs: number
  readonly mostMs: number
  /** They are 1 ms further apart for each so much that comes in a millisecond, UTF-16 units. */
  readonly charsPerMs: number
}

/**
 * How far apart a busy reader begins its reads: what comes meanwhile shares one read, and whatever that read leads to. The
 * more comes, the more what a read and a commit cost, however little they carry, outweighs the delay (docs/performance.md).
 */
export interface ReadPace {
  /** A read begins. */
  begin(): void
  /** Resolves when the next one may, after one that brought so much. */
  rest(chars: number): Promise<void>
}

export function createReadPace(options: ReadPaceOptions): ReadPace {
  let beganAtMs = -Infinity
  let beforeMs = -Infinity
  return {
    begin: () => {
      beforeMs = beganAtMs
      beganAtMs = performance.now()
    },
    rest: async (chars) => {
      const restMs = apartMs(options, chars, beganAtMs - beforeMs) - (performance.now() - beganAtMs)
      if (restMs > leastRestMs) await new Promise((resolve) => setTimeout(resolve, restMs))
    },
  }
}

/** How far after the last read the next one begins, when that brought so much of what came in so long. */
export function apartMs({ leastMs, mostMs, charsPerMs }: ReadPaceOptions, chars: number, inMs: number): number {
  // Two reads closer than the least say nothing of what comes: the second brought what the first left behind.
  const perMs = chars / Math.max(leastMs, inMs)
  return Math.min(mostMs, leastMs + perMs / charsPerMs)
}

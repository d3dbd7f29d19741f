import { createBucket, take } from '@flotilla/core/bucket'
import { createPeak } from './peak.ts'

export interface GateOptions {
  /** Who may come through per second. */
  readonly perSecond: number
  /** Nobody waits longer, ms, and never more wait than come through in that time. */
  readonly waitMs: number
  readonly slowStart?: SlowStart
}

/** How the pace of a crowd grows while it waits: from this part of it to all of it after so long. */
export interface SlowStart {
  readonly from: number
  readonly overMs: number
}

export interface Waiting {
  /** Comes through. False: it was gone or not wanted any more, and took nobody's place. */
  go(waitedMs: number): boolean
  /** Has waited too long. */
  giveUp(): void
}

/** Holds a crowd back, in order, and lets it through at a pace. */
export interface Gate {
  /** Lets it through now or later; false when too many wait already. */
  enter(who: Waiting): boolean
  readonly waiting: number
  /** How long who came through in the last second or two waited, or who waits first has by now, ms: the longest. */
  longestWaitMs(): number
  /** Whoever waits gives up, and nobody enters any more. */
  close(): void
}

/** At once, while nobody waits: what comes within so long, s. */
const burstSeconds = 0.05
const stepMs = 10
/** Ten tenths are less than one. */
const rounding = 1e-9

/**
 * A step that is late lets through what was due meanwhile, up to so much, s: an event loop that is busy with those who came
 * before gets no more, so who is connected already is served in between.
 */
const mostLateSeconds = 0.03

/** Who has to wait so soon after a crowd belongs to it, ms. */
const sameCrowdMs = 1_000
const noSlowStart: SlowStart = { from: 1, overMs: 1 }

export function createGate({ perSecond, waitMs, slowStart = noSlowStart }: GateOptions): Gate {
  const atOnce = createBucket({ capacity: Math.max(1, perSecond * burstSeconds), refillPerSecond: perSecond })
  // A pace of one a second lets the last one through just when its time is over.
  const patienceMs = waitMs + 10 * stepMs
  let waiting: { readonly who: Waiting; readonly sinceMs: number }[] = []
  let credit = 0
  let steppedAtMs = 0
  let crowdSinceMs = 0
  const longest = createPeak()
  let closed = false
  const waited = (nowMs: number): number => nowMs - (waiting[0]?.sinceMs ?? nowMs)

  function step(): void {
    const nowMs = performance.now()
    const lateSeconds = Math.min((nowMs - steppedAtMs) / 1_000, mostLateSeconds)
    credit += perSecond * partOfPace(nowMs - crowdSinceMs, slowStart) * lateSeconds
    steppedAtMs = nowMs
    longest.note(waited(nowMs))
    let next = 0
    for (; next < waiting.length; next += 1) {
      const first = waiting[next]
      if (first === undefined) break
      if (nowMs - first.sinceMs > patienceMs) first.who.giveUp()
      else if (credit + rounding < 1) break
      else if (first.who.go(nowMs - first.sinceMs)) credit -= 1
    }
    waiting = waiting.slice(next)
    if (waiting.length > 0) setTimeout(step, stepMs).unref()
    else credit = 0
  }

  return {
    get waiting() {
      return waiting.length
    },
    longestWaitMs: () => Math.max(longest.value, waited(performance.now())),
    close: () => {
      closed = true
      const all = waiting
      waiting = []
      for (const { who } of all) who.giveUp()
    },
    enter: (who) => {
      if (closed) return false
      const nowMs = performance.now()
      if (waiting.length === 0 && take(atOnce, 1, nowMs).ok) {
        who.go(0)
        return true
      }
      if (waiting.length === 0) {
        if (nowMs - steppedAtMs > sameCrowdMs) crowdSinceMs = nowMs
        steppedAtMs = nowMs
        setTimeout(step, stepMs).unref()
      }
      const comeThrough = perSecond * fullSeconds(nowMs - crowdSinceMs, waitMs, slowStart)
      if (waiting.length >= Math.max(1, Math.floor(comeThrough + rounding))) return false
      waiting.push({ who, sinceMs: nowMs })
      return true
    },
  }
}

function partOfPace(sinceMs: number, { from, overMs }: SlowStart): number {
  return Math.min(1, from + ((1 - from) * sinceMs) / overMs)
}

/** In how many seconds of its full pace as many come through as within `waitMs` of a crowd of that age. */
function fullSeconds(ageMs: number, waitMs: number, slowStart: SlowStart): number {
  const slowMs = Math.max(0, Math.min(waitMs, slowStart.overMs - ageMs))
  const slowParts = (partOfPace(ageMs, slowStart) + partOfPace(ageMs + slowMs, slowStart)) / 2
  return (slowMs * slowParts + waitMs - slowMs) / 1_000
}

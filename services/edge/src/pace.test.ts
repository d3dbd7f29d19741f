import { describe, expect, test } from 'vitest'
import { demandOf, nextLevel, stretchesMs, waitMs } from './pace.ts'
import type { Level } from './pace.ts'

const idle = { utilization: 0.05, cpu: 0.05, ticking: 0.02, writes: 100, unmerged: 100 }

/** A room whose tick costs so much, and so many events per second, judged ten times a second for so long. */
function settle(load: { events: number; tickMs: number; base?: number }, from: Level = 0): Level {
  let level = from
  for (let i = 0; i < 50; i++) {
    const stretch = stretchesMs[level]
    const possible = 1_000 / Math.max(stretch, load.tickMs)
    const ticks = Math.min(load.events, possible)
    const ticking = (ticks * load.tickMs) / 1_000
    const utilization = Math.min(1, ticking + (load.base ?? 0.02))
    level = nextLevel(
      level,
      demandOf({ utilization, cpu: utilization, ticking, writes: ticks * 1_000, unmerged: load.events * 1_000 }),
    )
  }
  return level
}

describe('when ticks stretch', () => {
  test('[TK1] a loop that is idle writes at once, also after a burst', () => {
    expect(nextLevel(0, demandOf(idle))).toBe(0)
    expect(settle({ events: 0, tickMs: 10 }, 3)).toBe(0)
    expect(waitMs(0, 0)).toBe(0)
  })

  test('[TK1] nobody waits in a room of 1,000 with 50 events a second, from whatever level it comes', () => {
    for (const level of [0, 1, 2, 3] as const) expect(settle({ events: 25, tickMs: 9 }, level)).toBe(0)
    expect(settle({ events: 50, tickMs: 8 })).toBe(0)
    expect(settle({ events: 50, tickMs: 8 }, 3)).toBe(0)
  })

  test('[TK2] the more the loop would have to do, the longer ticks wait, up to 40 ms', () => {
    expect(settle({ events: 100, tickMs: 9 })).toBe(1)
    expect(settle({ events: 150, tickMs: 9 })).toBe(2)
    expect(settle({ events: 1_000, tickMs: 12 })).toBe(3)
    expect(nextLevel(0, 100)).toBe(3)
  })

  test('[TK2] work that is not writing counts too', () => {
    expect(nextLevel(0, demandOf({ ...idle, utilization: 0.95, cpu: 0.95 }))).toBe(1)
  })

  test('[TK2] that others have the core is no reason to wait', () => {
    const crowded = { utilization: 0.9, ticking: 0.6, writes: 2_000, unmerged: 2_000 }
    expect(nextLevel(0, demandOf({ ...crowded, cpu: 0.3 }))).toBe(0)
    expect(nextLevel(0, demandOf({ ...crowded, cpu: 0.9 }))).toBe(1)
  })

  test('[TK3] the demand does not depend on the level, so that a level once reached is kept under a steady load', () => {
    const load = { events: 200, tickMs: 9 }
    const reached = settle(load)
    for (const level of [0, 1, 2, 3] as const) expect(Math.abs(settle(load, level) - reached)).toBeLessThanOrEqual(1)
    expect(settle(load, reached)).toBe(reached)
  })

  test('[TK3] a level is left only when the demand is clearly below where it begins, one at a time', () => {
    expect([nextLevel(1, 0.59), nextLevel(1, 0.46), nextLevel(1, 0.44)]).toEqual([1, 1, 0])
    expect([nextLevel(3, 1.6), nextLevel(3, 1.4), nextLevel(3, 0)]).toEqual([3, 2, 2])
  })

  test('[TK4] only what follows closely waits: a tick after a silence is at once', () => {
    expect(waitMs(3, 100)).toBe(0)
    expect(waitMs(3, 15)).toBe(25)
    expect(waitMs(1, 10)).toBe(0)
  })
})

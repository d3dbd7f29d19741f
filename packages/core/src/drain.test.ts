import { describe, expect, it } from 'vitest'
import { startDrain, stepDrain } from './drain.ts'
import type { DrainLimits, DrainState } from './drain.ts'

const limits: DrainLimits = { timeoutMs: 20_000, settleMs: 1_000, graceMs: 5_000, perSecond: 50 }
const start = (more: Partial<DrainLimits> = {}): DrainState => startDrain({ ...limits, ...more }, 0)
const busy = { open: 1_000, untold: 10_000, alone: false, granted: 400, movesMs: [] as readonly number[] }

/** What is told from one time to another, asked every 50 ms. */
function told(
  state: DrainState,
  fromMs: number,
  toMs: number,
  view: Partial<typeof busy> | { granted: null } = {},
): number {
  let sum = 0
  for (let now = fromMs; now < toMs; now += 50) sum += stepDrain(state, { ...busy, ...view }, now).tell
  return sum
}

describe('an edge that drains', () => {
  it('[DR1] takes connections and tells nobody until it has settled, then takes none', () => {
    const state = start()
    expect(stepDrain(state, busy, 999)).toMatchObject({ admits: true, tell: 0, close: 0 })
    expect(stepDrain(state, busy, 1_000)).toMatchObject({ admits: false, close: 0 })
  })

  it('[DR2] tells its clients to move at half of the pace that control grants, and never in a second more than that', () => {
    const state = start()
    expect(told(state, 1_000, 6_000)).toBeLessThanOrEqual(200 * 5 + 20)
    expect(told(state, 6_000, 7_000)).toBe(200)
    // Nor in any second of a settled edge's first ones, with what was saved up.
    const fresh = start()
    for (let now = 0; now < 1_000; now += 50) stepDrain(fresh, busy, now)
    expect(told(fresh, 1_000, 2_000)).toBeLessThan(400)
    expect(stepDrain(start(), { ...busy, untold: 3 }, 1_000).tell).toBe(3)
  })

  it('[DR2] a pace below one per step still goes on', () => {
    expect(told(start(), 1_000, 11_000, { granted: 2 })).toBeGreaterThanOrEqual(9)
  })

  it('[DR2] without a grant waits for one, and goes on at a pace of its own when control is away', () => {
    const state = start()
    expect(told(state, 1_000, 4_000, { granted: null })).toBe(0)
    expect(told(state, 4_000, 5_000, { granted: null })).toBeLessThanOrEqual(50 + 5)
    expect(told(state, 5_000, 6_000, { granted: null })).toBe(50)
    expect(told(state, 6_000, 7_000)).toBeGreaterThanOrEqual(199)
  })

  it('[DR3] closes whoever is still there after the grace, and nobody before', () => {
    expect(stepDrain(start(), busy, 7_000).closeToldBeforeMs).toBe(2_000)
    expect(stepDrain(start(), busy, 7_000).close).toBe(0)
  })

  it('[DR8] where moves take long, waits five times as long as they do, until the deadline', () => {
    const state = start()
    const after = (movesMs: readonly number[], nowMs: number) =>
      nowMs - stepDrain(state, { ...busy, movesMs }, nowMs).closeToldBeforeMs
    expect(after(Array<number>(100).fill(300), 7_000)).toBe(5_000)
    // One that is slow changes nothing.
    expect(after([4_900], 8_000)).toBe(5_000)
    const all = { untold: 0 }
    const then = (movesMs: readonly number[], nowMs: number) =>
      nowMs - stepDrain(state, { ...busy, ...all, movesMs }, nowMs).closeToldBeforeMs
    expect(then(Array<number>(100).fill(1_500), 9_000)).toBeGreaterThan(7_000)
    expect(then([], 9_500)).toBeLessThanOrEqual(7_500)
    // Who leaves late for a reason of its own holds nobody up for longer than twice the grace.
    expect(then(Array<number>(100).fill(4_900), 9_600)).toBe(10_000)
    expect(stepDrain(state, busy, 20_000).close).toBe(100)
  })

  it('[DR8] those that never move are closed at the pace at which they were told, and not all at the deadline', () => {
    const state = start({ timeoutMs: 20_000, graceMs: 5_000 })
    const told: number[] = []
    const closed: number[] = []
    let untold = 1_000
    for (let now = 0; now <= 20_000; now += 50) {
      // 20 others leave each second, late.
      const step = stepDrain(
        state,
        { ...busy, granted: 200, untold, open: untold + told.length, movesMs: [4_900] },
        now,
      )
      untold -= step.tell
      for (let i = 0; i < step.tell; i += 1) told.push(now)
      const late = told.findIndex((at) => at >= step.closeToldBeforeMs)
      closed.push(...told.splice(0, late === -1 ? told.length : late).map(() => now))
    }
    expect(untold).toBe(0)
    expect(told.length).toBeLessThan(20)
    const inSecond = (second: number): number => closed.filter((at) => Math.floor(at / 1_000) === second).length
    for (let second = 0; second <= 20; second += 1) expect(inSecond(second)).toBeLessThanOrEqual(200)
  })

  it('[DR4] at the deadline, however short, everybody is closed, in batches', () => {
    expect(stepDrain(start(), busy, 20_000)).toMatchObject({ admits: false, tell: 0, close: 100 })
    expect(stepDrain(start(), { ...busy, open: 20_000 }, 20_000).close).toBe(1_000)
    expect(stepDrain(start({ timeoutMs: 0 }), busy, 0)).toMatchObject({ admits: false, close: 100 })
  })

  it('[DR5] the last edge tells nobody to go where there is nothing: it closes them at once', () => {
    expect(stepDrain(start(), { ...busy, alone: true }, 0)).toMatchObject({ admits: false, tell: 0, close: 100 })
  })
})

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createGate } from './gate.ts'
import type { Gate, Waiting } from './gate.ts'

let now = 0
beforeEach(() => {
  now = 0
  vi.useFakeTimers({ toFake: ['setTimeout'] })
  vi.spyOn(performance, 'now').mockImplementation(() => now)
})
afterEach(() => {
  vi.restoreAllMocks()
  vi.useRealTimers()
})

/** Steps are 10 ms apart; a late one has taken `lateMs` more. */
function pass(ms: number, lateMs = 0): void {
  for (let at = 0; at < ms; at += 10) {
    now += 10 + lateMs
    vi.advanceTimersByTime(10)
  }
}

/** Lets number after number enter, and notes who came through and who gave up. */
function crowd(gate: Gate) {
  const through: number[] = []
  const gaveUp: number[] = []
  const gone = new Set<number>()
  const who = (i: number): Waiting => ({
    go: () => !gone.has(i) && through.push(i) > 0,
    giveUp: () => void gaveUp.push(i),
  })
  const enter = (count: number, from = 0): boolean[] =>
    Array.from({ length: count }, (_, i) => gate.enter(who(from + i)))
  return { through, gaveUp, gone, enter }
}

describe('the gate', () => {
  test('[EG27] lets a few through at once, the others at its pace and in order, and no more than can wait', () => {
    const gate = createGate({ perSecond: 1_000, waitMs: 100 })
    const { through, gaveUp, enter } = crowd(gate)
    const entered = enter(200)
    expect(through.length).toBe(50)
    expect(entered.filter(Boolean).length).toBe(150)
    pass(50)
    expect(through.length).toBe(100)
    expect(enter(1, 200)).toEqual([true])
    pass(60)
    expect(through).toEqual([...Array.from({ length: 150 }, (_, i) => i), 200])
    expect([gate.waiting, gaveUp.length]).toEqual([0, 0])
  })

  test('[DR7] tells how long who came through waited, or who waits first has by now', () => {
    const gate = createGate({ perSecond: 100, waitMs: 1_000 })
    const { enter } = crowd(gate)
    expect(gate.longestWaitMs()).toBe(0)
    enter(45)
    expect(gate.longestWaitMs()).toBe(0)
    pass(300)
    expect(gate.longestWaitMs()).toBe(300)
    expect(gate.longestWaitMs()).toBe(300)
    pass(200)
    expect([gate.waiting, gate.longestWaitMs()]).toEqual([0, 400])
    pass(2_000)
    expect(gate.longestWaitMs()).toBe(0)
  })

  test.each([3, 10, 60, 150, 199, 250, 999])('[EG27] a pace of %i a second is kept', (perSecond) => {
    const { through, enter } = crowd(createGate({ perSecond, waitMs: 10_000 }))
    enter(perSecond * 9)
    const atOnce = through.length
    pass(8_000)
    expect(Math.abs(through.length - atOnce - perSecond * 8)).toBeLessThanOrEqual(1)
  })

  test('[EG27] with a slow start the pace of a crowd grows, and no more wait than come through in time', () => {
    const gate = createGate({ perSecond: 1_000, waitMs: 3_000, slowStart: { from: 0.2, overMs: 2_000 } })
    const { through, gaveUp, enter } = crowd(gate)
    // At once 50; in two seconds 0.2 to 1 of the pace, and all of it in one.
    expect(enter(5_000).filter(Boolean).length).toBe(50 + 1_200 + 1_000)
    const passed = [1_000, 1_000, 1_000].map((ms) => {
      const before = through.length
      pass(ms)
      return through.length - before
    })
    const off = [400, 800, 1_000].map((expected, i) => Math.abs(expected - (passed[i] ?? 0)))
    expect(Math.max(...off)).toBeLessThanOrEqual(5)
    pass(50)
    expect([gate.waiting, gaveUp.length]).toEqual([0, 0])
    // A handful that waits soon after is let in at the whole pace, the next crowd slowly again.
    now += 500
    enter(550, 50_000)
    const soon = through.length
    pass(100)
    expect(Math.abs(through.length - soon - 100)).toBeLessThanOrEqual(2)
    pass(1_000)
    now += 10_000
    enter(1_000, 5_000)
    const before = through.length
    pass(500)
    expect(Math.abs(through.length - before - 150)).toBeLessThanOrEqual(2)
  })

  test('[EG27] after the slow start more may wait than before it; at one a second nobody waits in vain', () => {
    const slowStart = { from: 0.3, overMs: 4_000 }
    const gate = createGate({ perSecond: 1_000, waitMs: 3_000, slowStart })
    const { enter, through, gaveUp } = crowd(gate)
    expect(enter(5_000).filter(Boolean).length).toBe(50 + 1_687)
    for (let i = 0; i < 40; i += 1) {
      pass(100)
      enter(1_000, 10_000 + 1_000 * i)
    }
    expect(Math.abs(gate.waiting - 3_000)).toBeLessThanOrEqual(10)
    pass(4_000)
    expect(gaveUp.length).toBe(0)
    const slow = crowd(createGate({ perSecond: 1, waitMs: 3_000, slowStart }))
    slow.enter(10)
    pass(5_000)
    expect([slow.through.length, slow.gaveUp.length]).toEqual([2, 0])
    expect(through.length).toBeGreaterThan(3_000)
  })

  test('[EG27] who has left meanwhile takes nobody’s place', () => {
    const gate = createGate({ perSecond: 100, waitMs: 1_000 })
    const { through, gone, enter } = crowd(gate)
    enter(105)
    for (let i = 5; i < 100; i += 1) gone.add(i)
    pass(50)
    expect(through).toEqual([0, 1, 2, 3, 4, 100, 101, 102, 103, 104])
    expect(gate.waiting).toBe(0)
  })

  test('[EG27] when it closes whoever waits gives up, and nobody enters', () => {
    const gate = createGate({ perSecond: 100, waitMs: 1_000 })
    const { through, gaveUp, enter } = crowd(gate)
    enter(8)
    gate.close()
    expect([through.length, gaveUp.length, gate.waiting]).toEqual([5, 3, 0])
    expect(enter(1)).toEqual([false])
    pass(100)
    expect(through.length).toBe(5)
  })

  test('[EG27] an event loop that is late gets little more for it, and who has waited too long is told', () => {
    const gate = createGate({ perSecond: 1_000, waitMs: 500 })
    const { through, gaveUp, enter } = crowd(gate)
    enter(550)
    pass(50, 90)
    expect([through.length, gate.waiting, gaveUp.length]).toEqual([50 + 150, 350, 0])
    pass(20, 90)
    expect([through.length, gate.waiting, gaveUp.length]).toEqual([50 + 180, 0, 320])
  })
})

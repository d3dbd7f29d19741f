import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createGates } from './gates.ts'

let now = 0
beforeEach(() => {
  now = 100_000
  vi.useFakeTimers({ toFake: ['setTimeout'] })
  vi.spyOn(performance, 'now').mockImplementation(() => now)
})
afterEach(() => {
  vi.restoreAllMocks()
  vi.useRealTimers()
})

/** So many of each kind come per second, for so long: how long those who come back waited, and how many did in vain. */
function load(seconds: number, { newcomers, back }: { newcomers: number; back: number }) {
  const gates = createGates({ acceptsPerSecond: 300, resumesPerSecond: 780 })
  const waits: number[] = []
  let [refused, newcomersIn] = [0, 0]
  const come = (returns: boolean): void => {
    const cameAt = now
    const giveUp = (): void => void (refused += returns ? 1 : 0)
    const through = (): boolean => {
      if (returns) waits.push(now - cameAt)
      else newcomersIn += 1
      return true
    }
    const read = (): boolean => {
      const entered = (returns ? gates.resumes : gates.accepts).enter({ go: through, giveUp })
      if (!entered) giveUp()
      return true
    }
    if (!gates.reads.enter({ go: read, giveUp })) giveUp()
  }
  let [due, dueBack] = [0, 0]
  for (let at = 0; at < seconds * 1_000; at += 10) {
    now += 10
    vi.advanceTimersByTime(10)
    for (due += newcomers / 100; due >= 1; due -= 1) come(false)
    for (dueBack += back / 100; dueBack >= 1; dueBack -= 1) come(true)
  }
  return { refused, newcomersIn, longest: Math.max(...waits), got: waits.length }
}

describe('the gates of an edge', () => {
  test('[EG23] newcomers at three times their rate do not hold up those who come back at half of theirs', () => {
    const { refused, longest, got, newcomersIn } = load(20, { newcomers: 900, back: 390 })
    expect(refused).toBe(0)
    expect(got).toBeGreaterThan(20 * 390 - 50)
    expect(longest).toBeLessThan(100)
    // They are let in at their own rate meanwhile.
    expect(Math.abs(newcomersIn - 20 * 300)).toBeLessThan(100)
  })

  test('[EG23] at one per second four of six wait for one to four seconds, and the last is refused at once', () => {
    const gates = createGates({ acceptsPerSecond: 1, resumesPerSecond: 1 })
    const began = now
    const through: number[] = []
    const go = (): boolean => through.push(now - began) > 0
    const giveUp = (): void => void through.push(-1)
    const entered = Array.from({ length: 6 }, () => gates.accepts.enter({ go, giveUp }))
    expect(entered).toEqual([true, true, true, true, true, false])
    for (let i = 0; i < 600; i += 1) {
      now += 10
      vi.advanceTimersByTime(10)
    }
    expect(through.map((ms) => Math.round(ms / 100) / 10)).toEqual([0, 1, 2, 3, 4])
  })

  test('[EG27] nobody of a crowd of five thousand who come back is turned away, and all are in within 9.2 s', () => {
    const gates = createGates({ acceptsPerSecond: 300, resumesPerSecond: 780 })
    let [turnedAway, through, lastAt] = [0, 0, 0]
    const giveUp = (): void => void (turnedAway += 1)
    const go = (): boolean => {
      lastAt = now
      return (through += 1) > 0
    }
    const read = (): boolean => {
      if (!gates.resumes.enter({ go, giveUp })) giveUp()
      return true
    }
    const began = now
    for (let i = 0; i < 5_000; i += 1) if (!gates.reads.enter({ go: read, giveUp })) giveUp()
    for (let i = 0; i < 1_000; i += 1) {
      now += 10
      vi.advanceTimersByTime(10)
    }
    expect([through, turnedAway]).toEqual([5_000, 0])
    expect(lastAt - began).toBeLessThan(9_200)
  })
})

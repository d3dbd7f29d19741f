import { describe, expect, test } from 'vitest'
import { startAging, stepAging } from './age.ts'

const limits = { ageMs: 1_000, graceMs: 100 }
const at = (nowMs: number, edges = 3, random = 0.5) => ({ nowMs, edges, random })

describe('how old a connection becomes', () => {
  test('[EG26] at its age it is told to move, and closed when it has not within the grace', () => {
    const aging = startAging(limits, 0, 0.5)
    expect([999, 1_000, 1_001, 1_099, 1_100].map((nowMs) => stepAging(aging, limits, at(nowMs)))).toEqual([
      ...['stay', 'tell', 'stay', 'stay', 'close'],
    ])
  })

  test('[EG26] ages differ by a quarter either way, and 0 is no age', () => {
    expect([0, 0.999].map((random) => startAging(limits, 0, random).dueAtMs)).toEqual([750, 1_249.5])
    expect(startAging({ ...limits, ageMs: 0 }, 0, 0.5).dueAtMs).toBe(Infinity)
  })

  test('[EG26] below three edges nobody is told, and with the third one not everybody at once', () => {
    const [one, other] = [startAging(limits, 0, 0.5), startAging(limits, 0, 0.5)]
    expect(stepAging(one, limits, at(1_000, 2, 0.1))).toBe('stay')
    expect(stepAging(other, limits, at(1_000, 2, 0.9))).toBe('stay')
    expect(stepAging(one, limits, at(1_100))).toBe('tell')
    expect(stepAging(other, limits, at(1_100))).toBe('stay')
    expect(stepAging(other, limits, at(1_900))).toBe('tell')
  })
})

import { describe, expect, it } from 'vitest'
import { apartMs } from './read-pace.ts'

const lane = { leastMs: 4, mostMs: 16, charsPerMs: 2_048 }

describe('how far apart reads begin', () => {
  it('is the least after a silence, and when little comes', () => {
    expect(apartMs(lane, 400, Infinity)).toBe(4)
    expect(apartMs(lane, 800, 4)).toBeCloseTo(4.1, 1)
  })

  it('grows with what comes in a time, not with what one read brings: it does not depend on itself', () => {
    const perMs = 8_192
    for (const inMs of [4, 8, 16]) expect(apartMs(lane, perMs * inMs, inMs)).toBe(8)
  })

  it('has an end', () => {
    expect(apartMs(lane, 4_194_304, 16)).toBe(16)
  })
})

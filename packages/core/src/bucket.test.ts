import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createBucket, take } from './bucket.ts'

const shape = fc.record({
  capacity: fc.integer({ min: 1, max: 1_000 }),
  refillPerSecond: fc.oneof(fc.integer({ min: 1, max: 10_000 }), fc.double({ min: 0.01, max: 100, noNaN: true })),
})
const steps = fc.array(fc.record({ n: fc.nat(50), waitMs: fc.nat(2_000) }), { maxLength: 200 })

describe('token bucket', () => {
  test('[BK1] starts full and refills at its rate', () => {
    const bucket = createBucket({ capacity: 2, refillPerSecond: 10 })
    expect(take(bucket, 2, 1_000)).toEqual({ ok: true })
    expect(take(bucket, 1, 1_000)).toEqual({ ok: false, retryAfterMs: 100 })
    expect(take(bucket, 1, 1_099)).toEqual({ ok: false, retryAfterMs: 1 })
    expect(take(bucket, 1, 1_100)).toEqual({ ok: true })
  })

  test('[BK1] takes all or nothing: a refused take costs nothing', () => {
    const bucket = createBucket({ capacity: 5, refillPerSecond: 1 })
    expect(take(bucket, 3, 0).ok).toBe(true)
    expect(take(bucket, 3, 0)).toEqual({ ok: false, retryAfterMs: 1_000 })
    expect(take(bucket, 2, 0).ok).toBe(true)
    expect(take(bucket, 0, 0).ok).toBe(true)
  })

  test('[BK2] never holds more than its capacity, whatever the clock does', () => {
    const clock = fc.array(fc.record({ n: fc.nat(50), nowMs: fc.integer({ min: -1e12, max: 1e12 }) }))
    fc.assert(
      fc.property(shape, clock, (options, takes) => {
        const bucket = createBucket(options)
        for (const { n, nowMs } of takes) {
          const taken = take(bucket, n, nowMs)
          expect(bucket.tokens).toBeLessThanOrEqual(options.capacity)
          if (!taken.ok) expect(taken.retryAfterMs >= 1 && Number.isInteger(taken.retryAfterMs)).toBe(true)
        }
      }),
    )
  })

  test('[BK2] grants at most the capacity (or one larger take) and what the time refilled', () => {
    fc.assert(
      fc.property(shape, steps, (options, takes) => {
        const bucket = createBucket(options)
        let nowMs = 0
        let granted = 0
        for (const { n, waitMs } of takes) {
          nowMs += waitMs
          if (take(bucket, n, nowMs).ok) granted += n
        }
        const refilled = (nowMs * options.refillPerSecond) / 1000
        expect(granted).toBeLessThanOrEqual(Math.max(options.capacity, 50) + refilled + 1e-3)
      }),
    )
  })

  test('[BK3] after retryAfterMs the same take is granted, and not a moment before', () => {
    fc.assert(
      fc.property(shape, steps, fc.integer({ min: 1, max: 50 }), (options, takes, n) => {
        const bucket = createBucket(options)
        let nowMs = 5_000_000
        for (const step of takes) take(bucket, step.n, (nowMs += step.waitMs))
        const taken = take(bucket, n, nowMs)
        if (taken.ok) return
        if (taken.retryAfterMs > 1) expect(take({ ...bucket }, n, nowMs + taken.retryAfterMs - 1.01).ok).toBe(false)
        expect(take(bucket, n, nowMs + taken.retryAfterMs).ok).toBe(true)
      }),
      { numRuns: 500 },
    )
  })

  test('[BK4] a take larger than the capacity waits for a full bucket and is paid off afterwards', () => {
    const bucket = createBucket({ capacity: 10, refillPerSecond: 10 })
    expect(take(bucket, 25, 0)).toEqual({ ok: true })
    expect(take(bucket, 1, 0)).toEqual({ ok: false, retryAfterMs: 1_600 })
    expect(take(bucket, 25, 0)).toEqual({ ok: false, retryAfterMs: 2_500 })
    expect(take(bucket, 25, 2_500)).toEqual({ ok: true })
  })

  test('[BK5] a clock that goes back refills nothing and stalls nothing', () => {
    const bucket = createBucket({ capacity: 2, refillPerSecond: 1 })
    expect(take(bucket, 2, 100_000).ok).toBe(true)
    expect(take(bucket, 1, 1_000)).toEqual({ ok: false, retryAfterMs: 1_000 })
    expect(take(bucket, 1, 2_000)).toEqual({ ok: true })
  })

  test('[BK6] numbers that make no sense are refused', () => {
    for (const bad of [0, -1, Number.NaN, Infinity]) {
      expect(() => createBucket({ capacity: bad, refillPerSecond: 1 })).toThrow(RangeError)
      expect(() => createBucket({ capacity: 1, refillPerSecond: bad })).toThrow(RangeError)
    }
    const bucket = createBucket({ capacity: 1, refillPerSecond: 1 })
    for (const bad of [-1, Number.NaN, Infinity]) expect(() => take(bucket, bad, 0)).toThrow(RangeError)
  })
})

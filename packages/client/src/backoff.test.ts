import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fullJitterMs, hintedMs, nextStep, restartJitterMs } from './backoff.ts'

const options = { minMs: 500, maxMs: 30_000, maxAttempts: Infinity }
const ended = { closeCode: 1006, hintMs: undefined, attempt: 0, canRefreshToken: false }
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })

describe('back-off', () => {
  test('[CC7] full jitter: between 0 and min(maxMs, minMs × 2^n) (CL1)', () => {
    fc.assert(
      fc.property(fc.nat(5_000), random, (attempt, r) => {
        const ms = fullJitterMs(attempt, options, r)
        expect(ms).toBeGreaterThanOrEqual(0)
        expect(ms).toBeLessThanOrEqual(Math.min(30_000, 500 * 2 ** attempt))
      }),
    )
    expect([0, 1, 2, 5, 6, 7].map((n) => fullJitterMs(n, options, 0.5))).toEqual([
      250, 500, 1_000, 8_000, 15_000, 15_000,
    ])
  })

  test('[CC7] never before the hint of the server, and at the most twice as late (CL1)', () => {
    fc.assert(
      fc.property(fc.integer({ min: 100, max: 60_000 }), random, (hintMs, r) => {
        const ms = hintedMs(hintMs, r)
        expect(ms).toBeGreaterThanOrEqual(hintMs)
        expect(ms).toBeLessThanOrEqual(hintMs * 2)
      }),
    )
    expect(nextStep({ ...ended, closeCode: 1013, hintMs: 4_000 }, options, 0.5)).toMatchObject({
      type: 'wait',
      ms: 6_000,
    })
  })

  test('[CC7] a restart is answered at once with a small jitter, the second time with the usual back-off', () => {
    expect(nextStep({ ...ended, closeCode: 1012 }, options, 0.99)).toMatchObject({ ms: 0.99 * restartJitterMs })
    expect(nextStep({ ...ended, closeCode: 1012, attempt: 3 }, options, 0.5)).toMatchObject({ ms: 2_000 })
  })

  test('[CC7] terminal codes and spent attempts stop; any other code goes on', () => {
    for (const closeCode of [1000, 4400, 4401, 4403, 4499]) {
      expect(nextStep({ ...ended, closeCode }, options, 0)).toEqual({ type: 'stop' })
    }
    for (const closeCode of [1001, 1006, 1009, 1011, 1012, 1013, 4008, 4009, 4500]) {
      expect(nextStep({ ...ended, closeCode }, options, 0)).toMatchObject({ type: 'wait' })
    }
    expect(nextStep({ ...ended, attempt: 3 }, { ...options, maxAttempts: 3 }, 0)).toEqual({ type: 'stop' })
    expect(nextStep({ ...ended, attempt: 2 }, { ...options, maxAttempts: 3 }, 0)).toMatchObject({ type: 'wait' })
  })

  test('[CC7] a 4401 goes on when a new token can be asked for', () => {
    expect(nextStep({ ...ended, closeCode: 4401, canRefreshToken: true }, options, 0)).toEqual({
      type: 'wait',
      ms: 0,
      refresh: true,
    })
    expect(nextStep({ ...ended, closeCode: 4403, canRefreshToken: true }, options, 0)).toEqual({ type: 'stop' })
    expect(nextStep({ ...ended, canRefreshToken: true }, options, 0)).toMatchObject({ refresh: false })
  })
})

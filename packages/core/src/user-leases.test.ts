import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { rateDeadlineMs } from './limits.ts'
import type { RateRecord } from './rate-entry.ts'
import { leaseRate } from './rate-leases.ts'
import { createRateStore } from './rates.ts'
import { askLease, createUserLeases, draw, giveUp, leaseKey, overdue, takeLease } from './user-leases.ts'
import type { UserLeases } from './user-leases.ts'

const rate = { room: 'user:ann', user: 'acme\nann', name: 'default', limit: 50, periodMs: 60_000 }
const answer = (nonce: string, granted: number, retryAfterMs = 0) => ({
  ...({ type: 'rate', room: 'user:ann', nonce, granted, retryAfterMs } as const),
})
/** What may be drawn before the worker has to be asked. */
function drawAll(all: UserLeases, now: number): number {
  for (let n = 0; ; n++) {
    const drawn = draw(all, rate, now)
    if (typeof drawn === 'string' || !drawn.ok) return n
  }
}

describe('leases of an edge', () => {
  it('[RL12] a tenth of the limit is asked for, one question at a time', () => {
    const wanted = (limit: number) => askLease(createUserLeases(), { ...rate, limit }, '1', 0)?.wanted
    expect([1, 10, 50, 300, 5_000].map(wanted)).toEqual([1, 1, 5, 30, 100])
    const all = createUserLeases()
    expect(draw(all, rate, 0)).toBe('wait')
    expect(askLease(all, rate, '1', 0)).toMatchObject({ ...rate, type: 'rate', nonce: '1', wanted: 5 })
    expect(askLease(all, rate, '2', 0)).toBeUndefined()
    expect(takeLease(all, answer('1', 5), rate.periodMs, 0)).toBe(leaseKey(rate))
    expect(drawAll(all, 0)).toBe(5)
    expect(draw(all, rate, 0)).toBe('wait')
    expect(askLease(all, rate, '3', 0)).toBeDefined()
  })

  it('[RL12] what is left of a lease ends after a tenth of the time, 1 to 10 s', () => {
    const lastsMs = (periodMs: number) => {
      const [all, own] = [createUserLeases(), { ...rate, periodMs }]
      askLease(all, own, '1', 0)
      takeLease(all, answer('1', 1_000_000), periodMs, 0)
      let ms = 0
      while (draw(all, own, ms) !== 'wait') ms += 500
      return ms
    }
    expect([1_000, 60_000, 3_600_000].map(lastsMs)).toEqual([1_000, 6_000, 10_000])
  })

  it('[RL12] a refusal holds until its time is over, and the worker is not asked meanwhile', () => {
    const all = createUserLeases()
    askLease(all, rate, '1', 0)
    takeLease(all, answer('1', 0, 1_200), rate.periodMs, 0)
    expect(draw(all, rate, 200.5)).toEqual({ ok: false, retryAfterMs: 1_000 })
    expect(draw(all, rate, 1_199)).toEqual({ ok: false, retryAfterMs: 1 })
    expect(draw(all, rate, 1_200)).toBe('wait')
  })

  it('[RL13] without an answer the edge counts for itself for 5 s; one that comes later counts for nothing', () => {
    const all = createUserLeases()
    askLease(all, rate, '1', 0)
    expect(overdue(all, rateDeadlineMs - 1)).toEqual([])
    expect(overdue(all, rateDeadlineMs)).toEqual(['1'])
    expect(giveUp(all, '1', rateDeadlineMs)).toBe(leaseKey(rate))
    expect(overdue(all, rateDeadlineMs)).toEqual([])
    expect(takeLease(all, answer('1', 5), rate.periodMs, rateDeadlineMs)).toBeUndefined()
    expect(draw(all, rate, rateDeadlineMs + 4_999)).toBe('alone')
    expect(draw(all, rate, rateDeadlineMs + 5_000)).toBe('wait')
  })

  it('[RL12] of who published nothing for a while nothing is kept', () => {
    const all = createUserLeases()
    for (let i = 0; i < 1_024; i++) {
      askLease(all, { ...rate, user: `u${i}` }, String(i), 0)
      takeLease(all, answer(String(i), 1), rate.periodMs, 0)
    }
    expect(all.leases.size).toBe(1_024)
    askLease(all, rate, 'new', 60_000)
    expect(all.leases.size).toBe(1)
  })

  it('[RL12] over edges, in whatever order answers come, twice or never: no more than the limit and what came since', () => {
    const act = fc.record({
      edge: fc.integer({ min: 0, max: 2 }),
      what: fc.constantFrom('publish', 'publish', 'publish', 'arrive', 'repeat', 'lose'),
      afterMs: fc.integer({ min: 0, max: 500 }),
    })
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), fc.array(act, { maxLength: 300 }), (limit, acts) => {
        const own = { ...rate, limit, periodMs: 10_000 }
        const worker = createRateStore()
        const edges = [0, 1, 2].map(() => ({ all: createUserLeases(), answers: [] as RateRecord[] }))
        let [now, passed, nonce] = [0, 0, 0]
        for (const { edge, what, afterMs } of acts) {
          now += afterMs
          const at = edges[edge]
          if (at === undefined) continue
          const [first] = at.answers
          if (what === 'publish') {
            const drawn = draw(at.all, own, now)
            if (typeof drawn !== 'string') passed += drawn.ok ? 1 : 0
            const question = drawn === 'wait' ? askLease(at.all, own, String(nonce++), now) : undefined
            if (question !== undefined) at.answers.push(leaseRate(worker, question, now))
          } else if (first !== undefined) {
            if (what !== 'lose') takeLease(at.all, first, own.periodMs, now)
            if (what !== 'repeat') at.answers.shift()
          }
          expect(passed).toBeLessThanOrEqual((limit + (now * limit) / own.periodMs) * (1 + 1e-6))
        }
      }),
    )
  })
})

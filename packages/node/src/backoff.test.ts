import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createBackoff, retry, wait } from './backoff.ts'

const immediately = createBackoff({ baseMs: 0, maxMs: 0, random: () => 0 })
const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length

describe('backoff', () => {
  test('[BO1] the ceiling doubles up to the cap, and a reset begins anew', () => {
    const backoff = createBackoff({ baseMs: 100, maxMs: 1_000, random: () => 0.999_999 })
    expect([1, 2, 3, 4, 5, 6].map(() => backoff.next())).toEqual([99, 199, 399, 799, 999, 999])
    backoff.reset()
    expect(backoff.next()).toBe(99)
  })

  test('[BO1] every delay is within 0 and its ceiling, for any number of attempts', () => {
    fc.assert(
      fc.property(fc.nat(5_000), fc.nat(60_000), fc.double({ min: 0, max: 0.999, noNaN: true }), (baseMs, maxMs, r) => {
        const backoff = createBackoff({ baseMs, maxMs, random: () => r })
        // Beyond 2¹⁰²³, where a power of two is no number any more.
        return Array.from({ length: 1_100 }, (_, n) => ({
          delay: backoff.next(),
          ceiling: baseMs * 2 ** Math.min(n, 100),
        })).every(({ delay, ceiling }) => delay >= 0 && delay <= Math.min(maxMs, ceiling))
      }),
    )
  })

  test('[BO2] retry gives the first result and counts its attempts', async () => {
    const seen: number[] = []
    const result = await retry(
      async (attempt) => {
        seen.push(attempt)
        if (attempt < 3) throw new Error('not yet')
        return 'done'
      },
      { attempts: 5, backoff: immediately },
    )
    expect({ result, seen }).toEqual({ result: 'done', seen: [1, 2, 3] })
  })

  test('[BO2] retry is bounded and rejects with the last error', async () => {
    let calls = 0
    const failing = retry(
      async () => {
        calls += 1
        throw new Error(`failure ${calls}`)
      },
      { attempts: 3, backoff: immediately },
    )
    await expect(failing).rejects.toThrow('failure 3')
    expect(calls).toBe(3)
  })

  test('[BO2] an error that is not retryable ends it at once', async () => {
    let calls = 0
    const failing = retry(
      async () => {
        calls += 1
        throw new TypeError('wrong')
      },
      { attempts: 9, backoff: immediately, isRetryable: (error) => !(error instanceof TypeError) },
    )
    await expect(failing).rejects.toThrow('wrong')
    expect(calls).toBe(1)
  })

  test('[BO2] an abort ends the wait between attempts with the reason', async () => {
    const stop = new AbortController()
    const slow = createBackoff({ baseMs: 3_600_000, maxMs: 3_600_000, random: () => 0.5 })
    const failing = retry(
      async () => {
        queueMicrotask(() => stop.abort(new Error('closing')))
        throw new Error('down')
      },
      { attempts: 2, backoff: slow, signal: stop.signal },
    )
    await expect(failing).rejects.toThrow('closing')
    await expect(retry(async () => 1, { attempts: 1, backoff: slow, signal: stop.signal })).rejects.toThrow('closing')
  })

  test('[BO3] wait resolves in time and rejects at an abort, before it or under way, and leaves no timer', async () => {
    const before = timers()
    await wait(1)
    const stop = new AbortController()
    const waiting = wait(3_600_000, stop.signal)
    stop.abort()
    await expect(waiting).rejects.toThrow()
    await expect(wait(3_600_000, stop.signal)).rejects.toThrow()
    expect(timers()).toBe(before)
  })
})

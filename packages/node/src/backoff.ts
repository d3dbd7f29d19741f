/** Delays that grow: the one way of this code base to try something again. */
export interface Backoff {
  /** The delay before the next attempt, ms: anything from 0 to `baseMs · 2ⁿ`, at the most `maxMs` ("full jitter"). */
  next(): number
  /** After a success: the next delay is a short one again. */
  reset(): void
}

export interface BackoffOptions {
  readonly baseMs: number
  readonly maxMs: number
  /** Uniform in [0, 1), as `Math.random`; a parameter so that a decision can be repeated. */
  readonly random: () => number
}

export function createBackoff({ baseMs, maxMs, random }: BackoffOptions): Backoff {
  let ceilingMs = Math.min(baseMs, maxMs)
  return {
    next() {
      const delayMs = Math.floor(random() * ceilingMs)
      ceilingMs = Math.min(maxMs, ceilingMs * 2)
      return delayMs
    },
    reset() {
      ceilingMs = Math.min(baseMs, maxMs)
    },
  }
}

/** Resolves after `ms`; rejects with the signal's reason as soon as it aborts. Leaves neither timer nor listener. */
export function wait(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) return reject(reasonOf(signal))
    const abort = (): void => {
      clearTimeout(timer)
      if (signal !== undefined) reject(reasonOf(signal))
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', abort)
      resolve()
    }, ms)
    signal?.addEventListener('abort', abort, { once: true })
  })
}

export interface RetryOptions {
  /** Calls of `fn` at the most, 1 or more. */
  readonly attempts: number
  readonly backoff: Backoff
  readonly signal?: AbortSignal
  /** Whether this error may be gone next time; every error by default. */
  readonly isRetryable?: (error: unknown) => boolean
}

/**
 * The first result of `fn`, called at the most `attempts` times. Rejects with the last error, with the first that is
 * not retryable, or with the signal's reason.
 *
 * @example await retry(() => store.fleet.plan(), { attempts: 5, backoff, signal: scope.signal })
 */
export async function retry<T>(fn: (attempt: number) => Promise<T>, options: RetryOptions): Promise<T> {
  const { attempts, backoff, signal, isRetryable = () => true } = options
  for (let attempt = 1; ; attempt += 1) {
    if (signal?.aborted === true) throw reasonOf(signal)
    try {
      return await fn(attempt)
    } catch (error) {
      if (attempt >= attempts || !isRetryable(error)) throw error
    }
    await wait(backoff.next(), signal)
  }
}

function reasonOf(signal: AbortSignal): Error {
  const reason: unknown = signal.reason
  return reason instanceof Error ? reason : new Error('aborted', { cause: reason })
}

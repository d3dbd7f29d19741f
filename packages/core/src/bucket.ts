/** A token bucket. One per connection and class of request, so `take` changes it in place rather than copy it. */
export interface Bucket {
  readonly capacity: number
  readonly refillPerSecond: number
  /** Below 0 while a take larger than the capacity is being paid off. */
  tokens: number
  /** When `tokens` was true; undefined before the first take, until when the bucket is full. */
  atMs: number | undefined
}
export type Taken = { readonly ok: true } | { readonly ok: false; readonly retryAfterMs: number }

/** Rounding may not cost a token that was waited for: the part of `n` that may be missing. */
const rounding = 1e-9

/** @throws RangeError when either is not a finite number above 0. */
export function createBucket(options: { readonly capacity: number; readonly refillPerSecond: number }): Bucket {
  const { capacity, refillPerSecond } = options
  if (!(capacity > 0 && Number.isFinite(capacity))) throw new RangeError(`capacity must be above 0, not ${capacity}`)
  if (!(refillPerSecond > 0 && Number.isFinite(refillPerSecond))) {
    throw new RangeError(`refillPerSecond must be above 0, not ${refillPerSecond}`)
  }
  return { capacity, refillPerSecond, tokens: capacity, atMs: undefined }
}

/**
 * Takes `n` tokens or none. A take of more than the capacity is granted by a full bucket and paid off afterwards: it
 * could never be granted otherwise, and the rate over time is kept.
 * @param nowMs a clock in ms; one that goes back loses what it went back by, and the bucket goes on from there.
 * @throws RangeError when `n` is negative or not finite.
 */
export function take(bucket: Bucket, n: number, nowMs: number): Taken {
  if (!(n >= 0 && Number.isFinite(n))) throw new RangeError(`n must be 0 or above, not ${n}`)
  const elapsedMs = Math.max(0, nowMs - (bucket.atMs ?? nowMs))
  bucket.tokens = Math.min(bucket.capacity, bucket.tokens + (elapsedMs * bucket.refillPerSecond) / 1000)
  bucket.atMs = nowMs
  const missing = Math.min(n, bucket.capacity) - bucket.tokens
  if (missing <= rounding * n) {
    bucket.tokens -= n
    return { ok: true }
  }
  // Half of what may be missing, so that neither this division nor the next refill's rounding adds a millisecond.
  const waitMs = ((missing - (rounding * n) / 2) / bucket.refillPerSecond) * 1000
  return { ok: false, retryAfterMs: Math.max(1, Math.ceil(waitMs)) }
}

/** Takes as many of `n` whole tokens as there are, and returns how many. */
export function takeSome(bucket: Bucket, n: number, nowMs: number): number {
  take(bucket, 0, nowMs)
  const some = Math.min(n, Math.max(0, Math.floor(bucket.tokens / (1 - rounding))))
  return take(bucket, some, nowMs).ok ? some : 0
}

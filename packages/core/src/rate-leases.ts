import { take, takeSome } from './bucket.ts'
import { detached } from './entry.ts'
import type { RateMessage, RateRecord } from './rate-entry.ts'
import { bucketOf } from './rates.ts'
import type { RateStore } from './rates.ts'

/**
 * Answers one question. A lease is never given back, as a message may come twice: what came twice costs the user what it was for,
 * and never lets pass too much. A rate of another policy is another bucket, so that edges which have the old policy and edges
 * which have the new one do not fill each other's while it spreads.
 */
export function leaseRate(store: RateStore, message: RateMessage, nowMs: number): RateRecord {
  const { type, room, nonce, user, name, limit, periodMs, wanted } = message
  const key = detached(`${limit}/${periodMs} ${name} ${user}`)
  const bucket = bucketOf(store, key, { rate: { limit, periodMs }, nowMs })
  const granted = takeSome(bucket, wanted, nowMs)
  if (granted > 0) return { type, room, nonce, granted, retryAfterMs: 0 }
  const one = take(bucket, 1, nowMs)
  return one.ok
    ? { type, room, nonce, granted: 1, retryAfterMs: 0 }
    : { type, room, nonce, granted: 0, retryAfterMs: one.retryAfterMs }
}

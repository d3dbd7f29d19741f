import type { ServerResponse } from 'node:http'
import { createBucket, take } from '@flotilla/core/bucket'
import type { Bucket, Taken } from '@flotilla/core/bucket'

/** How many events a key may post to one process, and how many it has left. */
export interface KeyLimit {
  readonly perSecond: number
  /** Events that may come at once. */
  readonly burst: number
  readonly bucket: Bucket
  /** The `RateLimit-Policy` of every answer. */
  readonly policy: string
}

/** @throws RangeError when either is not above 0. */
export function createLimit({ perSecond, burst }: Pick<KeyLimit, 'perSecond' | 'burst'>): KeyLimit {
  const bucket = createBucket({ capacity: burst, refillPerSecond: perSecond })
  const windowSeconds = Math.ceil(burst / perSecond)
  return { perSecond, burst, bucket, policy: `"events";q=${burst};qu="events";w=${windowSeconds}` }
}

/**
 * Takes so many events, all or none, and says on the answer what is left: `RateLimit` and `RateLimit-Policy` of
 * draft-ietf-httpapi-ratelimit-headers-10. `t` is when they will have come back, or when it is worth to try again.
 */
export function takeEvents(limit: KeyLimit, events: number, res: ServerResponse): Taken {
  const { bucket, burst, perSecond, policy } = limit
  const taken = take(bucket, events, performance.now())
  const left = Math.max(0, Math.floor(bucket.tokens))
  const seconds = taken.ok ? (burst - bucket.tokens) / perSecond : taken.retryAfterMs / 1_000
  res.setHeader('RateLimit-Policy', policy)
  res.setHeader('RateLimit', `"events";r=${left};t=${Math.ceil(seconds)}`)
  return taken
}

import { createBucket, take } from './bucket.ts'
import type { Bucket, Taken } from './bucket.ts'
import { listsEvent } from './event-pattern.ts'

/** So many events within a time, of each user or of each connection. */
export interface Rate {
  readonly limit: number
  readonly periodMs: number
  readonly per: 'user' | 'connection'
}
/** Which events belong together, and how many there may be of each class. Made from a policy file (policy-file.ts). */
export interface RateClasses {
  /** In order: an event is of the first class that lists it. */
  readonly classes: readonly { readonly name: string; readonly events: readonly string[] }[]
  /** By class; `default` is for events that no class lists. A class without one is not limited. */
  readonly rates: ReadonlyMap<string, Rate>
}

/** What was taken lately, by whom. One per connection, and one for the users of a process. Changed in place. */
export interface RateStore {
  readonly buckets: Map<string, Bucket>
  /** Grown to so many, those that are full again are let go of. */
  sweepAt: number
}
const firstSweepAt = 1_024

export function createRateStore(): RateStore {
  return { buckets: new Map(), sweepAt: firstSweepAt }
}

export interface Asker {
  readonly event: string
  /** Of the user, with the tenant. */
  readonly user: string
  readonly users: RateStore
  /** Made when it is needed. */
  connection(): RateStore
}

const granted: Taken = { ok: true }

/** The class of an event, and its rate if it has one. */
export function rateOf({ classes, rates }: RateClasses, event: string): { name: string; rate: Rate | undefined } {
  const name = classes.find(({ events }) => listsEvent(events, event))?.name ?? 'default'
  return { name, rate: rates.get(name) }
}

/** Takes one event of its class, or says when there is one again. */
export function takeEvent(classes: RateClasses, asker: Asker, nowMs: number): Taken {
  const { name, rate } = rateOf(classes, asker.event)
  if (rate === undefined) return granted
  const [store, key] = rate.per === 'user' ? [asker.users, `${name} ${asker.user}`] : [asker.connection(), name]
  return take(bucketOf(store, key, { rate, nowMs }), 1, nowMs)
}

/** That of a key, or a full one. */
export function bucketOf(
  store: RateStore,
  key: string,
  { rate, nowMs }: { rate: Pick<Rate, 'limit' | 'periodMs'>; nowMs: number },
): Bucket {
  const { limit, periodMs } = rate
  const refillPerSecond = (limit * 1_000) / periodMs
  const known = store.buckets.get(key)
  // Another policy gives another bucket, a full one.
  if (known?.capacity === limit && known.refillPerSecond === refillPerSecond) return known
  if (store.buckets.size >= store.sweepAt) sweep(store, nowMs)
  const bucket = createBucket({ capacity: limit, refillPerSecond })
  store.buckets.set(key, bucket)
  return bucket
}

/** A full bucket says nothing that a new one does not. */
function sweep(store: RateStore, nowMs: number): void {
  for (const [key, bucket] of store.buckets) {
    take(bucket, 0, nowMs)
    if (bucket.tokens >= bucket.capacity) store.buckets.delete(key)
  }
  store.sweepAt = Math.max(firstSweepAt, 2 * store.buckets.size)
}

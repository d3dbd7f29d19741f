import { rateDeadlineMs } from './limits.ts'
import type { RateMessage, RateRecord } from './rate-entry.ts'
import type { Taken } from './bucket.ts'

/** What is counted by whom: a user's rate, without how much is asked for. */
export type UserRate = Pick<RateMessage, 'room' | 'user' | 'name' | 'limit' | 'periodMs'>

interface Lease {
  /** Events that are left of it until then. */
  left: number
  untilMs: number
  /** The worker has none before. */
  refusedUntilMs: number
  /** The worker did not answer: until then the process counts for itself. */
  aloneUntilMs: number
  asked: { readonly nonce: string; readonly untilMs: number } | null
}
/** What a process may let its users publish, by user and rate. Changed in place. */
export interface UserLeases {
  readonly leases: Map<string, Lease>
  /** Keys of those that are asked for, by nonce, in the order of their deadlines. */
  readonly asked: Map<string, string>
  /** Grown to so many, those that say nothing any more are let go of. */
  sweepAt: number
}
const firstSweepAt = 1_024
/** A lease is for a tenth of the time of its rate, within these, ms. */
const leaseParts = 10
const [minLeaseMs, maxLeaseMs] = [1_000, 10_000]
const maxLeaseEvents = 100
/** Who was not answered counts for itself so long, ms: not every publish waits for a worker that is away, or of a version before leases. */
const aloneMs = 5_000

export function createUserLeases(): UserLeases {
  return { leases: new Map(), asked: new Map(), sweepAt: firstSweepAt }
}

export const leaseKey = ({ user, name, limit, periodMs }: UserRate): string => `${limit}/${periodMs} ${name} ${user}`

/** Takes one event. `wait`: the worker is to be asked first. `alone`: it does not answer, so the process is to count for itself. */
export function draw(all: UserLeases, rate: UserRate, nowMs: number): Taken | 'wait' | 'alone' {
  const lease = all.leases.get(leaseKey(rate))
  if (lease === undefined) return 'wait'
  if (nowMs < lease.aloneUntilMs) return 'alone'
  if (lease.left > 0 && nowMs < lease.untilMs) {
    lease.left -= 1
    return { ok: true }
  }
  if (nowMs < lease.refusedUntilMs) return { ok: false, retryAfterMs: Math.ceil(lease.refusedUntilMs - nowMs) }
  return 'wait'
}

/** The question for the worker; undefined while there is one already. */
export function askLease(all: UserLeases, rate: UserRate, nonce: string, nowMs: number): RateMessage | undefined {
  const key = leaseKey(rate)
  const lease = leaseOf(all, key, nowMs)
  if (lease.asked !== null) return undefined
  lease.asked = { nonce, untilMs: nowMs + rateDeadlineMs }
  all.asked.set(nonce, key)
  const { room, user, name, limit, periodMs } = rate
  const wanted = Math.min(maxLeaseEvents, Math.max(1, Math.floor(limit / leaseParts)))
  return { type: 'rate', room, nonce, user, name, limit, periodMs, wanted }
}

/** Returns whose waiting may end. What came too late, or twice, counts for nothing. */
export function takeLease(all: UserLeases, record: RateRecord, periodMs: number, nowMs: number): string | undefined {
  const found = settle(all, record.nonce)
  if (found === undefined) return undefined
  const { key, lease } = found
  lease.left = record.granted
  lease.untilMs = nowMs + Math.min(maxLeaseMs, Math.max(minLeaseMs, periodMs / leaseParts))
  lease.refusedUntilMs = nowMs + record.retryAfterMs
  return key
}

/** There is no answer, or there will be none. Returns whose waiting may end. */
export function giveUp(all: UserLeases, nonce: string, nowMs: number): string | undefined {
  const found = settle(all, nonce)
  if (found === undefined) return undefined
  found.lease.aloneUntilMs = nowMs + aloneMs
  return found.key
}

/** Questions whose time is over. */
export function overdue({ leases, asked }: UserLeases, nowMs: number): string[] {
  const nonces: string[] = []
  for (const [nonce, key] of asked) {
    if (nowMs < (leases.get(key)?.asked?.untilMs ?? 0)) break
    nonces.push(nonce)
  }
  return nonces
}

function settle(all: UserLeases, nonce: string): { readonly key: string; readonly lease: Lease } | undefined {
  const key = all.asked.get(nonce)
  const lease = key === undefined ? undefined : all.leases.get(key)
  if (key === undefined || lease === undefined) return undefined
  all.asked.delete(nonce)
  lease.asked = null
  return { key, lease }
}

function leaseOf(all: UserLeases, key: string, nowMs: number): Lease {
  const known = all.leases.get(key)
  if (known !== undefined) return known
  if (all.leases.size >= all.sweepAt) sweep(all, nowMs)
  const lease: Lease = { left: 0, untilMs: 0, refusedUntilMs: 0, aloneUntilMs: 0, asked: null }
  all.leases.set(key, lease)
  return lease
}

/** What is over says nothing that a new one does not. */
function sweep(all: UserLeases, nowMs: number): void {
  for (const [key, { untilMs, refusedUntilMs, aloneUntilMs, asked }] of all.leases)
    if (asked === null && nowMs >= Math.max(untilMs, refusedUntilMs, aloneUntilMs)) all.leases.delete(key)
  all.sweepAt = Math.max(firstSweepAt, 2 * all.leases.size)
}

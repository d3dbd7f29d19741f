import { endpointDeadMs, endpointHeartbeatMs, workerDeadMs, workerHeartbeatMs } from './limits.ts'
import type { Member, Role } from './plan.ts'

/** A worker silent for this long gets no slots, ms (architecture 4: suspect). */
export const workerSuspectMs = 2_000

/**
 * A member as control has seen it. Control decides by the progress of `beat` over its own monotonic clock, and only
 * while the store answers: nobody's wall clock and no stored time is asked.
 */
export interface Sighting {
  readonly boot: string
  readonly role: Role
  /** The record as last read. Null: only the plan names this boot, its record was never seen. */
  readonly member: Member | null
  /** Whether the record was there in the last observation. */
  readonly present: boolean
  /** Control's clock when the boot was first seen. */
  readonly joinedAtMs: number
  /** Time under an answering store since `beat` last advanced. */
  readonly silentMs: number
  readonly dead: boolean
}
export type Sightings = ReadonlyMap<string, Sighting>

export interface Observed {
  readonly members: readonly Member[]
  /** Workers that the plan names: one of them without a record is missed, and dead in its time. */
  readonly assigned: ReadonlySet<string>
  /** Time that counts as silence; null after the store was away: then everybody's silence begins anew. */
  readonly elapsedMs: number | null
  readonly nowMs: number
  /** Boots whose pod is gone, as the platform says. */
  readonly gone: { has(boot: string): boolean }
}

export const idOf = (boot: string): string => boot.slice(0, boot.indexOf('#'))

/** One whose pod is gone is dead when it was silent for twice its heartbeat: two say then that it is. */
function deadAfterMs({ boot, role }: Pick<Sighting, 'boot' | 'role'>, gone: Observed['gone']): number {
  if (gone.has(boot)) return 2 * (role === 'shard' ? workerHeartbeatMs : endpointHeartbeatMs)
  return role === 'shard' ? workerDeadMs : endpointDeadMs
}

/** The sightings after one successful read of the fleet. A dead boot stays until neither store nor plan names it. */
export function sight(before: Sightings, observed: Observed): Sightings {
  const after = new Map<string, Sighting>()
  for (const member of observed.members) after.set(member.boot, meet(before.get(member.boot), member, observed))
  for (const seen of before.values()) {
    if (after.has(seen.boot)) continue
    const missed = miss(seen, observed)
    if (!(seen.dead && !seen.present) || observed.assigned.has(seen.boot)) after.set(seen.boot, missed)
  }
  for (const boot of observed.assigned) {
    if (after.has(boot)) continue
    const unknown = { boot, role: 'shard', member: null, present: false, silentMs: 0, dead: false } as const
    after.set(boot, { ...unknown, joinedAtMs: observed.nowMs })
  }
  return after
}

function meet(seen: Sighting | undefined, member: Member, observed: Observed): Sighting {
  const { boot, role } = member
  if (seen === undefined) {
    return { boot, role, member, present: true, joinedAtMs: observed.nowMs, silentMs: 0, dead: false }
  }
  const advanced = seen.member === null || !seen.present || member.beat > seen.member.beat
  const silentMs = advanced || observed.elapsedMs === null ? 0 : seen.silentMs + observed.elapsedMs
  const dead = !advanced && (seen.dead || silentMs >= deadAfterMs(seen, observed.gone))
  return { ...seen, role, member, present: true, silentMs, dead }
}

/**
 * Without a record: the member went away by itself, or the store lost the record, and then the member registers again
 * within a heartbeat. So only one that was draining is gone at once.
 */
function miss(seen: Sighting, observed: Observed): Sighting {
  const left = seen.member?.state === 'draining'
  const silentMs = observed.elapsedMs === null ? 0 : seen.silentMs + observed.elapsedMs
  return { ...seen, present: false, silentMs, dead: seen.dead || left || silentMs >= deadAfterMs(seen, observed.gone) }
}

/** Workers that are not dead. One whose record is missing keeps what it has: the store may have lost the record. */
export function livingWorkers(sightings: Sightings): ReadonlyMap<string, Sighting> {
  const living = new Map<string, Sighting>()
  for (const seen of sightings.values()) if (seen.role === 'shard' && !seen.dead) living.set(seen.boot, seen)
  return living
}

/** Whether a slot may be given to the worker: present, not draining, and not suspect. */
export function canTake(seen: Sighting): boolean {
  return seen.present && !seen.dead && seen.silentMs < workerSuspectMs && seen.member?.state === 'live'
}

/** Whether a server is another than before, as far as both are known. */
export function isChanged(before: readonly string[], now: readonly string[]): boolean {
  return now.some((run, primary) => run !== '' && (before[primary] ?? '') !== '' && run !== before[primary])
}

/**
 * The living workers whose heartbeat has not advanced since a server was another than before. That server may have lost plans, and a leader that was
 * not there when they were written, or has no memory, would let older owners go on beside those who have acted on them. Who lives says what it has
 * heard of with its next heartbeat, and who does not is dead in its time.
 */
export function awaitBeats(
  { sightings: before, unheard }: { readonly sightings: Sightings; readonly unheard: ReadonlySet<string> },
  now: { readonly sightings: Sightings; readonly living: ReadonlyMap<string, Sighting>; readonly changed: boolean },
): ReadonlySet<string> {
  if (now.changed) return new Set(now.living.keys())
  const hasBeaten = (boot: string): boolean => {
    const [was, is] = [before.get(boot), now.sightings.get(boot)]
    return is?.present === true && (was?.present !== true || (is.member?.beat ?? 0) > (was.member?.beat ?? 0))
  }
  return new Set([...unheard].filter((boot) => now.living.has(boot) && !hasBeaten(boot)))
}

import { isLeading } from '@flotilla/core/control'
import type { ControlState } from '@flotilla/core/control'
import { idOf } from '@flotilla/core/control-members'
import type { Sighting } from '@flotilla/core/control-members'
import type { Role } from '@flotilla/core/plan'

export interface MemberView {
  readonly id: string
  readonly boot: string
  readonly role: Role
  /** `suspect`: its record is gone, but it is not yet dead. */
  readonly state: 'live' | 'draining' | 'suspect' | 'dead'
  /** Since control last saw its heartbeat advance, without the time in which the store was away. */
  readonly ageMs: number
  readonly version: string
  readonly admin?: string
  readonly figures: Readonly<Record<string, number>>
}

/** The body of `GET /v1/fleet`. */
export interface FleetView {
  /** Version of this control process. */
  readonly version: string
  /** `id#boot` of the leading control process as far as this one knows. */
  readonly leader: string | null
  /** Since the fleet was last read from the store; null: never yet. */
  readonly observedMsAgo: number | null
  readonly plan: {
    readonly version: number
    readonly slots: Readonly<Record<string, readonly number[]>>
    /** Assigned, but not yet reported as owned. */
    readonly inFlight: readonly number[]
    /** Assigned to nobody, or to a worker that is dead. */
    readonly orphans: readonly number[]
  }
  readonly members: readonly MemberView[]
  readonly runs: readonly string[]
}

/** Slots of nobody, or of a worker that control does not know or takes for dead. */
export function orphanedSlots(state: ControlState): number[] {
  const orphans: number[] = []
  state.plan.slots.forEach((assignment, slot) => {
    if (state.sightings.get(assignment?.worker ?? '')?.dead ?? true) orphans.push(slot)
  })
  return orphans
}

/** A leading control process says so in its member record, so that the others can name it. */
function leaderOf(state: ControlState, boot: string, nowMs: number): string | null {
  if (isLeading(state, nowMs)) return boot
  for (const seen of state.sightings.values()) {
    const leads = seen.role === 'control' && seen.boot !== boot && seen.member?.figures?.['leading'] === 1
    if (leads && seen.present && !seen.dead) return seen.boot
  }
  return null
}

export function stateOf(seen: Sighting): MemberView['state'] {
  if (seen.dead) return 'dead'
  return seen.present && seen.member !== null ? seen.member.state : 'suspect'
}

function memberView(seen: Sighting, sinceReadMs: number): MemberView {
  const { boot, role, member } = seen
  return {
    id: idOf(boot),
    boot,
    role,
    state: stateOf(seen),
    ageMs: Math.round(seen.silentMs + sinceReadMs),
    version: member?.version ?? '',
    ...(member?.admin === undefined ? {} : { admin: member.admin }),
    figures: member?.figures ?? {},
  }
}

export function fleetView(state: ControlState, self: { boot: string; version: string }, nowMs: number): FleetView {
  const sinceReadMs = state.observedAtMs === null ? null : nowMs - state.observedAtMs
  const slots: Record<string, number[]> = {}
  state.plan.slots.forEach((assignment, slot) => {
    if (assignment !== null) (slots[assignment.worker] ??= []).push(slot)
  })
  const members = [...state.sightings.values()].map((seen) => memberView(seen, sinceReadMs ?? 0))
  return {
    version: self.version,
    leader: leaderOf(state, self.boot, nowMs),
    observedMsAgo: sinceReadMs === null ? null : Math.round(sinceReadMs),
    plan: {
      version: state.plan.version,
      slots,
      inFlight: [...state.waits.keys()].toSorted((a, b) => a - b),
      orphans: orphanedSlots(state),
    },
    members: members.toSorted((a, b) => a.role.localeCompare(b.role) || a.boot.localeCompare(b.boot)),
    runs: state.runs,
  }
}

import type { Role } from '@flotilla/core/plan'
import type { FleetView, MemberView } from './view.ts'

/** A read that is older than this says that the store does not answer, ms. */
export const staleAfterMs = 2_000

type Tier = Readonly<Record<MemberView['state'], number>>

/** What control last read, counted. */
interface FleetCounts {
  readonly edges: Tier
  readonly workers: Tier
  readonly controls: Tier
  readonly ingests: Tier
  readonly slots: {
    readonly total: number
    /** Owned, as their workers say. */
    readonly served: number
    /** Assigned anew; the owner before serves on until the new one has claimed, unless it is gone. */
    readonly moving: number
    /** Assigned to nobody, or to a worker that is dead. */
    readonly unserved: number
  }
  /** Open at all edges, as their last heartbeats say. */
  readonly connections: number
}

/** The body of `GET /v1/health`. */
export interface FleetHealth {
  /** `draining`: an edge or a worker is being emptied. `idle`: nobody is connected. The first that is true, `degraded` before all. */
  readonly status: 'healthy' | 'degraded' | 'draining' | 'idle'
  /** Why it is degraded, for people. */
  readonly reasons: readonly string[]
  readonly redis: { readonly reachable: boolean; readonly readMsAgo: number | null }
  /** `id#boot` of the leading control process as far as this one knows. */
  readonly leader: string | null
  /** Null: the fleet was never read. */
  readonly fleet: FleetCounts | null
}

/** The whole fleet in one answer. `mismatch`: the stored plan is for another number of slots. */
export function fleetHealth(
  view: FleetView,
  { slots, mismatch }: { readonly slots: number; readonly mismatch: boolean },
): FleetHealth {
  const { observedMsAgo, leader } = view
  const reachable = observedMsAgo !== null && observedMsAgo <= staleAfterMs
  const fleet = observedMsAgo === null ? null : countsOf(view, slots)
  const reasons = [
    ...(reachable ? [] : [observedMsAgo === null ? 'the fleet was never read from Redis' : 'Redis does not answer']),
    ...(mismatch ? ['the stored plan is for another number of slots'] : []),
    ...(leader === null ? ['no control process leads'] : []),
    ...(fleet === null ? [] : faultsOf(fleet)),
  ]
  const status = reasons.length > 0 || fleet === null ? 'degraded' : statusOf(fleet)
  return { status, reasons, redis: { reachable, readMsAgo: observedMsAgo }, leader, fleet }
}

function countsOf({ members, plan }: FleetView, total: number): FleetCounts {
  const orphans = new Set(plan.orphans)
  const moving = plan.inFlight.filter((slot) => !orphans.has(slot)).length
  return {
    edges: tierOf(members, 'edge'),
    workers: tierOf(members, 'shard'),
    controls: tierOf(members, 'control'),
    ingests: tierOf(members, 'ingest'),
    slots: { total, served: total - orphans.size - moving, moving, unserved: orphans.size },
    connections: members.reduce(
      (sum, { role, figures }) => sum + (role === 'edge' ? (figures['connections'] ?? 0) : 0),
      0,
    ),
  }
}

function tierOf(members: readonly MemberView[], role: Role): Tier {
  const tier = { live: 0, draining: 0, suspect: 0, dead: 0 }
  for (const member of members) if (member.role === role) tier[member.state] += 1
  return tier
}

function faultsOf({ edges, workers, controls, ingests, slots }: FleetCounts): readonly string[] {
  const lost = [edges, workers, controls, ingests].reduce((sum, { suspect, dead }) => sum + suspect + dead, 0)
  return [
    ...(edges.live === 0 ? ['no edge takes connections'] : []),
    ...(slots.unserved > 0 ? [`slots served by nobody: ${slots.unserved} of ${slots.total}`] : []),
    ...(lost > 0 ? [`processes not heard of: ${lost}`] : []),
  ]
}

function statusOf({ edges, workers, connections }: FleetCounts): 'healthy' | 'draining' | 'idle' {
  if (edges.draining + workers.draining > 0) return 'draining'
  return connections === 0 ? 'idle' : 'healthy'
}

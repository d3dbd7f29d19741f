import { describe, expect, test } from 'vitest'
import { fleetHealth, staleAfterMs } from './health.ts'
import type { FleetView, MemberView } from './view.ts'

const member = (role: MemberView['role'], id: string, rest: Partial<MemberView> = {}): MemberView => ({
  ...{ id, boot: `${id}#a`, role, state: 'live', ageMs: 10, version: '0.1.0', figures: {} },
  ...rest,
})
const members = [
  member('control', 'control-1'),
  member('edge', 'edge-1', { figures: { connections: 40 } }),
  member('edge', 'edge-2', { figures: { connections: 2 } }),
  member('ingest', 'ingest-1'),
  member('shard', 'shard-1'),
]

function view(rest: Partial<FleetView> = {}, plan: Partial<FleetView['plan']> = {}): FleetView {
  return {
    ...{ version: '0.1.0', leader: 'control-1#a', observedMsAgo: 30, members, runs: [] },
    plan: { version: 1, slots: {}, inFlight: [], orphans: [], ...plan },
    ...rest,
  }
}
const whole = { slots: 16, mismatch: false }
const tier = { live: 0, draining: 0, suspect: 0, dead: 0 }
const replacing = (...changed: readonly MemberView[]): readonly MemberView[] => [
  ...members.filter(({ id }) => changed.every((each) => each.id !== id)),
  ...changed,
]

describe('the health of the fleet', () => {
  test('[CT25] a fleet that lacks nothing is healthy, with what there is of each kind (OP4)', () => {
    expect(fleetHealth(view(), whole)).toEqual({
      status: 'healthy',
      reasons: [],
      redis: { reachable: true, readMsAgo: 30 },
      leader: 'control-1#a',
      fleet: {
        edges: { ...tier, live: 2 },
        workers: { ...tier, live: 1 },
        controls: { ...tier, live: 1 },
        ingests: { ...tier, live: 1 },
        slots: { total: 16, served: 16, moving: 0, unserved: 0 },
        connections: 42,
      },
    })
  })

  test('[CT25] slots are served, on the way, or served by nobody, each counted once', () => {
    const { status, reasons, fleet } = fleetHealth(view({}, { inFlight: [1, 2, 3], orphans: [3, 4] }), whole)
    expect(fleet?.slots).toEqual({ total: 16, served: 12, moving: 2, unserved: 2 })
    expect([status, reasons]).toEqual(['degraded', ['slots served by nobody: 2 of 16']])
    expect(fleetHealth(view({}, { inFlight: [1, 2] }), whole).status).toBe('healthy')
  })

  test.each<[what: string, broken: FleetView, mismatch: boolean, reason: string]>([
    ['a store that is away', view({ observedMsAgo: staleAfterMs + 1 }), false, 'Redis does not answer'],
    ['no leader', view({ leader: null }), false, 'no control process leads'],
    ['a plan of another fleet', view(), true, 'the stored plan is for another number of slots'],
    ['no edge', view({ members: members.filter(({ role }) => role !== 'edge') }), false, 'no edge takes connections'],
    [
      'processes that are silent',
      view({
        members: replacing(
          member('edge', 'edge-2', { state: 'suspect' }),
          member('ingest', 'ingest-1', { state: 'dead' }),
        ),
      }),
      false,
      'processes not heard of: 2',
    ],
  ])('[CT25] degraded, and why: %s', (_, broken, mismatch, reason) => {
    expect(fleetHealth(broken, { slots: 16, mismatch })).toMatchObject({ status: 'degraded', reasons: [reason] })
  })

  test('[CT25] a read of just the limit is no store that is away', () => {
    expect(fleetHealth(view({ observedMsAgo: staleAfterMs }), whole).status).toBe('healthy')
  })

  test('[CT25] of a fleet that was never read nothing is counted', () => {
    expect(fleetHealth(view({ observedMsAgo: null, members: [], leader: null }), whole)).toEqual({
      status: 'degraded',
      reasons: ['the fleet was never read from Redis', 'no control process leads'],
      redis: { reachable: false, readMsAgo: null },
      leader: null,
      fleet: null,
    })
  })

  test('[CT25] a drain and an idle fleet are no faults, and a fault is told before them', () => {
    const draining = replacing(member('edge', 'edge-2', { state: 'draining' }))
    const idle = replacing(member('edge', 'edge-1'), member('edge', 'edge-2'))
    expect(fleetHealth(view({ members: draining }), whole).status).toBe('draining')
    expect(fleetHealth(view({ members: idle }), whole).status).toBe('idle')
    expect(fleetHealth(view({ members: draining, leader: null }), whole).status).toBe('degraded')
  })
})

import { isLeading } from '@flotilla/core/control'
import type { ControlState } from '@flotilla/core/control'
import type { Metrics } from '@flotilla/node/metrics'
import { orphanedSlots, stateOf } from './view.ts'

/** What control counts; docs/metrics.md says what each means. The gauges show `current()` as of the scrape. */
export function controlMetrics(metrics: Metrics, current: () => ControlState) {
  metrics.gauge({
    name: 'flotilla_control_leading',
    help: 'Whether this process holds the lease: 1 or 0.',
    collect: (gauge) => gauge.set(isLeading(current(), performance.now()) ? 1 : 0),
  })
  metrics.gauge({
    name: 'flotilla_control_plan_version',
    help: 'Version of the slot plan as this process knows it.',
    collect: (gauge) => gauge.set(current().plan.version),
  })
  metrics.gauge({
    name: 'flotilla_control_slots_orphaned',
    help: 'Slots that are assigned to nobody or to a dead worker.',
    collect: (gauge) => gauge.set(orphanedSlots(current()).length),
  })
  metrics.gauge({
    name: 'flotilla_control_slots_in_flight',
    help: 'Slots whose worker does not yet report their newest epoch.',
    collect: (gauge) => gauge.set(current().waits.size),
  })
  metrics.gauge({
    name: 'flotilla_control_members',
    help: 'Processes of the fleet by role and state.',
    labels: ['role', 'state'],
    collect: (gauge) => {
      gauge.reset()
      for (const seen of current().sightings.values()) gauge.inc({ role: seen.role, state: stateOf(seen) })
    },
  })
  return {
    moves: metrics.counter({
      name: 'flotilla_control_moves_total',
      help: 'New epochs published for slots, by reason: orphan, drain, balance, reclaim.',
      labels: ['reason'],
    }),
    removals: metrics.counter({
      name: 'flotilla_control_removals_total',
      help: 'Dead members whose outboxes and record were removed, by role.',
      labels: ['role'],
    }),
    apiFailures: metrics.counter({
      name: 'flotilla_control_kubernetes_failures_total',
      help: 'Calls to the Kubernetes API that failed or were not answered in time, by call.',
      labels: ['call'],
      series: ['lease', 'pods', 'deletion-cost'].map((call) => ({ call })),
    }),
    failures: metrics.counter({
      name: 'flotilla_control_store_failures_total',
      help: 'Calls to the store that failed or were not answered in time, by call.',
      labels: ['call'],
      series: ['lead', 'read', 'epochs', 'publish', 'remove'].map((call) => ({ call })),
    }),
  }
}
export type ControlMetrics = ReturnType<typeof controlMetrics>

import type { PublishOutcome } from './endpoint-port.ts'
import type { Metrics } from './metrics.ts'

/** What an endpoint counts; docs/metrics.md says what each means. */
export interface EndpointMetrics {
  published(outcome: PublishOutcome['type'], ms: number): void
  appended(ok: boolean): void
  resynced(reason: 'hole' | 'run' | 'boot'): void
  window(bytes: number): void
  leftOut(reason: 'budget' | 'conflated'): void
  /** Replicas confirmed what they were asked about within `ms`; undefined: they did not, and are asked again. */
  confirmed(ms: number | undefined): void
}

/** Labelled by role, because an edge and an ingest may live in one process. */
export function endpointMetrics(metrics: Metrics, role: 'edge' | 'ingest'): EndpointMetrics {
  const publishes = metrics.counter({
    name: 'flotilla_endpoint_publishes_total',
    help: 'Publishes that got their outcome.',
    labels: ['role', 'outcome'],
    series: ['committed', 'refused', 'unknown'].map((outcome) => ({ role, outcome })),
  })
  const seconds = metrics
    .histogram({
      name: 'flotilla_endpoint_publish_seconds',
      help: 'Time from a publish to its outcome.',
      labels: ['role'],
    })
    .labels(role)
  const appends = metrics.counter({
    name: 'flotilla_endpoint_appends_total',
    help: 'Input entries appended, or not, to the store.',
    labels: ['role', 'result'],
    series: ['ok', 'failed'].map((result) => ({ role, result })),
  })
  const resyncs = metrics.counter({
    name: 'flotilla_endpoint_resyncs_total',
    help: 'Times a lane had to be made good: a hole in its outbox, another state of its server, a new boot id.',
    labels: ['role', 'reason'],
  })
  const window = metrics
    .gauge({
      name: 'flotilla_endpoint_window_bytes',
      help: 'Memory held by publishes without an acknowledgement.',
      labels: ['role'],
    })
    .labels(role)
  const confirmSeconds = metrics
    .histogram({
      name: 'flotilla_endpoint_replica_confirm_seconds',
      help: 'Time that replicas took to confirm what acknowledgements waited for, where they have to.',
      labels: ['role'],
    })
    .labels(role)
  const unconfirmed = metrics
    .counter({
      name: 'flotilla_endpoint_replica_unconfirmed_total',
      help: 'Times that replicas did not confirm in time: acknowledgements wait, and they are asked again.',
      labels: ['role'],
      series: [{ role }],
    })
    .labels(role)
  // Bound once: finding a labelled child costs more than counting.
  const outcomes = {
    committed: publishes.labels(role, 'committed'),
    refused: publishes.labels(role, 'refused'),
    unknown: publishes.labels(role, 'unknown'),
  }
  const results = { ok: appends.labels(role, 'ok'), failed: appends.labels(role, 'failed') }
  return {
    published: (outcome, ms) => {
      outcomes[outcome].inc()
      seconds.observe(ms / 1_000)
    },
    appended: (ok) => results[ok ? 'ok' : 'failed'].inc(),
    resynced: (reason) => resyncs.labels(role, reason).inc(),
    window: (bytes) => window.set(bytes),
    leftOut: countLeftOut(metrics, role),
    confirmed: (ms) => {
      if (ms === undefined) unconfirmed.inc()
      else confirmSeconds.observe(ms / 1_000)
    },
  }
}

function countLeftOut(metrics: Metrics, role: string): EndpointMetrics['leftOut'] {
  const leftOut = metrics.counter({
    name: 'flotilla_endpoint_ephemerals_left_out_total',
    help: 'Ephemeral events not passed on: more than their room may have (budget), or replaced by a newer one of the same key (conflated).',
    labels: ['role', 'reason'],
    series: ['budget', 'conflated'].map((reason) => ({ role, reason })),
  })
  const reasons = { budget: leftOut.labels(role, 'budget'), conflated: leftOut.labels(role, 'conflated') }
  return (reason) => reasons[reason].inc()
}

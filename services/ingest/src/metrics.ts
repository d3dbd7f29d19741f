import type { Metrics } from '@flotilla/node/metrics'

/** What ingest counts on top of its endpoint; docs/metrics.md says what each means. */
export function ingestMetrics(metrics: Metrics) {
  return {
    requests: metrics.counter({
      name: 'flotilla_ingest_requests_total',
      help: 'Requests answered, by route and status.',
      labels: ['route', 'status'],
    }),
    seconds: metrics.histogram({
      name: 'flotilla_ingest_request_seconds',
      help: 'Time from a request to its answer.',
      labels: ['route'],
    }),
    events: metrics.counter({
      name: 'flotilla_ingest_events_total',
      help: 'Events of requests and batches, by the code of their answer (OK when accepted).',
      labels: ['code'],
    }),
    inFlight: metrics.gauge({
      name: 'flotilla_ingest_publishes_in_flight',
      help: 'Publishes (one per room of an event) that wait for their commit.',
    }),
  }
}
export type IngestMetrics = ReturnType<typeof ingestMetrics>

import type { Metrics } from '@flotilla/node/metrics'

/** What sources count; docs/metrics.md says what each means. */
export function sourceMetrics(metrics: Metrics) {
  return {
    received: metrics.counter({
      name: 'flotilla_ingest_source_received_total',
      help: 'Messages taken from a source, those given out again included.',
      labels: ['source'],
    }),
    published: metrics.counter({
      name: 'flotilla_ingest_source_published_total',
      help: 'Messages of a source that were committed in every room they go to, and acknowledged.',
      labels: ['source'],
    }),
    retries: metrics.counter({
      name: 'flotilla_ingest_source_retries_total',
      help: 'Publishes of a source that were tried again, as the fleet did not say that they are committed.',
      labels: ['source'],
    }),
    aside: metrics.counter({
      name: 'flotilla_ingest_source_put_aside_total',
      help: 'Messages of a source that can never be published, by reason.',
      labels: ['source', 'reason'],
    }),
    inFlight: metrics.gauge({
      name: 'flotilla_ingest_source_in_flight',
      help: 'Messages of a source that were taken and are not acknowledged.',
      labels: ['source'],
    }),
    pending: metrics.gauge({
      name: 'flotilla_ingest_source_pending',
      help: 'Messages that wait at a source, as it last said.',
      labels: ['source'],
    }),
    active: metrics.gauge({
      name: 'flotilla_ingest_source_active',
      help: '1 while this process takes messages from the source; 0 while it stands by, or the source is away.',
      labels: ['source'],
    }),
  }
}
export type SourceMetrics = ReturnType<typeof sourceMetrics>

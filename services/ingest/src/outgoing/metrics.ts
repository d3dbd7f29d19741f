import type { Metrics } from '@flotilla/node/metrics'

/** What webhooks count; docs/metrics.md says what each means. */
export function webhookMetrics(metrics: Metrics) {
  return {
    requests: metrics.counter({
      name: 'flotilla_ingest_webhook_requests_total',
      help: 'Requests to a webhook, by what came of them.',
      labels: ['webhook', 'outcome'],
    }),
    delivered: metrics.counter({
      name: 'flotilla_ingest_webhook_delivered_total',
      help: 'Events that a webhook took.',
      labels: ['webhook'],
    }),
    aside: metrics.counter({
      name: 'flotilla_ingest_webhook_put_aside_total',
      help: 'Events that a webhook did not take in time and that were put aside, and gaps that were met, by reason.',
      labels: ['webhook', 'reason'],
    }),
    seconds: metrics.histogram({
      name: 'flotilla_ingest_webhook_seconds',
      help: 'Time from a request to a webhook to its answer.',
      labels: ['webhook'],
    }),
    lag: metrics.gauge({
      name: 'flotilla_ingest_webhook_lag_seconds',
      help: 'Age of the oldest event that is being sent to a webhook; 0 when none is.',
      labels: ['webhook'],
    }),
    active: metrics.gauge({
      name: 'flotilla_ingest_webhook_active',
      help: '1 while this process sends to the webhook; 0 while it stands by.',
      labels: ['webhook'],
    }),
  }
}
export type WebhookMetrics = ReturnType<typeof webhookMetrics>

import type { ServerResponse } from 'node:http'
import type { Metrics } from '@flotilla/node/metrics'
import type { RouteName } from './routes.ts'

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
    repeats: metrics.counter({
      name: 'flotilla_ingest_idempotency_total',
      help: 'Requests whose Idempotency-Key was known: answered from memory, under way, or reused with another body.',
      labels: ['outcome'],
    }),
    inFlight: metrics.gauge({
      name: 'flotilla_ingest_publishes_in_flight',
      help: 'Publishes (one per room of an event) that wait for their commit.',
    }),
  }
}
export type IngestMetrics = ReturnType<typeof ingestMetrics>

/** Counts the requests of a route as their answers are closed. Children are bound once: finding one costs more than counting. */
export function observeRequests(metrics: IngestMetrics, route: RouteName): (res: ServerResponse) => void {
  const seconds = metrics.seconds.labels(route)
  const answered = bound((status) => metrics.requests.labels(route, status))
  return (res) => {
    const startedAt = performance.now()
    res.once('close', () => {
      seconds.observe((performance.now() - startedAt) / 1_000)
      answered(res.writableFinished ? String(res.statusCode) : 'aborted').inc()
    })
  }
}

/** Counts events by the code of their answer. */
export function eventCounts(metrics: IngestMetrics): (code: string) => void {
  const counted = bound((code) => metrics.events.labels(code))
  return (code) => counted(code).inc()
}

/** Statuses and codes are few and known. */
function bound<T>(create: (label: string) => T): (label: string) => T {
  const children = new Map<string, T>()
  return (label) => {
    let child = children.get(label)
    if (child === undefined) children.set(label, (child = create(label)))
    return child
  }
}

import { closeCodes } from '@flotilla/core/codes'
import type { Metrics } from '@flotilla/node/metrics'

/** Why a connection is not taken. */
const turnAwayReasons = ['rate', 'full', 'draining', 'origin', 'path', 'handshake', 'gone', 'address'] as const
export type TurnAwayReason = (typeof turnAwayReasons)[number]
const lossReasons = ['epoch', 'ahead', 'expired', 'trimmed'] as const

export interface EdgeFigures {
  /** So many connections there may be. */
  readonly limit: number
  connections(): number
  rooms(): number
  subscriptions(): number
  drains(): boolean
}

/** The edge's own metrics; docs/metrics.md says what each means. */
export function edgeMetrics(metrics: Metrics, figures: EdgeFigures) {
  declareFigures(metrics, figures)
  return {
    accepted: metrics.counter({ name: 'flotilla_edge_accepts_total', help: 'Connections accepted' }),
    aged: metrics.counter({ name: 'flotilla_edge_aged_total', help: 'Clients told to move because of their age' }),
    replaced: metrics.counter({
      name: 'flotilla_edge_connections_replaced_total',
      help: 'Connections whose place was taken by another of the same user that named them',
    }),
    turnedAway: metrics.counter({
      name: 'flotilla_edge_turned_away_total',
      help: 'Connections refused before the upgrade',
      labels: ['reason'],
      series: turnAwayReasons.map((reason) => ({ reason })),
    }),
    closed: metrics.counter({
      name: 'flotilla_edge_closes_total',
      help: 'Connections closed by the edge',
      labels: ['code'],
      series: Object.values(closeCodes).map(({ code }) => ({ code: String(code) })),
    }),
    frames: metrics.counter({ name: 'flotilla_edge_frames_total', help: 'Frames received from clients' }),
    refusals: metrics.counter({
      name: 'flotilla_edge_refusals_total',
      help: 'Frames answered with an error',
      labels: ['code'],
    }),
    delivered: metrics.counter({ name: 'flotilla_edge_events_delivered_total', help: 'Events written to sockets' }),
    writes: metrics.counter({ name: 'flotilla_edge_socket_writes_total', help: 'Writes to sockets' }),
    dropped: metrics.counter({
      name: 'flotilla_edge_ephemerals_dropped_total',
      help: 'Ephemeral events not written to a slow consumer',
    }),
    conflated: metrics.counter({
      name: 'flotilla_edge_ephemerals_conflated_total',
      help: 'Conflated ephemeral events that were not written because a newer one of the same key was',
    }),
    losses: metrics.counter({
      name: 'flotilla_edge_continuity_lost_total',
      help: 'Position frames and answers that said recovered: false',
      labels: ['reason'],
      series: lossReasons.map((reason) => ({ reason })),
    }),
    subscribed: metrics.counter({
      name: 'flotilla_edge_subscribes_total',
      help: 'Subscriptions answered: current, replayed, or with a loss of continuity',
      labels: ['result'],
    }),
    ...histograms(metrics),
    untold: metrics.counter({
      name: 'flotilla_edge_connection_events_lost_total',
      help: 'Connections opened or closed of which the backend could not be told in time',
    }),
    resyncs: metrics.counter({
      name: 'flotilla_edge_resyncs_total',
      help: 'Times a lane had to be made good',
      labels: ['reason'],
    }),
  }
}
function histograms(metrics: Metrics) {
  return {
    gateSeconds: metrics.histogram({
      name: 'flotilla_edge_gate_wait_seconds',
      help: 'Time that connections waited to be read, and then to be accepted as new or as coming back',
      labels: ['gate'],
    }),
    pongSeconds: metrics.histogram({
      name: 'flotilla_edge_pong_seconds',
      help: 'Time from a ping to its pong',
    }),
    deliverySeconds: metrics.histogram({
      name: 'flotilla_edge_delivery_seconds',
      help: 'Time from a commit, by the clock of its worker, to its events being taken by this edge',
    }),
  }
}
export type EdgeMetrics = ReturnType<typeof edgeMetrics>

/** Read when they are scraped. */
function declareFigures(metrics: Metrics, figures: EdgeFigures): void {
  metrics.gauge({
    name: 'flotilla_edge_subscriptions',
    help: 'Subscriptions of open connections',
    collect: (gauge) => gauge.set(figures.subscriptions()),
  })
  metrics.gauge({ name: 'flotilla_edge_connections_limit', help: 'Connections that there may be' }).set(figures.limit)
  metrics.gauge({
    name: 'flotilla_edge_draining',
    help: 'Whether the edge drains: 1 or 0',
    collect: (gauge) => gauge.set(figures.drains() ? 1 : 0),
  })
  metrics.gauge({
    name: 'flotilla_edge_connections',
    help: 'Open connections',
    collect: (gauge) => gauge.set(figures.connections()),
  })
  metrics.gauge({
    name: 'flotilla_edge_rooms',
    help: 'Rooms with subscribers on this edge',
    collect: (gauge) => gauge.set(figures.rooms()),
  })
}

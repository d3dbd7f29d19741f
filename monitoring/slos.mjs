// What is promised of the service as a whole, as shares of what went wrong; scripts/monitoring.mjs makes rules of them.

/** `bad` and `all`: counters as PromQL with `$window`, by namespace; `objective`: share that may go wrong, over 30 days; `tenthFails`, `noneFails`: examples for promtool. */
export const slos = [
  {
    name: 'publish',
    title: 'Publishes are taken',
    objective: 0.001,
    bad: 'sum by (namespace) (rate(flotilla_endpoint_publishes_total{outcome!="committed"}[$window]))',
    all: 'sum by (namespace) (rate(flotilla_endpoint_publishes_total[$window]))',
    says: 'publishes were refused or their outcome was not known',
    tenthFails: {
      'flotilla_endpoint_publishes_total{outcome="committed",pod="e-1"}': '0+90x60',
      'flotilla_endpoint_publishes_total{outcome="unknown",pod="e-1"}': '0+10x60',
    },
    noneFails: {
      'flotilla_endpoint_publishes_total{outcome="committed",pod="e-1"}': '0+500x60',
      'flotilla_endpoint_publishes_total{outcome="unknown",pod="e-1"}': '0x60',
    },
  },
  {
    name: 'delivery',
    title: 'Commits reach edges within 500 ms',
    objective: 0.001,
    bad: 'sum by (namespace) (rate(flotilla_edge_delivery_seconds_count[$window])) - sum by (namespace) (rate(flotilla_edge_delivery_seconds_bucket{le="0.5"}[$window]))',
    all: 'sum by (namespace) (rate(flotilla_edge_delivery_seconds_count[$window]))',
    says: 'commits took longer than 500 ms to reach an edge',
    tenthFails: {
      'flotilla_edge_delivery_seconds_count{pod="e-1"}': '0+100x60',
      'flotilla_edge_delivery_seconds_bucket{le="0.5",pod="e-1"}': '0+90x60',
    },
    noneFails: {
      'flotilla_edge_delivery_seconds_count{pod="e-1"}': '0+500x60',
      'flotilla_edge_delivery_seconds_bucket{le="0.5",pod="e-1"}': '0+500x60',
    },
  },
  {
    name: 'connect',
    title: 'Connections are accepted',
    objective: 0.01,
    bad: 'sum by (namespace) (rate(flotilla_edge_turned_away_total{reason=~"rate|full"}[$window]))',
    all: 'sum by (namespace) (rate(flotilla_edge_turned_away_total{reason=~"rate|full"}[$window])) + sum by (namespace) (rate(flotilla_edge_accepts_total[$window]))',
    says: 'connections were turned away because they were too many',
    tenthFails: {
      'flotilla_edge_accepts_total{pod="e-1"}': '0+90x60',
      'flotilla_edge_turned_away_total{reason="rate",pod="e-1"}': '0+10x60',
      'flotilla_edge_turned_away_total{reason="path",pod="e-1"}': '0+500x60',
    },
    noneFails: {
      'flotilla_edge_accepts_total{pod="e-1"}': '0+500x60',
      'flotilla_edge_turned_away_total{reason="rate",pod="e-1"}': '0x60',
    },
  },
]

export const windows = ['5m', '30m', '1h', '2h', '6h', '1d', '3d']

/** Google SRE Workbook, chapter 5: how fast the budget of 30 days burns, seen in a long window and still in a short one. */
export const burns = [
  { long: '1h', short: '5m', factor: 14.4, severity: 'page', for: '2m' },
  { long: '6h', short: '30m', factor: 6, severity: 'page', for: '15m' },
  { long: '1d', short: '2h', factor: 3, severity: 'ticket', for: '1h' },
  { long: '3d', short: '6h', factor: 1, severity: 'ticket', for: '3h' },
]

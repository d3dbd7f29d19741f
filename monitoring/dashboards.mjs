// Grafana's dashboards: what an operator looks at, from the whole to the parts. scripts/monitoring.mjs writes them as JSON.

const source = { type: 'prometheus', uid: '${datasource}' }
/** Every query is of the chosen namespace and pods. */
const chosen = (labels = '') => `{namespace=~"$namespace",pod=~"$pod"${labels === '' ? '' : `,${labels}`}}`

/** Queries write `metric[]` for "of what is chosen", and `metric[label="x"]` with a label more. */
const promql = (text) =>
  text.replaceAll(/\b((?:flotilla|process|nodejs)_[a-z0-9_]+)\[([^\]]*)\]/g, (_, name, labels) => name + chosen(labels))

const variables = [
  { name: 'datasource', type: 'datasource', query: 'prometheus', label: 'Data source' },
  ...[
    ['namespace', 'label_values(flotilla_build_info, namespace)'],
    ['pod', 'label_values(flotilla_build_info{namespace=~"$namespace"}, pod)'],
  ].map(([name, query]) => ({
    ...{ name, type: 'query', query, datasource: source, label: name[0].toUpperCase() + name.slice(1) },
    ...{ refresh: 2, includeAll: true, multi: true, allValue: '.*', current: { text: 'All', value: '$__all' } },
  })),
]

/** A graph: `[title, what it says, unit, { legend: query }]`. */
const graph = (title, description, unit, queries) => ({ kind: 'timeseries', title, description, unit, queries })
const stat = (title, description, unit, queries) => ({ kind: 'stat', title, description, unit, queries })

function panel({ kind, title, description, unit, queries }, i) {
  const [width, height] = kind === 'stat' ? [4, 4] : [12, 8]
  return {
    ...{ id: i + 1, type: kind, title, description, datasource: source },
    gridPos: { h: height, w: width, x: 0, y: 0 },
    fieldConfig: {
      defaults: { unit, min: 0, custom: kind === 'stat' ? {} : { lineWidth: 1, fillOpacity: 8, showPoints: 'never' } },
      overrides: [],
    },
    options:
      kind === 'stat'
        ? { reduceOptions: { calcs: ['lastNotNull'] } }
        : { tooltip: { mode: 'multi', sort: 'desc' }, legend: { displayMode: 'list', placement: 'bottom' } },
    targets: Object.entries(queries).map(([legendFormat, expr], n) => ({
      ...{ refId: String.fromCharCode(65 + n), datasource: source, expr: promql(expr), legendFormat },
    })),
  }
}

/** Panels from left to right and down, as they are wide. */
function placed(panels) {
  let [x, y, row] = [0, 0, 0]
  return panels.map(panel).map((each) => {
    const { w, h } = each.gridPos
    if (x + w > 24) [x, y, row] = [0, y + row, 0]
    const at = { ...each, gridPos: { w, h, x, y } }
    ;[x, row] = [x + w, Math.max(row, h)]
    return at
  })
}

const dashboard = (uid, title, panels) => ({
  ...{
    uid: `flotilla-${uid}`,
    title: `Flotilla / ${title}`,
    tags: ['flotilla'],
    schemaVersion: 39,
    version: 1,
    editable: false,
  },
  ...{ time: { from: 'now-1h', to: 'now' }, refresh: '30s', timezone: 'browser', graphTooltip: 1 },
  links: [
    { type: 'dashboards', tags: ['flotilla'], title: 'Flotilla', asDropdown: true, includeVars: true, keepTime: true },
  ],
  templating: { list: variables },
  panels: placed(panels),
})

const p = (share, metric, by = 'le') =>
  `histogram_quantile(${share}, sum by (${by}) (rate(${metric}_bucket[][$__rate_interval])))`
const rate = (metric, by) => `sum${by === undefined ? '' : ` by (${by})`} (rate(${metric}[$__rate_interval]))`
const quantiles = (metric) => ({ p50: p(0.5, metric), p99: p(0.99, metric) })

const byPod = (metric) => ({ '{{pod}}': `sum by (pod) (${metric})` })
const eventLoops = (service) =>
  graph('Event loops', 'Share of the time in which a process was busy.', 'percentunit', {
    '{{pod}}': `max by (pod) (flotilla_event_loop_utilization_ratio[${service === undefined ? '' : `service="${service}"`}])`,
  })
const commits = graph('Commit', 'From sending a commit to its reply.', 's', quantiles('flotilla_shard_commit_seconds'))
/** The share of an objective's failures over three spans (slos.mjs). */
const burning = (objective) => ({
  '5 minutes {{namespace}}': `slo:${objective}:ratio_rate5m{namespace=~"$namespace"}`,
  '1 hour {{namespace}}': `slo:${objective}:ratio_rate1h{namespace=~"$namespace"}`,
  '1 day {{namespace}}': `slo:${objective}:ratio_rate1d{namespace=~"$namespace"}`,
})

export const dashboards = [
  dashboard('fleet', 'Fleet', [
    stat('Connections', 'Open connections of all edges.', 'short', { connections: 'sum(flotilla_edge_connections[])' }),
    stat('Events delivered', 'Events written to sockets, per second.', 'ops', {
      delivered: rate('flotilla_edge_events_delivered_total[]'),
    }),
    stat('Publishes', 'Publishes that got their outcome, per second.', 'ops', {
      publishes: rate('flotilla_endpoint_publishes_total[]'),
    }),
    stat('Unserved slots', 'Slots that belong to no living worker.', 'short', {
      slots: 'max(flotilla_control_slots_orphaned[])',
    }),
    stat('Leaders', 'Control processes that lead: one.', 'short', { leaders: 'sum(flotilla_control_leading[])' }),
    stat('Draining edges', 'Edges that move their clients elsewhere.', 'short', {
      draining: 'sum(flotilla_edge_draining[])',
    }),
    graph('Connections by edge', 'Open connections.', 'short', byPod('flotilla_edge_connections[]')),
    graph('Publishes by outcome', 'Per second; only `committed` is acknowledged.', 'ops', {
      '{{outcome}}': rate('flotilla_endpoint_publishes_total[]', 'outcome'),
    }),
    graph(
      'Publish to outcome',
      'Time from a publish to its outcome.',
      's',
      quantiles('flotilla_endpoint_publish_seconds'),
    ),
    graph(
      'Commit to edge',
      'Time from a commit to its events being taken by an edge.',
      's',
      quantiles('flotilla_edge_delivery_seconds'),
    ),
    eventLoops(),
    graph('Versions', 'Processes by version.', 'short', {
      '{{version}}': 'count by (version) (flotilla_build_info[])',
    }),
  ]),
  dashboard('edge', 'Edge', [
    graph('Connections', 'Open connections, and how many there may be.', 'short', {
      '{{pod}}': 'sum by (pod) (flotilla_edge_connections[])',
      'limit {{pod}}': 'sum by (pod) (flotilla_edge_connections_limit[])',
    }),
    graph('Subscriptions and rooms', 'What edges hold.', 'short', {
      subscriptions: 'sum(flotilla_edge_subscriptions[])',
      rooms: 'sum(flotilla_edge_rooms[])',
    }),
    graph('Accepted and turned away', 'Connections per second.', 'ops', {
      accepted: rate('flotilla_edge_accepts_total[]'),
      'turned away: {{reason}}': rate('flotilla_edge_turned_away_total[]', 'reason'),
    }),
    graph('Waits at the gates, p99', 'Until a connection is read, and then accepted.', 's', {
      '{{gate}}': p(0.99, 'flotilla_edge_gate_wait_seconds', 'le, gate'),
    }),
    graph('Closes', 'Connections closed by the edge, by close code.', 'ops', {
      '{{code}}': rate('flotilla_edge_closes_total[]', 'code'),
    }),
    graph('Subscriptions answered', 'Up to date, with a replay, or with a loss of continuity.', 'ops', {
      '{{result}}': rate('flotilla_edge_subscribes_total[]', 'result'),
    }),
    graph('Continuity lost', 'Told to clients, by reason.', 'ops', {
      '{{reason}}': rate('flotilla_edge_continuity_lost_total[]', 'reason'),
    }),
    graph('Frames and refusals', 'Frames of clients, and those answered with an error.', 'ops', {
      frames: rate('flotilla_edge_frames_total[]'),
      '{{code}}': rate('flotilla_edge_refusals_total[]', 'code'),
    }),
    graph('Events and writes', 'Events per write is how well they are batched.', 'ops', {
      events: rate('flotilla_edge_events_delivered_total[]'),
      writes: rate('flotilla_edge_socket_writes_total[]'),
    }),
    graph('Round trip to clients', 'From a ping to its pong.', 's', quantiles('flotilla_edge_pong_seconds')),
    graph('Memory', 'Resident.', 'bytes', byPod('process_resident_memory_bytes[service="edge"]')),
    graph('Lanes made good', 'Holes, other states of a server, new boots.', 'ops', {
      '{{reason}}': rate('flotilla_edge_resyncs_total[]', 'reason'),
    }),
  ]),
  dashboard('shard', 'Shard', [
    graph(
      'Slots by worker',
      'Owned and served; together as many as the fleet has.',
      'short',
      byPod('flotilla_shard_slots[]'),
    ),
    graph('Messages and commits', 'Messages per commit is how well they are batched.', 'ops', {
      messages: rate('flotilla_shard_messages_total[]'),
      commits: rate('flotilla_shard_commits_total[]'),
    }),
    commits,
    graph('Commits that failed or were refused', 'Failed: no answer in time. Refused: another owns the slot.', 'ops', {
      failed: rate('flotilla_shard_commit_failures_total[]'),
      'refused: {{status}}': rate('flotilla_shard_commits_refused_total[]', 'status'),
    }),
    graph('Claims', 'Answered by the store.', 'ops', { '{{result}}': rate('flotilla_shard_claims_total[]', 'result') }),
    graph('Slots released', 'By reason.', 'ops', {
      '{{reason}}': rate('flotilla_shard_slots_released_total[]', 'reason'),
    }),
    graph('Put aside', 'Dead letters, and loads of logs that cannot be read.', 'ops', {
      'dead letters': rate('flotilla_shard_dead_letters_total[]'),
      'unreadable logs': rate('flotilla_shard_unreadable_logs_total[]'),
    }),
    eventLoops('shard'),
  ]),
  dashboard('redis', 'Redis, as the fleet sees it', [
    commits,
    graph('Calls that failed', 'Commits of workers, calls of control, appends of edges and ingest.', 'ops', {
      commits: rate('flotilla_shard_commit_failures_total[]'),
      'control: {{call}}': rate('flotilla_control_store_failures_total[]', 'call'),
      'appends: {{result}}': rate('flotilla_endpoint_appends_total[result!="ok"]', 'result'),
    }),
    graph('Replicas', 'Time that replicas took to confirm, and times that they did not.', 's', {
      p99: p(0.99, 'flotilla_endpoint_replica_confirm_seconds'),
    }),
    graph('Replicas did not confirm', 'Per second.', 'ops', {
      unconfirmed: rate('flotilla_endpoint_replica_unconfirmed_total[]'),
    }),
    graph('Appends', 'Input entries, by what became of them.', 'ops', {
      '{{result}}': rate('flotilla_endpoint_appends_total[]', 'result'),
    }),
    graph('Lanes made good', 'A hole in an outbox, or another state of a server.', 'ops', {
      '{{reason}}': rate('flotilla_endpoint_resyncs_total[]', 'reason'),
    }),
  ]),
  dashboard('control', 'Control and rollouts', [
    graph('Leader', 'Which control process leads.', 'short', byPod('flotilla_control_leading[]')),
    graph('Slots', 'Unserved, and given to a worker that has not reported them.', 'short', {
      unserved: 'max(flotilla_control_slots_orphaned[])',
      'in flight': 'max(flotilla_control_slots_in_flight[])',
    }),
    graph('Moves', 'New epochs published, by reason.', 'ops', {
      '{{reason}}': rate('flotilla_control_moves_total[]', 'reason'),
    }),
    graph('Members', 'Processes by role and state.', 'short', {
      '{{role}} {{state}}': 'max by (role, state) (flotilla_control_members[])',
    }),
    graph('Edges that drain', 'One line each; clients that are left.', 'short', {
      '{{pod}}': 'sum by (pod) (flotilla_edge_connections[]) and sum by (pod) (flotilla_edge_draining[]) > 0',
    }),
    graph('Reconnects', 'Connections accepted per second.', 'ops', { accepted: rate('flotilla_edge_accepts_total[]') }),
    graph('Dead members removed', 'By role.', 'ops', { '{{role}}': rate('flotilla_control_removals_total[]', 'role') }),
    graph('Calls that failed', 'To Redis and to the Kubernetes API.', 'ops', {
      'Redis: {{call}}': rate('flotilla_control_store_failures_total[]', 'call'),
      'Kubernetes: {{call}}': rate('flotilla_control_kubernetes_failures_total[]', 'call'),
    }),
  ]),
  dashboard('ingest', 'Ingest', [
    graph('Requests', 'By status.', 'reqps', { '{{status}}': rate('flotilla_ingest_requests_total[]', 'status') }),
    graph('Time to answer', 'Of requests.', 's', quantiles('flotilla_ingest_request_seconds')),
    graph('Events', 'By the code of their answer.', 'ops', {
      '{{code}}': rate('flotilla_ingest_events_total[]', 'code'),
    }),
    graph(
      'Publishes in flight',
      'One for each room of an event; above the limit requests are answered OVERLOADED.',
      'short',
      byPod('flotilla_ingest_publishes_in_flight[]'),
    ),
    graph(
      'Memory of unacknowledged publishes',
      'Held until they are acknowledged.',
      'bytes',
      byPod('flotilla_endpoint_window_bytes[role="ingest"]'),
    ),
    eventLoops('ingest'),
  ]),
  dashboard('slo', 'Promises', [
    graph(
      'Publishes that failed',
      'Share that was refused or of unknown outcome; 0.1 % may, over 30 days.',
      'percentunit',
      burning('publish_failed'),
    ),
    graph(
      'Commits that were slow',
      'Share that took longer than 500 ms to an edge; 0.1 % may, over 30 days.',
      'percentunit',
      burning('delivery_failed'),
    ),
    graph(
      'Connections turned away',
      'Share that was too many; 1 % may, over 30 days.',
      'percentunit',
      burning('connect_failed'),
    ),
    graph(
      'Told of a loss',
      'Times that clients were told that continuity was lost, by reason: `expired` and `trimmed` are the limits of history.',
      'ops',
      { '{{reason}}': rate('flotilla_edge_continuity_lost_total[]', 'reason') },
    ),
  ]),
]

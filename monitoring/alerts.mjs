// Alerts on causes; those on what users see are made of slos.mjs. `fires`, `alsoFires` and `calm`: series for promtool, which has to agree.
// Of a series: `value at the start + growth per minute x minutes`, as promtool writes it. One Prometheus may watch several fleets, one in
// a namespace: whatever is summed is summed by namespace, and `fires` is tried beside another namespace's `calm`.

/** `flotilla_a{b="c"}` → `0+5x60`: five a minute for an hour. */
const grows = (series, perMinute) => ({ [series]: `0+${perMinute}x60` })
const stays = (series, value) => ({ [series]: `${value}x60` })
/** A series that is seen for the first time with a value: promtool's `_` is no sample. */
const isBornWith = (series, value) => ({ [series]: `_x25 ${value}x40` })

/**
 * Counters that grew within the window. increase() sees nothing of a series that is new, as one is whose label, or whose process, is
 * new: its first sample has counted already. New is what was not there for a day, so that a gap of the scrapes makes nothing new.
 */
const grew = (series, window) =>
  `sum by (namespace) (increase(${series}[${window}]) > 0 or (${series} unless last_over_time(${series}[1d] offset ${window})) > 0) > 0`

const tiers = ['edge', 'shard', 'control', 'ingest']
const aFleet = `group by (namespace) (flotilla_build_info{service=~"${tiers.join('|')}"})`
const named = (query, tier) => `label_replace(${query}, "service", "${tier}", "", "")`
/** Of every namespace in which a process of the fleet is seen: the tiers of which there is none. */
const missingTiers = tiers.map((tier) =>
  named(`(${aFleet} unless group by (namespace) (flotilla_build_info{service="${tier}"}))`, tier),
)
const processes = (of) => Object.assign({}, ...of.map((tier) => stays(`flotilla_build_info{service="${tier}"}`, 1)))

export const alerts = [
  {
    name: 'FlotillaSlotsUnserved',
    expr: 'max by (namespace) (flotilla_control_slots_orphaned) > 0',
    for: '30s',
    severity: 'page',
    summary: 'Slots belong to no living worker',
    description: '{{ $value }} slots belong to nobody or to a dead worker for 30 s: publishes to their rooms wait.',
    fires: stays('flotilla_control_slots_orphaned{pod="c-1"}', 3),
    calm: stays('flotilla_control_slots_orphaned{pod="c-1"}', 0),
  },
  {
    name: 'FlotillaSlotsInFlight',
    expr: 'max by (namespace) (flotilla_control_slots_in_flight) > 0',
    for: '2m',
    severity: 'page',
    summary: 'A worker does not take slots that it was given',
    description: '{{ $value }} slots were given to a worker that does not report them as its own for 2 minutes.',
    fires: stays('flotilla_control_slots_in_flight{pod="c-1"}', 8),
    calm: { 'flotilla_control_slots_in_flight{pod="c-1"}': '8 0x60' },
  },
  {
    name: 'FlotillaNoLeader',
    // Where control is gone there is nothing to sum: each namespace with a process of the fleet counts, unless one leads there.
    expr: `${aFleet} unless sum by (namespace) (flotilla_control_leading) > 0 or absent(flotilla_build_info)`,
    for: '1m',
    severity: 'page',
    summary: 'No control process leads',
    description:
      'Nobody leads for a minute: traffic goes on, but slots of a worker that dies would stay unserved and no edge is granted a drain.',
    fires: {
      ...processes(tiers),
      ...stays('flotilla_control_leading{pod="c-1"}', 0),
      ...stays('flotilla_control_leading{pod="c-2"}', 0),
    },
    // Control is gone, and so is everything.
    alsoFires: [processes(['edge', 'shard', 'ingest']), {}],
    calm: {
      ...processes(tiers),
      ...stays('flotilla_control_leading{pod="c-1"}', 1),
      ...stays('flotilla_control_leading{pod="c-2"}', 0),
    },
  },
  {
    name: 'FlotillaTierAway',
    expr: `${missingTiers.join(' or ')} or ${named('absent(flotilla_build_info)', 'all of them')}`,
    for: '5m',
    severity: 'page',
    summary: 'A tier is gone, or not scraped',
    description:
      'For 5 minutes nothing is seen of a tier ({{ $labels.service }}): none of its processes runs, or Prometheus reads none of them.',
    fires: processes(['edge', 'shard', 'control']),
    alsoFires: [processes(['shard', 'control', 'ingest']), {}],
    calm: processes(tiers),
  },
  {
    name: 'FlotillaNotScraped',
    expr: 'up == 0 and on (namespace, pod) last_over_time(flotilla_build_info[1h])',
    for: '10m',
    severity: 'ticket',
    summary: 'A process is not scraped',
    description: 'Prometheus cannot read {{ $labels.pod }} for 10 minutes: no other alert sees what it does.',
    fires: { 'up{pod="e-1"}': '1x10 0x50', 'flotilla_build_info{service="edge",pod="e-1"}': '1x10 stale' },
    calm: { ...stays('up{pod="e-1"}', 1), ...stays('up{pod="other"}', 0), ...processes(tiers) },
  },
  {
    name: 'FlotillaTwoLeaders',
    expr: 'sum by (namespace) (flotilla_control_leading) > 1',
    for: '1m',
    severity: 'ticket',
    summary: 'Two control processes believe that they lead',
    description:
      '{{ $value }} control processes believe that they lead for a minute. Redis takes plans of one of them only.',
    fires: { ...stays('flotilla_control_leading{pod="c-1"}', 1), ...stays('flotilla_control_leading{pod="c-2"}', 1) },
    calm: { ...stays('flotilla_control_leading{pod="c-1"}', 1), ...stays('flotilla_control_leading{pod="c-2"}', 0) },
  },
  {
    name: 'FlotillaContinuityLost',
    // Not `ahead`: that is what a client is told that says it has heard more than there is.
    expr: grew('flotilla_edge_continuity_lost_total{reason="epoch"}', '10m'),
    for: '0m',
    severity: 'page',
    summary: 'Clients were told of a loss',
    description:
      'Clients were told {{ $value }} times in 10 minutes that continuity was lost: Redis lost what it had acknowledged.',
    fires: grows('flotilla_edge_continuity_lost_total{reason="epoch"}', 2),
    alsoFires: [isBornWith('flotilla_edge_continuity_lost_total{reason="epoch"}', 5_000)],
    calm: {
      ...grows('flotilla_edge_continuity_lost_total{reason="expired"}', 2),
      ...grows('flotilla_edge_continuity_lost_total{reason="ahead"}', 2),
      // Long ago; then Prometheus was away for half an hour.
      'flotilla_edge_continuity_lost_total{reason="epoch"}': '7x5 _x20 7x40',
    },
  },
  {
    name: 'FlotillaReconnectStorm',
    expr: 'sum by (namespace) (rate(flotilla_edge_accepts_total[1m])) > 50 and sum by (namespace) (rate(flotilla_edge_accepts_total[1m])) > 5 * sum by (namespace) (rate(flotilla_edge_accepts_total[1h] offset 5m))',
    for: '1m',
    severity: 'ticket',
    summary: 'Many clients connect at once',
    description: '{{ $value }} clients connect per second, more than five times as many as in the last hour.',
    fires: { 'flotilla_edge_accepts_total{pod="e-1"}': '0+60x50 9000+6000x10' },
    calm: grows('flotilla_edge_accepts_total{pod="e-1"}', 6_000),
    at: '55m',
  },
  {
    name: 'FlotillaEdgeNearlyFull',
    expr: 'max by (namespace, pod) (flotilla_edge_connections / flotilla_edge_connections_limit) > 0.85',
    for: '5m',
    severity: 'page',
    summary: 'An edge is nearly full',
    description: '{{ $labels.pod }} has {{ $value | humanizePercentage }} of the connections that it may have.',
    fires: {
      ...stays('flotilla_edge_connections{pod="e-1"}', 900),
      ...stays('flotilla_edge_connections_limit{pod="e-1"}', 1_000),
    },
    calm: {
      ...stays('flotilla_edge_connections{pod="e-1"}', 800),
      ...stays('flotilla_edge_connections_limit{pod="e-1"}', 1_000),
    },
  },
  {
    name: 'FlotillaEventLoopBusy',
    expr: 'flotilla_event_loop_utilization_ratio > 0.85',
    for: '10m',
    severity: 'page',
    summary: 'A process has no time left',
    description:
      'The event loop of {{ $labels.pod }} is busy for {{ $value | humanizePercentage }} of its time for 10 minutes.',
    fires: stays('flotilla_event_loop_utilization_ratio{pod="e-1"}', 0.95),
    calm: stays('flotilla_event_loop_utilization_ratio{pod="e-1"}', 0.6),
  },
  {
    name: 'FlotillaFilesNearlyOut',
    expr: 'process_open_fds{service=~"edge|ingest|shard|control"} / process_max_fds > 0.85',
    for: '5m',
    severity: 'page',
    summary: 'A process can open few more files',
    description:
      '{{ $labels.pod }} has {{ $value | humanizePercentage }} of the open files that it may have: one for each connection.',
    fires: {
      ...stays('process_open_fds{pod="e-1",service="edge"}', 90),
      ...stays('process_max_fds{pod="e-1",service="edge"}', 100),
    },
    calm: {
      ...stays('process_open_fds{pod="e-1",service="edge"}', 50),
      ...stays('process_max_fds{pod="e-1",service="edge"}', 100),
    },
  },
  {
    name: 'FlotillaDrainTooLong',
    expr: 'flotilla_edge_draining == 1',
    for: '15m',
    severity: 'ticket',
    summary: 'An edge drains for 15 minutes',
    description: '{{ $labels.pod }} drains for 15 minutes and has not ended.',
    fires: stays('flotilla_edge_draining{pod="e-1"}', 1),
    calm: { 'flotilla_edge_draining{pod="e-1"}': '1x5 0x55' },
  },
  {
    name: 'FlotillaCommitsFail',
    // While Redis is away there are hardly any commits: a worker asks every few seconds what became of those that it has sent.
    expr: 'sum by (namespace) (rate(flotilla_shard_commit_failures_total[3m])) > 0.01 * sum by (namespace) (rate(flotilla_shard_commits_total[3m])) and sum by (namespace) (increase(flotilla_shard_commit_failures_total[3m])) > 5',
    for: '5m',
    severity: 'page',
    summary: 'Commits to Redis fail',
    description:
      '{{ $value }} commits per second, more than 1 % of them, fail or are not answered in time for 5 minutes.',
    fires: {
      ...grows('flotilla_shard_commit_failures_total{pod="s-0"}', 10),
      ...grows('flotilla_shard_commits_total{pod="s-0"}', 600),
    },
    alsoFires: [
      {
        ...grows('flotilla_shard_commit_failures_total{pod="s-0"}', 10),
        ...stays('flotilla_shard_commits_total{pod="s-0"}', 600),
      },
    ],
    // Two within minutes, and a few of very many.
    calm: {
      'flotilla_shard_commit_failures_total{pod="s-0"}': '0x20 1x3 2x40',
      'flotilla_shard_commit_failures_total{pod="s-1"}': '0+3x60',
      'flotilla_shard_commits_total{pod="s-0"}': '0+6000x60',
      'flotilla_shard_commits_total{pod="s-1"}': '0+6000x60',
    },
  },
  {
    name: 'FlotillaCommitsRefused',
    expr: grew('flotilla_shard_commits_refused_total{status="conflict"}', '1h'),
    for: '0m',
    severity: 'page',
    summary: 'Two workers wrote under one epoch',
    description:
      'Redis refused {{ $value }} commits because another worker had written under the same epoch, which must not be.',
    fires: grows('flotilla_shard_commits_refused_total{status="conflict"}', 1),
    alsoFires: [isBornWith('flotilla_shard_commits_refused_total{status="conflict"}', 1)],
    calm: grows('flotilla_shard_commits_refused_total{status="fenced"}', 1),
  },
  {
    name: 'FlotillaDeadLetters',
    expr: grew('flotilla_shard_dead_letters_total', '10m'),
    for: '0m',
    severity: 'ticket',
    summary: 'Input that nobody can read',
    description:
      '{{ $value }} entries of the input were put aside in 10 minutes: something else writes to the streams.',
    fires: grows('flotilla_shard_dead_letters_total{pod="s-0"}', 1),
    alsoFires: [isBornWith('flotilla_shard_dead_letters_total{pod="s-0"}', 5_000)],
    calm: stays('flotilla_shard_dead_letters_total{pod="s-0"}', 4),
  },
  {
    name: 'FlotillaLogUnreadable',
    expr: grew('flotilla_shard_unreadable_logs_total', '10m'),
    for: '0m',
    severity: 'page',
    summary: 'The log of a room cannot be read',
    description: 'The log of a room has an entry of an unknown version or form: its slot waits.',
    fires: grows('flotilla_shard_unreadable_logs_total{pod="s-0"}', 1),
    alsoFires: [isBornWith('flotilla_shard_unreadable_logs_total{pod="s-0"}', 5_000)],
    calm: stays('flotilla_shard_unreadable_logs_total{pod="s-0"}', 1),
  },
  {
    name: 'FlotillaReplicasBehind',
    expr: 'sum by (namespace) (increase(flotilla_endpoint_replica_unconfirmed_total[3m])) > 5',
    for: '5m',
    severity: 'page',
    summary: 'Replicas do not confirm',
    description: 'Replicas do not confirm what acknowledgements wait for: publishes are answered UNKNOWN.',
    fires: grows('flotilla_endpoint_replica_unconfirmed_total{pod="i-1"}', 5),
    calm: { 'flotilla_endpoint_replica_unconfirmed_total{pod="i-1"}': '0x20 1x3 2x40' },
  },
  {
    name: 'FlotillaSlowConsumers',
    expr: 'sum by (namespace) (rate(flotilla_edge_closes_total{code="4008"}[10m])) > 0.01 * sum by (namespace) (rate(flotilla_edge_accepts_total[10m])) and sum by (namespace) (increase(flotilla_edge_closes_total{code="4008"}[10m])) > 10',
    for: '10m',
    severity: 'ticket',
    summary: 'Many clients read too slowly',
    description: '{{ $value }} clients per second are closed because they do not read what they are sent.',
    fires: {
      ...grows('flotilla_edge_closes_total{code="4008"}', 20),
      ...grows('flotilla_edge_accepts_total{pod="e-1"}', 100),
    },
    calm: {
      ...grows('flotilla_edge_closes_total{code="4008"}', 0),
      ...grows('flotilla_edge_accepts_total{pod="e-1"}', 100),
    },
  },
  {
    name: 'FlotillaKubernetesApiAway',
    // `lease` is asked for every second, `pods` after a pause that grows to 10 s, `deletion-cost` every minute.
    expr: 'sum by (namespace, call) (increase(flotilla_control_kubernetes_failures_total[5m])) > 3',
    for: '10m',
    severity: 'ticket',
    summary: 'Control does not reach the Kubernetes API',
    description:
      'Calls to the Kubernetes API ({{ $labels.call }}) fail for 10 minutes. The leader goes on; nobody else could begin to lead.',
    fires: grows('flotilla_control_kubernetes_failures_total{call="lease"}', 30),
    calm: { 'flotilla_control_kubernetes_failures_total{call="lease"}': '0x10 1x6 2x4 30x40' },
    at: '40m',
  },
  {
    name: 'FlotillaVersionSkew',
    expr: 'count by (namespace) (count by (namespace, version) (flotilla_build_info)) > 1',
    for: '2h',
    severity: 'ticket',
    summary: 'Two versions run for two hours',
    description: '{{ $value }} versions of Flotilla run side by side for two hours: a rollout stands still.',
    fires: { 'flotilla_build_info{version="1"}': '1x200', 'flotilla_build_info{version="2"}': '1x200' },
    calm: { 'flotilla_build_info{version="1"}': '1x200' },
    at: '3h',
  },
]

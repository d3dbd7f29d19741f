import type { Metrics } from '@flotilla/node/metrics'

/** The shard's own metrics; docs/metrics.md says what each means. */
export function shardMetrics(metrics: Metrics) {
  return {
    owned: metrics.gauge({ name: 'flotilla_shard_slots', help: 'Slots this worker owns and serves' }),
    commits: metrics.counter({ name: 'flotilla_shard_commits_total', help: 'Commits sent to the store' }),
    commitFailures: metrics.counter({
      name: 'flotilla_shard_commit_failures_total',
      help: 'Commits whose call failed or was not answered in time',
    }),
    commitsRefused: metrics.counter({
      name: 'flotilla_shard_commits_refused_total',
      help: 'Slots of commits that the store refused, by what it found there',
      labels: ['status'],
      series: ['fenced', 'unclaimed', 'regressed', 'conflict'].map((status) => ({ status })),
    }),
    messages: metrics.counter({
      name: 'flotilla_shard_messages_total',
      help: 'Messages taken from the input streams into commits',
    }),
    commitSeconds: metrics.histogram({
      name: 'flotilla_shard_commit_seconds',
      help: 'Time from sending a commit to its reply',
    }),
    claims: metrics.counter({
      name: 'flotilla_shard_claims_total',
      help: 'Claims answered by the store',
      labels: ['result'],
    }),
    released: metrics.counter({
      name: 'flotilla_shard_slots_released_total',
      help: 'Slots this worker stopped owning',
      labels: ['reason'],
    }),
    deadLetters: metrics.counter({
      name: 'flotilla_shard_dead_letters_total',
      help: 'Input entries that could not be decoded and were put aside',
    }),
    unreadableLogs: metrics.counter({
      name: 'flotilla_shard_unreadable_logs_total',
      help: 'Loads of rooms that failed because the log has an entry of an unknown version or form',
    }),
  }
}
export type ShardMetrics = ReturnType<typeof shardMetrics>

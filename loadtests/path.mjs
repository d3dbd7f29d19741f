// The path without sockets: producer → input streams → worker → commit with history → 3 endpoints with interest.
import { owned, percentile, redisCpu, startLoad, startService, until } from './processes.mjs'

const rooms = 1_024
const readers = 3
/** Publishes under way when the path is driven as fast as it goes. */
const inFlight = 4_096

/** One row per rate; null: as fast as it goes. */
export async function path(redis, { seconds, pathRates }) {
  const env = { FLOTILLA_REDIS_URL: redis.url }
  const control = await startService('control', 'control-1', env)
  const worker = await startService('shard', 'shard-1', env)
  await owned(control)
  const load = (role, i) => startLoad('path-endpoint.mjs', 1, { ...env, BENCH_ROLE: role, BENCH_ID: `${role}-${i}` })
  const producer = load('producer', 1)
  const endpoints = Array.from({ length: readers }, (_, i) => load('reader', i))
  try {
    for (const { answered } of await Promise.all(endpoints.map((each) => each.ask({ call: 'declare', rooms })))) {
      if (answered !== rooms) throw new Error(`interest in ${answered} of ${rooms} rooms was answered`)
    }
    const parts = { redis, worker, producer, endpoints }
    await measure(parts, { rate: 2_000, seconds: 2 })
    const rows = []
    for (const rate of pathRates) rows.push(await measure(parts, { rate, seconds }))
    return rows
  } finally {
    await Promise.all([producer, ...endpoints].map((each) => each.stop()))
    await Promise.all([worker.stop(), control.stop()])
  }
}

async function measure({ redis, worker, producer, endpoints }, { rate, seconds }) {
  const all = [producer, ...endpoints]
  const before = await Promise.all(all.map((each) => each.ask({ call: 'reset' })))
  const cpu = {
    redis: await redisCpu(redis),
    worker: await worker.cpu(),
    commits: await worker.metric('flotilla_shard_commits_total'),
  }
  const call = rate === null ? { call: 'saturated', inFlight } : { call: 'paced', rate }
  const run = await producer.ask({ ...call, seconds, rooms })
  let reports = []
  await until('every endpoint has everything', async () => {
    reports = await Promise.all(endpoints.map((each) => each.ask({ call: 'report' })))
    return reports.every(({ received }) => received >= run.published - run.refused)
  })
  const committed = run.published - run.refused
  const per = (spent) => (spent / committed) * 1e6
  const latencies = reports.flatMap(({ samples }) => samples).toSorted((a, b) => a - b)
  const commits = (await worker.metric('flotilla_shard_commits_total')) - cpu.commits
  return {
    rate: rate ?? 'most',
    messagesPerSecond: committed / run.seconds,
    messages: committed,
    refused: run.refused,
    received: reports.map(({ received }) => received),
    messagesPerCommit: committed / commits,
    p50Ms: percentile(latencies, 0.5),
    p99Ms: percentile(latencies, 0.99),
    microsecondsPerMessage: {
      redis: per((await redisCpu(redis)) - cpu.redis),
      worker: per((await worker.cpu()) - cpu.worker),
      producer: per(run.cpu - before[0].cpu),
      reader: per(reports.reduce((sum, each, i) => sum + each.cpu - before[i + 1].cpu, 0) / endpoints.length),
    },
  }
}

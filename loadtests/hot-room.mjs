// One room with 1,000 subscribers on one edge, published through ingest in batches at a pace.
import { signToken } from '@flotilla/node/jwt'
import { owned, percentile, redisCpu, startLoad, startService, until } from './processes.mjs'

const subscribers = 1_000
const room = 'public:hot'
const secret = 'bench-secret-bench-secret-bench-secret-01'
const key = 'bench-ingest-key-0123456789'

/** One row per rate of events. */
export async function hotRoom(redis, { seconds, hotRates }) {
  const env = { FLOTILLA_REDIS_URL: redis.url }
  const control = await startService('control', 'control-1', env)
  const worker = await startService('shard', 'shard-1', env)
  await owned(control)
  const edge = await startService('edge', 'edge-1', {
    ...env,
    FLOTILLA_JWT_SECRET: secret,
    FLOTILLA_EDGE_ACCEPTS_PER_SECOND: '100000',
  })
  const ingest = await startService('ingest', 'ingest-1', { ...env, FLOTILLA_INGEST_KEYS: `bench:${key}` })
  const client = startLoad('load-client.mjs', 1)
  try {
    const token = signToken({ secret, sub: 'bench', tenant: 'bench', ttlSeconds: 3_600 })
    const { subscribed } = await client.ask({ call: 'open', port: edge.port, token, room, count: subscribers })
    if (subscribed !== subscribers) throw new Error(`${subscribed} of ${subscribers} subscriptions were answered`)
    const parts = { redis, worker, edge, ingest, client }
    await measure(parts, { rate: 50, seconds: 2 })
    const rows = []
    for (const rate of hotRates) rows.push(await measure(parts, { rate, seconds }))
    return rows
  } finally {
    await client.stop()
    await Promise.all([edge, ingest, worker, control].map((each) => each.stop()))
  }
}

async function spent({ redis, worker, edge, ingest }) {
  const [ofWorker, ofEdge, ofIngest, writes] = await Promise.all([
    worker.cpu(),
    edge.cpu(),
    ingest.cpu(),
    edge.metric('flotilla_edge_socket_writes_total'),
  ])
  return { redis: await redisCpu(redis), worker: ofWorker, edge: ofEdge, ingest: ofIngest, writes }
}

async function measure(parts, { rate, seconds }) {
  const { client, ingest } = parts
  await client.ask({ call: 'reset' })
  const before = await spent(parts)
  const clientBefore = (await client.ask({ call: 'report' })).cpu
  const run = await client.ask({ call: 'publish', ingestPort: ingest.port, key, room, rate, seconds })
  const expected = (run.published - run.failed) * subscribers
  let report = {}
  await until('every subscriber has everything', async () => {
    report = await client.ask({ call: 'report' })
    return report.events >= expected
  }).catch((error) => {
    throw new Error(`${error.message}: ${report.events} of ${expected}, ${report.closed} sockets closed`)
  })
  const after = await spent(parts)
  const per = (name) => ((after[name] - before[name]) / report.events) * 1e6
  const latencies = report.samples.toSorted((a, b) => a - b)
  return {
    eventsPerSecond: rate,
    deliveriesPerSecond: report.events / run.seconds,
    deliveries: report.events,
    expected,
    failed: run.failed,
    p50Ms: percentile(latencies, 0.5),
    p99Ms: percentile(latencies, 0.99),
    deliveriesPerWrite: report.events / (after.writes - before.writes),
    microsecondsPerDelivery: { edge: per('edge'), redis: per('redis'), worker: per('worker'), ingest: per('ingest') },
    coresOfEdge: (after.edge - before.edge) / run.seconds,
    coresOfLoad: (report.cpu - clientBefore) / run.seconds,
  }
}

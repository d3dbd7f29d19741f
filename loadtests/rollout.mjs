/**
 * make rollout-demo: every process of a fleet on a real Redis is replaced, one after the other, under load. Prints what
 * the clients saw of it and writes out/rollout.json. --clients, --rate and --budget change the load.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { startRedis } from '@flotilla/node/testing/redis-server'
import { startLoad, startService, until } from './harness/processes.mjs'
import { latencies } from './harness/samples.mjs'
import { grid } from './report/table.mjs'
import { startBalancer } from './rollout/balancer.mjs'
import { startDirectory } from './rollout/ready.mjs'
import { guardedRooms, startGuard } from './rollout/guard.mjs'
import { startPublisher } from './rollout/publisher.mjs'
import { judge, mostPerSecond } from './rollout/report.mjs'

const { values: args } = parseArgs({
  options: {
    clients: { type: 'string', default: '2000' },
    rate: { type: 'string', default: '1000' },
    budget: { type: 'string', default: '400' },
  },
})
const [clientCount, rate, budget] = [args.clients, args.rate, args.budget].map(Number)
const roomSize = 10
const rooms = Math.max(1, Math.round(clientCount / roomSize))
const loads = 2
const tiers = { shard: 2, control: 2, edge: 3, ingest: 2 }
const secret = 'demo-secret-demo-secret-demo-secret-0123'
const key = 'demo-ingest-key-0123456789'
/** What a user may notice of a rollout. */
const bars = { p99Ms: 500, maxMs: 2_000 }

const startedAt = Date.now()
const say = (text) =>
  process.stderr.write(`${String(Math.round((Date.now() - startedAt) / 1_000)).padStart(4)} s  ${text}\n`)

const redis = await startRedis()
const guard = await startGuard(rooms)
const env = {
  FLOTILLA_REDIS_URL: redis.url,
  FLOTILLA_JWT_SECRET: secret,
  FLOTILLA_INGEST_KEYS: `demo:${key}`,
  FLOTILLA_EDGE_DRAIN_TIMEOUT: '120s',
  FLOTILLA_CONTROL_RECONNECTS_PER_SECOND: String(budget),
  // Every client is another user, at the limit: without its ticket none could be in twice, and move without a gap.
  FLOTILLA_CONNECTIONS_PER_USER: '1',
  ...guard.env,
}
const running = Object.fromEntries(Object.keys(tiers).map((tier) => [tier, []]))
let started = 0

async function start(tier) {
  const id = `${tier}-${(started += 1)}`
  const each = await startService(tier, { id, env, place: 'free', stopWithinMs: 120_000 })
  running[tier].push(each)
  return each
}

/** Every slot is owned by a worker that runs, and nothing moves. */
async function whole() {
  await until('every slot is owned', async () => {
    const [control] = running.control.slice(-1)
    const view = await fetch(`http://127.0.0.1:${control.port}/v1/fleet`).then((response) => response.json())
    const { slots, inFlight, orphans } = view.plan
    const owners = Object.keys(slots).map((boot) => boot.split('#')[0])
    return (
      Object.values(slots).flat().length === 128 &&
      inFlight.length + orphans.length === 0 &&
      owners.every((id) => running.shard.some((each) => each.id === id))
    )
  })
}

/** A new process first, then the old one is asked to end. */
async function replace(tier) {
  const [old] = running[tier]
  // What it has counted goes with it.
  await count([old])
  const fresh = await start(tier)
  const beganAt = performance.now()
  running[tier].splice(0, 1)
  leaving.push(old)
  const code = await old.stop()
  leaving.splice(leaving.indexOf(old), 1)
  await whole()
  say(`${old.id} replaced by ${fresh.id} in ${((performance.now() - beganAt) / 1_000).toFixed(1)} s`)
  if (code !== 0) throw new Error(`${old.id} ended with ${code}`)
}
const leaving = []
const refused = { limit: 0, hooks: 0 }
/** Connections that these processes turned away because their user had as many as it may, and questions to the service that had no answer. */
async function count(processes) {
  for (const each of processes) {
    refused.limit += await each.metric('flotilla_edge_refusals_total', 'code="TOO_MANY_CONNECTIONS"')
    refused.hooks += await each.metric('flotilla_edge_hook_answers_total', 'outcome="failed"')
  }
}

for (const [tier, size] of Object.entries(tiers)) for (let i = 0; i < size; i += 1) await start(tier)
await whole()
// A process that drains says so by its health: those who choose one see for themselves.
const edges = await startDirectory(() => [...running.edge, ...leaving.filter(({ id }) => id.startsWith('edge'))])
const ingests = await startBalancer(() => [...running.ingest, ...leaving.filter(({ id }) => id.startsWith('ingest'))])
const crowds = Array.from({ length: loads }, () => startLoad('rollout-client.mjs', { place: 'free' }))
const share = Math.ceil(clientCount / loads)
await Promise.all(
  crowds.map((crowd, i) =>
    crowd.ask('open', { directory: edges.url, secret, count: share, first: i * share, rooms, types: guardedRooms }),
  ),
)
say(`${clientCount} clients in ${rooms} rooms over ${tiers.edge} edges`)
const publisher = startPublisher({ port: ingests.port, key, rate, rooms, types: guardedRooms })
const calmAt = performance.timeOrigin + performance.now()
for (const tier of ['edge', 'shard', 'control', 'ingest']) for (let i = 0; i < tiers[tier]; i += 1) await replace(tier)
await publisher.stop()
const expected = Array.from(publisher.heads.values()).reduce((sum, head) => sum + head * roomSize, 0)
let reports = []
await until('everything has been delivered', async () => {
  reports = await Promise.all(crowds.map((crowd) => crowd.ask('report')))
  return reports.reduce((sum, { delivered }) => sum + delivered, 0) >= expected
}).catch(() => say('not everything has come: the rest is counted as lost'))
const delays = await Promise.all(crowds.map((crowd) => crowd.ask('delays')))
await count(running.edge)
const views = reports.flatMap((report) => report.views)
const openedAtMs = reports.flatMap((report) => report.openedAtMs)
const all = delays.reduce((sum, each) => each.delays.map((count, ms) => count + (sum[ms] ?? 0)), [])
const { p50Ms, p99Ms } = latencies(all.flatMap((count, ms) => Array(count).fill(ms)))
const worst = Math.max(...views.map(({ worstMs }) => worstMs))
const report = {
  startedAt: new Date(startedAt).toISOString(),
  seconds: Math.round((Date.now() - startedAt) / 1_000),
  clients: clientCount,
  eventsPerSecond: rate,
  replaced: tiers,
  events: publisher.sum.events,
  postsRepeated: publisher.sum.retries,
  ...judge(views, publisher),
  toldOfLoss: reports.reduce((sum, { seen }) => sum + seen.told, 0),
  refusedAtLimit: refused.limit,
  subscriptionsEnded: reports.reduce((sum, { seen }) => sum + seen.ended, 0),
  hookQuestions: guard.asked.questions,
  hookDenials: guard.asked.denied,
  hookFailures: refused.hooks,
  roomTokens: reports.reduce((sum, { seen }) => sum + seen.roomTokens, 0),
  sawDisconnected: reports.reduce((sum, { seen }) => sum + seen.disconnected, 0),
  gapMs: {
    p50: p50Ms,
    p99: p99Ms,
    max: Math.round(worst),
    worstClientP99: Math.max(...views.map((view) => view.p99Ms)),
  },
  reconnects: openedAtMs.filter((at) => at >= calmAt).length,
  reconnectsPerSecMax: mostPerSecond(openedAtMs, calmAt),
  budgetPerSec: budget,
}
mkdirSync('out', { recursive: true })
writeFileSync('out/rollout.json', `${JSON.stringify(report, null, 2)}\n`)
const { gapMs } = report
const lines = [
  ['lost', report.lost, 0],
  ['duplicated', report.duplicated, 0],
  ['disordered', report.disordered, 0],
  ['clients that heard other events than were acknowledged', report.mismatched, 0],
  ['clients that saw a disconnect', report.sawDisconnected, 0],
  ['refused at the limit of a user', report.refusedAtLimit, 0],
  ['subscriptions that ended, or were refused', report.subscriptionsEnded + report.hookDenials, 0],
  ['questions to the service without an answer', report.hookFailures, 0],
  ['told of a loss', report.toldOfLoss, 0],
  ['publish to delivery, p99 ms', gapMs.p99, bars.p99Ms],
  ['the same of the client with the worst', gapMs.worstClientP99, bars.p99Ms],
  ['publish to delivery, longest ms', gapMs.max, bars.maxMs],
  ['reconnects in the busiest second', report.reconnectsPerSecMax, budget],
]
const columns = {
  '': ([name]) => name,
  seen: ([, value]) => value,
  'at the most': ([, , bar]) => bar,
  held: ([, value, bar]) => (value <= bar ? 'yes' : 'NO'),
}
process.stdout.write(
  `\n${clientCount} clients, ${report.events} events, ${report.deliveries} deliveries; every edge, worker, control and ingest ` +
    `process replaced.\n${report.hookQuestions} questions to the service that guards a third of the rooms, ${report.roomTokens} tokens for another third.\n${grid(columns, lines)}\n\nAlso in out/rollout.json.\n`,
)
for (const crowd of crowds) await crowd.stop()
edges.close()
ingests.close()
guard.close()
for (const tier of ['edge', 'ingest', 'shard', 'control']) await Promise.all(running[tier].map((each) => each.stop()))
await redis.close()
process.exit(lines.every(([, value, bar]) => value <= bar) ? 0 : 1)

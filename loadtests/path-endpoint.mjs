// A process that speaks to the fleet as an edge does, without sockets: it publishes (producer) or counts what is
// delivered to it (reader). Started by bench.mjs, asked over IPC.
import { createEndpoint } from '@flotilla/node/endpoint'
import { createLog } from '@flotilla/node/log'
import { createScope } from '@flotilla/node/scope'
import { openStore } from '@flotilla/node/store/open'

const config = {
  redisUrl: process.env.FLOTILLA_REDIS_URL,
  redisCluster: false,
  redisPrefix: '',
  redisCommandTimeoutMs: 5_000,
  slots: 128,
  lanes: 4,
}
/** Latency is taken of one event in so many. */
const sampleEvery = 16
/** Publishes in one turn of the event loop, and publishes without an outcome. */
const maxPerTurn = 500
const maxUnderWay = 16_384
const clock = () => performance.timeOrigin + performance.now()
const stampAt = /"t":([\d.]+)/

const log = createLog({ service: 'bench', level: 'warn' })
const scope = createScope(log)
const store = await openStore(config, { log, scope })
let received = 0
let answered = new Set()
let samples = []

function take(record) {
  if (record.type === 'interest') answered.add(record.nonce)
  if (record.type !== 'events') return
  for (const event of record.events) {
    received += 1
    if (received % sampleEvery !== 0) continue
    const stamp = stampAt.exec(event.tail)
    if (stamp !== null) samples.push(clock() - Number(stamp[1]))
  }
}

const endpoint = await createEndpoint({
  role: process.env.BENCH_ROLE === 'producer' ? 'ingest' : 'edge',
  memberId: process.env.BENCH_ID,
  version: '0.1.0',
  store,
  log,
  scope,
  onRecords: (_lane, records) => records.forEach(take),
  onResync: (lane, reason) => log.error('the benchmark lost continuity', { lane, reason }),
})

const roomAt = (i, rooms) => `public:bench-${i % rooms}`
const padding = 'x'.repeat(100)
let published = 0
let refused = 0

function publish(room, dueAt) {
  const tail = `"event":"bench","data":{"t":${dueAt},"p":"${padding}"},"meta":{"userId":"bench","timestamp":"2026-01-01T00:00:00.000Z"}`
  published += 1
  return endpoint.publish({ room, key: `k${published}`, sender: 'bench', options: '', tail })
}

const settle = (outcome) => {
  if (outcome.type !== 'committed') refused += 1
}

/**
 * Publishes at a pace. A publish that is due late carries the time at which it was due, and it is late when the path
 * takes less than it is given: then `maxUnderWay` wait for their outcome, and the others for them.
 */
async function paced({ rate, seconds, rooms }) {
  const startedAt = clock()
  const total = Math.floor(rate * seconds)
  let underWay = 0
  const done = (outcome) => {
    underWay -= 1
    settle(outcome)
  }
  for (let sent = 0; sent < total || underWay > 0;) {
    const due = Math.min(total, Math.floor(((clock() - startedAt) / 1_000) * rate))
    const until = Math.min(due, sent + maxPerTurn, sent + maxUnderWay - underWay)
    for (; sent < until; sent += 1) {
      underWay += 1
      void publish(roomAt(sent, rooms), startedAt + (sent / rate) * 1_000).then(done)
    }
    // Behind the pace the event loop is only let turn: the timer's millisecond would add to the delay.
    await new Promise((resolve) =>
      sent < due && underWay < maxUnderWay ? setImmediate(resolve) : setTimeout(resolve, 1),
    )
  }
  return total
}

/** Keeps so many publishes under way. */
async function saturated({ inFlight, seconds, rooms }) {
  const endAt = clock() + seconds * 1_000
  let next = 0
  const one = async () => {
    while (clock() < endAt) {
      const i = next
      next += 1
      settle(await publish(roomAt(i, rooms), clock()))
    }
  }
  await Promise.all(Array.from({ length: inFlight }, one))
  return next
}

const usage = () => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

const calls = {
  declare: async ({ rooms }) => {
    answered = new Set()
    for (let i = 0; i < rooms; i += 1) endpoint.interest(roomAt(i, rooms), true, `n${i}`)
    const deadline = clock() + 20_000
    while (answered.size < rooms && clock() < deadline) await new Promise((resolve) => setTimeout(resolve, 20))
    return { answered: answered.size }
  },
  reset: async () => {
    received = 0
    refused = 0
    samples = []
    return { cpu: usage() }
  },
  paced: async (message) => {
    const startedAt = clock()
    const total = await paced(message)
    return { published: total, refused, seconds: (clock() - startedAt) / 1_000, cpu: usage() }
  },
  saturated: async (message) => {
    const startedAt = clock()
    const total = await saturated(message)
    return { published: total, refused, seconds: (clock() - startedAt) / 1_000, cpu: usage() }
  },
  report: async () => ({ received, samples, cpu: usage() }),
}

process.on('message', async (message) => {
  process.send(await calls[message.call](message))
})
process.on('disconnect', () => process.exit(0))

/**
 * A process that speaks to the fleet as an edge does, without sockets: it publishes (producer) or counts what is delivered
 * to it (reader). Started by the benchmark, asked over IPC.
 */
import { createEndpoint } from '@flotilla/node/endpoint'
import { createLog } from '@flotilla/node/log'
import { createScope } from '@flotilla/node/scope'
import { openStore } from '@flotilla/node/store/open'
import { answerCalls, until } from './harness/processes.mjs'
import { clock } from './harness/samples.mjs'

const config = {
  redisUrl: process.env.FLOTILLA_REDIS_URL,
  redisCluster: false,
  redisPrefix: '',
  redisCommandTimeoutMs: 5_000,
  slots: 128,
  lanes: null,
}
/** Latency is taken of one event in so many. */
const sampleEvery = 16
/** Publishes in one turn of the event loop, and publishes without an outcome. */
const maxPerTurn = 500
const maxUnderWay = 16_384
const maxFaults = 20
/** Time for 100,000 rooms to be declared, ms. */
const declareMs = 60_000
const stampAt = /"t":([\d.]+)/

const log = createLog({ service: 'bench', level: 'warn' })
const scope = createScope(log)
const store = await openStore(config, { log, scope })
const faults = []
/** The last number of each room. */
const heads = new Map()
let received = 0
let answered = new Set()
let samples = []

function fault(text) {
  if (faults.length < maxFaults) faults.push(text)
}

function take(record) {
  if (record.type === 'interest') answered.add(record.nonce)
  if (record.type !== 'events') return
  const { room, first, events } = record
  const next = (heads.get(room) ?? first - 1) + 1
  if (first !== next) fault(`${room}: ${first} came where ${next} was due`)
  heads.set(room, first + events.length - 1)
  for (const event of events) {
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
  onResync: (lane, reason) => fault(`lane ${lane} had to be made good: ${reason}`),
})

const { BENCH_ID: id } = process.env
const defaultPrefix = 'public:bench'
const roomAt = (i, { rooms, prefix = defaultPrefix }) => `${prefix}-${i % rooms}`
const padding = 'x'.repeat(100)
let published = 0
let refused = 0

function publish(room, dueAt, settled) {
  const tail = `"event":"bench","data":{"t":${dueAt},"p":"${padding}"},"meta":{"userId":"bench","timestamp":"2026-01-01T00:00:00.000Z"}`
  published += 1
  endpoint.publish({ room, key: `${id}.${published}`, sender: 'bench', options: '', tail }, settled)
}

/** A refusal is told and counted; what is neither committed nor refused cannot be checked. */
function settle(outcome) {
  if (outcome.type === 'refused') refused += 1
  if (outcome.type === 'unknown') fault('the outcome of a publish is not known')
}

/**
 * Publishes at a pace. A publish that is late carries the time at which it was due, and it is late when the path takes
 * less than it is given: then `maxUnderWay` wait for their outcome, and the others for them.
 */
async function paced(message) {
  const { rate, seconds } = message
  const startedAt = clock()
  const total = Math.floor(rate * seconds)
  let underWay = 0
  const done = (outcome) => {
    underWay -= 1
    settle(outcome)
  }
  for (let sent = 0; sent < total || underWay > 0;) {
    const due = Math.min(total, Math.floor(((clock() - startedAt) / 1_000) * rate))
    const to = Math.min(due, sent + maxPerTurn, sent + maxUnderWay - underWay)
    for (; sent < to; sent += 1) {
      underWay += 1
      publish(roomAt(sent, message), startedAt + (sent / rate) * 1_000, done)
    }
    // Behind the pace the event loop is only let turn: the timer's millisecond would add to the delay.
    await new Promise((resolve) =>
      sent < due && underWay < maxUnderWay ? setImmediate(resolve) : setTimeout(resolve, 1),
    )
  }
  return total
}

/** A rate at which everything is due at once, and with which numbers of messages stay whole. */
const endless = 2 ** 40

/** Keeps so many publishes under way: each that is settled makes room for the next. */
function saturated(message) {
  const { inFlight, seconds } = message
  const endAt = clock() + seconds * 1_000
  let next = 0
  return new Promise((resolve) => {
    let underWay = inFlight
    const one = () => {
      const now = clock()
      if (now < endAt) return publish(roomAt(next++, message), now, again)
      underWay -= 1
      if (underWay === 0) resolve(next)
    }
    const again = (outcome) => {
      settle(outcome)
      one()
    }
    for (let i = 0; i < inFlight; i += 1) one()
  })
}

const timed = (run) => async (message) => {
  const startedAt = clock()
  refused = 0
  const total = await run(message)
  return { published: total, refused, seconds: (clock() - startedAt) / 1_000, faults }
}

const calls = {
  /** Declares interest in all rooms; resolves when each is answered. */
  declare: async (message) => {
    const { rooms } = message
    answered = new Set()
    for (let i = 0; i < rooms; i += 1) endpoint.interest(roomAt(i, message), true, `n${i}`)
    await until('interest in every room is answered', () => answered.size === rooms, declareMs)
  },
  reset: () => {
    received = 0
    samples = []
  },
  paced: timed(paced),
  /** `each` messages into every room, as fast as it goes. */
  fill: timed(({ rooms, prefix, each }) => paced({ rooms, prefix, rate: endless, seconds: (rooms * each) / endless })),
  saturated: timed(saturated),
  report: () => ({ received, faults }),
  samples: () => ({ samples }),
}
answerCalls(calls)

// Events through ingest to sockets: one run at a pace, with what it cost, and whether everything arrived once.
import { costPer, ingestKey } from './fleet.mjs'
import { sleep } from './processes.mjs'
import { latencies } from './samples.mjs'

/** Latency that a rate must keep to count, ms. */
const maxP99Ms = 200
/** A run is over when nothing has arrived for this long, or at the most this long after its last event, ms. */
const quietMs = 1_500
const drainMs = 20_000
/** Of `dedupeMax`, 100,000: what one run more may add stays below it. */
const maxRoomMessages = 60_000

async function drained(crowds, expected) {
  const startedAt = performance.now()
  let last = { events: -1, at: startedAt }
  for (;;) {
    const reports = await Promise.all(crowds.map((crowd) => crowd.report()))
    const events = reports.reduce((sum, report) => sum + report.events, 0)
    const faults = reports.flatMap((report) => report.faults)
    const closed = reports.reduce((sum, report) => sum + report.closed, 0)
    const now = performance.now()
    if (events !== last.events) last = { events, at: now }
    if (events >= expected || faults.length > 0 || now - last.at > quietMs || now - startedAt > drainMs) {
      return { events, faults, closed }
    }
    await sleep(25)
  }
}

/**
 * The prefix of the rooms to publish to. Before a room would get more messages within two minutes than one may (their keys are
 * remembered for so long, `dedupeMax`), everybody moves on to fresh ones.
 */
async function roomsFor(parts, events) {
  const perRoom = events / parts.rooms
  parts.place ??= { prefix: 'public:bench', messages: 0, moves: 0 }
  const { place } = parts
  if (place.messages + perRoom > maxRoomMessages) {
    place.moves += 1
    place.prefix = `public:bench${place.moves}`
    place.messages = 0
    await Promise.all(parts.crowds.map((crowd) => crowd.move({ prefix: place.prefix, rooms: parts.rooms })))
    await parts.fleet.quiet()
  }
  place.messages += perRoom
  return place.prefix
}

/** Each subscriber of a room got exactly what was accepted for it. */
function check({ rooms }, run, prefix) {
  run.accepted.forEach((accepted, i) => {
    const [least, most] = rooms.get(`${prefix}-${i}`) ?? [0, 0]
    if (least === accepted && most === accepted) return
    throw new Error(`${prefix}-${i}: ${accepted} events were accepted, subscribers got ${least} to ${most}`)
  })
}

/**
 * Publishes `rate` events a second over `rooms` rooms and waits until they have arrived. `ok`: nothing was refused, and the
 * p99 is within the bound. Throws when an event was lost, doubled or out of order.
 */
export async function deliver(parts, { rate, seconds }) {
  const { fleet, publisher, crowds, rooms, connections } = parts
  const prefix = await roomsFor(parts, rate * seconds)
  await Promise.all(crowds.map((crowd) => crowd.reset()))
  const written = () => Promise.all(fleet.edges.map((edge) => edge.metric('flotilla_edge_socket_writes_total')))
  const writesBefore = await written()
  const before = fleet.cpu()
  const message = { port: fleet.ingest.port, key: ingestKey, prefix, rooms, rate, seconds, connections }
  const run = await publisher.ask('publish', message)
  const perRoom = crowds.reduce((sum, { size }) => sum + size, 0) / rooms
  const expected = run.accepted.reduce((sum, each) => sum + each, 0) * perRoom
  const { events, faults, closed } = await drained(crowds, expected)
  const after = fleet.cpu()
  const writes = (await written()).reduce((sum, each, i) => sum + each - writesBefore[i], 0)
  if (faults.length > 0) throw new Error(`at ${rate} events/s: ${faults.join('; ')}`)
  if (closed > 0) throw new Error(`at ${rate} events/s the server closed ${closed} connections`)
  const seen = await Promise.all(crowds.map((crowd) => crowd.verify()))
  if (events === 0) throw new Error(`at ${rate} events/s nothing was accepted: ${run.refused} were refused`)
  // What is not known to be committed may have been delivered or not: then only the numbers are checked, by the sample.
  if (run.unknown === 0) for (const each of seen) check(each, run, prefix)
  const latency = latencies(seen.flatMap(({ samples }) => samples))
  const { microseconds, cores, yardstick } = costPer(before, after, events)
  return {
    ok: run.refused === 0 && run.unknown === 0 && latency.p99Ms !== null && latency.p99Ms <= maxP99Ms,
    rate,
    deliveriesPerSecond: events / run.seconds,
    deliveries: events,
    refused: run.refused,
    unknown: run.unknown,
    eventsPerPost: run.published / run.posts,
    ...latency,
    writesPerDelivery: writes / events,
    microsecondsPerDelivery: microseconds,
    cores,
    yardstick,
  }
}

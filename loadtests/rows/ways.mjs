// (g) The same events by every way in: client library, single posts, batches. A reader without sockets counts them.
import { costPer, ingestKey, secret, withFleet } from '../harness/fleet.mjs'
import { until } from '../harness/processes.mjs'
import { latencies } from '../harness/samples.mjs'
import { cost, median } from '../harness/search.mjs'

/** A multiple of the connections of every way. */
const rooms = 512
/** Messages per second of the row that is not as fast as it goes. */
const rate = 2_000
/** Messages under way when it goes as fast as it can, the same for every way: what a server has at hand is what it can share. */
const inFlight = 512
const libraryClients = 32
const batchConnections = 2
/** How single posts are made, as `publisher.mjs` takes it. */
export const singlePosts = { connections: inFlight, single: true }

const batches = { connections: batchConnections, most: inFlight / batchConnections }

/** `ask`: publishes at a rate for some seconds, and says by room what was accepted. */
async function ways(fleet) {
  const library = fleet.load('library-publisher.mjs')
  await library.ask('open', { port: fleet.edges[0].port, secret, count: libraryClients })
  const publisher = fleet.load('publisher.mjs')
  const ingest = { port: fleet.ingest.port, key: ingestKey }
  return [
    {
      way: 'client library',
      ask: (message) => library.ask('publish', { ...message, inFlight: inFlight / libraryClients }),
    },
    {
      way: 'single posts',
      ask: (message) => publisher.ask('publish', { ...ingest, ...message, ...singlePosts }),
    },
    { way: 'batches', ask: (message) => publisher.ask('publish', { ...ingest, ...message, ...batches }) },
  ]
}

/** Publishes by one way, at `offered` messages a second or as fast as it goes (null), until the reader has it all. */
async function publishBy({ way, ask }, { fleet, reader, offered, seconds }) {
  await reader.ask('reset')
  const before = fleet.cpu()
  const run = await ask({ rooms, rate: offered, seconds })
  const accepted = run.accepted.reduce((sum, each) => sum + each, 0)
  let report = {}
  await until('the reader has everything', async () => {
    report = await reader.ask('report')
    return report.received >= accepted || report.faults.length > 0
  })
  const { microseconds, cores, yardstick } = costPer(before, fleet.cpu(), accepted)
  if (report.faults.length > 0) throw new Error(`${way}: ${report.faults.join('; ')}`)
  if (report.received !== accepted && run.unknown === 0)
    throw new Error(`${way}: ${accepted} events were accepted, ${report.received} came`)
  const { samples } = await reader.ask('samples')
  const { refused } = run
  const row = { way, offered, messagesPerSecond: accepted / run.seconds, refused, ...latencies(samples) }
  return { ...row, microsecondsPerMessage: microseconds, cores, yardstick }
}

export async function publishWays({ settings, progress }) {
  return withFleet({ edges: 1, ingest: true }, async (fleet) => {
    const id = 'reader-1'
    const reader = fleet.load('path-endpoint.mjs', { id, env: { BENCH_ROLE: 'reader', BENCH_ID: id } })
    await reader.ask('declare', { rooms })
    const every = await ways(fleet)
    const measure = async (way, offered, seconds) => {
      const row = await publishBy(way, { fleet, reader, offered, seconds })
      const { way: name, messagesPerSecond } = row
      progress(`${name}: ${Math.round(messagesPerSecond)} messages/s, ${cost(row).toFixed(0)} µs each`)
      return row
    }
    for (const way of every) await measure(way, null, settings.warmSeconds)
    const rows = []
    for (const offered of [null, rate]) {
      // In turn, so that a machine that becomes slower does not do so to one way only.
      const rounds = []
      for (let i = 0; i < settings.repeats; i += 1) {
        const round = []
        for (const way of every) round.push(await measure(way, offered, settings.seconds / 2))
        rounds.push(round)
      }
      for (const i of every.keys()) rows.push(median(rounds.map((round) => round[i])))
    }
    return rows
  })
}

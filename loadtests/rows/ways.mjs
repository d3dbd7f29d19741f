// (g) The same events by every way in: client library, single posts, batches. A reader without sockets counts them.
import { costPer, ingestKey, secret, withFleet } from '../harness/fleet.mjs'
import { until } from '../harness/processes.mjs'
import { latencies } from '../harness/samples.mjs'

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

export async function publishWays({ settings, progress }) {
  return withFleet({ edges: 1, ingest: true }, async (fleet) => {
    const reader = fleet.load('path-endpoint.mjs', {
      id: 'reader-1',
      env: { BENCH_ROLE: 'reader', BENCH_ID: 'reader-1' },
    })
    await reader.ask('declare', { rooms })
    const rows = []
    for (const { way, ask } of await ways(fleet)) {
      const measure = async (atRate, seconds) => {
        await reader.ask('reset')
        const before = fleet.cpu()
        const run = await ask({ rooms, rate: atRate, seconds })
        const accepted = run.accepted.reduce((sum, each) => sum + each, 0)
        let report = {}
        await until('the reader has everything', async () => {
          report = await reader.ask('report')
          return report.received >= accepted || report.faults.length > 0
        })
        const { microseconds, cores } = costPer(before, fleet.cpu(), accepted)
        if (report.faults.length > 0) throw new Error(`${way}: ${report.faults.join('; ')}`)
        if (report.received !== accepted && run.unknown === 0)
          throw new Error(`${way}: ${accepted} events were accepted, ${report.received} came`)
        const { samples } = await reader.ask('samples')
        const messagesPerSecond = accepted / run.seconds
        progress(`${way}: ${Math.round(messagesPerSecond)} messages/s, ${microseconds.servers.toFixed(0)} µs each`)
        const { refused } = run
        const row = { way, offered: atRate, messagesPerSecond, refused, ...latencies(samples) }
        return { ...row, microsecondsPerMessage: microseconds, cores }
      }
      await measure(null, settings.warmSeconds)
      rows.push(await measure(null, settings.seconds), await measure(rate, settings.seconds))
    }
    return rows
  })
}

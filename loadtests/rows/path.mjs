// (a) The path without sockets: producers → input streams → worker → commit with history → 3 endpoints with interest.
import { costPer, withFleet } from '../harness/fleet.mjs'
import { until } from '../harness/processes.mjs'
import { latencies } from '../harness/samples.mjs'
import { median, repeated } from '../harness/search.mjs'

/** Over all 128 slots. */
const manyRooms = 1_024
const warmRooms = 256
const producers = 2
const threeReaders = 3
/** Publishes under way of each producer when the path is driven as fast as it goes. */
const inFlight = 2_048
const committed = 'flotilla_shard_commits_total'

/** The processes of the path, and readers that have declared interest in every one of `rooms`. */
export async function withPath({ rooms = manyRooms, readers = threeReaders, ...options }, run) {
  return withFleet(options, async (fleet) => {
    const endpoint = (role) => (_, i) => {
      const id = `${role}-${i + 1}`
      const service = role === 'producer' ? 'ingest' : 'edge'
      return fleet.load('path-endpoint.mjs', { id, role, service, env: { BENCH_ROLE: role, BENCH_ID: id } })
    }
    const sources = Array.from({ length: producers }, endpoint('producer'))
    const sinks = Array.from({ length: readers }, endpoint('reader'))
    await Promise.all(sinks.map((each) => each.ask('declare', { rooms })))
    return run({ fleet, sources, sinks, rooms })
  })
}

/** One run: at `rate` messages a second of all producers together, or as fast as it goes (null). */
export async function drive({ fleet, sources, sinks, rooms, prefix }, { rate, seconds }) {
  await Promise.all(sinks.map((each) => each.ask('reset')))
  const commitsBefore = await commitsOf(fleet)
  const before = fleet.cpu()
  const message = { seconds, rooms, prefix, ...(rate === null ? { inFlight } : { rate: rate / sources.length }) }
  const runs = await Promise.all(sources.map((each) => each.ask(rate === null ? 'saturated' : 'paced', message)))
  const messages = runs.reduce((sum, { published, refused }) => sum + published - refused, 0)
  let reports = []
  await until('every reader has everything', async () => {
    reports = await Promise.all(sinks.map((each) => each.ask('report')))
    return reports.every(({ received }) => received >= messages)
  }).catch((error) => {
    const got = reports.map(({ received }) => received).join(', ')
    throw new Error(`${error.message}: ${messages} messages were committed, readers got ${got}`, { cause: error })
  })
  const after = fleet.cpu()
  const commits = (await commitsOf(fleet)) - commitsBefore
  verify(messages, [...runs, ...reports], reports)
  const samples = (await Promise.all(sinks.map((each) => each.ask('samples')))).flatMap((each) => each.samples)
  const { microseconds, cores, yardstick } = costPer(before, after, messages)
  return {
    offered: rate,
    messagesPerSecond: messages / Math.max(...runs.map((each) => each.seconds)),
    messages,
    refused: runs.reduce((sum, { refused }) => sum + refused, 0),
    messagesPerCommit: messages / commits,
    ...latencies(samples),
    microsecondsPerMessage: { ...microseconds, readerEach: microseconds.reader / sinks.length },
    cores,
    yardstick,
  }
}

/** Code that has run only a few times is slow: as fast as it goes for a moment, in rooms that are not measured. */
export async function warmPath(parts, seconds) {
  const warm = { ...parts, rooms: warmRooms, prefix: 'public:warm' }
  await Promise.all(warm.sinks.map((each) => each.ask('declare', { rooms: warmRooms, prefix: warm.prefix })))
  await drive(warm, { rate: null, seconds })
  await parts.fleet.quiet()
}

async function commitsOf(fleet) {
  const counts = await Promise.all(fleet.all('worker').map((each) => each.metric(committed)))
  return counts.reduce((sum, each) => sum + each, 0)
}

function verify(messages, parts, reports) {
  const faults = parts.flatMap(({ faults: own }) => own)
  if (faults.length > 0) throw new Error(faults.join('; '))
  for (const { received } of reports) {
    if (received !== messages) throw new Error(`${messages} messages were committed, a reader got ${received}`)
  }
}

const places = [
  { name: 'two cores, unpinned', options: { pinned: false } },
  { name: 'Redis and worker on one core, endpoints on the other', options: {} },
  { name: 'two cores, unpinned, appendfsync always', options: { pinned: false, fsync: true }, brief: true },
  // Few rooms, as the prototype of the whole path had: a commit's events share few log entries.
  { name: 'two cores, unpinned, 32 rooms', options: { pinned: false, rooms: 32 }, brief: true },
]

/** Per place a row as fast as it goes, and one at half of that but for the brief ones, which a quick run leaves out. */
export async function path({ settings, progress }) {
  const rows = []
  for (const { name, options, brief = false } of places) {
    if (brief && settings.quick) continue
    await withPath(options, async (parts) => {
      const measure = async (rate, seconds) => {
        const row = { place: name, ...(await drive(parts, { rate, seconds })) }
        progress(`${name}: ${Math.round(row.messagesPerSecond)} messages/s, p99 ${row.p99Ms?.toFixed(0)} ms`)
        return row
      }
      await measure(null, settings.warmSeconds)
      const most = median(await repeated(settings.repeats, () => measure(null, settings.seconds)))
      rows.push(most)
      if (!brief) rows.push(await measure(Math.round(most.messagesPerSecond / 2), settings.seconds))
    })
  }
  return rows
}

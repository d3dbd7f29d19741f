// What a room's log holds already, 0 → 1,000 events: cost of a message, memory of an event.
import { dedupeMs } from '@flotilla/core/limits'
import { rssOf, sleep } from '../harness/processes.mjs'
import { settledDatasetBytes } from '../harness/redis-memory.mjs'
import { counted } from '../harness/redis-calls.mjs'
import { drive, warmPath, withPath } from '../rows/path.mjs'
import { messagePoint } from './point.mjs'

/** So many that a run adds few to each. */
const rooms = 256
const messagesPerSecond = 4_000
/** A log gives nothing away before its events are this old. */
const trimsAfterMs = dedupeMs + 5_000

export const history = {
  title: 'events in the log of a room',
  load: `${messagesPerSecond} messages/s to ${rooms} rooms in turn, 1 reader; the last point once more when logs are trimmed`,
  points: [0, 10, 100, 1_000],
  quickPoints: [0, 1_000],
  run: (points, context) => withPath({ rooms: 0, readers: 1 }, (parts) => grow(parts, points, context)),
}

async function grow(parts, points, { settings, progress }) {
  const { fleet, sources, sinks } = parts
  const [worker] = fleet.all('worker')
  await warmPath(parts, settings.warmSeconds)
  const rows = []
  const measure = async (at, prefix, more) => {
    const all = { ...parts, rooms, prefix }
    const row = messagePoint(
      await counted(fleet, () => drive(all, { rate: messagesPerSecond, seconds: settings.seconds })),
    )
    const workerMegabytes = rssOf(worker.pid) / 1_024
    progress(`${at} events: ${row.microseconds.servers.toFixed(1)} µs per message`)
    const besides = [...more.text, `worker ${workerMegabytes.toFixed(0)} MB`].join(', ')
    rows.push({ at, ...row, workerMegabytes, redisBytesPerEvent: more.bytes, besides })
  }
  let [prefix, filledAt] = ['', 0]
  for (const at of points) {
    prefix = `public:has${at}`
    await Promise.all(sinks.map((each) => each.ask('declare', { rooms, prefix })))
    await fleet.quiet()
    const before = await settledDatasetBytes(fleet)
    const { refused } = await sources[0].ask('fill', { rooms, prefix, each: at })
    if (refused > 0) throw new Error(`${refused} messages were refused`)
    filledAt = performance.now()
    await fleet.quiet()
    const bytes = at === 0 ? null : ((await settledDatasetBytes(fleet)) - before) / (at * rooms)
    await measure(at, prefix, { bytes, text: at === 0 ? [] : [`${Math.round(bytes)} bytes per event`] })
  }
  if (settings.trimmed) {
    await sleep(Math.max(0, filledAt + trimsAfterMs - performance.now()))
    await measure(`${points.at(-1).toLocaleString('en-US')}, trimmed`, prefix, { bytes: null, text: [] })
  }
  return rows
}

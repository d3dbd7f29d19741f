// Rooms 1 → 100,000, one endpoint interested in all of them: cost of a message, memory of a room.
import { settledDatasetBytes } from '../harness/redis-memory.mjs'
import { rssOf } from '../harness/processes.mjs'
import { counted } from '../harness/redis-calls.mjs'
import { drive, warmPath, withPath } from '../rows/path.mjs'
import { messagePoint } from './point.mjs'

const messagesPerSecond = 4_000

export const rooms = {
  title: 'rooms',
  load: `${messagesPerSecond} messages/s to all of them in turn, each room has one message already, 1 reader; bytes per room of Redis: interest + log`,
  points: [1, 100, 10_000, 100_000],
  quickPoints: [1, 10_000],
  run: async (points, context) => {
    const rows = []
    for (const at of points) rows.push(await point(at, context))
    return rows
  },
}

/** A fleet of its own for each, so that memory is of these rooms only. */
async function point(at, { settings, progress }) {
  return withPath({ rooms: 0, readers: 1 }, async (parts) => {
    const { fleet, sources, sinks } = parts
    const [worker] = fleet.all('worker')
    await warmPath(parts, settings.warmSeconds)
    const [empty, workerEmpty] = [await settledDatasetBytes(fleet), rssOf(worker.pid)]
    await Promise.all(sinks.map((each) => each.ask('declare', { rooms: at })))
    const declared = await settledDatasetBytes(fleet)
    const { refused } = await sources[0].ask('fill', { rooms: at, each: 1 })
    if (refused > 0) throw new Error(`${refused} of the first messages were refused`)
    const filled = await settledDatasetBytes(fleet)
    const all = { ...parts, rooms: at }
    const row = messagePoint(
      await counted(fleet, () => drive(all, { rate: messagesPerSecond, seconds: settings.seconds })),
    )
    const redisBytesPerRoom = { interest: (declared - empty) / at, log: (filled - declared) / at }
    const workerMegabytes = rssOf(worker.pid) / 1_024
    const bytes = Object.values(redisBytesPerRoom).map((each) => Math.round(each))
    progress(`${at} rooms: ${row.microseconds.servers.toFixed(1)} µs per message, ${bytes.join(' + ')} bytes per room`)
    const besides = `${at < 1_000 ? '' : `${bytes.join(' + ')} bytes per room, `}worker ${workerMegabytes.toFixed(0)} MB`
    return { at, ...row, redisBytesPerRoom, workerMegabytes, workerMegabytesEmpty: workerEmpty / 1_024, besides }
  })
}

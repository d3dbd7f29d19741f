// More processes for the same load on the same core: workers, Redis primaries, edges. What it costs to be spread.
import { deliver } from '../harness/delivery.mjs'
import { counted } from '../harness/redis-calls.mjs'
import { withCrowd } from '../rows/fanout.mjs'
import { drive, warmPath, withPath } from '../rows/path.mjs'
import { deliveryPoint, messagePoint } from './point.mjs'

const messagesPerSecond = 4_000
const readers = 2
const connections = 4_000
const rooms = 400
const eventsPerSecond = 500

/** A fleet of its own at each point, with so many processes of a kind. */
const overPath =
  (kind) =>
  async (points, { settings, progress }) => {
    const rows = []
    for (const at of points) {
      const row = await withPath({ [kind]: at, readers }, async (parts) => {
        await warmPath(parts, settings.warmSeconds)
        return messagePoint(
          await counted(parts.fleet, () => drive(parts, { rate: messagesPerSecond, seconds: settings.seconds })),
        )
      })
      progress(`${at} ${kind}: ${row.microseconds.servers.toFixed(1)} µs per message`)
      rows.push({ at, ...row, besides: `${row.messagesPerCommit.toFixed(1)} messages per commit` })
    }
    return rows
  }

/** The only curve without a pace: batches as large as they get, for the arithmetic of capacity. */
export const copies = {
  title: 'readers of every room',
  load: 'as fast as it goes, 1,024 rooms over all slots, 2 producers; out: all readers together',
  points: [1, 4, 8],
  quickPoints: [1, 4],
  run: async (points, { settings, progress }) => {
    const rows = []
    for (const at of points) {
      const row = await withPath({ readers: at }, async (parts) => {
        await warmPath(parts, settings.warmSeconds)
        return messagePoint(await counted(parts.fleet, () => drive(parts, { rate: null, seconds: settings.seconds })))
      })
      progress(`${at} readers: ${row.microseconds.servers.toFixed(1)} µs per message`)
      const rate = Math.round(row.messagesPerSecond).toLocaleString('en-US')
      rows.push({ at, ...row, besides: `${rate} messages/s, ${row.messagesPerCommit.toFixed(0)} per commit` })
    }
    return rows
  },
}

const pathLoad = `${messagesPerSecond} messages/s, 1,024 rooms over all slots, 2 producers, ${readers} readers`

export const workers = { title: 'workers', load: pathLoad, points: [1, 2, 4], run: overPath('workers') }

export const primaries = { title: 'Redis primaries', load: pathLoad, points: [1, 2, 3], run: overPath('primaries') }

export const edges = {
  title: 'edges',
  load: `${connections} connections over all of them, ${rooms} rooms of 10 with members on each, ${eventsPerSecond} events/s`,
  points: [1, 2, 4],
  run: async (points, { settings, progress }) => {
    const rows = []
    for (const at of points) {
      const load = { edges: at, perEdge: connections / at, rooms, connections: 2 }
      const row = await withCrowd(load, {}, async (parts) => {
        await deliver(parts, { rate: eventsPerSecond, seconds: settings.warmSeconds })
        return deliveryPoint(
          await counted(parts.fleet, () => deliver(parts, { rate: eventsPerSecond, seconds: settings.seconds })),
        )
      })
      progress(`${at} edges: ${row.microseconds.servers.toFixed(1)} µs per delivery`)
      rows.push({ at, ...row, besides: `${row.writesPerDelivery.toFixed(2)} writes per delivery` })
    }
    return rows
  },
}

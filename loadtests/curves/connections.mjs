// Connections 1,000 → 15,000 on one edge. The first 1,000 get the same events at every point, all others do nothing.
import { Crowd } from '../harness/crowd.mjs'
import { deliver } from '../harness/delivery.mjs'
import { costPer, withFleet } from '../harness/fleet.mjs'
import { sleep } from '../harness/processes.mjs'
import { settledDatasetBytes } from '../harness/redis-memory.mjs'
import { counted } from '../harness/redis-calls.mjs'
import { settledRss } from '../rows/idle.mjs'
import { deliveryPoint } from './point.mjs'

/** Of those that get events. */
const rooms = 100
const eventsPerSecond = 500
/** Connections of a room of those that do nothing. */
const perQuietRoom = 10
/** Connections of one load process: far below the 20,000 files that one may open. */
const perProcess = 5_000
/** They come first and go again: the first connects of a process cost more than those after. */
const warmUp = { size: 1_000, first: 1_000_000 }

export const connections = {
  title: 'connections of an edge',
  load: `${eventsPerSecond} events/s to rooms of 10 of the first 1,000; the others are idle; KB of all, connect of those added`,
  points: [1_000, 5_000, 10_000, 15_000],
  quickPoints: [1_000, 5_000],
  run: (points, context) => withFleet({ edges: 1, ingest: true }, (fleet) => grow(fleet, points, context)),
}

async function grow(fleet, points, { settings, progress }) {
  const publisher = fleet.load('publisher.mjs')
  const [edge] = fleet.edges
  const warm = await Crowd.prepare(fleet, warmUp)
  await warm.open({ port: edge.port, rooms, prefix: 'public:warm' })
  await warm.drop()
  await fleet.quiet()
  const empty = await settledRss(edge.pid)
  let redisBytes = 0
  const crowds = []
  const rows = []
  let held = 0
  for (const at of points) {
    const size = at - held
    const crowd = await Crowd.prepare(fleet, { size, first: held, processes: Math.ceil(size / perProcess) })
    await fleet.quiet()
    const place = held === 0 ? { rooms } : { prefix: 'public:quiet', rooms: size / perQuietRoom }
    const redisBefore = await settledDatasetBytes(fleet)
    const before = fleet.cpu()
    await crowd.open({ port: edge.port, ...place })
    const connect = costPer(before, fleet.cpu(), size).microseconds
    crowds.push(crowd)
    held = at
    // Of what was added: the logs of the events that were measured are not of connections.
    redisBytes += (await settledDatasetBytes(fleet)) - redisBefore
    const kilobytes = { edge: ((await settledRss(edge.pid)) - empty) / held, redis: redisBytes / 1_024 / held }
    await fleet.quiet()
    const restBefore = fleet.cpu()
    await sleep(settings.seconds * 1_000)
    const idle = costPer(restBefore, fleet.cpu(), held * settings.seconds).microseconds
    const parts = { fleet, publisher, crowds: crowds.slice(0, 1), rooms, connections: 2 }
    await deliver(parts, { rate: eventsPerSecond, seconds: settings.warmSeconds })
    const row = deliveryPoint(
      await counted(fleet, () => deliver(parts, { rate: eventsPerSecond, seconds: settings.seconds })),
    )
    await check(edge, crowds, held)
    const besides =
      `${kilobytes.edge.toFixed(1)} KB each (Redis ${kilobytes.redis.toFixed(2)}), ` +
      `${connect.servers.toFixed(0)} µs per connect, ${idle.servers.toFixed(1)} µs per idle second`
    rows.push({
      at,
      ...row,
      kilobytesPerConnection: kilobytes.edge,
      redisKilobytesPerConnection: kilobytes.redis,
      microsecondsPerConnect: connect,
      microsecondsPerIdleSecond: idle,
      besides,
    })
    progress(`${at} connections: ${besides}`)
  }
  return rows
}

async function check(edge, crowds, held) {
  const open = await edge.metric('flotilla_edge_connections')
  if (open !== held) throw new Error(`the edge holds ${open} of ${held} connections`)
  const faults = (await Promise.all(crowds.map((crowd) => crowd.report()))).flatMap((report) => report.faults)
  if (faults.length > 0) throw new Error(faults.join('; '))
}

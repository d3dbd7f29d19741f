// Connections 1,000 → 15,000 on one edge. The first 1,000 get the same events at every point, all others do nothing.
import { Crowd } from '../harness/crowd.mjs'
import { deliver } from '../harness/delivery.mjs'
import { costPer, withFleet } from '../harness/fleet.mjs'
import { rssOf, sleep } from '../harness/processes.mjs'
import { settledDatasetBytes } from '../harness/redis-memory.mjs'
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
  load: `${eventsPerSecond} events/s to rooms of 10 of the first 1,000; the others are idle; KB and connect: of those added`,
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
  const crowds = []
  const rows = []
  let held = 0
  for (const at of points) {
    const first = held === 0
    const size = at - held
    const crowd = await Crowd.prepare(fleet, { size, first: held, processes: Math.ceil(size / perProcess) })
    await fleet.quiet()
    const added = await join(fleet, edge, () =>
      crowd.open({ port: edge.port, ...(first ? { rooms } : { prefix: 'public:quiet', rooms: size / perQuietRoom }) }),
    )
    crowds.push(crowd)
    held = at
    await fleet.quiet()
    const restBefore = fleet.cpu()
    await sleep(settings.seconds * 1_000)
    const idle = costPer(restBefore, fleet.cpu(), held * settings.seconds).microseconds
    const parts = { fleet, publisher, crowds: crowds.slice(0, 1), rooms, connections: 2 }
    await deliver(parts, { rate: eventsPerSecond, seconds: settings.warmSeconds })
    const row = deliveryPoint(await deliver(parts, { rate: eventsPerSecond, seconds: settings.seconds }))
    await check(edge, crowds, held)
    const { edgeBytes, redisBytes, microseconds } = added
    rows.push({
      at,
      ...row,
      kilobytesPerConnection: edgeBytes / 1_024 / size,
      redisKilobytesPerConnection: redisBytes / 1_024 / size,
      microsecondsPerConnect: costPer(microseconds.before, microseconds.after, size).microseconds,
      microsecondsPerIdleSecond: idle,
      besides:
        `${(edgeBytes / 1_024 / size).toFixed(1)} KB each (Redis ${(redisBytes / 1_024 / size).toFixed(2)}), ` +
        `${costPer(microseconds.before, microseconds.after, size).microseconds.servers.toFixed(0)} µs per connect, ` +
        `${idle.servers.toFixed(1)} µs per idle second`,
    })
    progress(`${at} connections: ${rows.at(-1).besides}`)
  }
  return rows
}

/** What `open` costs: CPU until all are subscribed, memory once it has settled. */
async function join(fleet, edge, open) {
  await settledRss(edge.pid)
  const [rssBefore, redisBefore] = [rssOf(edge.pid), await settledDatasetBytes(fleet)]
  const before = fleet.cpu()
  await open()
  const after = fleet.cpu()
  const edgeBytes = ((await settledRss(edge.pid)) - rssBefore) * 1_024
  await fleet.quiet()
  return { edgeBytes, redisBytes: (await settledDatasetBytes(fleet)) - redisBefore, microseconds: { before, after } }
}

async function check(edge, crowds, held) {
  const open = await edge.metric('flotilla_edge_connections')
  if (open !== held) throw new Error(`the edge holds ${open} of ${held} connections`)
  const faults = (await Promise.all(crowds.map((crowd) => crowd.report()))).flatMap((report) => report.faults)
  if (faults.length > 0) throw new Error(faults.join('; '))
}

// (d) Connections that do nothing: what one costs to make, and in memory.
import { Crowd } from '../harness/crowd.mjs'
import { costPer, withFleet } from '../harness/fleet.mjs'
import { rssOf, sleep } from '../harness/processes.mjs'

const rooms = 1_000
/** Load processes: each has its own source address, and stays far below the 20,000 files that a process may open. */
const processes = 4
/** Memory has settled when it moved by less than this share in so many looks. */
const settled = { share: 0.002, looks: 3, everyMs: 500, mostLooks: 60 }

/** KB of a process once its collector has nothing left to give back. */
export async function settledRss(pid) {
  let last = rssOf(pid)
  for (let i = 0, still = 0; i < settled.mostLooks && still < settled.looks; i += 1) {
    await sleep(settled.everyMs)
    const now = rssOf(pid)
    still = Math.abs(now - last) < last * settled.share ? still + 1 : 0
    last = now
  }
  return last
}

/** A row for each kind of users: everybody is somebody else (`own`), or all are the same (`one`). */
export async function idle({ settings, progress }) {
  const { idleConnections: size, seconds: restSeconds } = settings
  const rows = []
  for (const users of settings.idleUsers) {
    const row = await withFleet({ edges: 1 }, (fleet) => hold(fleet, { size, users, restSeconds }))
    progress(
      `${size} connections, ${users} user: ${Math.round(row.connectsPerSecond)}/s, ${row.kilobytesPerConnection.toFixed(1)} KB each`,
    )
    rows.push(row)
  }
  return rows
}

/** Each connection authenticates with a token and joins one of 1,000 rooms, and its user's own. */
async function hold(fleet, { size, users, restSeconds }) {
  const crowd = await Crowd.prepare(fleet, { size, processes, users })
  await fleet.quiet()
  const [edge] = fleet.edges
  const rssBefore = await settledRss(edge.pid)
  const before = fleet.cpu()
  await crowd.open({ port: edge.port, rooms })
  const after = fleet.cpu()
  const held = await edge.metric('flotilla_edge_connections')
  if (held !== size) throw new Error(`the edge holds ${held} of ${size} connections`)
  const rssAfter = await settledRss(edge.pid)
  const restBefore = fleet.cpu()
  await sleep(restSeconds * 1_000)
  const rest = costPer(restBefore, fleet.cpu(), size * restSeconds)
  const { closed, faults } = await crowd.report()
  if (closed > 0 || faults.length > 0) throw new Error(`${closed} idle connections were closed: ${faults.join('; ')}`)
  const { microseconds, cores, yardstick } = costPer(before, after, size)
  return {
    connections: size,
    users,
    connectsPerSecond: (size / (after.atMs - before.atMs)) * 1_000,
    microsecondsPerConnect: microseconds,
    cores,
    yardstick,
    kilobytesPerConnection: (rssAfter - rssBefore) / size,
    edgeMegabytes: { before: rssBefore / 1_024, after: rssAfter / 1_024 },
    /** Of a second in which nothing happens, per connection. */
    microsecondsPerIdleSecond: rest.microseconds,
  }
}

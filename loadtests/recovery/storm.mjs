// Ten thousand clients lose their connections at once, and come back at once, beside some that lose nothing.
import { Crowd } from '../harness/crowd.mjs'
import { costPer, ingestKey, secret, withFleet } from '../harness/fleet.mjs'
import { sleep, until } from '../harness/processes.mjs'
import { latencies } from '../harness/samples.mjs'
import { logReads } from '../rows/resume.mjs'

const edges = 2
const calm = { rooms: 20, clients: 200, rate: 400 }
const stormRooms = 1_000
/** Events of each room that were published while its clients were away. */
const missedEach = 5
/** Its paces are those of an edge of which nothing else is said. */
const edgeEnv = { FLOTILLA_JWT_SECRET: secret }

/** `clients` come back. Says how long it took, what the untouched ones saw before and meanwhile, and what was read. */
export async function storm({ clients, progress }) {
  return withFleet({ edges, ingest: true, pinned: false, edgeEnv }, async (fleet) => {
    const share = clients / edges
    const publisher = fleet.load('publisher.mjs')
    const other = fleet.load('publisher.mjs', { id: 'storm-publisher' })
    const crowds = []
    const untouched = []
    for (const [i, edge] of fleet.edges.entries()) {
      const crowd = await Crowd.prepare(fleet, { size: share, first: i * share })
      await crowd.open({ port: edge.port, rooms: stormRooms, prefix: 'public:storm', everyone: true })
      crowd.giveWay()
      crowds.push(crowd)
      const few = await Crowd.prepare(fleet, { size: calm.clients / edges, first: 1_000_000 + i * calm.clients })
      await few.open({ port: edge.port, rooms: calm.rooms, prefix: 'public:calm', everyone: true })
      untouched.push(few)
    }
    progress(`${clients} clients and ${calm.clients} others are connected`)
    const publish = (seconds) =>
      publisher.ask('publish', {
        ...{ port: fleet.ingest.port, key: ingestKey, prefix: 'public:calm', rooms: calm.rooms },
        ...{ rate: calm.rate, seconds, connections: 4 },
      })
    const seenBy = async () => latencies((await Promise.all(untouched.map((each) => each.samples()))).flat())
    await publish(5)
    await seenBy()
    await publish(10)
    const before = await seenBy()

    await Promise.all(crowds.map((crowd) => crowd.drop()))
    await until('the edges know', async () => {
      const counts = await Promise.all(fleet.edges.map((edge) => edge.metric('flotilla_edge_connections')))
      return counts.reduce((sum, count) => sum + count, 0) === calm.clients
    })
    await other.ask('publish', {
      ...{ port: fleet.ingest.port, key: ingestKey, prefix: 'public:storm', rooms: stormRooms },
      ...{ rate: stormRooms * missedEach, seconds: 1, connections: 4 },
    })
    await fleet.quiet()
    // Each edge has to read each of its clients' positions for itself.
    const positions = await Promise.all(crowds.map((crowd) => crowd.positions()))
    const distinct = positions.reduce((sum, each) => sum + new Set(each).size, 0)
    const readsBefore = await logReads(fleet.redis)

    let over = false
    const publishing = (async () => {
      while (!over) await publish(1)
    })()
    await sleep(1_000)
    await seenBy()
    const missed = share * missedEach
    const cpuBefore = fleet.cpu()
    const parts = await Promise.all(crowds.map((crowd, i) => crowd.resume({ port: fleet.edges[i].port, missed })))
    const { microseconds, cores } = costPer(cpuBefore, fleet.cpu(), clients)
    const meanwhile = await seenBy()
    over = true
    await publishing
    const reads = await logReads(fleet.redis)
    const reports = await Promise.all([...crowds, ...untouched].map((crowd) => crowd.report()))
    const faults = reports.flatMap((report) => report.faults)
    if (faults.length > 0) throw new Error(faults.join('; '))
    const closed = reports.reduce((sum, report) => sum + report.closed, 0)
    const seconds = Math.max(...parts.map((part) => part.seconds))
    progress(`${clients} clients were back after ${seconds.toFixed(1)} s`)
    return {
      ...{ rooms: stormRooms, clients, seconds, before, meanwhile, closed, distinct },
      ...{ microsecondsPerClient: microseconds, cores },
      turnedAway: parts.reduce((sum, { again }) => sum + again, 0),
      historyReads: reads.history - readsBefore.history,
    }
  })
}

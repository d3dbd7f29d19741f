// (e) An edge's clients all come back at once, on another edge that knows nothing of their rooms.
import { Crowd } from '../harness/crowd.mjs'
import { costPer, ingestKey, withFleet } from '../harness/fleet.mjs'
import { until } from '../harness/processes.mjs'

const clients = 5_000
const rooms = 500
const processes = 2
/** Events of each room that were published while its clients were away, and how many more half of them have missed. */
const away = 10
const further = 5

/** Reads of rooms' logs so far: XRANGE is an edge that replays, XREVRANGE a worker that loads a room. */
export async function logReads(redis) {
  const info = String(await redis.call('INFO', 'commandstats'))
  const calls = (name) => Number(new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(info)?.[1] ?? 0)
  return { history: calls('xrange'), loads: calls('xrevrange') }
}

/** Publishes so many events into every room. */
async function publishEach(fleet, publisher, events) {
  const message = { port: fleet.ingest.port, key: ingestKey, rooms, rate: rooms * events, seconds: 1, connections: 2 }
  const { refused, unknown } = await publisher.ask('publish', message)
  if (refused + unknown > 0) throw new Error(`${refused + unknown} events were not accepted`)
}

export async function resume({ progress }) {
  return withFleet({ edges: 2, ingest: true }, async (fleet) => {
    const publisher = fleet.load('publisher.mjs')
    const crowd = await Crowd.prepare(fleet, { size: clients, processes })
    const [from, to] = fleet.edges
    await crowd.open({ port: from.port, rooms, everyone: true })
    await publishEach(fleet, publisher, further)
    await until('every client has the first events', async () => (await crowd.report()).events === clients * further)
    await crowd.drop()
    await until('the edge knows', async () => (await from.metric('flotilla_edge_connections')) === 0)
    await publishEach(fleet, publisher, away)
    // Half of them are further behind: two distinct positions in every room.
    const missed = clients * away + (await crowd.forget({ back: further, rooms }))
    await fleet.quiet()

    const distinct = new Set(await crowd.positions()).size
    const [readsBefore, before] = [await logReads(fleet.redis), fleet.cpu()]
    const { seconds, again } = await crowd.resume({ port: to.port, missed })
    const [after, reads] = [fleet.cpu(), await logReads(fleet.redis)]
    const { events, faults } = await crowd.report()
    if (faults.length > 0) throw new Error(faults.join('; '))
    if (events !== missed) throw new Error(`${missed} events were missed, ${events} came`)
    progress(`${clients} clients resumed in ${seconds.toFixed(2)} s`)
    const { microseconds, cores, yardstick } = costPer(before, after, clients)
    const historyReads = reads.history - readsBefore.history
    return {
      clients,
      rooms,
      distinctPositions: distinct,
      missed,
      seconds,
      again,
      historyReads,
      roomLoads: reads.loads - readsBefore.loads,
      readsPerPosition: historyReads / distinct,
      microsecondsPerClient: microseconds,
      cores,
      yardstick,
    }
  })
}

// How large a fleet must be, by arithmetic: what a unit costs × how many there are.

/** A machine, and the share of a core that a process may use in the long run: the rest is for bursts and for one that is lost. */
export const machine = { cores: 16, gigabytes: 64 }
const busy = 0.6
/** A process is one thread, nearly; of a machine's cores two stay free. */
const usableCores = machine.cores - 2
/** Connections of an edge by default, and messages per second that a lane can remember the keys of: `maxRememberedKeys` in two minutes. */
const connectionsOfEdge = 20_000
const messagesOfLane = 70_000
/** History: a room keeps at least so many events, and all of two minutes. */
const historyEvents = 1_000
const historySeconds = 120
/** Of Redis' memory so much more than its data: fragments, buffers, a copy while it saves. */
const redisHeadroom = 1.5
const million = 1e6

/** Of `edges` edges so many have at least one of a room's members, spread by chance. */
export const edgesOfRoom = (edges, members) => edges * (1 - (1 - 1 / edges) ** members)

/** `base + perCopy × copies`: by least squares through what was measured at several numbers of readers. */
export function costByCopies(points) {
  const n = points.length
  const mean = (of) => points.reduce((sum, point) => sum + of(point), 0) / n
  const [x, y] = [mean(({ copies }) => copies), mean(({ us }) => us)]
  const spread = points.reduce((sum, { copies }) => sum + (copies - x) ** 2, 0)
  const perCopy = points.reduce((sum, { copies, us }) => sum + (copies - x) * (us - y), 0) / spread
  return { base: y - perCopy * x, perCopy }
}

const at = ({ base, perCopy }, copies) => base + perCopy * copies
const processes = (cores) => Math.ceil(cores / busy)

/**
 * The fleet for `{ connections, members, eventsPerSecond }`: every connection in one room of so many members. `units`: what was
 * measured (figures.mjs).
 */
export function fleetFor({ connections, members, eventsPerSecond }, units) {
  const rooms = connections / members
  let edges = Math.ceil(connections / connectionsOfEdge)
  let copies
  let edgeCores
  // More edges hold a room's members on more of them, which costs more edges: a few rounds settle it.
  for (let round = 0; round < 20; round += 1) {
    copies = edgesOfRoom(edges, members)
    const us =
      eventsPerSecond * (members * units.edgeUsPerDelivery + copies * units.edgeUsPerCopy) +
      connections * units.edgeUsPerIdleSecond
    edgeCores = us / million
    const next = Math.max(Math.ceil(connections / connectionsOfEdge), processes(edgeCores))
    if (next === edges) break
    edges = next
  }
  const redisCores = (eventsPerSecond * at(units.redisUsPerMessage, copies)) / million
  const primaries = Math.max(1, processes(redisCores), Math.ceil(eventsPerSecond / messagesOfLane))
  const workers = Math.max(2, processes((eventsPerSecond * at(units.workerUsPerMessage, copies)) / million))
  const ingest = Math.max(2, processes((eventsPerSecond * units.ingestUsPerMessage) / million))
  const kept = Math.max(historyEvents, (eventsPerSecond / rooms) * historySeconds)
  const logBytes = eventsPerSecond === 0 ? 0 : rooms * (units.roomBytes + kept * units.eventBytes)
  const interestBytes = (rooms * copies + connections) * units.interestBytes
  const redisGigabytes = (logBytes + interestBytes) / 1e9
  const edgeGigabytes = (connections * units.edgeKilobytes * 1_024) / 1e9
  const all = edges + workers + ingest + primaries + 2
  const byMemory = Math.ceil((redisGigabytes * redisHeadroom + edgeGigabytes) / machine.gigabytes)
  return {
    deliveriesPerSecond: eventsPerSecond * members,
    copies,
    edges,
    workers,
    ingest,
    primaries,
    processes: all,
    machines: Math.max(Math.ceil(all / usableCores), byMemory),
    edgeGigabytes,
    redisGigabytes,
    redisGigabytesEach: redisGigabytes / primaries,
  }
}

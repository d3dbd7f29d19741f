// The soak's fleet and its load: a hot room, small rooms, events with ids of which some are posted again, publishes over the
// client library, and clients that leave and resume on the other edge.
import { Crowd } from '../harness/crowd.mjs'
import { costPer, ingestKey, secret, withFleet } from '../harness/fleet.mjs'
import { sleep, until } from '../harness/processes.mjs'
import { latencies } from '../harness/samples.mjs'

/** Members and rooms of each kind, and events per second as a share of the hot room's. */
const kinds = {
  hot: { prefix: 'public:hot', rooms: 1, members: 1_000, share: 1 },
  small: { prefix: 'public:small', rooms: 50, members: 500, share: 8 },
  /** Published over WebSockets; the library publisher names its rooms so. */
  chat: { prefix: 'public:bench', rooms: 5, members: 50, share: 1 },
}
const edges = 2
const chatClients = 5
/** One event in so many is posted twice under its id. */
const repeatEvery = 25
/** Clients that leave and resume, of the hot room and of the small ones; how often, and how long they stay away, ms. */
const roaming = { hot: 25, small: 50, everyMs: 15_000, awayMs: 2_000 }
const maxP99Ms = 200
/** Time for what was accepted to arrive everywhere, ms. */
const arriveMs = 20_000

/** What the bounds of this load are computed from; `rate`: events per second of the hot room. */
export function shapeOf(rate) {
  const rooms = Object.values(kinds).reduce((sum, kind) => sum + kind.rooms, 0)
  const members = Object.values(kinds).reduce((sum, kind) => sum + kind.members, 0)
  const rovers = roaming.hot + roaming.small
  const inARoom = Object.values(kinds).map((kind) => (rate * kind.share) / kind.rooms)
  return {
    edges,
    producers: edges + 1,
    processes: edges + 3,
    lanes: 1,
    rooms,
    // A user's room is one that an edge is interested in; who roams is known on both edges for a moment.
    interest: rooms * edges + members + rovers * edges + chatClients,
    connections: members + rovers + chatClients,
    roomEventsPerSecond: Math.max(...inARoom),
    eventsPerSecond: inARoom.reduce((sum, each, i) => sum + each * Object.values(kinds)[i].rooms, 0),
  }
}

/** Connects everybody, lets `run` use it. */
export function withMix(run) {
  return withFleet({ edges, ingest: true }, async (fleet) => {
    const crowds = []
    let first = 0
    const join = async ({ prefix, rooms }, { size, edge, everyone = false }) => {
      const crowd = await Crowd.prepare(fleet, { size, first })
      first += size
      await crowd.open({ port: fleet.edges[edge].port, prefix, rooms, everyone })
      return crowd
    }
    for (const kind of Object.values(kinds)) {
      for (let edge = 0; edge < edges; edge += 1) crowds.push(await join(kind, { size: kind.members / edges, edge }))
    }
    const rovers = [
      await join(kinds.hot, { size: roaming.hot, edge: 0, everyone: true }),
      await join(kinds.small, { size: roaming.small, edge: 0, everyone: true }),
    ]
    const library = fleet.load('library-publisher.mjs')
    await library.ask('open', { port: fleet.edges[0].port, secret, count: chatClients })
    const publishers = { hot: fleet.load('publisher.mjs'), small: fleet.load('publisher.mjs'), chat: library }
    await fleet.quiet()
    return run({ fleet, crowds, rovers, publishers, place: { edge: 0 } })
  })
}

function publish({ fleet, publishers }, { rate, seconds }) {
  const { port } = fleet.ingest
  return Promise.all(
    Object.entries(kinds).map(async ([name, { prefix, rooms, share }]) => {
      const message = { prefix, rooms, rate: rate * share, seconds }
      const ingest = { port, key: ingestKey, connections: Math.min(2, rooms), repeatEvery }
      return { prefix, ...(await publishers[name].ask('publish', { ...ingest, ...message })) }
    }),
  )
}

/** They leave without a word and come back on the other edge, until told to stop; says how often. */
function roam({ fleet, rovers, place }) {
  let going = true
  let wake = () => {}
  const pause = (ms) =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, ms)
      wake = () => (clearTimeout(timer), resolve())
    })
  const run = async () => {
    let resumes = 0
    for (;;) {
      await pause(roaming.everyMs)
      if (!going) return resumes
      await Promise.all(rovers.map((crowd) => crowd.drop()))
      await sleep(roaming.awayMs)
      place.edge = (place.edge + 1) % edges
      await Promise.all(rovers.map((crowd) => crowd.comeBack(fleet.edges[place.edge].port)))
      resumes += rovers.reduce((sum, { size }) => sum + size, 0)
    }
  }
  const ended = run()
  // Whoever runs the load looks at it only in the end.
  ended.catch(() => {})
  return { stop: () => ((going = false), wake(), ended) }
}

/** What does not fit of what was accepted and what subscribers got; none: nothing lost, doubled or out of order. */
async function compare({ crowds, rovers }, runs) {
  const seen = await Promise.all([...crowds, ...rovers].map((crowd) => crowd.verify()))
  const reports = await Promise.all([...crowds, ...rovers].map((crowd) => crowd.report()))
  const faults = reports.flatMap((report) => report.faults)
  const closed = reports.reduce((sum, report) => sum + report.closed, 0)
  if (closed > 0) faults.push(`the server closed ${closed} connections`)
  for (const { prefix, accepted, unknown } of runs) {
    accepted.forEach((expected, i) => {
      const room = `${prefix}-${i}`
      for (const { rooms } of seen) {
        const [least, most] = rooms.get(room) ?? [expected, expected]
        if ((least !== expected || most !== expected) && unknown === 0)
          faults.push(`${room}: ${expected} events were accepted, subscribers got ${least} to ${most}`)
      }
    })
  }
  return faults
}

/**
 * Runs the load at a rate of the hot room, calls `look(latencies)` every `lookEveryMs`, and waits until everything has arrived.
 * `faults`: what was lost, doubled or out of order.
 */
export async function runMix(parts, { rate, seconds, lookEveryMs = 1_000, look = async () => {} }) {
  const { fleet, crowds, rovers } = parts
  await Promise.all([...crowds, ...rovers].map((crowd) => crowd.reset()))
  const before = fleet.cpu()
  const startedAt = performance.now()
  const rover = roam(parts)
  let publishing = true
  const published = publish(parts, { rate, seconds }).finally(() => (publishing = false))
  const taken = []
  for (let looks = 1; publishing; looks += 1) {
    const pause = startedAt + looks * lookEveryMs - performance.now()
    await Promise.race([sleep(Math.max(0, pause)), published])
    if (!publishing) break
    const [recent] = await Promise.all([takeSamples(parts), ...rovers.map((crowd) => crowd.samples())])
    taken.push(...(lookEveryMs < 10_000 ? recent : []))
    await look(latencies(recent))
  }
  const runs = await published
  const resumes = await rover.stop()
  taken.push(...(await takeSamples(parts)))
  let faults = []
  await until('everything has arrived', async () => (faults = await compare(parts, runs)).length === 0, arriveMs).catch(
    () => {},
  )
  const deliveries = runs.reduce((sum, { accepted, prefix }) => sum + delivered(accepted, prefix), 0)
  const sum = (name) => runs.reduce((all, run) => all + (run[name] ?? 0), 0)
  const refused = sum('refused') + sum('unknown')
  const { microseconds, cores } = costPer(before, fleet.cpu(), deliveries)
  const latency = latencies(taken)
  return {
    ok: refused === 0 && faults.length === 0 && latency.p99Ms !== null && latency.p99Ms <= maxP99Ms,
    rate,
    accepted: runs.reduce((all, run) => all + run.accepted.reduce((part, each) => part + each, 0), 0),
    deliveries,
    refused,
    repeats: sum('repeats'),
    resumes,
    faults,
    ...latency,
    microsecondsPerDelivery: microseconds,
    cores,
  }
}

async function takeSamples({ crowds }) {
  return (await Promise.all(crowds.map((crowd) => crowd.samples()))).flat()
}

/** To those that stay; a kind has as many members in each of its rooms. */
function delivered(accepted, prefix) {
  const { members, rooms } = Object.values(kinds).find((kind) => kind.prefix === prefix)
  return (accepted.reduce((sum, each) => sum + each, 0) * members) / rooms
}

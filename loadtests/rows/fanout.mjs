// (b), (c), (f): subscribers on sockets, published through ingest in batches. The highest rate, half of it, and a quiet one.
import { Crowd } from '../harness/crowd.mjs'
import { deliver } from '../harness/delivery.mjs'
import { withFleet } from '../harness/fleet.mjs'
import { figure } from '../report/table.mjs'
import { cost, highest, repeated } from '../harness/search.mjs'

/**
 * Rooms, connections per edge, and the rates, events per second: `warm` before anything is measured, `quiet`, the first and the last
 * that are tried. The last makes 8 million deliveries a second: beyond, the one core of the clients cannot read them.
 */
export const loads = {
  hot1000: { perEdge: 1_000, rooms: 1, connections: 1, warm: 1_000, quiet: 25, from: 500, to: 8_000 },
  hot5000: { perEdge: 5_000, rooms: 1, connections: 1, warm: 200, quiet: 25, from: 50, to: 1_600 },
  small: { perEdge: 5_000, rooms: 500, connections: 2, warm: 4_000, quiet: 2_000, from: 2_000, to: 64_000 },
  twoEdges: { edges: 2, perEdge: 2_000, rooms: 400, connections: 2, warm: 2_500, quiet: 1_000 },
}
/** Connects everybody, lets `run` use it. */
export async function withCrowd({ edges = 1, perEdge, rooms, connections, filters = 0 }, options, run) {
  return withFleet({ edges, ingest: true, ...options }, async (fleet) => {
    const publisher = fleet.load('publisher.mjs')
    const crowds = []
    for (let i = 0; i < edges; i += 1) {
      const crowd = await Crowd.prepare(fleet, { size: perEdge, first: i * perEdge })
      await crowd.open({ port: fleet.edges[i].port, rooms, filters })
      crowds.push(crowd)
    }
    await fleet.quiet()
    return run({ fleet, publisher, crowds, rooms, connections })
  })
}

/** Measures one load at given rates. */
function measures(parts, progress) {
  const measure = async (rate, seconds) => {
    const row = await deliver(parts, { rate, seconds })
    progress(
      `${rate} events/s: ${Math.round(row.deliveriesPerSecond)} deliveries/s, p99 ${row.p99Ms?.toFixed(0)} ms, ${figure(cost(row))} µs`,
    )
    return row
  }
  /** At a rate that must be possible: refusals would make the figures look better than they are. */
  const required = async (rate, seconds) => {
    const row = await measure(rate, seconds)
    if (row.refused + row.unknown > 0)
      throw new Error(`${row.refused + row.unknown} events refused at ${rate} events/s`)
    return row
  }
  return { measure, required }
}

/** Code that has run only a few times is slow, and at a quiet rate stays so for a minute: that is not what is measured. */
const warmSteps = 4

/**
 * The rows of one load: `{ highest, half, quiet }`, of which `quiet` has all that were measured at the quiet rate; only those where no
 * highest rate is asked for.
 */
export async function fanout(load, { settings, progress }) {
  const { halvings, quietRepeats, retries, stepSeconds, seconds, warmSeconds } = settings
  if (load.from === undefined) return { quiet: await quietly(load, { settings, progress }) }
  return withCrowd(load, {}, async (parts) => {
    const { measure, required } = measures(parts, progress)
    // The search warms the rest of it.
    await measure(load.warm, warmSeconds)
    const best = await highest({ from: load.from, to: load.to, halvings, retries }, (rate) =>
      measure(rate, stepSeconds),
    )
    const half = best === null ? null : await required(Math.round(best.rate / 2), seconds)
    return { quiet: await repeated(quietRepeats, () => required(load.quiet, seconds)), highest: best, half }
  })
}

/** Rows at the quiet rate alone. */
export async function quietly(load, { settings, progress }) {
  return withCrowd(load, {}, async (parts) => {
    const { measure, required } = measures(parts, progress)
    await repeated(warmSteps, () => measure(load.warm, settings.warmSeconds))
    return repeated(settings.quietRepeats, () => required(load.quiet, settings.seconds))
  })
}

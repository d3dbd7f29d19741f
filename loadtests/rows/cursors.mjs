// A room of 50 users who move their cursors 60 times a second, beside 20 rooms with steady traffic: what the one does to the others.
import { Crowd } from '../harness/crowd.mjs'
import { deliver } from '../harness/delivery.mjs'
import { withFleet } from '../harness/fleet.mjs'
import { sleep } from '../harness/processes.mjs'
import { latencies } from '../harness/samples.mjs'
import { leastDisturbed } from '../harness/search.mjs'

const users = 50
const movesPerSecond = 60
/** The others: rooms, connections of all of them, and events per second. */
const rooms = 20
const connections = 200
const rate = 200
/** After the cursors begin, or end, before anything is measured, ms. */
const settleMs = 500

/** The ways in which cursors move: not at all, conflated, and each move for itself. */
const kinds = { without: null, conflated: 'cursor', plain: '' }

/** Runs of each kind. */
const rounds = 5

/**
 * By kind: what the others saw, in the run with the median of their p99, and how many moves were sent and heard. The kinds take turns, so that
 * a machine that is slower for a while is slower for all of them. `ratio`: the p99 of the others with conflated cursors, beside that without;
 * `ratioPlain`: with cursors of which each move goes on.
 */
export async function cursors({ settings, progress }) {
  return withFleet({ edges: 1, ingest: true }, async (fleet) => {
    const publisher = fleet.load('publisher.mjs')
    const others = await Crowd.prepare(fleet, { size: connections })
    const hands = await Crowd.prepare(fleet, { size: users, first: connections })
    const [{ port }] = fleet.edges
    await others.open({ port, rooms, everyone: true })
    await hands.open({ port, rooms: 1, prefix: 'public:cursors' })
    await fleet.quiet()
    const parts = { fleet, publisher, crowds: [others], rooms, connections: 1 }
    const run = (conflate, seconds) => measure({ parts, hands }, { conflate, seconds })
    // Code that has run only for a moment is slow: every kind once before anything counts.
    for (const conflate of Object.values(kinds).toReversed()) await run(conflate, settings.warmSeconds)
    const found = Object.fromEntries(Object.keys(kinds).map((kind) => [kind, []]))
    for (let i = 0; i < rounds; i += 1)
      for (const kind of Object.keys(kinds)) {
        const row = await leastDisturbed(() => run(kinds[kind], settings.seconds))
        const moves = Math.round(row.heardPerSecond)
        progress(
          `${kind}: p99 of the others ${row.p99Ms.toFixed(1)} ms, ${moves} moves heard/s, ${row.cores.others.toFixed(2)} other cores`,
        )
        found[kind].push(row)
      }
    const [without, conflated, plain] = Object.values(found).map(medianOf)
    const [ratio, ratioPlain] = [conflated, plain].map(({ p99Ms }) => p99Ms / without.p99Ms)
    return { without, conflated, plain, ratio, ratioPlain }
  })
}

async function measure({ parts, hands }, { conflate, seconds }) {
  const startedAt = performance.now()
  await hands.reset()
  if (conflate !== null) await hands.moveCursors({ perSecond: movesPerSecond, conflate })
  await sleep(settleMs)
  const row = await deliver(parts, { rate, seconds })
  const { sent } = await hands.restCursors()
  await sleep(settleMs)
  const { events, faults, closed } = await hands.report()
  if (faults.length > 0 || closed > 0) throw new Error(`${closed} cursors were closed; ${faults.join('; ')}`)
  const elapsed = (performance.now() - startedAt) / 1_000
  return {
    ...row,
    sentPerSecond: sent / elapsed,
    heardPerSecond: events / elapsed,
    cursorP99Ms: latencies(await hands.samples()).p99Ms,
  }
}

function medianOf(rows) {
  const sorted = rows.toSorted((a, b) => a.p99Ms - b.p99Ms)
  return { ...sorted[Math.floor(sorted.length / 2)], runs: sorted.map(({ p99Ms }) => p99Ms) }
}

/**
 * make recovery: how long the fleet needs to recover: from a worker that leaves, from one that is killed, and from ten thousand
 * connections that are lost at once. Prints a table and writes out/recovery.json. --rounds, --clients.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { withFleet } from './harness/fleet.mjs'
import { latencies } from './harness/samples.mjs'
import { kill, plannedMove, startPublishing } from './recovery/takeovers.mjs'
import { replicated } from './recovery/replicated.mjs'
import { storm } from './recovery/storm.mjs'
import { grid } from './report/table.mjs'

const { values: args } = parseArgs({
  options: { rounds: { type: 'string', default: '5' }, clients: { type: 'string', default: '10000' } },
})
const [rounds, clients] = [args.rounds, args.clients].map(Number)
const file = 'out/recovery.json'
const startedAt = Date.now()
const progress = (text) =>
  process.stderr.write(`${String(Math.round((Date.now() - startedAt) / 1_000)).padStart(4)} s  ${text}\n`)

const takeovers = await withFleet({ workers: 2, pinned: false }, async (fleet) => {
  fleet.running = [...fleet.all('worker')]
  const publisher = await startPublishing(fleet)
  const moves = []
  const kills = []
  for (let i = 1; i <= rounds; i += 1) {
    const move = await plannedMove(fleet, publisher, i)
    moves.push(move)
    progress(`worker left, ${move.pausesMs.length} slots: longest wait ${Math.max(...move.pausesMs).toFixed(0)} ms`)
  }
  for (let i = 1; i <= rounds; i += 1) {
    const killed = await kill(fleet, publisher, i)
    kills.push(killed)
    progress(
      `worker killed, ${killed.servedMs.length} slots: all served after ${Math.max(...killed.servedMs).toFixed(0)} ms`,
    )
  }
  const pauses = moves.flatMap(({ pausesMs }) => pausesMs)
  return {
    moves: {
      slots: pauses.length,
      ...latencies(pauses),
      maxMs: Math.max(...pauses),
      failed: moves.reduce((sum, { failed }) => sum + failed, 0),
    },
    kills: {
      slots: kills.flatMap(({ servedMs }) => servedMs).length,
      allServedMs: kills.map(({ servedMs }) => Math.max(...servedMs)),
    },
  }
})
const storms = await storm({ clients, progress })
const acked = await replicated()

const report = { startedAt: new Date(startedAt).toISOString(), rounds, ...takeovers, storm: storms, replicated: acked }
mkdirSync('out', { recursive: true })
writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`)
const { moves, kills } = takeovers
const round = (value, digits = 0) => Number(value.toFixed(digits))
const shown = ({ p50Ms, p99Ms }) => `${round(p50Ms, 1)} and ${round(p99Ms, 1)}`
const lines = [
  ['planned move, wait for an outcome, p99 ms', round(moves.p99Ms), 100],
  ['planned move, longest wait, ms', round(moves.maxMs), 250],
  ['planned move, publishes without a commit', moves.failed, 0],
  ['worker killed, all its slots served after, longest, ms', round(Math.max(...kills.allServedMs)), 5_000],
  [`${clients} clients dropped at once, all back after, s`, round(storms.seconds, 1), 10],
  [
    'the others meanwhile, publish to delivery, p99 ms',
    round(storms.meanwhile.p99Ms),
    round(Math.max(50, 2 * storms.before.p99Ms)),
  ],
  ['the others, connections closed', storms.closed, 0],
  ['history reads', storms.historyReads, storms.distinct],
]
const columns = {
  '': ([name]) => name,
  seen: ([, value]) => value,
  'at the most': ([, , bar]) => bar,
  held: ([, value, bar]) => (value <= bar ? 'yes' : 'NO'),
}
process.stdout.write(
  `\n${moves.slots} slots moved as planned, ${kills.slots} were taken over; ${storms.turnedAway} connects were turned away first.\n` +
    `${grid(columns, lines)}\n\nA publish at ${acked.perSecond}/s, p50 and p99 ms: ${shown(acked.none)}; acknowledged by a replica ${shown(acked.one)}.\nAlso in ${file}.\n`,
)
process.exit(lines.every(([, value, bar]) => value <= bar) ? 0 : 1)

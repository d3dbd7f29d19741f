/**
 * make recovery: how long the fleet needs to recover: from a worker that leaves, from one that is killed, and from ten thousand
 * connections that are lost at once; and what it costs to be acknowledged by a replica. Prints a table and writes out/recovery.json.
 * --rounds, --clients, --only takeovers,storm,replicated.
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
  options: {
    rounds: { type: 'string', default: '3' },
    clients: { type: 'string', default: '10000' },
    only: { type: 'string', default: 'takeovers,storm,replicated' },
  },
})
const [rounds, clients] = [args.rounds, args.clients].map(Number)
const file = 'out/recovery.json'
const startedAt = Date.now()
const progress = (text) =>
  process.stderr.write(`${String(Math.round((Date.now() - startedAt) / 1_000)).padStart(4)} s  ${text}\n`)

/** The moves share a fleet, so that logs grow as they do in one that lives; each kill has a fleet of its own, whose workers share the slots. */
async function takeovers() {
  const moves = await withFleet({ workers: 2, pinned: false }, async (fleet) => {
    fleet.running = [...fleet.all('worker')]
    const publisher = await startPublishing(fleet)
    const pauses = []
    let failed = 0
    for (let i = 1; i <= rounds; i += 1) {
      const move = await plannedMove(fleet, publisher, i)
      pauses.push(...move.pausesMs)
      failed += move.failed
      progress(`worker left, ${move.pausesMs.length} slots: longest wait ${Math.max(...move.pausesMs).toFixed(0)} ms`)
    }
    return { slots: pauses.length, ...latencies(pauses), maxMs: Math.max(...pauses), failed }
  })
  const allServedMs = []
  for (let i = 1; i <= rounds; i += 1) {
    const servedMs = await withFleet({ workers: 2, pinned: false }, async (fleet) => {
      fleet.running = [...fleet.all('worker')]
      return kill(fleet, await startPublishing(fleet, 20_000))
    })
    allServedMs.push(Math.max(...servedMs))
    progress(`worker killed, ${servedMs.length} slots: all served after ${allServedMs.at(-1).toFixed(0)} ms`)
  }
  return { moves, kills: { allServedMs } }
}

const parts = {
  takeovers,
  storm: () => storm({ clients, progress }),
  replicated,
}
const found = {}
for (const [name, run] of Object.entries(parts)) if (args.only.split(',').includes(name)) found[name] = await run()

const report = { startedAt: new Date(startedAt).toISOString(), rounds, ...found }
mkdirSync('out', { recursive: true })
writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`)
const round = (value, digits = 0) => Number(value.toFixed(digits))
const lines = []
if (found.takeovers !== undefined) {
  const { moves, kills } = found.takeovers
  lines.push(
    [`${moves.slots} slots moved as planned: wait for an outcome, p99 ms`, round(moves.p99Ms), 100],
    ['longest wait, ms', round(moves.maxMs), 250],
    ['publishes without a commit', moves.failed, 0],
    ['worker killed: all its slots served after, longest, ms', round(Math.max(...kills.allServedMs)), 5_000],
  )
}
if (found.storm !== undefined) {
  const { seconds, before, meanwhile, closed, historyReads, distinct, rooms } = found.storm
  lines.push(
    [`${clients} clients dropped at once: all back after, s`, round(seconds, 1), 10],
    [
      'the others meanwhile: publish to delivery, p99 ms',
      round(meanwhile.p99Ms),
      round(Math.max(50, 2 * before.p99Ms)),
    ],
    ['the others: connections closed', closed, 0],
    ['history reads', historyReads, distinct],
    // So that a command that is counted no more does not pass.
    ['rooms of which no history was read', Math.max(0, rooms - historyReads), 0],
  )
}
const columns = {
  '': ([name]) => name,
  seen: ([, value]) => value,
  'at the most': ([, , bar]) => bar,
  held: ([, value, bar]) => (value <= bar ? 'yes' : 'NO'),
}
process.stdout.write(`\n${grid(columns, lines)}\n`)
if (found.replicated !== undefined) {
  const { perSecond, none, one } = found.replicated
  const shown = ({ p50Ms, p99Ms }) => `${round(p50Ms, 1)} and ${round(p99Ms, 1)}`
  process.stdout.write(
    `A publish at ${perSecond}/s, p50 and p99 ms: ${shown(none)}; acknowledged by a replica ${shown(one)}.\n`,
  )
}
process.stdout.write(`Also in ${file}.\n`)
process.exit(lines.every(([, value, bar]) => value <= bar) ? 0 : 1)

/**
 * make growth: how the cost of a connection, a message and a delivery grows with the fleet. docs/performance.md says how it is
 * measured. --quick: fewer points, shorter. --only connections,rooms,members,workers,edges,primaries,history,copies: some of the
 * curves; the others stay in out/growth.json as they were measured last. --show: measures nothing, prints what is there.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { connections } from './curves/connections.mjs'
import { history } from './curves/history.mjs'
import { members } from './curves/members.mjs'
import { copies, edges, primaries, workers } from './curves/processes.mjs'
import { rooms } from './curves/rooms.mjs'
import { stayWithLoad } from './harness/cores.mjs'
import { grownBy, growthTable } from './report/growth.mjs'

const file = 'out/growth.json'
const curves = { connections, rooms, members, workers, edges, primaries, history, copies }
const { values: args } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    show: { type: 'boolean', default: false },
  },
})
const settings = args.quick
  ? { warmSeconds: 2, seconds: 3, trimmed: false }
  : { warmSeconds: 3, seconds: 8, trimmed: true }
const chosen = args.only?.split(',') ?? Object.keys(curves)
for (const name of chosen)
  if (!(name in curves)) throw new Error(`no curve is called ${name}: ${Object.keys(curves).join(', ')}`)

function measuredBefore() {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).curves
  } catch {
    return {}
  }
}

if (args.show) {
  process.stdout.write(`${growthTable(measuredBefore())}\n`)
  process.exit(0)
}
stayWithLoad()
const startedAt = Date.now()
const machine = { cpu: cpus()[0]?.model ?? '', cores: cpus().length, node: process.version }
const measured = {}
for (const name of chosen) {
  const progress = (text) => {
    const seconds = Math.round((Date.now() - startedAt) / 1_000)
    process.stderr.write(`${String(seconds).padStart(4)} s  ${name}: ${text}\n`)
  }
  const { title, load, points, quickPoints = points, run } = curves[name]
  const at = new Date().toISOString()
  const rows = await run(args.quick ? quickPoints : points, { settings, progress })
  measured[name] = { title, load, measuredAt: at, quick: args.quick, machine, rows }
  progress(`${grownBy(rows)} × from the first point to the last`)
  // A curve that is measured stays measured, whatever becomes of the next.
  mkdirSync('out', { recursive: true })
  const all = { ...measuredBefore(), ...measured }
  const inOrder = Object.fromEntries(Object.keys(curves).flatMap((key) => (all[key] ? [[key, all[key]]] : [])))
  writeFileSync(file, `${JSON.stringify({ curves: inOrder }, null, 2)}\n`)
}
const seconds = Math.round((Date.now() - startedAt) / 1_000)
process.stdout.write(`\n${growthTable(measured)}\n\n${seconds} s. Also in ${file}.\n`)
process.exit(0)

/**
 * make bench: what the fleet costs on this machine, beside what others cost. docs/performance.md says how it is measured.
 * --quick: shorter runs. --only path,hot,small,idle,resume,edges,ways,commit: some of the rows.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus, loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { canPin, stayWithLoad } from './harness/cores.mjs'
import { fanout, loads } from './rows/fanout.mjs'
import { idle } from './rows/idle.mjs'
import { path } from './rows/path.mjs'
import { publishWays } from './rows/ways.mjs'
import { resume } from './rows/resume.mjs'

const { values: args } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, only: { type: 'string' } },
})
const settings = args.quick
  ? { warmSeconds: 1.5, seconds: 3, stepSeconds: 1.5, halvings: 2, retries: 0, idleConnections: 10_000 }
  : { warmSeconds: 3, seconds: 10, stepSeconds: 3, halvings: 3, retries: 1, idleConnections: 10_000 }

const hot = async (context) => ({
  hot1000: await fanout(loads.hot1000, context),
  hot5000: await fanout(loads.hot5000, context),
})
const rows = {
  path,
  hot,
  idle,
  resume,
  small: (context) => fanout(loads.small, context),
  edges: (context) => fanout(loads.twoEdges, context),
  ways: publishWays,
}
const chosen = args.only?.split(',') ?? Object.keys(rows)
for (const name of chosen)
  if (!(name in rows)) throw new Error(`no row is called ${name}: ${Object.keys(rows).join(', ')}`)

stayWithLoad()
const startedAt = new Date()
const report = {
  startedAt: startedAt.toISOString(),
  quick: args.quick,
  machine: { cpu: cpus()[0]?.model ?? '', cores: cpus().length, node: process.version, pinned: canPin },
  load: { before: loadavg()[0] },
}
for (const name of chosen) {
  const progress = (text) => {
    const seconds = Math.round((Date.now() - startedAt.getTime()) / 1_000)
    process.stderr.write(`${String(seconds).padStart(4)} s  ${name}: ${text}\n`)
  }
  report[name] = await rows[name]({ settings, progress })
}
report.load.after = loadavg()[0]
mkdirSync('out', { recursive: true })
writeFileSync('out/bench.json', `${JSON.stringify(report, null, 2)}\n`)
process.stdout.write(`${JSON.stringify(report, null, 1)}\nAlso in out/bench.json.\n`)
process.exit(0)

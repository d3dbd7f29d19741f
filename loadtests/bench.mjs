/**
 * make bench: what the fleet costs on this machine, beside what others cost. docs/performance.md says how it is measured.
 * --quick: shorter runs. --only path,hot,small,edges,filters,idle,resume,ways,http,commit: some of the loads;
 * cursors only when it is named.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { canPin, onCore, stayWithLoad } from './harness/cores.mjs'
import { startFlags } from './harness/processes.mjs'
import { median } from './harness/search.mjs'
import { agreementTable } from './report/agreement.mjs'
import { compare, comparisonTable } from './report/comparison.mjs'
import { tables } from './report/rows.mjs'
import { figure } from './report/table.mjs'
import { fanout, loads, quietly } from './rows/fanout.mjs'
import { cursors } from './rows/cursors.mjs'
import { filtered } from './rows/filters.mjs'
import { httpFloor } from './rows/http.mjs'
import { idle } from './rows/idle.mjs'
import { path } from './rows/path.mjs'
import { resume } from './rows/resume.mjs'
import { publishWays } from './rows/ways.mjs'

const { values: args } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, only: { type: 'string' } },
})
const settings = args.quick
  ? {
      quick: true,
      warmSeconds: 1.5,
      seconds: 2,
      stepSeconds: 1,
      halvings: 1,
      retries: 0,
      repeats: 1,
      quietRepeats: 1,
      idleConnections: 5_000,
      idleUsers: ['own'],
    }
  : {
      quick: false,
      warmSeconds: 4,
      seconds: 10,
      stepSeconds: 3,
      halvings: 3,
      retries: 2,
      repeats: 3,
      quietRepeats: 3,
      idleConnections: 10_000,
      idleUsers: ['own', 'one'],
    }

/** The commit alone, as the prototype's was measured: in a process of its own, on both cores. */
function commit() {
  const env = { ...process.env, SECONDS: String(settings.seconds) }
  const [command, ...rest] = [...onCore('free'), process.execPath, ...startFlags('shard'), 'loadtests/commit.mjs']
  return JSON.parse(execFileSync(command, rest, { env, encoding: 'utf8' }).trim().split('\n').at(-1) ?? '')
}

const rows = {
  path,
  hot: async (context) => ({
    hot1000: await fanout(loads.hot1000, context),
    hot5000: await fanout(loads.hot5000, context),
  }),
  small: (context) => fanout(loads.small, context),
  edges: (context) => fanout(loads.twoEdges, context),
  filters: filtered,
  idle,
  resume,
  ways: publishWays,
  http: httpFloor,
  commit,
  cursors,
}
const chosen =
  args.only?.split(',') ??
  Object.keys(rows).filter((name) => name !== 'cursors' && (!args.quick || (name !== 'commit' && name !== 'http')))
for (const name of chosen)
  if (!(name in rows)) throw new Error(`no load is called ${name}: ${Object.keys(rows).join(', ')}`)

const file = 'out/bench.json'
/** What the run before this one wrote, when it ran as long at each row. */
function lastRun() {
  try {
    const report = JSON.parse(readFileSync(file, 'utf8'))
    return report.quick === args.quick ? report : {}
  } catch {
    return {}
  }
}

/** Loads that have rows at a quiet rate, and where those are. */
const quietLoads = {
  hot: [
    { load: loads.hot1000, of: ({ hot }) => hot.hot1000 },
    { load: loads.hot5000, of: ({ hot }) => hot.hot5000 },
  ],
  small: [{ load: loads.small, of: ({ small }) => small }],
  edges: [{ load: loads.twoEdges, of: ({ edges }) => edges }],
}
const chosenLoads = () => chosen.flatMap((name) => (quietLoads[name] ?? []).map(({ load, of }) => ({ name, load, of })))

/** Of each chosen load. */
async function quietRows() {
  const found = []
  for (const { name, load } of chosenLoads()) found.push(await quietly(load, { settings, progress: progressOf(name) }))
  return found
}

const progressOf = (name) => (text) => {
  const seconds = Math.round((Date.now() - startedAt) / 1_000)
  process.stderr.write(`${String(seconds).padStart(4)} s  ${name}: ${text}\n`)
}

stayWithLoad()
const startedAt = Date.now()
const before = loadavg()[0]
const results = {}
// At a quiet rate also before everything else and behind it, minutes apart and in fleets of their own: for minutes a shared machine is
// faster or slower, and so may one of two fleets be.
const early = settings.quick ? [] : await quietRows()
for (const name of chosen) results[name] = await rows[name]({ settings, progress: progressOf(name) })
const late = settings.quick ? [] : await quietRows()
chosenLoads().forEach(({ of }, i) => {
  const row = of(results)
  row.quiet = median([...row.quiet, ...(early[i] ?? []), ...(late[i] ?? [])])
})
const comparison = compare(results)
const machine = { cpu: cpus()[0]?.model ?? '', cores: cpus().length, node: process.version, pinned: canPin }
const load = { before, after: loadavg()[0] }
const seconds = Math.round((Date.now() - startedAt) / 1_000)
const report = {
  startedAt: new Date(startedAt).toISOString(),
  seconds,
  quick: args.quick,
  machine,
  load,
  comparison,
  ...results,
}
mkdirSync('out', { recursive: true })
const earlier = lastRun()
writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`)
const place = canPin
  ? 'servers and Redis on one core, load on the other'
  : 'not pinned: figures are of all cores together'
const head =
  `${machine.cpu}, ${machine.cores} cores, Node ${machine.node}; ${place}.\n` +
  `Load average ${figure(load.before)} before, ${figure(load.after)} after; ${seconds} s. Nothing was lost, doubled or out of order.`
const texts = [head, ...tables(results), comparisonTable(comparison), agreementTable(earlier, report)]
process.stdout.write(`\n${texts.filter(Boolean).join('\n\n')}\n\nAlso in ${file}.\n`)
process.exit(0)

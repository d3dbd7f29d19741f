/**
 * make soak: half of the highest mixed load for --minutes (30), a sample of everything every 10 s, and verdicts: memory flat, no
 * stream and no count of keys beyond its bound, nothing lost, doubled or out of order. docs/performance.md has the rules.
 * --rate: events per second of the hot room, instead of half of the highest.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { stayWithLoad } from './harness/cores.mjs'
import { highest } from './harness/search.mjs'
import { soakTables } from './report/soak.mjs'
import { boundsOf, judgeBounds } from './soak/bounds.mjs'
import { runMix, shapeOf, withMix } from './soak/mix.mjs'
import { judge, trend } from './soak/trend.mjs'
import { watch } from './soak/watch.mjs'

const { values: args } = parseArgs({
  options: { minutes: { type: 'string', default: '30' }, rate: { type: 'string' } },
})
const minutes = Number(args.minutes)
const file = 'out/soak.json'
const sampleEveryMs = 10_000
/** Windows of two minutes fill, histories reach their thousand, code gets warm. */
const settleSeconds = 300
/** What the line through the rest may change, of its mean; p99 also by so many ms. */
const memoryShare = 0.05
const latencyShare = 0.2
const latencyMs = 5
/** The search for the highest load: events per second of the hot room. A room may get 833 in the long run (`dedupeMax`). */
const search = { from: 50, to: 800, halvings: 2, retries: 1 }
const stepSeconds = 5
if (!(minutes > settleSeconds / 60)) throw new Error(`--minutes must be more than ${settleSeconds / 60}`)

const startedAt = Date.now()
const progress = (text) => {
  const seconds = Math.round((Date.now() - startedAt) / 1_000)
  process.stderr.write(`${String(seconds).padStart(5)} s  ${text}\n`)
}

async function halfOfHighest(parts) {
  const step = async (rate) => {
    const row = await runMix(parts, { rate, seconds: stepSeconds })
    progress(`${rate} events/s in the hot room: p99 ${row.p99Ms?.toFixed(0)} ms${row.ok ? '' : ', too much'}`)
    if (row.faults.length > 0) throw new Error(row.faults.join('; '))
    return row
  }
  const best = await highest(search, step)
  if (best === null) throw new Error(`not even ${search.from} events/s keep the bound`)
  return Math.round(best.rate / 2)
}

/** Lines through what came after the first minutes. `judged`: counts for the exit code. */
function trends(samples) {
  const rest = samples.filter(({ seconds }) => seconds >= settleSeconds)
  const line = (of) => trend(rest.map((sample) => ({ at: sample.seconds, value: of(sample) })))
  const rows = Object.keys(samples[0].processes).flatMap((id) => [
    { name: `${id}: resident`, unit: 'MB', line: line(({ processes }) => processes[id].rss), judged: true },
    {
      name: `${id}: ${id === 'redis' ? 'used' : 'heap'}`,
      unit: 'MB',
      line: line(({ processes }) => processes[id].heap),
      judged: id === 'redis',
    },
    { name: `${id}: CPU`, unit: 'cores', line: line(({ processes }) => processes[id].cores), judged: false },
  ])
  const p99 = line(({ p99Ms }) => p99Ms ?? 0)
  return [
    ...rows.map((row) => {
      const allowed = row.judged ? memoryShare : null
      return { ...row, allowed, verdict: row.judged ? judge(row.line, { share: memoryShare }) : '' }
    }),
    {
      name: 'p99 of 10 s',
      unit: 'ms',
      line: p99,
      judged: false,
      allowed: latencyShare,
      verdict: judge(p99, { share: latencyShare, atLeast: latencyMs }),
    },
  ]
}

stayWithLoad()
const { rate, run, samples } = await withMix(async (parts) => {
  const chosen = args.rate === undefined ? await halfOfHighest(parts) : Number(args.rate)
  progress(`${minutes} minutes at ${chosen} events/s in the hot room`)
  const watching = watch(parts.fleet)
  const look = async (latency) => {
    const { seconds, p99Ms, processes } = await watching.take(latency)
    if (watching.samples.length % 6 !== 0) return
    const memory = Object.entries(processes).map(([id, { rss }]) => `${id} ${(rss / 1_048_576).toFixed(0)}`)
    progress(`minute ${Math.round(seconds / 60)}: p99 ${p99Ms?.toFixed(1)} ms; MB: ${memory.join(', ')}`)
  }
  const row = await runMix(parts, { rate: chosen, seconds: minutes * 60, lookEveryMs: sampleEveryMs, look })
  return { rate: chosen, run: row, samples: watching.samples }
})
const bounds = judgeBounds(boundsOf(shapeOf(rate)), samples)
const lines = trends(samples)
const checks = [
  { name: 'events accepted', found: run.accepted, held: true },
  { name: 'deliveries', found: run.deliveries, held: true },
  { name: 'posted again under the same id', found: run.repeats, held: true },
  { name: 'resumes', found: run.resumes, held: true },
  { name: 'refused or unknown', found: run.refused, held: run.refused === 0 },
  { name: 'lost, doubled or out of order', found: run.faults.length, held: run.faults.length === 0 },
]
const broken = [...bounds, ...checks].filter(({ held }) => !held).map(({ name }) => name)
const growing = lines.filter(({ judged, verdict }) => judged && verdict === 'GROWS').map(({ name }) => name)
const machine = { cpu: cpus()[0]?.model ?? '', cores: cpus().length, node: process.version }
mkdirSync('out', { recursive: true })
const report = { startedAt: new Date(startedAt).toISOString(), minutes, rate, machine, run, trends: lines, bounds }
writeFileSync(file, `${JSON.stringify({ ...report, checks, broken, growing, samples }, null, 1)}\n`)
process.stdout.write(`\n${soakTables({ trends: lines, bounds, checks })}\n\n`)
if (run.faults.length > 0) process.stdout.write(`${run.faults.slice(0, 20).join('\n')}\n\n`)
const violations = [...broken, ...growing]
process.stdout.write(
  `${violations.length === 0 ? 'Every bound held.' : `NOT within its bound: ${violations.join('; ')}.`} Also in ${file}.\n`,
)
process.exit(violations.length === 0 ? 0 : 1)

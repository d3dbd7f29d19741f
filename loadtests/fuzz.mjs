/**
 * make fuzz: --count inputs (1,400,000) of --seed to a fleet in one process: mutated frames over WebSockets, handshakes, requests to
 * ingest, and as many texts to the decoders. Nothing may crash, hang, answer what is not documented, or reach somebody who has no right
 * to it, and memory stays where it is. When something does not hold: exit code 1, and the least inputs found that do it.
 * `--preload`: a module that the fleet loads first, to see that its faults are found. `--attempts`: how often the least is looked for.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { fuzzDecoders } from './fuzz/decoders.mjs'
import { memoryOf, tables } from './fuzz/report.mjs'
import { runFuzz } from './fuzz/run.mjs'

const { values: args } = parseArgs({
  options: {
    count: { type: 'string', default: '1400000' },
    seed: { type: 'string' },
    file: { type: 'string', default: 'out/fuzz.json' },
    preload: { type: 'string' },
    attempts: { type: 'string', default: '100' },
  },
})
/** Characters of a failure that are shown; the file has all of it. */
const maxShown = 8_000
const count = Number(args.count)
const seed = args.seed === undefined ? Math.floor(Math.random() * 1e9) : Number(args.seed)
if (!(Number.isSafeInteger(count) && count > 0 && Number.isSafeInteger(seed)))
  throw new Error('--count and --seed are whole numbers')

const startedAt = Date.now()
const progress = (text) => {
  const seconds = Math.round((Date.now() - startedAt) / 1_000)
  process.stderr.write(`${String(seconds).padStart(5)} s  ${text}\n`)
}
progress(`seed ${seed}`)
const decoders = fuzzDecoders({ count, seed })
progress(`${count} texts to decoders${decoders.failure === undefined ? '' : `: FAILED, ${decoders.failure.fault}`}`)
const run = await runFuzz({ count, seed, preload: args.preload, attempts: Number(args.attempts), progress })
const memory = memoryOf(run.samples)
const failures = [decoders.failure, run.failure, memory.failure].filter((each) => each !== undefined)
mkdirSync('out', { recursive: true })
const report = {
  startedAt: new Date(startedAt).toISOString(),
  seed,
  count,
  node: process.version,
  failures,
  memory,
  decoders: decoders.rows,
  ...run,
}
writeFileSync(args.file, `${JSON.stringify(report, null, 1)}\n`)
process.stdout.write(`\n${tables({ seed, decoders, run, memory })}\n\n`)
for (const failure of failures) process.stdout.write(`FAILED: ${JSON.stringify(failure, null, 1).slice(0, maxShown)}\n`)
process.stdout.write(
  failures.length === 0 ? `All held. Also in ${args.file}.\n` : `Also in ${args.file}; again by --seed ${seed}.\n`,
)
process.exit(failures.length === 0 ? 0 : 1)

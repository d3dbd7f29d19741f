// npm run sim -- --seed 7          one seed, with a log
// npm run sim -- --from 1 --to 500 those seeds, on all cores
// npm run sim -- --forever         from a new seed on, until it is interrupted
// --members: clients are members of their rooms, and are told of the others
// --told: workers tell who is in which rooms
// --counted: users have limited connections, and phones that contend for them
import { spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { build } from 'esbuild'

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    from: { type: 'string', default: '1' },
    to: { type: 'string', default: '5000' },
    forever: { type: 'boolean', default: false },
    counted: { type: 'boolean', default: false },
    told: { type: 'boolean', default: false },
    members: { type: 'boolean', default: false },
  },
})
const bundle = 'out/sim.mjs'
mkdirSync('out', { recursive: true })
await build({
  entryPoints: ['packages/core/sim/main.ts'],
  outfile: bundle,
  bundle: true,
  platform: 'node',
  format: 'esm',
  conditions: ['source'],
  sourcemap: 'inline',
  logLevel: 'warning',
})

const run = (...args) =>
  new Promise((resolve) => {
    const all = [
      ...args.map(String),
      ...(values.counted ? ['counted'] : []),
      ...(values.told ? ['told'] : []),
      ...(values.members ? ['members'] : []),
    ]
    const child = spawn(process.execPath, ['--enable-source-maps', bundle, ...all], { stdio: 'inherit' })
    child.once('exit', (code) => resolve(code ?? 1))
  })

/** The simulator's seeds have 32 bits. */
const first = values.forever ? Date.now() % 2 ** 31 : Number(values.from)
const last = values.forever ? 2 ** 32 - 1 : Number(values.to)
const cores = availableParallelism()
const codes =
  values.seed === undefined
    ? await Promise.all(Array.from({ length: cores }, (_, i) => run(first + i, last, cores)))
    : [await run(values.seed, values.seed, 1, 'log')]
process.exitCode = Math.max(...codes)

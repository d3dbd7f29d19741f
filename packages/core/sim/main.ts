import { simulate } from './run.ts'

/**
 * `npm run sim` (scripts/sim.mjs): seeds `from`, `from + step`, … up to `to`, or for ever. Prints every seed that fails, with
 * how to run it alone, and goes on; the exit code says whether there was one.
 */
const [from = 1, to = 1, step = 1] = process.argv.slice(2, 5).map(Number)
const verbose = process.argv.includes('log')
const counted = process.argv.includes('counted')
const isTold = process.argv.includes('told')
const members = process.argv.includes('members')
/** Between two lines that say how far it is, ms. */
const tellEveryMs = 30_000

let [seeds, failed, told] = [0, 0, performance.now()]
for (let seed = from; seed <= to; seed += step) {
  const outcome = simulate(seed, {
    counted,
    members,
    told: isTold,
    ...(verbose ? { log: (text) => console.log(text) } : {}),
  })
  seeds += 1
  if (outcome.violations.length > 0) {
    failed += 1
    console.log(
      `seed ${seed} fails (${outcome.faults.join(', ')}): npm run sim -- --seed ${seed}${counted ? ' --counted' : ''}${isTold ? ' --told' : ''}${members ? ' --members' : ''}`,
    )
    for (const violation of outcome.violations.slice(0, 10)) console.log(`  ${violation}`)
  }
  if (performance.now() - told > tellEveryMs) {
    told = performance.now()
    console.log(`at seed ${seed}: ${seeds} run, ${failed} failed`)
  }
}
console.log(`${seeds} seeds from ${from}, ${failed} failed`)
process.exitCode = failed > 0 ? 1 : 0

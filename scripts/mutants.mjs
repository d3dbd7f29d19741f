// make mutants: Stryker changes packages/core expression by expression, and runs the tests that cover it. Prints by file how many of the
// changes the tests found; fails where they found fewer than 80 % of all. PARTS=feed,lane for some of them (test/mutants/parts.mjs); the others stay as
// docs/mutants.json has them, unless their files have changed since.
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { parts } from '../test/mutants/parts.mjs'

const leastScore = 80
const asked = (process.env['PARTS'] ?? Object.keys(parts).join(',')).split(',')
const unknown = asked.filter((part) => parts[part] === undefined)
if (unknown.length > 0) {
  console.error(`no such part: ${unknown.join(', ')}; there are ${Object.keys(parts).join(', ')}`)
  process.exit(2)
}

/** Mutants by what became of them. Those that do not compile or are static are not judged. */
function count(mutants) {
  const of = (...states) => mutants.filter(({ status }) => states.includes(status)).length
  return { found: of('Killed', 'Timeout'), survived: of('Survived', 'NoCoverage') }
}
const scoreOf = ({ found, survived }) => (found + survived === 0 ? 100 : (100 * found) / (found + survived))
const line = (name, { found, survived }) =>
  `${name.padEnd(24)}${String(found).padStart(7)}${String(survived).padStart(10)}${scoreOf({ found, survived }).toFixed(1).padStart(9)} %\n`

/** docs/mutants.json: of each part what was found when, at which commit. A part that is run takes the place of what it was. */
const kept = 'docs/mutants.json'
const results = JSON.parse(readFileSync(kept, 'utf8'))
const pathsOf = (part) => parts[part].map((file) => `packages/core/src/${file}.ts`)
const isOf = (part, commit) =>
  spawnSync('git', ['diff', '--quiet', commit, '--', ...pathsOf(part)], { stdio: 'ignore' }).status === 0
const commit = spawnSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).stdout.trim()

mkdirSync('out/mutants', { recursive: true })
process.env['FORCE_COLOR'] = '0'
for (const part of asked) {
  process.stdout.write(`== ${part}\n`)
  rmSync(`out/mutants/${part}.json`, { force: true })
  const args = ['node_modules/@stryker-mutator/core/bin/stryker.js', 'run', 'test/mutants/stryker.config.mjs']
  const env = { ...process.env, MUTANTS_PART: part }
  const { status } = spawnSync(process.execPath, args, { env, stdio: 'inherit' })
  if (status !== 0) throw new Error(`${part} ended with ${status}`)
  const files = Object.entries(JSON.parse(readFileSync(`out/mutants/${part}.json`, 'utf8')).files)
  const counts = Object.fromEntries(files.map(([path, { mutants }]) => [path.split('/').at(-1), count(mutants)]))
  results[part] = { date: new Date().toISOString().slice(0, 10), commit, files: counts }
  const ordered = Object.fromEntries(
    Object.keys(parts).flatMap((name) => (results[name] ? [[name, results[name]]] : [])),
  )
  writeFileSync(kept, `${JSON.stringify(ordered, null, 2)}\n`)
}
process.stdout.write(`\n${'file'.padEnd(24)}${'found'.padStart(7)}${'survived'.padStart(10)}${'score'.padStart(11)}\n`)
const all = { found: 0, survived: 0 }
for (const part of Object.keys(parts)) {
  const sum = { found: 0, survived: 0 }
  for (const [file, { found, survived }] of Object.entries(results[part]?.files ?? {})) {
    process.stdout.write(line(`  ${file}`, { found, survived }))
    sum.found += found
    sum.survived += survived
  }
  process.stdout.write(line(part, sum))
  all.found += sum.found
  all.survived += sum.survived
}
process.stdout.write(line('all', all))
const missing = Object.keys(parts).filter((part) => results[part] === undefined || !isOf(part, results[part].commit))
if (missing.length > 0) throw new Error(`not run as they are now: PARTS=${missing.join(',')} make mutants`)
process.stdout.write('What survived, and where: out/mutants/<part>.json. All results: docs/mutants.json\n')
if (scoreOf(all) < leastScore) throw new Error(`below ${leastScore} %`)

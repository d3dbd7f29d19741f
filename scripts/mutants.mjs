// make mutants: Stryker changes packages/core expression by expression, and runs the tests that cover it. Prints by file how many of the
// changes the tests found; fails where they found fewer than 80 % of all. PARTS=feed,lane for some of them (test/mutants/parts.mjs).
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
  const [found, survived] = [of('Killed', 'Timeout'), of('Survived', 'NoCoverage')]
  return { found, survived, score: found + survived === 0 ? 100 : (100 * found) / (found + survived) }
}
const line = (name, { found, survived, score }) =>
  `${name.padEnd(24)}${String(found).padStart(7)}${String(survived).padStart(10)}${score.toFixed(1).padStart(9)} %\n`

mkdirSync('out/mutants', { recursive: true })
const judged = []
process.env['FORCE_COLOR'] = '0'
for (const part of asked) {
  process.stdout.write(`== ${part}\n`)
  rmSync(`out/mutants/${part}.json`, { force: true })
  const args = ['node_modules/@stryker-mutator/core/bin/stryker.js', 'run', 'test/mutants/stryker.config.mjs']
  const env = { ...process.env, MUTANTS_PART: part }
  const { status } = spawnSync(process.execPath, args, { env, stdio: 'inherit' })
  if (status !== 0) throw new Error(`${part} ended with ${status}`)
  for (const [path, { mutants }] of Object.entries(JSON.parse(readFileSync(`out/mutants/${part}.json`, 'utf8')).files))
    judged.push({ file: path.split('/').at(-1), mutants })
}
process.stdout.write(`\n${'file'.padEnd(24)}${'found'.padStart(7)}${'survived'.padStart(10)}${'score'.padStart(11)}\n`)
for (const { file, mutants } of judged) process.stdout.write(line(file, count(mutants)))
const all = count(judged.flatMap(({ mutants }) => mutants))
process.stdout.write(line('all', all))
const survivors = judged.flatMap(({ file, mutants }) =>
  mutants
    .filter(({ status }) => status === 'Survived' || status === 'NoCoverage')
    .map((mutant) => ({ file, ...mutant })),
)
writeFileSync('out/mutants.json', `${JSON.stringify({ ...all, survivors }, null, 2)}\n`)
process.stdout.write('What survived, and where: out/mutants.json\n')
if (all.score < leastScore) throw new Error(`below ${leastScore} %`)

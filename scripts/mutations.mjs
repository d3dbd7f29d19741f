// make mutations: leaves out one rule after the other (test/mutations/list.mjs), in a copy of the repository, and requires
// that the test which holds the rule fails then, and does not fail with it.
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { mutations } from '../test/mutations/list.mjs'
import { runVitest } from './vitest.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const copy = mkdtempSync(join(tmpdir(), 'flotilla-mutations-'))
process.on('exit', () => rmSync(copy, { recursive: true, force: true }))
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))

const files = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], { cwd: root, encoding: 'utf8' })
for (const file of files.split('\n').filter(Boolean)) {
  mkdirSync(dirname(join(copy, file)), { recursive: true })
  cpSync(join(root, file), join(copy, file))
}
// The packages of the copy are to be those of the copy: links of the workspace are relative, so they are copied as links.
cpSync(join(root, 'node_modules'), join(copy, 'node_modules'), { recursive: true, verbatimSymlinks: true })

/** Seconds that the tests of one rule may take. */
const limit = 300

/** How many of the tests of that name failed, and how many passed. */
async function run({ project, file, name }) {
  const report = join(copy, 'report.json')
  rmSync(report, { force: true })
  const pattern = name.replace(/[[\]]/g, '\\$&')
  const args = ['--project', project, file, '-t', pattern, '--reporter=json', `--outputFile.json=${report}`]
  await runVitest(args, { seconds: limit, cwd: copy, output: 'ignore' })
  try {
    const { numPassedTests: passed, numFailedTests: failed } = JSON.parse(readFileSync(report, 'utf8'))
    return { passed, failed }
  } catch (error) {
    throw new Error(`${name} of ${file} ended without a report`, { cause: error })
  }
}

let survived = 0
const whole = new Map()
for (const { rule, file, find, replace, tests } of mutations) {
  const path = join(copy, file)
  const text = readFileSync(path, 'utf8')
  if (text.split(find).length !== 2) throw new Error(`${rule}: not once in ${file}: ${find}`)
  const key = JSON.stringify(tests)
  if (!whole.has(key)) whole.set(key, await run(tests))
  const { passed, failed } = whole.get(key)
  if (passed === 0 || failed > 0)
    throw new Error(`${rule}: with the rule ${passed} of ${tests.name} pass, ${failed} fail`)
  writeFileSync(
    path,
    text.replace(find, () => replace),
  )
  const without = await run(tests)
  writeFileSync(path, text)
  if (without.failed === 0) survived += 1
  process.stdout.write(`${without.failed > 0 ? 'found   ' : 'SURVIVED'}  ${rule}: ${tests.name} of ${tests.file}\n`)
}
process.stdout.write(`${mutations.length} rules left out, ${mutations.length - survived} found by their tests.\n`)
process.exitCode = survived === 0 ? 0 : 1

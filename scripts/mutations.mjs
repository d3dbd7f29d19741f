// make mutations: leaves out one rule after the other (test/mutations/list.mjs), in a copy of the repository, and requires
// that the test which holds the rule fails then, and does not fail with it.
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { mutations } from '../test/mutations/list.mjs'

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

/** How many of the tests of that name failed, and how many there were. */
function run({ project, file, name }) {
  const report = join(copy, 'report.json')
  rmSync(report, { force: true })
  const pattern = name.replace(/[[\]]/g, '\\$&')
  const args = ['run', '--project', project, file, '-t', pattern, '--reporter=json', `--outputFile.json=${report}`]
  const { stderr } = spawnSync(process.execPath, ['node_modules/vitest/vitest.mjs', ...args], {
    cwd: copy,
    encoding: 'utf8',
    timeout: 300_000,
  })
  try {
    const { numPassedTests: passed, numFailedTests: failed } = JSON.parse(readFileSync(report, 'utf8'))
    return { passed, failed }
  } catch {
    throw new Error(`${file} ended without a report:\n${stderr.slice(-2_000)}`)
  }
}

let survived = 0
const whole = new Map()
for (const { rule, file, find, replace, tests } of mutations) {
  const path = join(copy, file)
  const text = readFileSync(path, 'utf8')
  if (text.split(find).length !== 2) throw new Error(`${rule}: not once in ${file}: ${find}`)
  const key = JSON.stringify(tests)
  if (!whole.has(key)) whole.set(key, run(tests))
  const { passed, failed } = whole.get(key)
  if (passed === 0 || failed > 0)
    throw new Error(`${rule}: with the rule ${passed} of ${tests.name} pass, ${failed} fail`)
  writeFileSync(
    path,
    text.replace(find, () => replace),
  )
  const without = run(tests)
  writeFileSync(path, text)
  if (without.failed === 0) survived += 1
  process.stdout.write(`${without.failed > 0 ? 'found   ' : 'SURVIVED'}  ${rule}: ${tests.name} of ${tests.file}\n`)
}
process.stdout.write(`${mutations.length} rules left out, ${mutations.length - survived} found by their tests.\n`)
process.exitCode = survived === 0 ? 0 : 1

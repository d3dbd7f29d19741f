// Runs the test projects one after the other (together they would starve each other of processor time) and sums their
// reports into out/tests.json: { passed, failed }. A project that ends without a report, or badly without a failed
// test, is one failure. `node scripts/test.mjs unit redis` runs only these.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { runVitest } from './vitest.mjs'

/**
 * Seconds after which a project is ended: a few times what each takes on an idle machine, so that one which hangs ends by itself and one on
 * a slow machine does not.
 */
const limits = { unit: 480, chart: 240, redis: 300, sim: 900, e2e: 600, faults: 600 }

async function runProject(name) {
  const report = `out/tests-${name}.json`
  rmSync(report, { force: true })
  console.log(`\n== tests: ${name}`)
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`]
  const code = await runVitest(['--project', name, ...reporters], { seconds: limits[name] })
  const { passed, failed, why } = count(report)
  const ended = code !== 0 && failed === 0
  return { passed, failed: ended ? 1 : failed, why: ended ? [`${name} ended with ${code}`] : why }
}

/** Lines of what a failed test said that are told again at the end. */
const whyLines = 6

function count(report) {
  let read
  try {
    read = JSON.parse(readFileSync(report, 'utf8'))
  } catch {
    return { passed: 0, failed: 0, why: [] }
  }
  // A file that could not be loaded has no tests at all.
  const broken = read.testResults.filter((file) => file.status === 'failed' && file.assertionResults.length === 0)
  const failures = read.testResults.flatMap((file) => file.assertionResults.filter(({ status }) => status === 'failed'))
  const why = [
    ...broken.map((file) => `${file.name}: ${file.message}`),
    ...failures.map(({ fullName, failureMessages }) => `${fullName}\n${failureMessages.join('\n')}`),
  ].map((text) => text.split('\n').slice(0, whyLines).join('\n    '))
  return { passed: read.numPassedTests, failed: read.numFailedTests + broken.length, why }
}

const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(limits)
const unknown = names.filter((name) => limits[name] === undefined)
if (unknown.length > 0) {
  console.error(`no such project: ${unknown.join(', ')}; there are ${Object.keys(limits).join(', ')}`)
  process.exit(2)
}
mkdirSync('out', { recursive: true })
rmSync('out/tests.json', { force: true })
const totals = { passed: 0, failed: 0 }
const lines = []
const failures = []
for (const name of names) {
  const { passed, failed, why } = await runProject(name)
  totals.passed += passed
  totals.failed += failed
  lines.push(`${name}: ${passed} passed, ${failed} failed`)
  failures.push(...why.map((text) => `failed (${name}): ${text}`))
}
writeFileSync('out/tests.json', `${JSON.stringify(totals)}\n`)
console.log(`\n${[...failures, ...lines].join('\n')}`)
process.exit(totals.failed === 0 ? 0 : 1)

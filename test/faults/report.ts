import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { Fault } from './fault.ts'
import type { Plan } from './plan.ts'
import type { Result } from './run.ts'

const folder = 'out/faults'
const kept = `${folder}/results.jsonl`
const reportPath = 'out/faults.json'

/** What `out/faults.json` holds. */
export interface Report {
  readonly acknowledged: number
  readonly delivered: number
  readonly violations: number
  readonly faults: readonly FaultReport[]
}
export interface FaultReport {
  readonly name: string
  readonly about: string
  readonly mayLose: boolean
  readonly seeds: readonly number[]
  readonly acknowledged: number
  readonly violations: readonly string[]
  /** Per seed, as the fault itself counted it. */
  readonly injected: readonly Readonly<Record<string, number>>[]
  readonly healMs: readonly (number | null)[]
  readonly unknown: number
  readonly refused: number
  readonly told: number
  readonly lostAndTold: number
}

/** The whole campaign begins anew; a part of it takes the place of what was found before for the same fault and seed. */
export function beginReport(plan: Plan): void {
  mkdirSync(folder, { recursive: true })
  if (plan.whole) rmSync(kept, { force: true })
}

export function keepResult(result: Result): void {
  appendFileSync(kept, `${JSON.stringify(result)}\n`)
}

/** Sums up everything that is kept, and returns it. */
export function writeReport(all: readonly Fault[]): Report {
  const report = summarize(all, existsSync(kept) ? newestOf(readFileSync(kept, 'utf8')) : [])
  writeFileSync(reportPath, `${JSON.stringify(report, null, 2)}\n`)
  return report
}

export function newestOf(text: string): Result[] {
  const newest = new Map<string, Result>()
  for (const line of text.split('\n')) {
    if (line === '') continue
    const result = JSON.parse(line) as Result
    newest.set(`${result.fault} ${result.seed}`, result)
  }
  return [...newest.values()].toSorted((a, b) => a.seed - b.seed)
}

export function summarize(all: readonly Fault[], results: readonly Result[]): Report {
  const faults = all.flatMap(({ name, about, mayLose = false }): FaultReport[] => {
    const own = results.filter((each) => each.fault === name)
    if (own.length === 0) return []
    const sum = (of: (result: Result) => number): number => own.reduce((total, each) => total + of(each), 0)
    return [
      {
        ...{ name, about, mayLose, seeds: own.map(({ seed }) => seed) },
        acknowledged: sum((each) => each.acknowledged),
        violations: own.flatMap(({ seed, violations }) => violations.map((each) => `seed ${seed}: ${each}`)),
        injected: own.map(({ evidence }) => evidence),
        healMs: own.map(({ healMs }) => healMs),
        unknown: sum((each) => each.unknown),
        refused: sum((each) => each.refused),
        told: sum((each) => each.told),
        lostAndTold: sum((each) => each.lostAndTold),
      },
    ]
  })
  return {
    acknowledged: faults.reduce((total, each) => total + each.acknowledged, 0),
    delivered: results.reduce((total, each) => total + each.delivered, 0),
    violations: faults.reduce((total, each) => total + each.violations.length, 0),
    faults,
  }
}

import { mkdirSync, writeFileSync } from 'node:fs'
import type { Fault } from './fault.ts'
import type { Load, Mode } from './plan.ts'
import type { Result } from './run.ts'

const folder = 'out/faults'
/** Each kind of run has a file of its own: a part of the campaign never takes the place of the whole. */
const files: Readonly<Record<Mode, string>> = {
  whole: 'out/faults.json',
  quick: 'out/faults-quick.json',
  part: 'out/faults-part.json',
}

/** What the whole campaign must come to. */
const leastAcknowledged = 5_000_000
const leastSeeds = 3

/** Of which code, and how. */
export interface Origin {
  readonly mode: Mode
  /** As git names it, with `-dirty` when files differ from it. */
  readonly commit: string
  readonly began: string
  readonly load: Load
}

/** What the results file holds: what one run of the campaign found, and nothing of any other. */
export interface Report extends Origin {
  /** Whether every run of the plan has its result: the file is written anew after each. */
  readonly finished: boolean
  readonly acknowledged: number
  readonly repeated: number
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
  readonly repeated: number
  readonly violations: readonly string[]
  /** Per seed, as the fault itself counted it. */
  readonly injected: readonly Readonly<Record<string, number>>[]
  readonly healMs: readonly (number | null)[]
  readonly unknown: number
  readonly refused: number
  readonly told: number
  readonly lostAndTold: number
}

/** The results of a run of the campaign, under way. */
export interface Keeper {
  /** Adds a result, which nothing takes away again, and writes the file. */
  keep(result: Result): void
  report(): Report
}

/** Begins with an empty file. `planned`: how many results there will be. */
export function keepResults(origin: Origin, planned: number, all: readonly Fault[]): Keeper {
  const results: Result[] = []
  const report = (): Report => ({
    ...origin,
    finished: results.length === planned,
    ...summarize(all, results),
  })
  const write = (): void => writeFileSync(files[origin.mode], `${JSON.stringify(report(), null, 2)}\n`)
  mkdirSync(folder, { recursive: true })
  write()
  return {
    keep: (result) => {
      results.push(result)
      write()
    },
    report,
  }
}

export function summarize(all: readonly Fault[], results: readonly Result[]): Omit<Report, keyof Origin | 'finished'> {
  const faults = all.flatMap(({ name, about, mayLose = false }): FaultReport[] => {
    const own = results.filter((each) => each.fault === name).toSorted((a, b) => a.seed - b.seed)
    if (own.length === 0) return []
    const sum = (of: (result: Result) => number): number => own.reduce((total, each) => total + of(each), 0)
    return [
      {
        ...{ name, about, mayLose, seeds: own.map(({ seed }) => seed) },
        acknowledged: sum((each) => each.acknowledged),
        repeated: sum((each) => each.repeated),
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
  const sum = (of: (fault: FaultReport) => number): number => faults.reduce((total, each) => total + of(each), 0)
  return {
    acknowledged: sum((each) => each.acknowledged),
    repeated: sum((each) => each.repeated),
    delivered: results.reduce((total, each) => total + each.delivered, 0),
    violations: sum((each) => each.violations.length),
    faults,
  }
}

/** What a whole campaign lacks: it counts as one only with enough messages, and enough seeds of every fault. */
export function shortOf(report: Pick<Report, 'acknowledged' | 'faults'>, all: readonly Fault[]): string[] {
  const { acknowledged, faults } = report
  const few = acknowledged < leastAcknowledged ? [`${acknowledged} acknowledged, not ${leastAcknowledged}`] : []
  const seeds = new Map(faults.map((each) => [each.name, new Set(each.seeds).size]))
  const rare = all.filter(({ name }) => (seeds.get(name) ?? 0) < leastSeeds)
  return [...few, ...rare.map(({ name }) => `${name} has ${seeds.get(name) ?? 0} seeds, not ${leastSeeds}`)]
}

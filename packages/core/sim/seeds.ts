import type { Bug } from './bugs.ts'
import { landmarks } from './record.ts'
import type { Landmark } from './record.ts'
import { simulate } from './run.ts'
import type { WorldOptions } from './world.ts'

/** `SEED=123 npx vitest run --project sim` runs that seed alone, with a log. */
export const chosenSeed = process.env['SEED']

export interface Report {
  readonly failed: readonly { readonly seed: number; readonly violations: readonly string[] }[]
  /** In how many of the seeds each landmark was reached. */
  readonly reached: ReadonlyMap<Landmark, number>
  /** How often in all of them together. */
  readonly times: ReadonlyMap<Landmark, number>
  readonly line: string
}

/** Runs the seeds in order, tells of progress, and stops at the third that fails. */
export function runSeeds(
  from: number,
  to: number,
  options: Pick<WorldOptions, 'counted' | 'told' | 'members'> = {},
): Report {
  const failed: { seed: number; violations: readonly string[] }[] = []
  const reached = new Map<Landmark, number>(landmarks.map((landmark) => [landmark, 0]))
  const times = new Map<Landmark, number>()
  const started = performance.now()
  let [seeds, published, acknowledged] = [0, 0, 0]
  const line = (): string =>
    `seeds ${from} to ${from + seeds - 1}: ${published} messages, ${acknowledged} acknowledged, ${times.get('edge drained') ?? 0} edges drained, ${times.get('client moved') ?? 0} clients moved, ${((performance.now() - started) / Math.max(1, seeds)).toFixed(1)} ms per seed`
  for (let seed = from; seed <= to && failed.length < 3; seed += 1) {
    const outcome = simulate(seed, options)
    seeds += 1
    published += outcome.published
    acknowledged += outcome.acknowledged
    for (const [landmark, count] of outcome.reached) {
      reached.set(landmark, (reached.get(landmark) ?? 0) + 1)
      times.set(landmark, (times.get(landmark) ?? 0) + count)
    }
    if (outcome.violations.length > 0) {
      failed.push({ seed, violations: outcome.violations })
      console.log(
        `seed ${seed} (${outcome.faults.join(', ')}) fails; run it with: npm run sim -- --seed ${seed}${options.counted === true ? ' --counted' : ''}${options.told === true ? ' --told' : ''}`,
      )
    }
    if (seeds % 500 === 0) console.log(line())
  }
  console.log([...reached].map(([landmark, count]) => `${landmark}: ${count}`).join(', '))
  return { failed, reached, times, line: line() }
}

/** What a correct fleet never reaches, or hardly ever. */
const never: ReadonlySet<Landmark> = new Set(['conflict', 'kept out'])

/** Landmarks that no seed came to: then these seeds say nothing about them. */
export function unreached({ reached }: Report, wanted: readonly Landmark[] = landmarks): Landmark[] {
  return wanted.filter((landmark) => !never.has(landmark) && (reached.get(landmark) ?? 0) === 0)
}

/** The first seed up to `limit` in which the bug breaks that promise; `check` is what its violations begin with. */
export function firstToFind(
  bug: Bug,
  check: string,
  limit: number,
): { seed: number; violations: readonly string[] } | undefined {
  for (let seed = 1; seed <= limit; seed += 1) {
    const violations = simulate(seed, { bug }).violations.filter((text) => text.startsWith(`${check}: `))
    if (violations.length > 0) return { seed, violations }
  }
  return undefined
}

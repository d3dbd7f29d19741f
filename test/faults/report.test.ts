import { expect, test } from 'vitest'
import { renderPage } from './page.ts'
import { shortOf, summarize } from './report.ts'
import type { Result } from './run.ts'

const fault = (name: string, mayLose = false) => ({
  ...{ name, mayLose, about: `what ${name} does` },
  inject: () => Promise.resolve(),
  evidence: () => Promise.resolve({}),
})
const result = (name: string, seed: number, more: Partial<Result> = {}): Result => ({
  ...{ fault: name, seed, acknowledged: 1_000, repeated: 10, delivered: 4_000, unknown: 1, refused: 2 },
  ...{
    told: 0,
    lostAndTold: 0,
    healMs: 100 * seed,
    durationMs: 1,
    evidence: { killed: seed },
    violations: [],
    ...more,
  },
})

test('[FA7] a seed that failed stays in the report, also when the same one is run again', () => {
  const report = summarize([fault('a')], [result('a', 2), result('a', 1, { violations: ['lost: x'] }), result('a', 1)])
  expect(report.faults[0]).toMatchObject({ seeds: [1, 1, 2], violations: ['seed 1: lost: x'] })
})

test('[FA7] a whole campaign is short of messages, or of seeds of a fault', () => {
  const all = [fault('a'), fault('b')]
  const many = { acknowledged: 1_666_667 }
  const of = (results: readonly Result[]): string[] => shortOf(summarize(all, results), all)
  const ofA = [1, 2, 3].map((seed) => result('a', seed, many))
  const ofB = [1, 2, 3].map((seed) => result('b', seed))
  expect(of([...ofA, ...ofB])).toEqual([])
  expect(of([...ofA.slice(1), result('a', 1, { acknowledged: 1_660_000 }), ...ofB])).toEqual([
    '4996334 acknowledged, not 5000000',
  ])
  expect(of([...ofA, ...ofB.slice(1), result('b', 2)])).toEqual(['b has 2 seeds, not 3'])
  expect(of(ofA)).toEqual(['b has 0 seeds, not 3'])
})

const origin = { mode: 'whole', commit: 'abc1234', began: '', load: { messages: 1, rate: 1 }, finished: true } as const

test('[FA7] the report sums up, and the page shows every fault, what proves it and what was found', () => {
  const all = [fault('a'), fault('b', true), fault('not run')]
  const results = [
    result('a', 1),
    result('a', 2, { violations: ['lost: x'] }),
    result('b', 1, { told: 4, lostAndTold: 9 }),
  ]
  const report = summarize(all, results)
  expect(report).toMatchObject({ acknowledged: 3_000, repeated: 30, delivered: 12_000, violations: 1 })
  expect(report.faults.map(({ name, seeds }) => ({ name, seeds }))).toEqual([
    { name: 'a', seeds: [1, 2] },
    { name: 'b', seeds: [1] },
  ])
  const page = renderPage({ ...origin, ...report }, { date: '2026-01-01', redis: 'Redis 7' })
  expect(page).toContain('| `a` | what a does | 1, 2 | 2,000 | 2 | 4 | – | 100 – 200 | 1 |')
  expect(page).toContain('| `b` | what b does | 1 | 1,000 | 1 | 2 | 9 | 100 | 0 |')
  expect(page).toContain('| `a` | killed 1, 2 |')
  expect(page).toContain('**3,000 acknowledged messages, 12,000 deliveries, 1 violations**')
  expect(page).toContain('- `a`, seed 2: lost: x')
})

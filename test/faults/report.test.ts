import { expect, test } from 'vitest'
import { renderPage } from './page.ts'
import { newestOf, summarize } from './report.ts'
import type { Result } from './run.ts'

const fault = (name: string, mayLose = false) => ({
  ...{ name, mayLose, about: `what ${name} does` },
  inject: () => Promise.resolve(),
  evidence: () => Promise.resolve({}),
})
const result = (name: string, seed: number, more: Partial<Result> = {}): Result => ({
  ...{ fault: name, seed, acknowledged: 1_000, delivered: 4_000, unknown: 1, refused: 2, told: 0, lostAndTold: 0 },
  ...{ healMs: 100 * seed, durationMs: 1, evidence: { killed: seed }, violations: [], ...more },
})
const lines = (results: readonly Result[]): string => results.map((each) => `${JSON.stringify(each)}\n`).join('')

test('[FA7] a later result of the same fault and seed takes the place of the earlier', () => {
  const text = lines([result('a', 2), result('a', 1, { violations: ['lost: x'] }), result('a', 1)])
  expect(newestOf(text).map(({ seed, violations }) => ({ seed, violations }))).toEqual([
    { seed: 1, violations: [] },
    { seed: 2, violations: [] },
  ])
})

test('[FA7] the report sums up, and the page shows every fault, what proves it and what was found', () => {
  const all = [fault('a'), fault('b', true), fault('not run')]
  const results = [
    result('a', 1),
    result('a', 2, { violations: ['lost: x'] }),
    result('b', 1, { told: 4, lostAndTold: 9 }),
  ]
  const report = summarize(all, results)
  expect(report).toMatchObject({ acknowledged: 3_000, delivered: 12_000, violations: 1 })
  expect(report.faults.map(({ name, seeds }) => ({ name, seeds }))).toEqual([
    { name: 'a', seeds: [1, 2] },
    { name: 'b', seeds: [1] },
  ])
  const page = renderPage(report, { date: '2026-01-01', redis: 'Redis 7' })
  expect(page).toContain('| `a` | what a does | 1, 2 | 2,000 | 2 | 4 | – | 100 – 200 | 1 |')
  expect(page).toContain('| `b` | what b does | 1 | 1,000 | 1 | 2 | 9 | 100 | 0 |')
  expect(page).toContain('| `a` | killed 1, 2 |')
  expect(page).toContain('**3,000 acknowledged messages, 12,000 deliveries, 1 violations**')
  expect(page).toContain('- `a`, seed 2: lost: x')
})

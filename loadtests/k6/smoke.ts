// A minute of a little of everything: k6 run loadtests/k6/smoke.ts
import exec from 'k6/execution'
import { setTimeout } from 'k6/timers'
import { Listener, post, promises } from './lib/fleet.ts'
import { summarize } from './lib/report.ts'
import type { Summary } from './lib/report.ts'

const rooms = 10
const run = Date.now().toString(36)
const roomOf = (n: number): string => `public:k6-${__ENV['RUN'] ?? 'smoke'}-${n % rooms}`

export const options = {
  scenarios: {
    listen: { executor: 'per-vu-iterations', exec: 'listen', vus: 10, iterations: 1, maxDuration: '90s' },
    post: {
      executor: 'constant-arrival-rate',
      exec: 'publish',
      rate: 50,
      timeUnit: '1s',
      duration: '45s',
      startTime: '5s',
      preAllocatedVUs: 20,
    },
  },
  summaryTrendStats: ['med', 'p(95)', 'p(99)', 'max'],
  thresholds: { ...promises, flotilla_posted: ['rate>0.999'], flotilla_delivery: ['p(99)<500'] },
}

/** Five connections; half of them are dropped in the middle, and come back. */
export function listen(): void {
  const own = Array.from(
    { length: 5 },
    (_, i) => new Listener(`user-${exec.vu.idInTest}-${i}`, roomOf(exec.vu.idInTest + i)),
  )
  setTimeout(() => own.filter((_, i) => i % 2 === 0).forEach((each) => each.drop()), 25_000)
  setTimeout(() => own.forEach((each) => each.close()), 58_000)
}

export function publish(): void {
  const n = exec.scenario.iterationInTest
  post(roomOf(n), `${run}-${n}`)
}

export const handleSummary = (summary: Summary): Record<string, string> => summarize('smoke', summary)

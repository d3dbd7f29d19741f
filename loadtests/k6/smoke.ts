// A minute of a little of everything: k6 run loadtests/k6/smoke.ts
import exec from 'k6/execution'
import { setTimeout } from 'k6/timers'
import { Listener, post } from './lib/fleet.ts'
import { happens, listening, posting, promises, summaryTrendStats } from './lib/options.ts'
import { summarize } from './lib/report.ts'
import type { Summary } from './lib/report.ts'

const rooms = 10
const [vus, perVu, rate, seconds] = [10, 5, 50, 45]
const isDropped = (i: number): boolean => i % 2 === 0
const run = Date.now().toString(36)
const roomOf = (n: number): string => `public:k6-${__ENV['RUN'] ?? 'smoke'}-${n % rooms}`

export const options = {
  scenarios: {
    listen: listening(vus, 90),
    post: posting({ rate, seconds, from: 5 }),
  },
  summaryTrendStats,
  thresholds: {
    ...promises,
    ...happens({
      events: (rate * seconds * vus * perVu) / rooms,
      resumes: vus * Array.from({ length: perVu }, (_, i) => i).filter(isDropped).length,
    }),
    flotilla_delivery: ['p(99)<500'],
  },
}

/** Five connections; half of them are dropped in the middle, and come back. */
export function listen(): void {
  const own = Array.from(
    { length: perVu },
    (_, i) => new Listener(`user-${exec.vu.idInTest}-${i}`, roomOf(exec.vu.idInTest + i)),
  )
  setTimeout(() => own.filter((_, i) => isDropped(i)).forEach((each) => each.drop()), 25_000)
  setTimeout(() => own.forEach((each) => each.close()), 58_000)
}

export function publish(): void {
  const n = exec.scenario.iterationInTest
  post(roomOf(n), `${run}-${n}`)
}

export const handleSummary = (summary: Summary): Record<string, string> => summarize('smoke', summary)

// One busy room: ROOM connections (200) hear RATE events per second (25): k6 run loadtests/k6/fan-out.ts
import exec from 'k6/execution'
import { setTimeout } from 'k6/timers'
import { Listener, post, promises } from './lib/fleet.ts'
import { summarize } from './lib/report.ts'
import type { Summary } from './lib/report.ts'

const [members, rate, seconds] = [
  Number(__ENV['ROOM'] ?? 200),
  Number(__ENV['RATE'] ?? 25),
  Number(__ENV['SECONDS'] ?? 60),
]
const perVu = 10
const room = 'public:k6-fan-out'
const run = Date.now().toString(36)

export const options = {
  scenarios: {
    listen: {
      executor: 'per-vu-iterations',
      exec: 'listen',
      vus: Math.ceil(members / perVu),
      iterations: 1,
      maxDuration: `${seconds + 60}s`,
    },
    post: {
      executor: 'constant-arrival-rate',
      exec: 'publish',
      rate,
      timeUnit: '1s',
      duration: `${seconds}s`,
      startTime: '10s',
      preAllocatedVUs: 20,
    },
  },
  summaryTrendStats: ['med', 'p(95)', 'p(99)', 'max'],
  thresholds: { ...promises, flotilla_posted: ['rate>0.999'], flotilla_delivery: ['p(99)<200'] },
}

export function listen(): void {
  const own = Array.from({ length: perVu }, (_, i) => new Listener(`user-${exec.vu.idInTest}-${i}`, room))
  setTimeout(() => own.forEach((each) => each.close()), (seconds + 15) * 1_000)
}

export function publish(): void {
  post(room, `${run}-${exec.scenario.iterationInTest}`)
}

export const handleSummary = (summary: Summary): Record<string, string> => summarize('fan-out', summary)

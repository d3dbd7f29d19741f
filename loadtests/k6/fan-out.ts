// One busy room: ROOM connections (200) hear RATE events per second (25): k6 run loadtests/k6/fan-out.ts
import exec from 'k6/execution'
import { setTimeout } from 'k6/timers'
import { Listener, post } from './lib/fleet.ts'
import { happens, listening, posting, promises, summaryTrendStats } from './lib/options.ts'
import { summarize } from './lib/report.ts'
import type { Summary } from './lib/report.ts'

const [members, rate, seconds] = [
  Number(__ENV['ROOM'] ?? 200),
  Number(__ENV['RATE'] ?? 25),
  Number(__ENV['SECONDS'] ?? 60),
]
const perVu = 10
const vus = Math.ceil(members / perVu)
const room = 'public:k6-fan-out'
const run = Date.now().toString(36)

export const options = {
  scenarios: {
    listen: listening(vus, seconds + 60),
    post: posting({ rate, seconds, from: 10 }),
  },
  summaryTrendStats,
  thresholds: { ...promises, ...happens({ events: rate * seconds * vus * perVu }), flotilla_delivery: ['p(99)<200'] },
}

export function listen(): void {
  const own = Array.from({ length: perVu }, (_, i) => new Listener(`user-${exec.vu.idInTest}-${i}`, room))
  setTimeout(() => own.forEach((each) => each.close()), (seconds + 15) * 1_000)
}

export function publish(): void {
  post(room, `${run}-${exec.scenario.iterationInTest}`)
}

export const handleSummary = (summary: Summary): Record<string, string> => summarize('fan-out', summary)

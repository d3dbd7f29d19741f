// SOCKETS connections (1,000) are lost at once and come back, while events go on: k6 run loadtests/k6/reconnect-storm.ts
import exec from 'k6/execution'
import { setTimeout } from 'k6/timers'
import { Listener, post } from './lib/fleet.ts'
import { happens, listening, posting, promises, summaryTrendStats } from './lib/options.ts'
import { summarize } from './lib/report.ts'
import type { Summary } from './lib/report.ts'

const sockets = Number(__ENV['SOCKETS'] ?? 1_000)
const perVu = 20
const vus = Math.ceil(sockets / perVu)
const rooms = 100
/** Events per second, from the fifth second on, while connections are still made. */
const [rate, seconds, from] = [100, 50, 5]
const run = Date.now().toString(36)
const [openMs, dropAtMs, endMs] = [15_000, 30_000, 60_000]

export const options = {
  scenarios: {
    listen: listening(vus, 120),
    post: posting({ rate, seconds, from }),
  },
  summaryTrendStats,
  thresholds: {
    ...promises,
    // Of those that come before everybody is there, half.
    ...happens({
      events: (rate * (seconds - (openMs / 1_000 - from) / 2) * vus * perVu) / rooms,
      resumes: vus * perVu,
    }),
    flotilla_resume: ['p(99)<10000'],
  },
}

/** All connections of the run are dropped at one time, whenever each VU began. */
export function listen(): void {
  const begunMs = exec.instance.currentTestRunDuration
  const own: Listener[] = []
  for (let i = 0; i < perVu; i += 1) {
    const n = (exec.vu.idInTest - 1) * perVu + i
    setTimeout(() => own.push(new Listener(`user-${n}`, `public:k6-storm-${n % rooms}`)), (openMs * i) / perVu)
  }
  setTimeout(() => own.forEach((each) => each.drop()), dropAtMs - begunMs)
  setTimeout(() => own.forEach((each) => each.close()), endMs - begunMs)
}

export function publish(): void {
  const n = exec.scenario.iterationInTest
  post(`public:k6-storm-${n % rooms}`, `${run}-${n}`)
}

export const handleSummary = (summary: Summary): Record<string, string> => summarize('reconnect-storm', summary)

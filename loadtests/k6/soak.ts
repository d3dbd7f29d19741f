// MINUTES (5) at an even load: SOCKETS (1,000) that come and go, RATE events per second (200): k6 run loadtests/k6/soak.ts
import exec from 'k6/execution'
import { clearInterval, setInterval, setTimeout } from 'k6/timers'
import { Listener, post } from './lib/fleet.ts'
import { posting, promises, summaryTrendStats } from './lib/options.ts'
import { summarize } from './lib/report.ts'
import type { Summary } from './lib/report.ts'

const [sockets, rate, minutes] = [
  Number(__ENV['SOCKETS'] ?? 1_000),
  Number(__ENV['RATE'] ?? 200),
  Number(__ENV['MINUTES'] ?? 5),
]
const perVu = 20
const rooms = 100
const run = Date.now().toString(36)
/** Every connection is lost this often, ms, and comes back. */
const dropEveryMs = 60_000
const vus = Math.ceil(sockets / perVu)

export const options = {
  scenarios: {
    listen: {
      ...{ executor: 'ramping-vus', exec: 'listen', startVUs: 0, gracefulStop: '30s', gracefulRampDown: '30s' },
      stages: [
        { duration: '20s', target: vus },
        { duration: `${minutes}m`, target: vus },
        { duration: '5s', target: 0 },
      ],
    },
    post: posting({ rate, seconds: minutes * 60, from: 20 }),
  },
  summaryTrendStats,
  thresholds: {
    ...promises,
    flotilla_delivery: ['p(99)<500'],
    flotilla_unexpected_closes: ['count==0'],
    dropped_iterations: ['count==0'],
  },
}

/** Stays until the end of the run, so that no VU begins a second time. */
export function listen(): void {
  const endMs = (minutes * 60 + 22) * 1_000 - exec.instance.currentTestRunDuration
  const own = Array.from({ length: perVu }, (_, i) => {
    const n = (exec.vu.idInTest - 1) * perVu + i
    return new Listener(`user-${n}`, `public:k6-soak-${n % rooms}`)
  })
  const drops = own.map((each) => setInterval(() => each.drop(), dropEveryMs * (0.75 + Math.random() / 2)))
  setTimeout(() => {
    drops.forEach((each) => clearInterval(each))
    own.forEach((each) => each.close())
  }, endMs)
}

export function publish(): void {
  const n = exec.scenario.iterationInTest
  post(`public:k6-soak-${n % rooms}`, `${run}-${n}`)
}

export const handleSummary = (summary: Summary): Record<string, string> => summarize('soak', summary)

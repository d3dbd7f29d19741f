// MINUTES (5) at an even load: SOCKETS (1,000) that come and go, RATE events per second (200): k6 run loadtests/k6/soak.ts
import exec from 'k6/execution'
import { clearInterval, setInterval, setTimeout } from 'k6/timers'
import { Listener, post } from './lib/fleet.ts'
import { happens, listening, posting, promises, summaryTrendStats } from './lib/options.ts'
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

/** Connections are made over so long, s, and events are posted from then on. */
const openSeconds = 20

export const options = {
  scenarios: {
    listen: listening(vus, openSeconds + minutes * 60 + 60),
    post: posting({ rate, seconds: minutes * 60, from: openSeconds }),
  },
  summaryTrendStats,
  thresholds: {
    ...promises,
    ...happens({
      events: (rate * minutes * 60 * vus * perVu) / rooms,
      // The longest pause between two losses is a quarter above the usual one, and the first begins when it was connected.
      resumes: vus * perVu * Math.floor((minutes * 60_000) / (dropEveryMs * 1.25 + 3_000)),
    }),
    flotilla_delivery: ['p(99)<500'],
    flotilla_unexpected_closes: ['count==0'],
    dropped_iterations: ['count==0'],
  },
}

/** Every VU has its part of the connections for the whole run: a VU that began a second time would hear the end only. */
export function listen(): void {
  const endMs = (openSeconds + minutes * 60 + 2) * 1_000 - exec.instance.currentTestRunDuration
  const own: Listener[] = []
  const drops: ReturnType<typeof setInterval>[] = []
  for (let i = 0; i < perVu; i += 1) {
    const n = (exec.vu.idInTest - 1) * perVu + i
    const open = (): void => {
      const one = new Listener(`user-${n}`, `public:k6-soak-${n % rooms}`)
      own.push(one)
      drops.push(setInterval(() => one.drop(), dropEveryMs * (0.75 + Math.random() / 2)))
    }
    setTimeout(open, (openSeconds * 1_000 * (i + Math.random())) / perVu)
  }
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

// Posts only: RATE per second (500) for SECONDS (60): k6 run loadtests/k6/ingest.ts
import exec from 'k6/execution'
import { post } from './lib/fleet.ts'
import { posting, promises, summaryTrendStats } from './lib/options.ts'
import { summarize } from './lib/report.ts'
import type { Summary } from './lib/report.ts'

const run = Date.now().toString(36)

export const options = {
  scenarios: {
    post: posting({ rate: Number(__ENV['RATE'] ?? 500), seconds: Number(__ENV['SECONDS'] ?? 60) }),
  },
  summaryTrendStats,
  thresholds: {
    flotilla_posted: promises.flotilla_posted,
    http_req_duration: ['p(99)<500'],
    dropped_iterations: ['count==0'],
  },
}

export function publish(): void {
  const n = exec.scenario.iterationInTest
  post(`public:k6-ingest-${n % 100}`, `${run}-${n}`)
}

export const handleSummary = (summary: Summary): Record<string, string> => summarize('ingest', summary)

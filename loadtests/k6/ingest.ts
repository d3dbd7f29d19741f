// Posts only: RATE per second (500) for SECONDS (60): k6 run loadtests/k6/ingest.ts
import exec from 'k6/execution'
import { post } from './lib/fleet.ts'
import { summarize } from './lib/report.ts'
import type { Summary } from './lib/report.ts'

const run = Date.now().toString(36)

export const options = {
  scenarios: {
    post: {
      ...{ executor: 'constant-arrival-rate', exec: 'publish', rate: Number(__ENV['RATE'] ?? 500), timeUnit: '1s' },
      ...{ duration: `${Number(__ENV['SECONDS'] ?? 60)}s`, preAllocatedVUs: 100, maxVUs: 400 },
    },
  },
  summaryTrendStats: ['med', 'p(95)', 'p(99)', 'max'],
  thresholds: { flotilla_posted: ['rate>0.999'], http_req_duration: ['p(99)<500'], dropped_iterations: ['count==0'] },
}

export function publish(): void {
  const n = exec.scenario.iterationInTest
  post(`public:k6-ingest-${n % 100}`, `${run}-${n}`)
}

export const handleSummary = (summary: Summary): Record<string, string> => summarize('ingest', summary)

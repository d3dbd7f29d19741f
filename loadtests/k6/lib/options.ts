/** What every run promises. */
export const promises = {
  flotilla_posted: ['rate>0.999'],
  flotilla_lost: ['count==0'],
  flotilla_doubled: ['count==0'],
  flotilla_disordered: ['count==0'],
  flotilla_told_of_loss: ['count==0'],
  flotilla_connect_ok: ['rate>0.999'],
}

/**
 * What has to have come about at the least, as thresholds: without them a run in which nothing is delivered breaks no promise. `events`:
 * posted, times the listeners of their room; `resumes`: connections that are lost on purpose and come back. Of events 5 % may be missing:
 * who joins late hears what comes from then on.
 */
export const happens = ({ events, resumes = 0 }: { readonly events: number; readonly resumes?: number }) => ({
  flotilla_received: [`count>=${Math.floor(events * 0.95)}`],
  ...(resumes > 0 && { flotilla_resumed: [`count>=${resumes}`] }),
})

export const summaryTrendStats = ['med', 'p(95)', 'p(99)', 'max']

/** The script's `publish`, `rate` times per second from second `from` on. */
export const posting = ({ rate = 100, seconds = 60, from = 0 }) => ({
  ...{ executor: 'constant-arrival-rate', exec: 'publish', rate, timeUnit: '1s' },
  ...{ startTime: `${from}s`, duration: `${seconds}s` },
  ...{ preAllocatedVUs: Math.max(20, Math.ceil(rate / 5)), maxVUs: Math.max(80, rate) },
})

/** The script's `listen`, once in each of `vus`. */
export const listening = (vus: number, seconds: number) => ({
  ...{ executor: 'per-vu-iterations', exec: 'listen', vus, iterations: 1, maxDuration: `${seconds}s` },
})

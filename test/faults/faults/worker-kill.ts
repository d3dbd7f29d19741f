import type { Fault } from '../fault.ts'
import { sumMetric } from '../../fleet/metrics.ts'

export const workerKill: Fault = {
  name: 'worker-kill',
  about: 'A worker is killed (SIGKILL); the other takes its slots over.',
  async inject({ fleet, any, count }) {
    const worker = any(fleet.workers)
    const { signal } = await worker.kill('SIGKILL')
    count('killed', signal === 'SIGKILL' ? 1 : 0)
  },
  evidence: async ({ fleet }) => ({
    slotsTakenOver: await sumMetric(fleet.controls, 'flotilla_control_moves_total', 'orphan'),
  }),
}

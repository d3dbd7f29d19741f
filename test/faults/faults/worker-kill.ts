import type { Fault } from '../fault.ts'
import { sumMetric } from '../../fleet/metrics.ts'

export const workerKill: Fault = {
  name: 'worker-kill',
  about: 'A worker is killed (SIGKILL); the other takes its slots over.',
  async inject({ fleet, any, counted }) {
    const worker = any(fleet.workers)
    const { signal } = await worker.kill('SIGKILL')
    counted['killed'] = signal === 'SIGKILL' ? 1 : 0
  },
  evidence: async ({ fleet, counted }) => ({
    killed: counted['killed'] ?? 0,
    slotsTakenOver: await sumMetric(fleet.controls, 'flotilla_control_moves_total', 'orphan'),
  }),
}

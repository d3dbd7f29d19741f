import type { Fault } from '../fault.ts'

export const workerKill: Fault = {
  name: 'worker-kill',
  about: 'A worker is killed (SIGKILL); the other takes its slots over.',
  healWithinMs: 5_000,
  async inject({ fleet, any, count }) {
    const worker = any(fleet.workers)
    const { signal } = await worker.kill('SIGKILL')
    count('killed', signal === 'SIGKILL' ? 1 : 0)
  },
  evidence: async ({ fleet, total }) => ({
    slotsTakenOver: await total(fleet.controls, 'flotilla_control_moves_total', 'orphan'),
  }),
}

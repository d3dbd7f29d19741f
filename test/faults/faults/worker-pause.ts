import { wait } from '@flotilla/node/backoff'
import { sumMetric } from '../../fleet/metrics.ts'
import type { Fault } from '../fault.ts'
import type { World } from '../harness/world.ts'

/** Well past the 3 s after which a worker counts as dead, ms. */
const awayMs = 8_000

const evidence: Fault['evidence'] = async ({ fleet }: World) => ({
  slotsTakenOver: await sumMetric(fleet.controls, 'flotilla_control_moves_total', 'orphan'),
  // It comes back as a zombie: told by the plan, or by Redis that refused its commit, whichever is first.
  slotsGivenUp: await sumMetric(fleet.workers, 'flotilla_shard_slots_released_total'),
})

export const workerPauses: readonly Fault[] = [
  {
    name: 'worker-pause',
    about: 'A worker is stopped (SIGSTOP) until its slots are taken over, and goes on.',
    async inject({ fleet, any }) {
      const worker = any(fleet.workers)
      worker.signal('SIGSTOP')
      await wait(awayMs)
      worker.signal('SIGCONT')
    },
    evidence,
  },
  {
    name: 'worker-blocked',
    about: 'The event loop of a worker stands still until its slots are taken over, and goes on.',
    needs: { hooks: true },
    inject: async ({ fleet, any, hook }) => hook(any(fleet.workers), 'block', awayMs),
    evidence,
  },
]

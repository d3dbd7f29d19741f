import { wait } from '@flotilla/node/backoff'
import { sumMetric } from '../../fleet/metrics.ts'
import type { FleetProcess } from '../../fleet/process.ts'
import { until } from '../../fleet/until.ts'
import type { Fault } from '../fault.ts'
import type { World } from '../harness/world.ts'

/** Well past the 3 s after which a worker counts as dead, ms. */
const awayMs = 8_000

const evidence: Fault['evidence'] = async ({ fleet }: World) => ({
  slotsTakenOver: await sumMetric(fleet.controls, 'flotilla_control_moves_total', 'orphan'),
  // It comes back as a zombie and is told by the plan, or by the slots' values; only sometimes by Redis that refuses a commit,
  // as it has seldom one to send by then: for that there is `zombie-commit`.
  slotsGivenUp: await sumMetric(fleet.workers, 'flotilla_shard_slots_released_total'),
})

const zombie = 'shard-1'
/** The commit that it does not send in time: more than it makes before the load is there. */
const zombieCommit = 400
const zombieSettings = {
  FLOTILLA_FAILPOINTS: `before-commit=stop@${zombieCommit}`,
  // What it asked before it stood still is not overdue when it goes on: else it would give up the connection, and the answer with it.
  FLOTILLA_REDIS_COMMAND_TIMEOUT: '60s',
}
const zombieOf = ({ fleet }: World): FleetProcess => {
  const worker = fleet.workers.find(({ name }) => name === zombie)
  if (worker === undefined) throw new Error(`there is no ${zombie}`)
  return worker
}

/** All slots are others', who have claimed them. */
async function isTakenOver({ fleet }: World): Promise<boolean> {
  const plan = (await fleet.view())?.plan
  if (plan === undefined || plan.inFlight.length > 0 || plan.orphans.length > 0) return false
  return Object.keys(plan.slots).every((boot) => !boot.startsWith(`${zombie}#`))
}

/** What the store said to the commit that was sent late: no to each of its slots. */
function isRefused(worker: FleetProcess): boolean {
  const line = worker
    .tail(Infinity)
    .split('\n')
    .find((each) => each.includes('failpoint: a commit was sent late'))
  const { slots, accepted } = JSON.parse(line ?? '{}') as { slots?: number; accepted?: number }
  return slots !== undefined && slots > 0 && accepted === 0
}

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
  {
    name: 'zombie-commit',
    about:
      'A worker stands still (SIGSTOP) with a commit composed and not sent, until others own its slots; then it sends the commit, which Redis refuses.',
    needs: { env: { [zombie]: zombieSettings } },
    async inject(world) {
      await until('its slots are taken over', () => isTakenOver(world), 90_000)
      zombieOf(world).signal('SIGCONT')
    },
    // Whether it was accepted no check of the history can tell: its successor has ordered the same input alike by then.
    evidence: async (world) => ({
      zombieCommitsRefused: await sumMetric([zombieOf(world)], 'flotilla_shard_commits_refused_total', 'fenced'),
      noneAccepted: isRefused(zombieOf(world)) ? 1 : 0,
      slotsTakenOver: await sumMetric(world.fleet.controls, 'flotilla_control_moves_total', 'orphan'),
    }),
  },
]

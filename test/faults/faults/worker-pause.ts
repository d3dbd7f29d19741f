import type { FleetProcess } from '../../fleet/process.ts'
import type { Evidence, Fault } from '../fault.ts'
import { takenOver } from '../harness/members.ts'
import type { World } from '../harness/world.ts'

/** Well past the 3 s after which a worker counts as dead, ms. */
const blockedMs = 8_000

/** That others took a worker's slots over, and that it stopped to own them when it was back. */
export const givenUp = async ({ fleet, total }: World): Promise<Evidence> => ({
  slotsTakenOver: await total(fleet.controls, 'flotilla_control_moves_total', 'orphan'),
  // It comes back as a zombie and is told by the plan, or by the slots' values; only sometimes by Redis that refuses a commit,
  // as it has seldom one to send by then: for that there is `zombie-commit`.
  slotsGivenUp: await total(fleet.workers, 'flotilla_shard_slots_released_total'),
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

/** What the store said to the commit that was sent late: no to each of its slots. */
function isRefused(worker: FleetProcess): boolean {
  const [late] = worker.logged('failpoint: a commit was sent late')
  return Number(late?.['slots']) > 0 && late?.['accepted'] === 0
}

export const workerPauses: readonly Fault[] = [
  {
    name: 'worker-pause',
    about: 'A worker is stopped (SIGSTOP) until its slots are taken over, and goes on.',
    async inject(world) {
      const worker = world.any(world.fleet.workers)
      worker.signal('SIGSTOP')
      await takenOver(world, worker)
      worker.signal('SIGCONT')
    },
    evidence: givenUp,
  },
  {
    name: 'worker-blocked',
    about: 'The event loop of a worker stands still until its slots are taken over, and goes on.',
    needs: { hooks: true },
    inject: async ({ fleet, any, hook }) => hook(any(fleet.workers), 'block', blockedMs),
    evidence: givenUp,
  },
  {
    name: 'zombie-commit',
    about:
      'A worker stands still (SIGSTOP) with a commit composed and not sent, until others own its slots; then it sends the commit, which Redis refuses.',
    needs: { env: { [zombie]: zombieSettings } },
    async inject(world) {
      await takenOver(world, zombieOf(world), { withinMs: 90_000 })
      zombieOf(world).signal('SIGCONT')
    },
    // Whether it was accepted no check of the history can tell: its successor has ordered the same input alike by then.
    evidence: async (world) => ({
      zombieCommitsRefused: await world.total([zombieOf(world)], 'flotilla_shard_commits_refused_total', 'fenced'),
      noneAccepted: isRefused(zombieOf(world)) ? 1 : 0,
      slotsTakenOver: await world.total(world.fleet.controls, 'flotilla_control_moves_total', 'orphan'),
    }),
  },
]

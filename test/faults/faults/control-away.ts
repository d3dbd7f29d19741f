import { wait } from '@flotilla/node/backoff'
import { sumMetric } from '../../fleet/metrics.ts'
import type { FleetProcess } from '../../fleet/process.ts'
import type { Fault } from '../fault.ts'
import { takenOver } from '../harness/members.ts'
import { keys } from '../harness/redis-state.ts'
import type { World } from '../harness/world.ts'

/** More than the time after which a worker counts as dead and a lease is over, ms. */
const awayMs = 8_000

export const leads = async (control: FleetProcess): Promise<boolean> =>
  (await sumMetric([control], 'flotilla_control_leading')) === 1

export const storedPlan = async ({ redis }: World): Promise<number> =>
  Number(await redis.call('HGET', keys.plan, 'version'))

/** How often it asked for its lease again and was refused: it says so when it stops to lead. */
const refusals = (control: FleetProcess): number => control.logged('not leading').length

/** Whether it says that another leads. */
async function follows({ fleet }: World, control: FleetProcess): Promise<boolean> {
  const leader = (await fleet.view(control))?.leader ?? undefined
  return leader !== undefined && !leader.startsWith(`${control.name}#`)
}

export const controlAway: readonly Fault[] = [
  {
    name: 'control-kill',
    about: 'The only control process is killed (SIGKILL) and comes back 8 s later; traffic goes on meanwhile.',
    async inject({ fleet, any, recorder, count }) {
      const control = any(fleet.controls)
      await control.kill('SIGKILL')
      const before = recorder.acknowledged
      await wait(awayMs)
      count('acknowledgedMeanwhile', recorder.acknowledged - before)
      await control.start()
    },
  },
  {
    name: 'control-pause',
    about:
      'The leading control process is stopped (SIGSTOP), another leads and moves slots; the first goes on with its old plan, asks for its lease and is refused.',
    needs: { controls: 2, workers: 3 },
    async inject(world) {
      const { fleet, any, count, total } = world
      const leading = await Promise.all(fleet.controls.map(leads))
      const leader = fleet.controls[leading.indexOf(true)]
      const other = fleet.controls.find((each) => each !== leader)
      if (leader === undefined || other === undefined) throw new Error('nobody leads')
      const moves = (): Promise<number> => total([other], 'flotilla_control_moves_total')
      const movesBefore = await moves()
      leader.signal('SIGSTOP')
      // Nobody else publishes for as long as its lease lasts, and what is published then it cannot know.
      const itsPlan = await storedPlan(world)
      const killed = any(fleet.workers)
      await killed.kill('SIGKILL')
      await takenOver(world, killed, { by: other })
      count('movedByTheOther', (await moves()) - movesBefore)
      count('planVersionsBehind', (await storedPlan(world)) - itsPlan)
      leader.signal('SIGCONT')
    },
    // By its own clock its lease has run out when it goes on: it does not even try to publish, but asks for the lease first.
    evidence: async (world) => {
      const refused = world.fleet.controls.filter((each) => refusals(each) > 0)
      const following = await Promise.all(refused.map((each) => follows(world, each)))
      return {
        leaseRefused: refused.reduce((sum, each) => sum + refusals(each), 0),
        followsTheOther: following.filter(Boolean).length,
      }
    },
  },
]

import type { FleetProcess } from '../../fleet/process.ts'
import { until } from '../../fleet/until.ts'
import type { Fault } from '../fault.ts'
import { takenOver } from '../harness/members.ts'
import type { World } from '../harness/world.ts'
import { leads, storedPlan } from './control-away.ts'

const lateSettings = {
  // Of this life: none is needed for as long as nothing has to move.
  FLOTILLA_FAILPOINTS: 'before-plan=stop@1',
  // What it asked before it stood still is not overdue when it goes on: else it would give up the connection, and the answer with it.
  FLOTILLA_REDIS_COMMAND_TIMEOUT: '60s',
}

/** Makes `late` the leader, which will stand still with its first plan; the other process runs beside it. */
async function letLead(late: FleetProcess, other: FleetProcess): Promise<void> {
  await late.kill('SIGTERM')
  await late.start(lateSettings)
  // It gives up its lease, if it has it.
  await other.kill('SIGTERM')
  await until('the late one leads', async () => late.stopped || (await leads(late)))
  await other.start()
}

/** Whether the store refused the plan that was sent late. */
async function isRefused(late: FleetProcess): Promise<boolean> {
  const said = await until('the late plan is answered', () => late.logged('failpoint: a plan was sent late')[0])
  return said['accepted'] === false
}

export const twoPlans: Fault = {
  name: 'two-plans',
  about:
    'The leading control process stands still (SIGSTOP) with a plan composed and not sent, until another leads and has moved the slots of a dead worker; then it sends its plan, which Redis refuses.',
  needs: { controls: 2, workers: 3 },
  async inject(world: World) {
    const { fleet, any, count, total } = world
    const [late, other] = fleet.controls
    if (late === undefined || other === undefined) throw new Error('there are not two control processes')
    await letLead(late, other)
    const moved = await total([other], 'flotilla_control_moves_total', 'orphan')
    const killed = any(fleet.workers)
    await killed.kill('SIGKILL')
    await until('it stands still with its plan', () => late.stopped)
    const before = await storedPlan(world)
    await takenOver(world, killed, { by: other })
    count('movedByTheOther', (await total([other], 'flotilla_control_moves_total', 'orphan')) - moved)
    count('planVersionsBehind', (await storedPlan(world)) - before)
    late.signal('SIGCONT')
    count('latePlansRefused', (await isRefused(late)) ? 1 : 0)
  },
}

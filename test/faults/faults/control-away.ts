import { wait } from '@flotilla/node/backoff'
import { sumMetric } from '../../fleet/metrics.ts'
import type { Fault } from '../fault.ts'

/** More than the time after which a worker counts as dead and a lease is over, ms. */
const awayMs = 8_000

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
      'The leading control process is stopped (SIGSTOP), another leads and moves slots; the first goes on with its old plan.',
    needs: { controls: 2, workers: 3 },
    async inject({ fleet, any, count }) {
      const leading = await Promise.all(fleet.controls.map((each) => sumMetric([each], 'flotilla_control_leading')))
      const leader = fleet.controls[leading.indexOf(1)]
      const other = fleet.controls.find((each) => each !== leader)
      if (leader === undefined || other === undefined) throw new Error('nobody leads')
      leader.signal('SIGSTOP')
      await any(fleet.workers).kill('SIGKILL')
      await wait(awayMs)
      leader.signal('SIGCONT')
      count('movedByTheOther', await sumMetric([other], 'flotilla_control_moves_total'))
    },
  },
]

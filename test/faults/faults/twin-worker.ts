import { freePort } from '@flotilla/node/testing/free-port'
import { until } from '../../fleet/until.ts'
import type { Fault } from '../fault.ts'

export const twinWorker: Fault = {
  name: 'twin-worker',
  about:
    'A second worker of the same name runs beside the first; the first is killed, comes back, and the second leaves.',
  async inject({ fleet, any, count }) {
    const worker = any(fleet.workers)
    const twin = worker.twin(await freePort())
    await twin.start()
    try {
      const both = await until('control sees both', async () => {
        const members = (await fleet.view())?.members ?? []
        const named = members.filter(({ boot, state }) => boot.startsWith(`${worker.name}#`) && state === 'live')
        return named.length > 1 && named.length
      })
      count('sameName', both)
      await worker.kill('SIGKILL')
      await until('the twin serves', async () => {
        const view = await fleet.view()
        return view !== undefined && view.plan.orphans.length === 0 && view.plan.inFlight.length === 0
      })
      await worker.start()
    } finally {
      await twin.kill('SIGTERM')
    }
  },
}

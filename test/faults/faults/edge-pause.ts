import { wait } from '@flotilla/node/backoff'
import { lanes } from '../../fleet/fleet.ts'
import { sumMetric } from '../../fleet/metrics.ts'
import type { Evidence, Fault } from '../fault.ts'
import type { World } from '../harness/world.ts'

/** Well past the 5 s after which an edge counts as dead, ms. */
const awayMs = 9_000

/** That control removed an edge, and that edges took new boot ids: which makes good every lane. */
export const declaredDead = async ({ fleet }: World): Promise<Evidence> => ({
  declaredDead: await sumMetric(fleet.controls, 'flotilla_control_removals_total', 'edge'),
  newBoots: (await sumMetric(fleet.edges, 'flotilla_endpoint_resyncs_total', 'boot')) / lanes,
})

export const edgePause: Fault = {
  name: 'edge-pause',
  about:
    'An edge is stopped (SIGSTOP) until it is declared dead and its outboxes are removed, and goes on under a new boot id.',
  async inject({ fleet, any }) {
    const edge = any(fleet.edges)
    edge.signal('SIGSTOP')
    await wait(awayMs)
    edge.signal('SIGCONT')
  },
  evidence: declaredDead,
}

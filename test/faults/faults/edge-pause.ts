import { lanes } from '../../fleet/fleet.ts'
import type { Evidence, Fault } from '../fault.ts'
import { declaredDead } from '../harness/members.ts'
import type { World } from '../harness/world.ts'

/** That control removed an edge, and that edges took new boot ids: which makes good every lane. */
export const removedAndBack = async ({ fleet, total }: World): Promise<Evidence> => ({
  declaredDead: await total(fleet.controls, 'flotilla_control_removals_total', 'edge'),
  newBoots: (await total(fleet.edges, 'flotilla_endpoint_resyncs_total', 'boot')) / lanes,
})

export const edgePause: Fault = {
  name: 'edge-pause',
  about:
    'An edge is stopped (SIGSTOP) until it is declared dead and its outboxes are removed, and goes on under a new boot id.',
  async inject(world) {
    const edge = world.any(world.fleet.edges)
    edge.signal('SIGSTOP')
    await declaredDead(world, edge)
    edge.signal('SIGCONT')
  },
  evidence: removedAndBack,
}

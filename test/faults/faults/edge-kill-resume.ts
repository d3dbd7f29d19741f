import { until } from '../../fleet/until.ts'
import type { Fault } from '../fault.ts'
import type { World } from '../harness/world.ts'

/** Which edge a client is on is the balancer's choice: it is tried until one was hit. */
const attempts = 12

const cuts = ({ traffic }: World): number => traffic.raw.reduce((sum, each) => sum + each.cutDuringResume, 0)

export const edgeKillResume: Fault = {
  name: 'edge-kill-resume',
  about: 'All connections are cut, and an edge is killed between a client’s `resume` and its answer.',
  needs: { rawClients: 40, rate: 500 },
  async inject(world) {
    const { fleet, any, traffic, balancer } = world
    for (let attempt = 0; attempt < attempts && cuts(world) === 0; attempt += 1) {
      const edge = any(fleet.edges)
      const resumes = traffic.raw.map((each) => each.nextResume())
      balancer.cut()
      await Promise.race(resumes)
      await edge.kill('SIGKILL')
      await edge.start()
      await traffic.connected()
    }
    await until('all are back', () => traffic.raw.every((each) => each.connected))
  },
  evidence: (world) => Promise.resolve({ cutDuringResume: cuts(world) }),
}

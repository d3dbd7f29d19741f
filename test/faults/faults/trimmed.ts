import { wait } from '@flotilla/node/backoff'
import { freePort } from '@flotilla/node/testing/free-port'
import { sumMetric } from '../../fleet/metrics.ts'
import type { Fault } from '../fault.ts'
import { keysOf, toldOf } from '../harness/redis-state.ts'
import type { World } from '../harness/world.ts'
import { roomsOf } from '../traffic/rooms.ts'

async function trim({ redis, count }: World, pattern: string, keep: number): Promise<void> {
  for (const key of await keysOf(redis, pattern)) {
    count('entriesTrimmed', Number(await redis.call('XTRIM', key, 'MAXLEN', keep)))
  }
}

const pauseMs = 1_500

export const trims: readonly Fault[] = [
  {
    name: 'outbox-trimmed',
    about: 'The outbox of an edge is trimmed before the edge, which is stopped, has read it.',
    async inject(world) {
      const edge = world.any(world.fleet.edges)
      edge.signal('SIGSTOP')
      await wait(pauseMs)
      await trim(world, `*:out:${edge.name}#*`, 1)
      edge.signal('SIGCONT')
    },
    evidence: async ({ fleet }) => ({
      holesSeen: await sumMetric(fleet.edges, 'flotilla_endpoint_resyncs_total', 'hole'),
    }),
  },
  {
    name: 'input-trimmed',
    about: 'The input of all slots is trimmed while the workers are stopped and have not read it.',
    async inject(world) {
      const { fleet } = world
      for (const worker of fleet.workers) worker.signal('SIGSTOP')
      await wait(pauseMs)
      await trim(world, '*:in:*', 0)
      for (const worker of fleet.workers) worker.signal('SIGCONT')
    },
  },
  {
    name: 'log-trimmed',
    about:
      'The logs of a client’s rooms are trimmed while it is away: it is told `trimmed`, nobody else is told anything.',
    needs: { clientLinks: 1 },
    mayTell: ['trimmed'],
    async inject(world) {
      const { clientLinks, balancer, traffic } = world
      for (const link of clientLinks) {
        link.retarget(await freePort())
        link.reset()
      }
      await traffic.more(500)
      for (const room of roomsOf(0)) await trim(world, `*:log:${room}`, 1)
      for (const link of clientLinks) link.retarget(balancer.port)
      await traffic.connected()
    },
    evidence: (world) => Promise.resolve({ timesTold: toldOf(world) }),
  },
]

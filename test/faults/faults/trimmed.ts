import { freePort } from '@flotilla/node/testing/free-port'
import { until } from '../../fleet/until.ts'
import type { Fault } from '../fault.ts'
import { keysOf, toldOf } from '../harness/redis-state.ts'
import type { World } from '../harness/world.ts'
import { roomsOf } from '../traffic/rooms.ts'

async function trim({ redis, count }: World, pattern: string, keep: number): Promise<void> {
  for (const key of await keysOf(redis, pattern)) {
    count('entriesTrimmed', Number(await redis.call('XTRIM', key, 'MAXLEN', keep)))
  }
}

/** Entries that stand unread in streams before they are trimmed. */
const unread = 50

/** Resolves when so many more entries stand in streams whose readers are stopped. */
async function fill(world: World, pattern: string): Promise<void> {
  const before = await lengthOf(world, pattern)
  const grown = async (): Promise<number> => (await lengthOf(world, pattern)) - before
  await until(`${unread} entries stand unread`, async () => (await grown()) >= unread)
}

async function lengthOf({ redis }: World, pattern: string): Promise<number> {
  const keys = await keysOf(redis, pattern)
  const lengths = await Promise.all(keys.map(async (key) => Number(await redis.call('XLEN', key))))
  return lengths.reduce((sum, length) => sum + length, 0)
}

export const trims: readonly Fault[] = [
  {
    name: 'outbox-trimmed',
    about: 'The outbox of an edge is trimmed before the edge, which is stopped, has read it.',
    async inject(world) {
      const edge = world.any(world.fleet.edges)
      edge.signal('SIGSTOP')
      const outboxes = `*:out:${edge.name}#*`
      await fill(world, outboxes)
      await trim(world, outboxes, 1)
      edge.signal('SIGCONT')
    },
    evidence: async ({ fleet, total }) => ({
      holesSeen: await total(fleet.edges, 'flotilla_endpoint_resyncs_total', 'hole'),
    }),
  },
  {
    name: 'input-trimmed',
    about: 'The input of all slots is trimmed while the workers are stopped and have not read it.',
    async inject(world) {
      const { fleet } = world
      for (const worker of fleet.workers) worker.signal('SIGSTOP')
      await fill(world, '*:in:*')
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

import { wait } from '@flotilla/node/backoff'
import type { Evidence, Fault } from '../fault.ts'
import { infoOf } from '../harness/redis-state.ts'
import type { World } from '../harness/world.ts'

const down = (name: string, about: string, end: (world: World) => Promise<void>): Fault => ({
  ...{ name, about },
  async inject(world) {
    const { redis, count } = world
    const before = await infoOf(redis, 'server', 'run_id')
    await end(world)
    await redis.start()
    count('newRun', (await infoOf(redis, 'server', 'run_id')) === before ? 0 : 1)
  },
})

/** Nobody is dead because the store stood still: nobody is removed, and no slot moves. */
const expired = async ({ fleet, total }: World): Promise<Evidence> => ({
  membersRemoved: await total(fleet.controls, 'flotilla_control_removals_total'),
  slotsTakenOver: await total(fleet.controls, 'flotilla_control_moves_total', 'orphan'),
})

const stalled = (seconds: number): Fault => ({
  name: `redis-stall-${seconds}s`,
  about: `Redis stands still (SIGSTOP) for ${seconds} s and goes on; nobody is taken for dead because of it.`,
  async inject({ redis, count }) {
    redis.pause()
    let answered = false
    const asked = redis.call('PING').then(
      () => (answered = true),
      () => undefined,
    )
    await wait(seconds * 1_000)
    count('commandsUnanswered', answered ? 0 : 1)
    redis.resume()
    await asked
  },
  evidence: expired,
  never: ['membersRemoved', 'slotsTakenOver'],
})

export const redisDown: readonly Fault[] = [
  down('redis-restart', 'Redis is ended (SIGTERM) and started again on its file.', ({ redis }) => redis.stop()),
  down(
    'redis-kill',
    'Redis is killed (SIGKILL), is away for 2 s, and started again on its file.',
    async ({ redis }) => {
      await redis.kill9()
      await wait(2_000)
    },
  ),
  stalled(5),
  stalled(30),
]

import { readdirSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import type { RedisServer } from '@flotilla/node/testing/redis-server'
import { until } from '../../fleet/until.ts'
import type { Fault } from '../fault.ts'
import { aofOf, infoOf, toldOf } from '../harness/redis-state.ts'

/** Cuts the file as a power cut does: what was written last is gone, perhaps in the middle of a record. */
async function cutTail(server: RedisServer, bytes: number): Promise<number> {
  const folder = await aofOf(server)
  await server.kill9()
  const newest = readdirSync(folder).findLast((each) => each.endsWith('.incr.aof'))
  if (newest === undefined) throw new Error('there is no append-only file')
  const path = join(folder, newest)
  const { size } = statSync(path)
  const cut = Math.min(bytes, Math.floor(size / 2))
  truncateSync(path, size - cut)
  return cut
}

/** Resolves when so much more is in the file: a cut of so many bytes takes nothing that was there before. */
async function grow(server: RedisServer, bytes: number): Promise<void> {
  const size = async (): Promise<number> => Number(await infoOf(server, 'persistence', 'aof_current_size'))
  const goal = (await size()) + bytes
  await until(`the file has ${bytes} bytes more`, async () => (await size()) >= goal)
}

export const redisLoses: readonly Fault[] = [
  {
    name: 'redis-flushall',
    about: 'FLUSHALL: Redis forgets everything and stays up.',
    mayLose: true,
    async inject({ redis, recorder }) {
      recorder.note({ type: 'fault', phase: 'emptied' })
      await redis.call('FLUSHALL')
    },
    evidence: (world) => Promise.resolve({ timesTold: toldOf(world) }),
  },
  {
    name: 'redis-empty',
    about: 'Redis without persistence is killed and comes back empty.',
    needs: { redis: { appendonly: false } },
    mayLose: true,
    async inject({ redis, recorder }) {
      recorder.note({ type: 'fault', phase: 'emptied' })
      await redis.kill9()
      await redis.start()
    },
    evidence: (world) => Promise.resolve({ timesTold: toldOf(world) }),
  },
  {
    name: 'redis-tail-lost',
    about: 'Redis is killed and loses the end of its append-only file; the owners of the slots live.',
    async inject({ redis, random, count }) {
      count('bytesLost', await cutTail(redis, random.int(20_000, 400_000)))
      await redis.start()
    },
  },
  {
    name: 'redis-tail-and-owners-lost',
    about: 'The same, and all workers die with it: what is lost must be told.',
    mayLose: true,
    async inject({ redis, random, fleet, count, recorder }) {
      const bytes = random.int(200_000, 400_000)
      recorder.note({ type: 'fault', phase: 'behind' })
      await grow(redis, bytes)
      count('bytesLost', await cutTail(redis, bytes))
      await Promise.all(fleet.workers.map((each) => each.kill('SIGKILL')))
      await redis.start()
      await Promise.all(fleet.workers.map((each) => each.start()))
    },
    evidence: (world) => Promise.resolve({ timesTold: toldOf(world) }),
  },
]

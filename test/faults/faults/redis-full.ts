import { execFile } from 'node:child_process'
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { wait } from '@flotilla/node/backoff'
import type { RedisServer } from '@flotilla/node/testing/redis-server'
import { until } from '../../fleet/until.ts'
import type { Fault } from '../fault.ts'
import { aofOf, errorsOf, infoOf } from '../harness/redis-state.ts'

const fullMs = 5_000

/** A limit of the size of files has the effect of a full disk, and can be lifted while the server runs. */
async function limitFiles(server: RedisServer, limit: number | 'unlimited'): Promise<void> {
  await promisify(execFile)('prlimit', [`--pid=${server.pid}`, `--fsize=${limit}:unlimited`])
}

async function largestFile(server: RedisServer): Promise<number> {
  const folder = await aofOf(server)
  return Math.max(...readdirSync(folder).map((each) => statSync(join(folder, each)).size))
}

export const redisFull: readonly Fault[] = [
  {
    name: 'redis-out-of-memory',
    about:
      'Redis reaches `maxmemory` (noeviction) for 5 s: publishes are refused, nothing that was acknowledged is lost.',
    async inject({ redis }) {
      await redis.call('CONFIG', 'SET', 'maxmemory', Number(await infoOf(redis, 'memory', 'used_memory')))
      await wait(fullMs)
      await redis.call('CONFIG', 'SET', 'maxmemory', 0)
    },
    evidence: async ({ redis }) => ({ refusedByRedis: await errorsOf(redis, 'OOM') }),
  },
  {
    name: 'redis-disk-full',
    about: 'The disk under Redis (`appendfsync everysec`) is full for 5 s: every write is refused, then all goes on.',
    needs: {
      redis: {
        args: ['--appendfsync', 'everysec'],
        // Ignored, the signal of the limit becomes the error of the write, as on a full disk.
        prefix: ['sh', '-c', 'trap "" XFSZ; exec "$@"', 'sh'],
      },
    },
    async inject({ redis }) {
      await limitFiles(redis, (await largestFile(redis)) + 20_000)
      await wait(fullMs)
      await limitFiles(redis, 'unlimited')
    },
    evidence: async ({ redis }) => ({ refusedByRedis: await errorsOf(redis, 'MISCONF') }),
  },
  {
    name: 'redis-disk-full-always',
    about: 'The disk under Redis (`appendfsync always`) is full: it exits, and is started again when there is room.',
    needs: { redis: { prefix: ['sh', '-c', 'trap "" XFSZ; exec "$@"', 'sh'] } },
    async inject({ redis, count }) {
      await limitFiles(redis, (await largestFile(redis)) + 20_000)
      await until('it exits', () => redis.pid === undefined)
      count('exited', 1)
      await redis.start()
    },
  },
]

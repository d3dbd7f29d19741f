import type { RedisServer } from '@flotilla/node/testing/redis-server'
import type { World } from './world.ts'
import { until } from '../../fleet/until.ts'

/** A field of INFO; undefined while it is not there. */
export async function infoOf(server: RedisServer, section: string, field: string): Promise<string | undefined> {
  const text = String(await server.call('INFO', section))
  return new RegExp(`^${field}:(.*)\r?$`, 'm').exec(text)?.[1]?.trim()
}

/** How often the server answered with an error of this kind. */
export async function errorsOf(server: RedisServer, kind: string): Promise<number> {
  const field = await infoOf(server, 'errorstats', `errorstat_${kind}`)
  return Number(/count=(\d+)/.exec(field ?? '')?.[1] ?? 0)
}

/** Resolves when the replica has what the primary had at some moment since the call. */
export async function waitForReplica(primary: RedisServer, replica: RedisServer): Promise<void> {
  const goal = Number(await infoOf(primary, 'replication', 'master_repl_offset'))
  await until('the replica is in step', async () => {
    if ((await infoOf(replica, 'replication', 'master_link_status')) !== 'up') return false
    return Number(await infoOf(replica, 'replication', 'slave_repl_offset')) >= goal
  })
}

/** Bytes of the replication stream that the replica lacks. */
export async function lagOf(primary: RedisServer, replica: RedisServer): Promise<number> {
  const at = Number(await infoOf(primary, 'replication', 'master_repl_offset'))
  return at - Number(await infoOf(replica, 'replication', 'slave_repl_offset'))
}

/** All keys that match, read in steps. */
export async function keysOf(server: RedisServer, pattern: string): Promise<string[]> {
  const found: string[] = []
  for (let cursor = '0'; ;) {
    const [next, keys] = (await server.call('SCAN', cursor, 'MATCH', pattern, 'COUNT', 1_000)) as [string, string[]]
    found.push(...keys)
    if (next === '0') return found
    cursor = next
  }
}

/** How often clients were told of a loss. */
export const toldOf = ({ recorder }: Pick<World, 'recorder'>): number =>
  recorder.lines.filter((line) => line.type === 'position' && !line.recovered).length

/** The folder of the append-only file. */
export async function aofOf(server: RedisServer): Promise<string> {
  const [, dir = ''] = (await server.call('CONFIG', 'GET', 'dir')) as string[]
  return `${dir}/appendonlydir`
}

import { connect } from 'node:net'
import { parseSlotValue } from '@flotilla/core/commit'
import { createKeys } from '@flotilla/node/store/redis/keys'
import type { RedisServer } from '@flotilla/node/testing/redis-server'
import { until } from '../../fleet/until.ts'
import { shape } from './logs.ts'
import type { World } from './world.ts'

/** Of the processes' keys, those that a fault looks for by name. */
export const keys = createKeys('', shape)

/** A field of INFO; undefined while it is not there. */
export async function infoOf(server: RedisServer, section: string, field: string): Promise<string | undefined> {
  return fieldOf(String(await server.call('INFO', section)), field)
}

const fieldOf = (info: string, field: string): string | undefined =>
  new RegExp(`^${field}:(.*)\r?$`, 'm').exec(info)?.[1]?.trim()

export interface Answering {
  /** Changes with every start of a server. */
  readonly run: string | undefined
  readonly role: 'master' | 'slave' | undefined
}

/** Which server answers at this port now, be it through a proxy. */
export async function answeringAt(port: number): Promise<Answering> {
  const socket = connect({ port, host: '127.0.0.1' })
  socket.write('INFO\r\nQUIT\r\n')
  let info = ''
  for await (const part of socket) info += String(part)
  return { run: fieldOf(info, 'run_id'), role: fieldOf(info, 'role') as Answering['role'] }
}

/** How often the server answered with an error of this kind. */
export async function errorsOf(server: RedisServer, kind: string): Promise<number> {
  const field = await infoOf(server, 'errorstats', `errorstat_${kind}`)
  return Number(/count=(\d+)/.exec(field ?? '')?.[1] ?? 0)
}

/** Resolves when the replica has what the primary had at some moment since the call. */
export async function waitForReplica(primary: RedisServer, replica: RedisServer): Promise<void> {
  const goal = await writtenBy(primary)
  await until('the replica is in step', async () => {
    if ((await infoOf(replica, 'replication', 'master_link_status')) !== 'up') return false
    return Number(await infoOf(replica, 'replication', 'slave_repl_offset')) >= goal
  })
}

/** Bytes of writes that a primary has taken since it began to count. */
export async function writtenBy(primary: RedisServer): Promise<number> {
  return Number(await infoOf(primary, 'replication', 'master_repl_offset'))
}

/** Calls of the commands that the processes write with, those in scripts included, but not those that were refused. */
export async function writesOf(server: RedisServer): Promise<number> {
  const info = String(await server.call('INFO', 'commandstats'))
  let writes = 0
  for (const name of ['xadd', 'hset', 'set']) {
    const stats = fieldOf(info, `cmdstat_${name}`) ?? ''
    const figure = (of: string): number => Number(new RegExp(`${of}=(\\d+)`).exec(stats)?.[1] ?? 0)
    writes += figure('\\bcalls') - figure('failed_calls')
  }
  return writes
}

/** Replicas that are connected to it. */
export async function replicasOf(primary: RedisServer): Promise<number> {
  return Number(await infoOf(primary, 'replication', 'connected_slaves'))
}

/** Bytes of the replication stream that the replica lacks. */
export async function lagOf(primary: RedisServer, replica: RedisServer): Promise<number> {
  return (await writtenBy(primary)) - Number(await infoOf(replica, 'replication', 'slave_repl_offset'))
}

/** Commits that a server has, each counted once for every slot in it; claims count too. */
export async function commitsOf(server: RedisServer): Promise<number> {
  let commits = 0
  for (let lane = 0; lane < shape.lanes; lane += 1)
    for (const value of (await server.call('HVALS', keys.slots(lane))) as string[]) commits += parseSlotValue(value).n
  return commits
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

import { afterAll, beforeAll, describe } from 'vitest'
import { createLog } from '../../log.ts'
import { startCluster, startRedis } from '../../testing/redis-server.ts'
import type { RedisCluster, RedisServer } from '../../testing/redis-server.ts'
import { contractShape, eventually } from '../contract-kit.ts'
import type { ContractSubject } from '../contract-kit.ts'
import { storeContract } from '../contract.ts'
import { createKeys } from './keys.ts'
import { createRedisStore } from './store.ts'

const log = createLog({ service: 'contract', level: 'error' })
/** A new replica is served at once, not after seconds in which others might come. */
const quickSync = ['--repl-diskless-sync-delay', '0']
let prefixes = 0

interface Servers {
  readonly nodes: readonly RedisServer[]
  readonly cluster?: boolean
  /** A replica in waiting, of the first node. */
  readonly replica?: RedisServer
}

/** A store under a prefix of its own: the servers are the same for all tests. */
async function makeSubject(servers: Servers): Promise<ContractSubject> {
  const { nodes, cluster = false, replica } = servers
  prefixes += 1
  const prefix = `t${prefixes}:`
  const keys = createKeys(prefix, contractShape)
  const urls = nodes.map((node) => node.url)
  const open = (of: readonly string[]) => createRedisStore({ urls: of, cluster, prefix, ...contractShape, log })
  const stores = [await open(urls)]
  const [store] = stores
  if (store === undefined) throw new Error('no store')
  return {
    store,
    writeHalf: async (room, lastSeq, body, { lane, boot, text }) => {
      await callOwner(servers, lane, ['XADD', keys.log(room), `${lastSeq}-0`, 'b', body])
      await callOwner(servers, lane, ['XADD', keys.outbox(lane, boot), 'NOMKSTREAM', '1-*', 'b', text])
    },
    deadLetters: async (lane) => {
      const entries = (await callOwner(servers, lane, ['XRANGE', keys.dead(lane), '-', '+'])) as [string, string[]][]
      return entries.map(([, fields]) => ({ reason: field(fields, 'reason'), body: field(fields, 'b') }))
    },
    ...(replica === undefined
      ? {}
      : {
          remember: () =>
            rememberBy(replica, nodes, async (of) => {
              const past = await open(of)
              stores.push(past)
              return past
            }),
        }),
    close: async () => {
      for (const each of stores) await each.close()
    },
  }
}

/** The first node is copied as it is now; the copy is promoted, and takes its place in the store that is opened later. */
async function rememberBy<T>(
  replica: RedisServer,
  [primary, ...others]: readonly RedisServer[],
  open: (urls: readonly string[]) => Promise<T>,
) {
  if (primary === undefined) throw new Error('no primary')
  await replica.call('REPLICAOF', '127.0.0.1', primary.port)
  await eventually('the replica has everything', async () => {
    const [mine, its] = await Promise.all([replica.call('INFO', 'replication'), primary.call('INFO', 'replication')])
    const offset = (info: unknown): string | undefined => /master_repl_offset:(\d+)/.exec(String(info))?.[1]
    return String(mine).includes('master_link_status:up') && offset(mine) === offset(its)
  })
  await replica.call('REPLICAOF', 'NO', 'ONE')
  return () => open([replica.url, ...others.map((node) => node.url)])
}

function field(fields: readonly string[], name: string): string {
  return fields[fields.indexOf(name) + 1] ?? ''
}

/** One command on the node that has the lane: of a cluster the one that does not say that it is another. */
async function callOwner(
  { nodes, cluster }: Servers,
  lane: number,
  command: readonly [string, ...(string | number)[]],
): Promise<unknown> {
  const [name, ...args] = command
  const asked = cluster === true ? nodes : nodes.slice(lane % nodes.length, (lane % nodes.length) + 1)
  for (const node of asked) {
    try {
      return await node.call(name, ...args)
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith('MOVED')) throw error
    }
  }
  throw new Error(`nobody has lane ${lane}`)
}

describe('one server', () => {
  let primary: RedisServer, replica: RedisServer
  beforeAll(async () => {
    ;[primary, replica] = await Promise.all([startRedis({ args: quickSync }), startRedis()])
  })
  afterAll(() => Promise.all([primary, replica].map((server) => server.close())))
  storeContract('one Redis server', () => makeSubject({ nodes: [primary], replica }))
})

describe('three independent servers', () => {
  let nodes: readonly RedisServer[], replica: RedisServer
  beforeAll(async () => {
    ;[replica, ...nodes] = await Promise.all([startRedis(), ...[1, 2, 3].map(() => startRedis({ args: quickSync }))])
  })
  afterAll(() => Promise.all([...nodes, replica].map((server) => server.close())))
  storeContract('three Redis servers', () => makeSubject({ nodes, replica }))
})

/**
 * A cluster here has no replicas: a fail-over takes it tens of seconds, and what a store does with a server that went
 * back in time is the same code as above. So those tests are skipped.
 */
describe('a cluster of three', () => {
  let cluster: RedisCluster
  beforeAll(async () => {
    cluster = await startCluster(3)
  })
  afterAll(() => cluster.close())
  storeContract('a Redis Cluster of three', () => makeSubject({ nodes: cluster.nodes, cluster: true }))
})

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startRedis } from '@flotilla/node/testing/redis-server'
import type { RedisServer } from '@flotilla/node/testing/redis-server'
import { createRandom } from '../../../packages/core/sim/random.ts'
import type { Random } from '../../../packages/core/sim/random.ts'
import { startBalancer } from '../../fleet/balancer.ts'
import type { Balancer } from '../../fleet/balancer.ts'
import { startFleet } from '../../fleet/fleet.ts'
import type { Fleet } from '../../fleet/fleet.ts'
import { startMeter } from '../../fleet/metrics.ts'
import type { Sum } from '../../fleet/metrics.ts'
import type { FleetProcess } from '../../fleet/process.ts'
import { until } from '../../fleet/until.ts'
import type { Evidence, Needs } from '../fault.ts'
import { startProxy } from '../proxy/proxy.ts'
import type { FaultProxy } from '../proxy/proxy.ts'
import { createRecorder } from '../recorder.ts'
import type { Recorder } from '../recorder.ts'
import { startTraffic } from '../traffic/traffic.ts'
import type { Traffic } from '../traffic/traffic.ts'
import { waitForReplica } from './redis-state.ts'

/** Everything that a fault can touch. */
export interface World {
  readonly random: Random
  readonly recorder: Recorder
  readonly redis: RedisServer
  readonly fleet: Fleet
  readonly balancer: Balancer
  readonly traffic: Traffic
  /** Between the first clients and the balancer. */
  readonly clientLinks: readonly FaultProxy[]
  /** Whether every user may have one connection only. */
  readonly limited: boolean
  /** Between processes and Redis: all that were asked for, or those of these processes. */
  links(...processes: readonly FleetProcess[]): readonly FaultProxy[]
  /** Throws when the fault did not ask for one. */
  readonly replica: RedisServer
  /** Between the replica and its primary. */
  readonly replicaLink: FaultProxy
  /** The server that holds the truth now: where logs are read at the end. */
  primary: RedisServer
  /** What counters of processes say, over all their lives: for evidence. */
  readonly total: Sum
  /** What the fault counted while it happened. */
  readonly counted: Evidence
  /** Adds to a figure of `counted`; 0 makes it known, so that it is missed when nothing else adds to it. */
  count(what: string, by: number): void
  /** Any process of a list. */
  any(processes: readonly FleetProcess[]): FleetProcess
  /** Tells a process (with hooks) to do this; resolves with what its clock says when it did. */
  hook(process: FleetProcess, what: 'clock' | 'block', ms: number): Promise<number>
  close(): Promise<void>
}

const libraryClients = 8
type LoadedNeeds = Needs & { readonly rate: number }

type Cleanup = () => Promise<void> | void

/** Servers, proxies, a settled fleet, and clients with publishes under way. Whatever fails, nothing is left behind. */
export async function startWorld(needs: LoadedNeeds, seed: number): Promise<World> {
  const cleanups: Cleanup[] = []
  const close = async (): Promise<void> => {
    for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
  }
  try {
    return await open(needs, seed, { close, atEnd: (cleanup) => void cleanups.push(cleanup) })
  } catch (error) {
    await close()
    throw error
  }
}

async function open(
  needs: LoadedNeeds,
  seed: number,
  { close, atEnd }: { close(): Promise<void>; atEnd(cleanup: Cleanup): void },
): Promise<World> {
  const random = createRandom(seed)
  // Every client is another user: at the limit it comes back with its ticket only.
  const limited = seed % 2 === 1
  const recorder = createRecorder()
  const keep = async <T extends { close(): Promise<void> }>(starting: Promise<T>): Promise<T> => {
    const started = await starting
    atEnd(() => started.close())
    return started
  }
  const redis = await keep(startRedis({ appendonly: true, ...needs.redis }))
  const replicaLink = needs.replica === true ? await keep(startProxy(redis.port, random.next)) : undefined
  const replica = replicaLink && (await keep(startReplica(replicaLink.port, needs)))
  if (replica !== undefined) await waitForReplica(redis, replica)

  const hooks = startHooks(atEnd)
  const linkOf = new Map<string, FaultProxy>()
  for (const name of namesOf(needs)) linkOf.set(name, await keep(startProxy(redis.port, random.next)))
  const fleet = await startFleet({
    redisUrl: (name) => `redis://127.0.0.1:${linkOf.get(name)?.port ?? redis.port}`,
    ...counts(needs),
    env: {
      NODE_ENV: 'test',
      FLOTILLA_LOG_LEVEL: 'info',
      FAULTS_HOOK: hooks.file,
      FLOTILLA_CONNECTIONS_PER_USER: limited ? '1' : '0',
    },
    ...(needs.env === undefined ? {} : { envOf: needs.env }),
    nodeArgs: needs.hooks === true ? ['--import', './test/faults/harness/hooks.mjs'] : [],
  })
  atEnd(() => fleet.stop())
  const total = await startMeter(fleet.all)
  const balancer = await keep(startBalancer(fleet.edges.map((edge) => edge.port)))
  const clientLinks: FaultProxy[] = []
  for (let i = 0; i < (needs.clientLinks ?? 0); i += 1)
    clientLinks.push(await keep(startProxy(balancer.port, random.next)))
  const traffic = await startTraffic({
    urlOf: (i) => `ws://127.0.0.1:${clientLinks[i]?.port ?? balancer.port}/ws`,
    ingestPorts: fleet.ingests.map((each) => each.port),
    libraryClients,
    rawClients: needs.rawClients ?? 4,
    rate: needs.rate,
    hotShare: needs.hotShare ?? 0,
    padding: 'x'.repeat(needs.padding ?? 0),
    prefix: `m${seed}`,
    recorder,
    random,
  })
  atEnd(() => traffic.close())
  const counted: Record<string, number> = {}
  const asked = <T>(what: T | undefined): T => {
    if (what === undefined) throw new Error('the fault did not ask for a replica')
    return what
  }
  return {
    ...{
      random,
      recorder,
      redis,
      fleet,
      balancer,
      traffic,
      clientLinks,
      limited,
      total,
      primary: redis,
      counted,
      close,
    },
    count: (what, by) => void (counted[what] = (counted[what] ?? 0) + by),
    any: (processes) => random.pick(processes),
    links: (...processes) =>
      processes.length === 0 ? [...linkOf.values()] : processes.flatMap(({ name }) => linkOf.get(name) ?? []),
    get replica() {
      return asked(replica)
    },
    get replicaLink() {
      return asked(replicaLink)
    },
    hook: hooks.tell,
  }
}

function startReplica(primaryPort: number, { redis }: Needs): Promise<RedisServer> {
  const args = ['--replicaof', '127.0.0.1', String(primaryPort), '--repl-diskless-sync-delay', '0']
  return startRedis({ appendonly: true, ...redis, args: [...(redis?.args ?? []), ...args] })
}

const counts = ({ edges = 2, workers = 2, controls = 1 }: Needs) => ({ edges, workers, controls, ingests: 1 })

/** Of the processes with a link. */
function namesOf(needs: Needs): string[] {
  const { edges, workers, controls, ingests } = counts(needs)
  const perRole = { edge: edges, shard: workers, control: controls, ingest: ingests }
  return (needs.linked ?? []).flatMap((role) => Array.from({ length: perRole[role] }, (_, i) => `${role}-${i + 1}`))
}

function startHooks(atEnd: (cleanup: Cleanup) => void) {
  const folder = mkdtempSync(join(tmpdir(), 'flotilla-faults-'))
  atEnd(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'hook')
  return {
    file,
    tell: async (process: FleetProcess, what: 'clock' | 'block', ms: number): Promise<number> => {
      const answer = `${file}.${process.pid}`
      rmSync(answer, { force: true })
      writeFileSync(file, `${what} ${ms}`)
      process.signal('SIGUSR2')
      const said = (): string | false => existsSync(answer) && readFileSync(answer, 'utf8')
      return Number(await until(`${process.name} did it`, said, Math.abs(ms) + 10_000))
    },
  }
}

import { crc16, clusterSlots } from '@flotilla/core/slot'
import { redactUrl } from '../../log.ts'
import type { Log } from '../../log.ts'
import { StoreError } from '../port.ts'
import type { Keys } from './keys.ts'
import { connectNode } from './node.ts'
import type { Node } from './node.ts'

export interface TopologyOptions {
  readonly urls: readonly string[]
  readonly keys: Keys
  readonly log: Log
  readonly commandTimeoutMs: number
  onRun(primary: number, run: string): void
}

/** Which server has which lane. Several lanes may be on one. */
export interface Topology {
  nodes(): readonly Node[]
  /** Throws a StoreError when no server has it at the moment. */
  lane(lane: number): Node
  fleet(): Node
  /** What the fleet calls a primary: the same number in every process, for ever. */
  primaryOf(lane: number): number
  /** Run per primary, '' where it is not known. */
  runs(): string[]
  close(): void
}

/** Lane i is on primary i mod P, the fleet's keys on the first. A lane never moves. */
export function fixedTopology(options: TopologyOptions): Topology {
  const { urls, log, commandTimeoutMs } = options
  const nodes = urls.map((url, primary) =>
    connectNode({ url, log, commandTimeoutMs, onRun: (run) => options.onRun(primary, run) }),
  )
  const at = (primary: number): Node => {
    const node = nodes[primary]
    if (node === undefined) throw new RangeError(`no primary ${primary}`)
    return node
  }
  const primaryOf = (lane: number): number => lane % nodes.length
  return {
    nodes: () => nodes,
    primaryOf,
    lane: (lane) => at(primaryOf(lane)),
    fleet: () => at(0),
    runs: () => nodes.map((node) => node.run),
    close: () => nodes.forEach((node) => node.close()),
  }
}

/** Least time between two looks at who has which slots, ms. */
const refreshEveryMs = 200

/**
 * A Redis Cluster: every lane is on the master that has its tag's slot, and counts as a primary of its own, because a
 * fail-over moves it to another server. Who has what is asked at the start, whenever a node says that a key is elsewhere,
 * and while a master is away; until it is known again calls are refused, never guessed or sent twice.
 */
export async function clusterTopology(options: TopologyOptions): Promise<Topology> {
  const { keys, log, commandTimeoutMs } = options
  const lanes = Array.from({ length: keys.lanes }, (_, lane) => lane)
  const nodes = new Map<string, Node>()
  let owners: readonly string[] = []
  let refreshing: Promise<void> | undefined

  const ownerOf = (tag: string): string | undefined => owners[crc16(tag) % clusterSlots]
  const nodeOf = (tag: string): Node => {
    const node = nodes.get(ownerOf(tag) ?? '')
    if (node === undefined) throw new StoreError('refused', `no master of the cluster has tag ${tag}`)
    return node
  }
  const tellRun = (url: string, run: string): void => {
    for (const lane of lanes) if (ownerOf(keys.tag(lane)) === url) options.onRun(lane, run)
  }
  const create = (url: string): Node =>
    connectNode({ url, log, commandTimeoutMs, onRun: (run) => tellRun(url, run), onMoved: refreshLater })

  /** Connects to the masters that have lanes or the fleet's keys, and lets go of the others. */
  function take(found: readonly string[]): void {
    const before = owners
    owners = found
    const needed = new Set([...lanes.map((lane) => keys.tag(lane)), keys.fleetTag].map(ownerOf))
    for (const url of needed) if (url !== undefined && !nodes.has(url)) nodes.set(url, create(url))
    for (const [url, node] of nodes) {
      if (needed.has(url)) continue
      nodes.delete(url)
      node.close()
    }
    for (const lane of lanes) {
      const slot = crc16(keys.tag(lane)) % clusterSlots
      const run = nodes.get(owners[slot] ?? '')?.run ?? ''
      if (owners[slot] !== before[slot] && run !== '') options.onRun(lane, run)
    }
  }

  /** The first node that knows is believed: of two with different views one soon answers MOVED. */
  async function look(): Promise<void> {
    const ready = [...nodes.values()].filter((node) => node.ready)
    for (const node of ready) {
      const found = await masters(node).catch(() => undefined)
      if (found !== undefined) return take(found)
    }
    for (const url of new Set([...nodes.keys(), ...options.urls])) {
      const seed = connectNode({ url, log, commandTimeoutMs, onRun: () => undefined })
      try {
        await seed.whenReady(commandTimeoutMs)
        return take(await masters(seed))
      } catch (error) {
        if (String(error).includes('cluster support disabled')) {
          throw new Error(`${redactUrl(url)} is no node of a Redis Cluster: leave FLOTILLA_REDIS_CLUSTER unset`, {
            cause: error,
          })
        }
        log.debug('cluster slots not read', { redis: redactUrl(url), error: String(error) })
      } finally {
        seed.close()
      }
    }
  }

  function refresh(): Promise<void> {
    refreshing ??= look().finally(() => {
      setTimeout(() => (refreshing = undefined), refreshEveryMs).unref()
    })
    return refreshing
  }

  /** Once it runs, a server that is no cluster any more is as good as away. */
  function refreshLater(): void {
    refresh().catch((error: unknown) => log.warn('cluster slots not read', { error: String(error) }))
  }

  await refresh()
  if (owners.length === 0) throw new StoreError('refused', 'no node of the Redis Cluster answers CLUSTER SLOTS')
  const timer = setInterval(() => {
    if ([...nodes.values()].some((node) => !node.ready)) refreshLater()
  }, refreshEveryMs)
  timer.unref()
  return {
    nodes: () => [...nodes.values()],
    primaryOf: (lane) => lane,
    lane: (lane) => nodeOf(keys.tag(lane)),
    fleet: () => nodeOf(keys.fleetTag),
    runs: () => lanes.map((lane) => nodes.get(ownerOf(keys.tag(lane)) ?? '')?.run ?? ''),
    close: () => {
      clearInterval(timer)
      for (const node of nodes.values()) node.close()
    },
  }
}

/** Master per cluster slot, as URLs with the credentials of the node that was asked. Rejects while there is none. */
async function masters(node: Node): Promise<readonly string[]> {
  const reply = (await node.command('CLUSTER', ['SLOTS'])) as [number, number, [string | null, number, ...unknown[]]][]
  if (reply.length === 0) throw new StoreError('refused', 'no slots are assigned')
  const owners: string[] = []
  for (const [first, last, [host, port]] of reply) {
    const master = new URL(node.url)
    if (host !== null && host !== '') master.hostname = host.includes(':') ? `[${host}]` : host
    master.port = String(port)
    const url = master.toString().replace(/\/$/, '')
    for (let slot = first; slot <= last; slot++) owners[slot] = url
  }
  return owners
}

import type { Log } from '../../log.ts'
import { redactUrl } from '../../log.ts'
import { StoreError } from '../port.ts'
import type { Keys } from './keys.ts'
import { crc16 } from '@flotilla/core/slot'
import { connectNode } from './node.ts'
import type { Node } from './node.ts'

export interface TopologyOptions {
  readonly urls: readonly string[]
  readonly cluster: boolean
  readonly keys: Keys
  readonly log: Log
  readonly commandTimeoutMs: number
  onRun(primary: number, run: string): void
}

/** Which server has which lane. Several lanes may be on one. */
export interface Topology {
  readonly nodes: readonly Node[]
  lane(lane: number): Node
  primaryOf(lane: number): number
  readonly fleet: Node
  close(): void
}

const clusterSlots = 16_384

/** Lane i is on primary i mod P, the fleet's keys on the first. A lane never moves. */
export function fixedTopology(options: TopologyOptions): Topology {
  const nodes = options.urls.map((url, primary) =>
    connectNode({ url, log: options.log, commandTimeoutMs: options.commandTimeoutMs, onRun: (run) => options.onRun(primary, run) }),
  )
  const at = (primary: number): Node => {
    const node = nodes[primary]
    if (node === undefined) throw new RangeError(`no primary ${primary}`)
    return node
  }
  const primaryOf = (lane: number): number => lane % nodes.length
  return { nodes, primaryOf, lane: (lane) => at(primaryOf(lane)), fleet: at(0), close: () => nodes.forEach((node) => node.close()) }
}

/**
 * A Redis Cluster: every lane is on the master that has its tag's slot. The masters are read from any node, at the start
 * and whenever a node says that a key is elsewhere or a master is away; until then it refuses the calls itself.
 */
export async function clusterTopology(options: TopologyOptions): Promise<Topology> {
  const nodes: Node[] = []
  const byUrl = new Map<string, number>()
  /** Master per cluster slot. A slot that nobody has for now stays with its last master, which refuses. */
  const owners: string[] = []
  let refreshing = false
  let failure: unknown

  const node = (url: string): number => {
    let primary = byUrl.get(url)
    if (primary === undefined) {
      primary = nodes.length
      byUrl.set(url, primary)
      const index = primary
      nodes.push(
        connectNode({
          url,
          log: options.log,
          commandTimeoutMs: options.commandTimeoutMs,
          onRun: (run) => options.onRun(index, run),
          onMoved: () => void refresh(),
        }),
      )
    }
    return primary
  }
  const slotOfTag = (tag: string): number => crc16(tag) % clusterSlots

  async function refresh(): Promise<void> {
    if (refreshing) return
    refreshing = true
    try {
      for (const url of new Set([...byUrl.keys(), ...options.urls])) {
        const found = await readSlots(url, options).catch((error: unknown) => {
          options.log.debug('cluster slots not read', { url: redactUrl(url), error: String(error) })
          failure = error
        })
        if (found === undefined) continue
        found.forEach((owner, slot) => (owners[slot] = owner))
        return
      }
    } finally {
      refreshing = false
    }
  }

  const primaryFor = (tag: string): number => {
    const url = owners[slotOfTag(tag)]
    if (url === undefined) throw new StoreError('refused', `no master of the cluster has tag ${tag}`)
    return node(url)
  }
  await refresh()
  if (owners.length === 0) {
    const reason = failure instanceof Error ? failure.message : 'it has no slots yet'
    if (reason.includes('cluster support disabled')) throw new Error('FLOTILLA_REDIS_CLUSTER is set, but the server is not a Redis Cluster')
    throw new StoreError('refused', `no node of the Redis Cluster answers CLUSTER SLOTS: ${reason}`)
  }
  const timer = setInterval(() => {
    if (nodes.some((each) => !each.ready)) void refresh()
  }, 500)
  timer.unref()
  const primaryOf = (lane: number): number => primaryFor(options.keys.tag(lane))
  const at = (primary: number): Node => {
    const found = nodes[primary]
    if (found === undefined) throw new RangeError(`no primary ${primary}`)
    return found
  }
  // All masters are known, and connected to, from the start.
  const close = (): void => {
    clearInterval(timer)
    nodes.forEach((each) => each.close())
  }
  try {
    for (let lane = 0; lane < options.keys.lanes; lane++) primaryOf(lane)
    primaryFor(options.keys.fleetTag)
  } catch (error) {
    close()
    throw error
  }
  return {
    nodes,
    primaryOf,
    lane: (lane) => at(primaryOf(lane)),
    get fleet() {
      return at(primaryFor(options.keys.fleetTag))
    },
    close,
  }
}

/** Master per cluster slot, as URLs with the credentials of the seed. */
async function readSlots(url: string, options: TopologyOptions): Promise<readonly string[]> {
  const seed = connectNode({ url, log: options.log, commandTimeoutMs: options.commandTimeoutMs, onRun: () => undefined })
  try {
    await whenReady(seed, options.commandTimeoutMs)
    const reply = (await seed.command('CLUSTER', ['SLOTS'])) as [number, number, [string, number, ...unknown[]]][]
    const owners: string[] = []
    for (const [first, last, [host, port]] of reply) {
      const master = new URL(url)
      if (host !== '') master.hostname = host.includes(':') ? `[${host}]` : host
      master.port = String(port)
      for (let slot = first; slot <= last; slot++) owners[slot] = master.toString().replace(/\/$/, '')
    }
    return owners
  } finally {
    seed.close()
  }
}

export async function whenReady(node: Node, ms: number): Promise<void> {
  const until = performance.now() + ms
  while (!node.ready) {
    if (performance.now() > until) throw new StoreError('refused', `${new URL(node.url).host} cannot be reached`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

import { maxLanes, maxSlots } from '@flotilla/core/slot'
import { redactUrl } from '../../log.ts'
import type { Log } from '../../log.ts'
import type { Keys } from './keys.ts'
import { serverRun } from './lua/server-run.ts'
import type { Node } from './node.ts'

/** Oldest server whose streams number `1-*` and whose scripts have flags. */
const leastMajor = 7

/** A mistake in the configuration, not in a server. Throws with what to change. */
export function checkSettings(settings: {
  slots: number
  lanes: number
  urls: readonly string[]
  cluster: boolean
}): void {
  const { slots, lanes, urls, cluster } = settings
  if (!Number.isInteger(slots) || slots < 1 || slots > maxSlots || (slots & (slots - 1)) !== 0) {
    throw new Error(`slots must be a power of two from 1 to ${maxSlots}, not ${slots}`)
  }
  if (!Number.isInteger(lanes) || lanes < 1 || lanes > maxLanes || lanes > slots) {
    throw new Error(`lanes must be a whole number from 1 to ${Math.min(maxLanes, slots)}, not ${lanes}`)
  }
  if (urls.length === 0) throw new Error('no Redis URL was given')
  if (new Set(urls).size < urls.length) throw new Error('a Redis URL was given twice')
  if (!cluster && lanes < urls.length)
    throw new Error(`${urls.length} primaries need at least as many lanes, not ${lanes}`)
}

/** The start is refused by a server on which the promises cannot be kept. Throws with what to change. */
export async function checkServer(
  node: Node,
  { log, cluster, ackReplicas }: { readonly log: Log; readonly cluster: boolean; readonly ackReplicas: number },
): Promise<void> {
  const server = redactUrl(node.url)
  const info = String(await node.command('INFO', ['server']))
  const version = /(?:valkey_version|redis_version):(\S+)/.exec(info)?.[1] ?? ''
  if (!(Number.parseInt(version, 10) >= leastMajor)) {
    throw new Error(`${server} runs Redis ${version}; Flotilla needs Redis 7.0 or newer, or Valkey`)
  }
  if (!cluster && String(await node.command('INFO', ['cluster'])).includes('cluster_enabled:1')) {
    throw new Error(`${server} is a node of a Redis Cluster: set FLOTILLA_REDIS_CLUSTER=true`)
  }
  // INFO has it where CONFIG is not permitted too.
  const memory = String(await node.command('INFO', ['memory']))
  const policy = /maxmemory_policy:(\S+)/.exec(memory)?.[1] ?? ''
  if (policy !== 'noeviction') {
    throw new Error(
      `${server} has maxmemory-policy ${policy}, under which Redis drops streams without a word; ` +
        'set it to noeviction: CONFIG SET maxmemory-policy noeviction, and in its configuration file or parameter group',
    )
  }
  const { run } = await node.script(serverRun, [], [])
  if (ackReplicas > 0) await checkReplicas(node, run)
  if (run === '') {
    log.warn(
      'scripts may not read INFO on this server: every claim of a slot will tell its clients a loss of continuity',
      {
        redis: server,
      },
    )
  }
}

/** Without these no replica could ever confirm anything, and no publish would be acknowledged. */
async function checkReplicas(node: Node, run: string): Promise<void> {
  const server = redactUrl(node.url)
  if (run === '') throw new Error(`FLOTILLA_ACK_REPLICAS: scripts may not read INFO on ${server}; permit it, or set 0`)
  const denied = await node.command('WAIT', [0, 1]).then(
    () => false,
    (error: unknown) => String(error).includes('NOPERM'),
  )
  if (denied) throw new Error(`FLOTILLA_ACK_REPLICAS: WAIT is not permitted on ${server}; permit it, or set 0`)
}

/** Slots and lanes are fixed at install: a process with other numbers would look for rooms where nobody puts them. */
export async function checkShape(fleet: Node, keys: Keys, shape: { slots: number; lanes: number }): Promise<void> {
  const mine = `${shape.slots}/${shape.lanes}`
  const stored = await once(fleet, keys.shape, mine)
  if (stored === mine) return
  throw new Error(
    `the fleet in this store has ${stored} slots/lanes, this process is set to ${mine}: ` +
      'set FLOTILLA_SLOTS and FLOTILLA_LANES to what the fleet was installed with',
  )
}

/** Independent primaries in another order, or another number of them, would put lanes where nobody looks for them. */
export async function checkPlaces(nodes: readonly Node[], keys: Keys): Promise<void> {
  for (const [i, node] of nodes.entries()) {
    const mine = `${i + 1}/${nodes.length}`
    const stored = await once(node, keys.place, mine)
    if (stored === mine) continue
    throw new Error(
      `${redactUrl(node.url)} was primary ${stored} of this fleet, FLOTILLA_REDIS_URL makes it ${mine}: ` +
        `name the same servers in the same order (after moving the lanes' keys yourself, delete ${keys.place})`,
    )
  }
}

/** Reads first, so that a full server does not refuse a start. */
async function once(node: Node, key: string, value: string): Promise<string> {
  const before = await node.command('GET', [key])
  if (typeof before === 'string') return before
  await node.command('SET', [key, value, 'NX'])
  return String(await node.command('GET', [key]))
}

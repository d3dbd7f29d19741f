import type { Keys } from './keys.ts'
import type { Node } from './node.ts'

/** Oldest server whose streams number `1-*` and whose scripts have flags. */
const leastMajor = 7

/** The start is refused by a server on which the promises cannot be kept. Throws with what to change. */
export async function checkServer(node: Node, cluster: boolean): Promise<void> {
  const info = String(await node.command('INFO', ['server']))
  const version = /(?:valkey_version|redis_version):(\S+)/.exec(info)?.[1] ?? ''
  const { host } = new URL(node.url)
  if (Number.parseInt(version, 10) < leastMajor) {
    throw new Error(`${host} runs Redis ${version}; Flotilla needs Redis 7.0 or newer, or Valkey`)
  }
  if (!cluster && /cluster_enabled:1/.test(String(await node.command('INFO', ['cluster'])))) {
    throw new Error(`${host} is a node of a Redis Cluster: set FLOTILLA_REDIS_CLUSTER=true`)
  }
  const memory = String(await node.command('INFO', ['memory']))
  const policy = /maxmemory_policy:(\S+)/.exec(memory)?.[1] ?? ''
  if (policy !== 'noeviction') {
    throw new Error(
      `${host} has maxmemory-policy ${policy}, so Redis may drop streams silently; set it to noeviction (CONFIG SET maxmemory-policy noeviction, and in its configuration)`,
    )
  }
}

/** Lanes spread over the primaries by their order, so it is fixed at install too. */
export async function checkPlace(node: Node, keys: Keys, place: { index: number; of: number }): Promise<void> {
  const mine = `${place.index}/${place.of}`
  await node.command('SET', [keys.place, mine, 'NX'])
  const stored = String(await node.command('GET', [keys.place]))
  if (stored !== mine) {
    const { host } = new URL(node.url)
    throw new Error(`${host} is primary ${stored} of this fleet, this process has it as ${mine}: give FLOTILLA_REDIS_URL the same URLs in the same order in every process`)
  }
}

/** Slots and lanes are fixed at install: a process with other numbers would look for rooms where nobody puts them. */
export async function checkShape(node: Node, keys: Keys, shape: { slots: number; lanes: number }): Promise<void> {
  const mine = `${shape.slots}/${shape.lanes}`
  await node.command('SET', [keys.shape, mine, 'NX'])
  const stored = String(await node.command('GET', [keys.shape]))
  if (stored !== mine) {
    throw new Error(`the fleet in this store has ${stored} slots/lanes, this process is set to ${mine}: set FLOTILLA_SLOTS and FLOTILLA_LANES to what the fleet was installed with`)
  }
}

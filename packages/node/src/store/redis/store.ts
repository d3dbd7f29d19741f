import type { Log } from '../../log.ts'
import type { Store } from '../port.ts'
import { checkPlaces, checkServer, checkSettings, checkShape } from './checks.ts'
import { redisFleet } from './fleet.ts'
import { createKeys } from './keys.ts'
import { redisPlaces } from './places.ts'
import { redisSlots } from './slots.ts'
import { redisInputs, redisOutboxes, redisRooms } from './streams.ts'
import { clusterTopology, fixedTopology } from './topology.ts'

export interface RedisStoreOptions {
  /** One URL; several: independent primaries; with `cluster`: some nodes of one Redis Cluster. */
  readonly urls: readonly string[]
  readonly cluster?: boolean
  /** In front of every key: several fleets may share a server. */
  readonly prefix?: string
  readonly slots: number
  readonly lanes: number
  readonly log: Log
  /** Replicas that `outboxes.confirm` waits for; 0 by default: publishes are acknowledged when the primary has them. */
  readonly ackReplicas?: number
  /** Deadline of every call, ms; 2,000 by default. */
  readonly commandTimeoutMs?: number
}

const defaultCommandTimeoutMs = 2_000

/**
 * The store on Redis 7.0 or newer, or Valkey: one server, several independent primaries, or a Redis Cluster. Rejects
 * with a StoreError when a server cannot be reached, and with another error when one is too old, may evict keys, or
 * holds a fleet of another shape.
 *
 * @example createRedisStore({ urls: ['redis://localhost'], slots: 128, lanes: 4, log })
 */
export async function createRedisStore(options: RedisStoreOptions): Promise<Store> {
  const { urls, slots, lanes, log, prefix = '', cluster = false, commandTimeoutMs = defaultCommandTimeoutMs } = options
  const { ackReplicas = 0 } = options
  checkSettings({ slots, lanes, urls, cluster })
  const keys = createKeys(prefix, { slots, lanes })
  const runs = new Map<number, string>()
  const listeners = new Set<(primary: number, run: string) => void>()
  const onRun = (primary: number, run: string): void => {
    if (runs.get(primary) === run) return
    runs.set(primary, run)
    for (const listener of listeners) listener(primary, run)
  }
  const settings = { urls, keys, log, commandTimeoutMs, onRun }
  const topology = cluster ? await clusterTopology(settings) : fixedTopology(settings)
  try {
    for (const node of topology.nodes()) {
      await node.whenReady(commandTimeoutMs)
      await checkServer(node, { log, cluster, ackReplicas })
    }
    if (!cluster) await checkPlaces(topology.nodes(), keys)
    await checkShape(topology.fleet(), keys, { slots, lanes })
  } catch (error) {
    topology.close()
    throw error
  }
  return {
    shape: { slots, lanes },
    ackReplicas,
    primaryOf: (lane) => topology.primaryOf(lane),
    inputs: redisInputs(topology, keys),
    slots: redisSlots(topology, keys),
    outboxes: redisOutboxes(topology, keys, ackReplicas),
    rooms: redisRooms(topology, keys),
    fleet: redisFleet(topology, keys),
    places: redisPlaces(topology, keys),
    watchRuns: (listener) => {
      listeners.add(listener)
      for (const [primary, run] of runs) listener(primary, run)
      return () => listeners.delete(listener)
    },
    close: () => {
      topology.close()
      return Promise.resolve()
    },
  }
}

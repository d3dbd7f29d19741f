import { createBackoff, wait } from '../backoff.ts'
import type { Log } from '../log.ts'
import type { Scope } from '../scope.ts'
import { createMemoryStore } from './memory.ts'
import { StoreError } from './port.ts'
import type { Store } from './port.ts'
import { createRedisStore } from './redis/store.ts'

/** The values of `storeSettings` (settings.ts). */
export interface StoreConfig {
  readonly redisUrl: string | null
  readonly redisCluster: boolean
  readonly redisPrefix: string
  readonly redisCommandTimeoutMs: number
  readonly slots: number
  readonly lanes: number | null
  /** Only where publishes are acknowledged. */
  readonly ackReplicas?: number
}

/** Lanes of a Redis Cluster by default: its primaries may become as many. */
const clusterLanes = 16

/**
 * The store that the configuration names; the memory of this process when it names none. Waits for a server that is
 * away; rejects when a server answers and cannot be used, or the scope closes.
 */
export async function openStore(config: StoreConfig, deps: { log: Log; scope: Scope }): Promise<Store> {
  const { slots, ackReplicas = 0 } = config
  if (config.redisUrl === null && ackReplicas > 0) {
    throw new Error('FLOTILLA_ACK_REPLICAS needs replicas, and so FLOTILLA_REDIS_URL: memory has none')
  }
  if (config.redisUrl === null) return createMemoryStore({ slots, lanes: config.lanes ?? 1 })
  const urls = config.redisUrl.split(',').map((url) => url.trim())
  // The fewer lanes, the larger the batches (docs/adr/0005); and never more than there are slots.
  const lanes = config.lanes ?? Math.min(config.redisCluster ? clusterLanes : urls.length, slots)
  const backoff = createBackoff({ baseMs: 100, maxMs: 2_000, random: Math.random })
  for (;;) {
    try {
      const { redisCluster: cluster, redisPrefix: prefix, redisCommandTimeoutMs: commandTimeoutMs } = config
      const { log } = deps
      const settings = { urls, cluster, prefix, commandTimeoutMs, slots, lanes, ackReplicas, log }
      const store = await createRedisStore(settings)
      deps.scope.defer(() => store.close())
      return store
    } catch (error) {
      if (!(error instanceof StoreError) || deps.scope.signal.aborted) throw error
      deps.log.warn('the store cannot be reached yet', { error: error.message })
      await wait(200 + backoff.next(), deps.scope.signal)
    }
  }
}

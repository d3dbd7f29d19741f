import type { Store } from '@flotilla/node/store/port'

/** Who decides, and by which numbers: in Redis, or in the Kubernetes API with Redis as its fence. */
export interface Leadership {
  /** Whether this process may publish plans for `ttlMs` from now. */
  lead(ttlMs: number): Promise<boolean>
  /** The first of `count` epochs that were never given, all above `above`; undefined: none are to be had now, but soon. Throws as the store does. */
  nextEpoch(above: number, count: number): Promise<number | undefined>
  /** Another may lead at once. What of it can be given up is, also when it throws. */
  release(): Promise<void>
}

/** Long enough to be one, and over at once. */
export const releasedLeaseMs = 1

/** Without Kubernetes: a key of Redis with a time to live. */
export function storeLeadership({ fleet }: Pick<Store, 'fleet'>, boot: string): Leadership {
  let leads = false
  return {
    lead: async (ttlMs) => (leads = await fleet.lead(boot, ttlMs)),
    nextEpoch: (above, count) => fleet.nextEpoch(boot, above, count),
    release: async () => {
      if (leads) await fleet.lead(boot, releasedLeaseMs)
    },
  }
}

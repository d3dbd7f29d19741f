import { afterEach, expect } from 'vitest'
import { startRedis } from '@flotilla/node/testing/redis-server'
import type { RedisServer } from '@flotilla/node/testing/redis-server'
import { startBalancer } from '../fleet/balancer.ts'
import { startFleet } from '../fleet/fleet.ts'
import type { Fleet } from '../fleet/fleet.ts'
import { startTraffic } from './traffic.ts'
import type { Traffic } from './traffic.ts'
import { verify } from './verify.ts'

export interface Setting {
  readonly redis: RedisServer
  readonly fleet: Fleet
  readonly traffic: Traffic
}
const cleanups: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

/** Whatever a test starts ends with it, also when it fails. */
export function atEnd(cleanup: () => Promise<void> | void): void {
  cleanups.push(cleanup)
}

/**
 * A fleet of processes on a Redis that loses nothing, and 50 clients spread over its two edges. Each is another user, and may have
 * `connectionsPerUser`; 0: any number.
 */
export async function begin({ connectionsPerUser = 0 } = {}): Promise<Setting> {
  const redis = await startRedis({ appendonly: true })
  atEnd(() => redis.close())
  const env = { FLOTILLA_CONNECTIONS_PER_USER: String(connectionsPerUser) }
  const fleet = await startFleet({ redisUrl: redis.url, edges: 2, workers: 2, controls: 1, ingests: 1, env })
  atEnd(() => fleet.stop())
  const balancer = await startBalancer(fleet.edges.map((edge) => edge.port))
  atEnd(() => balancer.close())
  const url = `ws://127.0.0.1:${balancer.port}/ws`
  const traffic = await startTraffic({ url, ingestPort: fleet.ingests[0]?.port ?? 0 })
  atEnd(() => traffic.close())
  return { redis, fleet, traffic }
}

/** Everything published arrived everywhere, once, in one order; nobody was told of a loss; no process complains. */
export async function expectWhole({ redis, fleet, traffic }: Setting, total: number): Promise<void> {
  await traffic.delivered()
  expect(traffic.acknowledged).toHaveLength(total)
  expect(traffic.losses).toEqual([])
  expect((await verify(traffic, redis.url)).slice(0, 20)).toEqual([])
  expect(fleet.complaints()).toEqual([])
}

/** Publishes up to `total`, and lets `fault` happen when `at` are acknowledged, with the rest under way. */
export async function during(
  traffic: Traffic,
  { at, total }: { readonly at: number; readonly total: number },
  fault: () => Promise<void>,
): Promise<void> {
  const published = traffic.publish(total)
  await Promise.race([traffic.reached(at), published])
  expect(traffic.acknowledged.length).toBeLessThan(total)
  await Promise.all([published, fault()])
}

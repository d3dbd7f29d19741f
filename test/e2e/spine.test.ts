import { afterEach, describe, expect, test } from 'vitest'
import { startRedis } from '@flotilla/node/testing/redis-server'
import type { RedisServer } from '@flotilla/node/testing/redis-server'
import { startBalancer } from './balancer.ts'
import { startFleet } from './fleet.ts'
import type { Fleet } from './fleet.ts'
import { startTraffic } from './traffic.ts'
import type { Traffic } from './traffic.ts'
import { verify } from './verify.ts'

interface Setting {
  readonly redis: RedisServer
  readonly fleet: Fleet
  readonly traffic: Traffic
}
const cleanups: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

/** A fleet of processes on a Redis that loses nothing, and 50 clients spread over its two edges. */
async function begin(): Promise<Setting> {
  const redis = await startRedis({ appendonly: true })
  cleanups.push(() => redis.close())
  const fleet = await startFleet({ redisUrl: redis.url, edges: 2, workers: 2, controls: 1, ingests: 1 })
  cleanups.push(() => fleet.stop())
  const balancer = await startBalancer(fleet.edges.map((edge) => edge.port))
  cleanups.push(() => balancer.close())
  const url = `ws://127.0.0.1:${balancer.port}/ws`
  const traffic = await startTraffic({ url, ingestPort: fleet.ingests[0]?.port ?? 0 })
  cleanups.push(() => traffic.close())
  return { redis, fleet, traffic }
}

/** Everything published arrived everywhere, once, in one order; nobody was told of a loss; no process complains. */
async function expectWhole({ redis, fleet, traffic }: Setting, total: number): Promise<void> {
  await traffic.delivered()
  expect(traffic.acknowledged).toHaveLength(total)
  expect(traffic.losses).toEqual([])
  expect((await verify(traffic, redis.url)).slice(0, 20)).toEqual([])
  expect(fleet.complaints()).toEqual([])
}

/** Publishes up to `total`, and lets `fault` happen when `at` are acknowledged, with the rest under way. */
async function during(traffic: Traffic, { at, total }: { at: number; total: number }, fault: () => Promise<void>): Promise<void> {
  const published = traffic.publish(total)
  await Promise.race([traffic.reached(at), published])
  expect(traffic.acknowledged.length).toBeLessThan(total)
  await Promise.all([published, fault()])
}

describe('the spine, as processes over a real Redis', () => {
  test('[E2E1] 20,000 events from clients and ingest reach 50 clients in 20 rooms, complete, in one order, once', async () => {
    const setting = await begin()
    await setting.traffic.publish(20_000)
    await expectWhole(setting, 20_000)
  })

  test('[E2E2] the same with a worker killed, an edge killed and Redis restarted in mid-flow', async () => {
    const setting = await begin()
    const { redis, fleet, traffic } = setting
    const [worker] = fleet.workers
    const [edge] = fleet.edges
    if (worker === undefined || edge === undefined) throw new Error('no fleet')

    await during(traffic, { at: 2_000, total: 6_000 }, async () => {
      await worker.kill('SIGKILL')
      await fleet.settled()
    })
    await during(traffic, { at: 7_000, total: 10_000 }, async () => {
      await worker.start()
      await fleet.settled()
    })
    await during(traffic, { at: 11_000, total: 14_000 }, async () => {
      await edge.kill('SIGKILL')
      await traffic.connected()
      await edge.start()
      await fleet.settled()
    })
    await during(traffic, { at: 15_000, total: 20_000 }, async () => {
      await redis.kill9()
      await redis.start()
      await fleet.settled()
    })
    expect(traffic.reconnects).toBeGreaterThan(0)
    await expectWhole(setting, 20_000)
  })

  test('[E2E3] a SIGTERM to every process, one after the other, exits 0 and loses nothing', async () => {
    const setting = await begin()
    const { fleet, traffic } = setting
    let total = 0
    for (const each of fleet.all) {
      total += 2_000
      await during(traffic, { at: total - 1_500, total }, async () => {
        expect({ name: each.name, ...(await each.kill('SIGTERM')) }).toEqual({ name: each.name, code: 0, signal: null })
        await each.start()
        await fleet.settled()
      })
    }
    await traffic.connected()
    await expectWhole(setting, total)
  })
})

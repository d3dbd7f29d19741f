import { describe, expect, test } from 'vitest'
import { wait } from '@flotilla/node/backoff'
import { sumMetric } from '../fleet/metrics.ts'
import { begin, during, expectWhole } from './setting.ts'

describe('the spine, as processes over a real Redis', () => {
  test('[E2E1] 20,000 events from clients and ingest reach 50 clients in 20 rooms, complete, in one order, once', async () => {
    const setting = await begin()
    await setting.traffic.publish(20_000)
    await expectWhole(setting, 20_000)
    expect(setting.traffic.reconnects).toBe(0)
  })

  test('[E2E2] the same with Redis restarted, an edge killed and a worker killed in mid-flow, clients resuming at their limit', async () => {
    const setting = await begin({ connectionsPerUser: 1 })
    const { redis, fleet, traffic } = setting
    const [worker] = fleet.workers
    const [edge] = fleet.edges
    if (worker === undefined || edge === undefined) throw new Error('no fleet')

    // First, while both workers own slots: a worker that comes back is given none for half a minute.
    await during(traffic, { at: 3_000, total: 6_000 }, async () => {
      await redis.kill9()
      await redis.start()
      await fleet.settled()
    })
    await during(traffic, { at: 7_000, total: 11_000 }, async () => {
      await edge.kill('SIGKILL')
      await traffic.connected()
      await edge.start()
      await fleet.settled()
    })
    expect(traffic.reconnects).toBeGreaterThan(0)
    // Who came back took the place of the connection that the killed edge had: it counted still.
    expect(await sumMetric(fleet.edges, 'flotilla_edge_refusals_total', 'TOO_MANY_CONNECTIONS')).toBe(0)
    await during(traffic, { at: 12_000, total: 16_000 }, async () => {
      await worker.kill('SIGKILL')
      await fleet.settled()
    })
    await during(traffic, { at: 17_000, total: 20_000 }, async () => {
      await worker.start()
      await fleet.settled()
    })
    await expectWhole(setting, 20_000)
  })

  test('[E2E3][UC16] a SIGTERM to every process, one after the other, exits 0 and loses nothing; users at their limit see nothing', async () => {
    const setting = await begin({ connectionsPerUser: 1 })
    const { fleet, traffic } = setting
    const refused = (): Promise<number> =>
      sumMetric(fleet.edges, 'flotilla_edge_refusals_total', 'TOO_MANY_CONNECTIONS')
    let total = 0
    for (const each of fleet.all) {
      total += 2_000
      // Its counters go with it. Without a ticket nobody could be in twice, and move without a gap.
      expect(await refused()).toBe(0)
      await during(traffic, { at: total - 1_500, total }, async () => {
        expect({ name: each.name, ...(await each.kill('SIGTERM')) }).toEqual({ name: each.name, code: 0, signal: null })
        await each.start()
        await fleet.settled()
      })
    }
    await traffic.connected()
    expect(await refused()).toBe(0)
    expect(traffic.reconnects).toBe(0)
    await expectWhole(setting, total)
  })

  test('[E2E6] while Redis is away for 5 s publishes wait or are answered so, sockets stay, and all goes on by itself', async () => {
    const setting = await begin()
    const { redis, fleet, traffic } = setting
    await during(traffic, { at: 2_000, total: 6_000 }, async () => {
      redis.pause()
      const before = traffic.acknowledged.length
      // How long it is away is the fault itself.
      await wait(5_000)
      const inFlightAtMost = 500
      expect(traffic.acknowledged.length - before).toBeLessThan(inFlightAtMost)
      redis.resume()
      await fleet.settled()
    })
    expect([...traffic.refusals.keys()].filter((code) => !['OVERLOADED', 'UNKNOWN'].includes(code))).toEqual([])
    await during(traffic, { at: 7_000, total: 10_000 }, async () => {
      await redis.kill9()
      await wait(5_000)
      await redis.start()
      await fleet.settled()
    })
    expect([...traffic.refusals.keys()].filter((code) => !['OVERLOADED', 'UNKNOWN'].includes(code))).toEqual([])
    expect(traffic.reconnects).toBe(0)
    await expectWhole(setting, 10_000)
  })
})

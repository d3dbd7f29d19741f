import { expect, test } from 'vitest'
import { startRedis } from '@flotilla/node/testing/redis-server'
import { startFleet } from '../fleet/fleet.ts'
import { startNginx } from './nginx.ts'
import { atEnd, during, expectWhole } from './setting.ts'
import { startTraffic } from './traffic.ts'

test('[DP5] behind the nginx of deploy/compose all arrives, also while edges and ingest processes are replaced (OP3)', async () => {
  const redis = await startRedis({ appendonly: true })
  atEnd(() => redis.close())
  const fleet = await startFleet({ redisUrl: redis.url, edges: 2, workers: 2, controls: 1, ingests: 2 })
  atEnd(() => fleet.stop())
  const named = [...fleet.edges.map(({ port }, i) => [`edge-${i + 1}:8080`, port] as const)]
  const posts = fleet.ingests.map(({ port }, i) => [`ingest-${i + 1}:8081`, port] as const)
  const nginx = await startNginx(new Map([...named, ...posts]))
  atEnd(() => nginx.close())
  const traffic = await startTraffic({ url: `ws://127.0.0.1:${nginx.wsPort}/ws`, ingestPort: nginx.ingestPort })
  atEnd(() => traffic.close())
  let total = 0
  for (const process of [...fleet.edges, ...fleet.ingests]) {
    total += 2_000
    await during(traffic, { at: total - 1_500, total }, async () => {
      expect({ name: process.name, ...(await process.kill('SIGTERM')) }).toMatchObject({ name: process.name, code: 0 })
      await process.start()
      await fleet.settled()
    })
  }
  await traffic.connected()
  expect(traffic.reconnects).toBe(0)
  await expectWhole({ redis, fleet, traffic }, total)
})

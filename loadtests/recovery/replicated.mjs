// What it costs a publish to be acknowledged by a replica.
import { startRedis } from '@flotilla/node/testing/redis-server'
import { withFleet } from '../harness/fleet.mjs'
import { sleep, until } from '../harness/processes.mjs'
import { latencies } from '../harness/samples.mjs'

const perSecond = 1_000
const seconds = 5
const rounds = 3

/** p50 and p99 from a publish to its outcome, ms, by how many replicas have to confirm; in turn, as the machine's speed moves. */
export async function replicated() {
  return withFleet({ workers: 1, pinned: false }, async (fleet) => {
    const replica = await startRedis({ args: ['--replicaof', '127.0.0.1', String(fleet.redis.port)] })
    try {
      await until('the replica follows', async () =>
        String(await replica.call('INFO', 'replication')).includes('master_link_status:up'),
      )
      const seen = new Map([0, 1].map((replicas) => [replicas, []]))
      const publishers = new Map()
      for (const replicas of seen.keys()) {
        const env = { RECOVERY_ACK_REPLICAS: String(replicas), RECOVERY_ID: `publisher-${replicas}` }
        publishers.set(replicas, fleet.load('recovery-publisher.mjs', { id: env.RECOVERY_ID, env }))
      }
      for (let i = 0; i < rounds; i += 1) {
        for (const [replicas, publisher] of publishers) {
          await publisher.ask('start', { perSecond })
          await sleep(1_000)
          await publisher.ask('forget')
          await sleep(seconds * 1_000)
          await publisher.ask('stop')
          await sleep(1_000)
          const { samples, lost } = await publisher.ask('latencies')
          if (lost > 0) throw new Error(`${lost} publishes were not committed, ${replicas} replicas`)
          seen.get(replicas).push(...samples)
        }
      }
      const [none, one] = [...seen.values()].map((samples) => latencies(samples))
      return { perSecond, none, one }
    } finally {
      await replica.close()
    }
  })
}

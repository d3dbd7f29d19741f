import type { Fault } from '../fault.ts'

export const redisSlow: Fault = {
  name: 'redis-slow',
  about: 'Every byte between Redis and the fleet is 100 to 200 ms late, both ways.',
  needs: { linked: ['edge', 'shard', 'control', 'ingest'], rate: 400 },
  async inject({ links, traffic, count }) {
    for (const link of links()) link.set('both', { latencyMs: 100, jitterMs: 100 })
    await traffic.more(1_500)
    for (const link of links()) {
      const { up, down } = link.counters
      count('chunksDelayed', up.delayedChunks + down.delayedChunks)
      link.clear()
    }
  },
}

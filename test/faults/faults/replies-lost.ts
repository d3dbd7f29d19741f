import type { Fault } from '../fault.ts'

export const repliesLost: Fault = {
  name: 'replies-lost',
  about:
    'Requests of every process reach Redis, are executed, and their replies are lost with the connection; 10 rounds.',
  needs: { linked: ['edge', 'shard', 'ingest'] },
  async inject({ links, traffic, count }) {
    for (let round = 0; round < 10; round += 1) {
      for (const link of links()) link.loseReplies(2)
      await traffic.more(150)
    }
    for (const link of links()) {
      link.loseReplies(0)
      count('repliesLost', link.counters.repliesLost)
    }
  },
  evidence: async ({ fleet, total }) => ({
    commitsWithoutReply: await total(fleet.workers, 'flotilla_shard_commit_failures_total'),
  }),
}

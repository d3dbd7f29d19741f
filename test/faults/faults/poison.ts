import { sumMetric } from '../../fleet/metrics.ts'
import { until } from '../../fleet/until.ts'
import type { Fault } from '../fault.ts'
import { keysOf } from '../harness/redis-state.ts'

const nested = `${'['.repeat(5_000)}${']'.repeat(5_000)}`
const bodies = ['', 'x', '\u0000\u0001\ufffd', '9\u001fedge-1#x.0\u001f1\u001e', nested, 'y'.repeat(300_000)]

export const poison: Fault = {
  name: 'poison-message',
  about:
    'Entries that no producer of ours writes stand in the input of every slot: they are put aside, the slots go on.',
  async inject({ redis, fleet, count }) {
    const inputs = await keysOf(redis, '*:in:*')
    for (const [i, key] of inputs.entries()) {
      const body = bodies[i % bodies.length] ?? ''
      await redis.call('XADD', key, '*', i % 7 === 0 ? 'other' : 'b', body)
      count('poisoned', 1)
    }
    await until(
      'they are put aside',
      async () => (await sumMetric(fleet.workers, 'flotilla_shard_dead_letters_total')) > 0,
    )
  },
  evidence: async ({ fleet }) => ({
    deadLetters: await sumMetric(fleet.workers, 'flotilla_shard_dead_letters_total'),
  }),
}

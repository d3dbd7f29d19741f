import { sumMetric } from '../../fleet/metrics.ts'
import { until } from '../../fleet/until.ts'
import type { Fault } from '../fault.ts'
import { shape } from '../harness/logs.ts'
import { keys } from '../harness/redis-state.ts'
import type { World } from '../harness/world.ts'

const deadLetters = ({ fleet }: World): Promise<number> => sumMetric(fleet.workers, 'flotilla_shard_dead_letters_total')

const nested = `${'['.repeat(5_000)}${']'.repeat(5_000)}`
const bodies = ['', 'x', '\u0000\u0001\ufffd', '9\u001fedge-1#x.0\u001f1\u001e', nested, 'y'.repeat(300_000)]

export const poison: Fault = {
  name: 'poison-message',
  about:
    'Entries that no producer of ours writes stand in the input of every slot: they are put aside, the slots go on.',
  async inject(world) {
    const { redis, count } = world
    const poisonSlot = async (slot: number): Promise<void> => {
      const body = bodies[slot % bodies.length] ?? ''
      await redis.call('XADD', keys.input(slot), '*', slot % 7 === 0 ? 'other' : 'b', body)
      count('poisoned', 1)
    }
    await Promise.all(Array.from({ length: shape.slots }, (_, slot) => poisonSlot(slot)))
    await until('they are put aside', async () => (await deadLetters(world)) >= shape.slots)
  },
  evidence: async (world) => {
    const found = await deadLetters(world)
    return { deadLetters: found, eachPutAsideOnce: found > 0 && found === world.counted['poisoned'] ? 1 : 0 }
  },
}

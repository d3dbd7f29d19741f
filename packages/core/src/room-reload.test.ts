import { expect, it } from 'vitest'
import { rooms, startLane } from './testing/lane-bench.ts'

it('[RM9] a room whose log is above the limit when it is loaded takes messages again after two minutes', () => {
  const bench = startLane()
  const big = 'x'.repeat(990_000)
  const pass = (ms: number) => {
    for (let t = 0; t < ms; t += 1_000) {
      bench.clock.now += 1_000
      bench.step({ type: 'tick' })
    }
  }
  const log = () => bench.store.roomRange(rooms[0] ?? '', 0, 1_000)
  for (let i = 1; i <= 300 && log().length < 120; i += 1) {
    bench.publish(`k${i}`, [0], { tail: big })
    pass(1_000)
  }
  bench.lane.slots.get(0)?.rooms.clear() // another owner, or evicted
  bench.publish('after', [0])
  pass(130_000)
  bench.publish('later', [0])
  expect(log().at(-1)?.messages[0]?.key).toBe('later')
})

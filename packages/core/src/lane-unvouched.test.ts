import { expect, it } from 'vitest'
import { unvouchedSlots } from './lane.ts'
import { startLane as start } from './testing/lane-bench.ts'

it('[LN39] after a change of run every slot is named until it is vouched for', () => {
  const bench = start()
  bench.publish('m1')
  expect(unvouchedSlots(bench.lane)).toEqual([])
  bench.store.run = 'run-2'
  bench.step({ type: 'run', run: 'run-2' })
  expect(unvouchedSlots(bench.lane)).toEqual([0, 1])
  bench.held.add('vouch')
  bench.plan([1, 1])
  expect(bench.waiting.map(({ type }) => type)).toEqual(['vouch'])
  expect(unvouchedSlots(bench.lane)).toEqual([0, 1])
  bench.held.clear()
  for (const effect of bench.waiting.splice(0)) bench.execute(effect)
  expect(unvouchedSlots(bench.lane)).toEqual([])
})

it('[LN39] a slot that needs a new epoch is named, the others are not', () => {
  const bench = start()
  const [own] = bench.lane.slots.values()
  if (own === undefined) throw new Error('no slot is owned')
  own.needsClaim = true
  expect(unvouchedSlots(bench.lane)).toEqual([own.slot])
})

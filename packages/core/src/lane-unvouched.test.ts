import { expect, it } from 'vitest'
import { vouchedRuns } from './lane.ts'
import { startLane as start } from './testing/lane-bench.ts'

it('[LN39] after a change of run no slot is named until it is vouched for there', () => {
  const bench = start()
  const vouched = () => Object.fromEntries(vouchedRuns(bench.lane))
  bench.publish('m1')
  expect(vouched()).toEqual({ 0: 'run-1', 1: 'run-1' })
  bench.store.run = 'run-2'
  bench.step({ type: 'run', run: 'run-2' })
  expect(vouched()).toEqual({})
  bench.held.add('vouch')
  bench.plan([1, 1])
  expect(bench.waiting.map(({ type }) => type)).toEqual(['vouch'])
  expect(vouched()).toEqual({})
  bench.held.clear()
  for (const effect of bench.waiting.splice(0)) bench.execute(effect)
  expect(vouched()).toEqual({ 0: 'run-2', 1: 'run-2' })
})

it('[LN39] nor is one that needs a new epoch', () => {
  const bench = start()
  const [own] = bench.lane.slots.values()
  if (own === undefined) throw new Error('no slot is owned')
  own.needsClaim = true
  expect([...vouchedRuns(bench.lane).keys()]).toEqual([0, 1].filter((slot) => slot !== own.slot))
})

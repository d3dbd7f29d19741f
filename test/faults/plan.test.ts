import { expect, test } from 'vitest'
import { faults } from './faults/list.ts'
import { planOf } from './plan.ts'

test('[FA6] the whole campaign has every fault with three seeds, and the quick one a selection of them', () => {
  const full = planOf({ FAULTS_MODE: 'full' }, faults)
  expect(full.runs).toHaveLength(faults.length * 3)
  expect(full.mode).toBe('whole')
  const quick = planOf({}, faults)
  expect(quick.mode).toBe('quick')
  expect(quick.runs.length).toBe(15)
  expect(new Set(quick.runs.map(({ seed }) => seed))).toEqual(new Set([1]))
  // A machine that runs every change may be a busy one.
  const timed = ({ runs }: typeof full) => runs.filter(({ fault }) => fault.healWithinMs !== undefined).length
  expect([timed(quick), timed(full)]).toEqual([0, 12])
})

test('[FA6] whoever names faults, seeds or a load asks for a part', () => {
  const asked = [{ FAULTS: 'edge-kill' }, { SEEDS: '1,2,3' }, { FAULTS_MESSAGES: '36000' }, { FAULTS_RATE: '9' }]
  for (const each of asked) {
    expect(planOf(each, faults).mode).toBe('part')
    expect(planOf({ FAULTS_MODE: 'full', ...each }, faults).mode).toBe('part')
  }
})

test('[FA6] faults and seeds can be named, and a name that is none is refused', () => {
  const { runs, load } = planOf({ FAULTS: 'edge-kill,poison-message', SEEDS: '4,9', FAULTS_MESSAGES: '77' }, faults)
  expect(runs.map(({ fault, seed }) => `${fault.name} ${seed}`)).toEqual([
    'edge-kill 4',
    'poison-message 4',
    'edge-kill 9',
    'poison-message 9',
  ])
  expect(load.messages).toBe(77)
  expect(() => planOf({ FAULTS: 'edge-kil' }, faults)).toThrow('no such fault: edge-kil; there are edge-kill, ')
})

test('[FA6] no two faults have one name', () => {
  const names = faults.map(({ name }) => name)
  expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([])
})

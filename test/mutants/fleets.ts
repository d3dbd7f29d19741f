import { expect, test } from 'vitest'
import { simulate } from '../../packages/core/sim/run.ts'

/**
 * Whole fleets, for the parts whose rules show in them only: recovery of a lane, the store, the producers. A tenth of a second each
 * as they are, several where every expression is counted.
 */
test.each([1, 2, 3, 4, 5, 6])('fleet %i keeps its promises', (seed) => {
  expect(simulate(seed, { counted: seed % 2 === 0 }).violations).toEqual([])
})

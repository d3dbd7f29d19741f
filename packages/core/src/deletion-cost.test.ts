import { expect, test } from 'vitest'
import { costsToTell } from './deletion-cost.ts'

test('[KB11] the cost of deleting a pod is its connections, told again when they have changed by a quarter', () => {
  const pods = [
    { name: 'new', told: undefined, connections: 1_000 },
    { name: 'empty', told: undefined, connections: 3 },
    { name: 'same', told: 1_000, connections: 1_200 },
    { name: 'more', told: 1_000, connections: 1_400 },
    { name: 'less', told: 1_000, connections: 700 },
    { name: 'emptied', told: 1_000, connections: 0 },
    { name: 'few', told: 10, connections: 25 },
  ]
  expect(costsToTell(pods)).toEqual([
    { name: 'new', cost: 1_000 },
    { name: 'more', cost: 1_400 },
    { name: 'less', cost: 700 },
    { name: 'emptied', cost: 0 },
  ])
})

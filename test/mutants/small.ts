import { expect, test } from 'vitest'
import { explore } from '../../packages/core/sim/explore.ts'

const nothing = { publishes: 0, moves: 0, renewals: 0, lostReplies: 0, failOvers: 0, backs: 0, crashes: 0 }
const usual = { ...nothing, renewals: 1, lostReplies: 1, failOvers: 1, crashes: 1 }

/** The two smallest sets of the model that is explored whole, for the parts that recovery rests on: a fifth of a second each as they are. */
test.each([
  ['a publish', { ...usual, publishes: 1 }],
  ['a move', { ...usual, moves: 1 }],
])('nothing is lost, doubled or stuck in any order: %s', (_, budget) => {
  expect(explore({ budget, maxStates: 100_000 })).toMatchObject({ found: undefined, whole: true })
})

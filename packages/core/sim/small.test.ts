import { describe, expect, it } from 'vitest'
import { explore } from './explore.ts'
import { chosenSeed } from './seeds.ts'

const budget = { publishes: 2, moves: 1, lostReplies: 1, failOvers: 1, crashes: 1 }

describe.skipIf(chosenSeed !== undefined)('one slot, two workers, one fail-over with a lost tail', () => {
  it('[SM6] in every order of up to 8 events nothing is lost untold, doubled, written by two, or stuck', () => {
    const { found, ...rest } = explore({ budget, maxDepth: 8, maxStates: 1_000_000 })
    console.log(rest)
    expect(found).toBeUndefined()
    expect(rest.whole).toBe(true)
    expect(rest.states).toBeGreaterThan(10_000)
  })

  it('[SM7] without the fence two workers write, within 8 events', () => {
    const { found } = explore({ budget, maxDepth: 8, maxStates: 100_000, bug: 'no fence' })
    console.log(found)
    expect(found?.violations[0]).toMatch(/^single writer: /)
  })

  it('[SM7] without vouching an acknowledged message is lost and nobody is told, within 8 events', () => {
    const { found } = explore({ budget, maxDepth: 8, maxStates: 100_000, bug: 'no vouching' })
    console.log(found)
    expect(found?.violations[0]).toMatch(/^lost: /)
  })
})

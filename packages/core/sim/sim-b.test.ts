import { describe, expect, it } from 'vitest'
import { chosenSeed, runSeeds } from './seeds.ts'

describe.skipIf(chosenSeed !== undefined)('whole fleets under faults, second half', () => {
  it('[SM2] 1,000 seeds keep the promises: 501 to 1,000', () => {
    const { failed, line } = runSeeds(501, 1_000)
    console.log(line)
    expect(failed).toEqual([])
  })
})

import { describe, expect, it } from 'vitest'
import { chosenSeed, runSeeds, unreached } from './seeds.ts'

describe.skipIf(chosenSeed !== undefined)('whole fleets under faults, second half', () => {
  it('[SM2] [SM5] 5,000 seeds keep the promises, and reach every limit and every turn: 2,501 to 5,000', () => {
    const report = runSeeds(2_501, 5_000)
    console.log(report.line)
    expect(report.failed).toEqual([])
    expect(unreached(report)).toEqual([])
  })
})

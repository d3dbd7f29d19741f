import { describe, expect, it } from 'vitest'
import { chosenSeed, runSeeds, unreachedCounted } from './seeds.ts'

describe.skipIf(chosenSeed !== undefined)('whole fleets whose users have limited connections, under faults', () => {
  it('[SM9] 1,000 seeds keep the promises, and what counts in the end is what is open', () => {
    const report = runSeeds(1, 1_000, { counted: true })
    console.log(report.line)
    expect(report.failed).toEqual([])
    expect(unreachedCounted(report)).toEqual([])
  })
})

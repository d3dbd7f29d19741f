import { describe, expect, it } from 'vitest'
import { chosenSeed, runSeeds, unreached } from './seeds.ts'

describe.skipIf(chosenSeed !== undefined)('whole fleets under faults, second half', () => {
  it('[SM2] [SM5] [SM10] 5,000 seeds keep the promises, and reach every limit and every turn: 2,501 to 5,000', () => {
    const report = runSeeds(2_501, 5_000)
    console.log(report.line)
    expect(report.failed).toEqual([])
    expect(unreached(report)).toEqual([])
    // Edges drain in a third of the seeds, and many of their clients move.
    expect(report.times.get('edge drained')).toBeGreaterThan(1_000)
    expect(report.times.get('client moved')).toBeGreaterThan(500)
    expect(report.times.get('moved in the calm')).toBeGreaterThan(500)
    // In so few seeds are there rooms too small for what is refused at the end.
    expect(report.reached.get('kept out')).toBeLessThan(5)
  })
})

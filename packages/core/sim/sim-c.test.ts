import { describe, expect, it } from 'vitest'
import { countedLandmarks } from './record.ts'
import { chosenSeed, runSeeds, unreached } from './seeds.ts'

describe.skipIf(chosenSeed !== undefined)('whole fleets whose users have limited connections, under faults', () => {
  it('[SM9] [SM10] 1,000 seeds keep the promises, and what counts in the end is what is open', () => {
    const report = runSeeds(1, 1_000, { counted: true })
    console.log(report.line)
    expect(report.failed).toEqual([])
    expect(unreached(report, countedLandmarks)).toEqual([])
    expect(report.times.get('phone moved')).toBeGreaterThan(100)
    // Of so many users no edge had to tell again, so the limit must have held exactly, and no ticket was in doubt.
    expect(report.times.get('limit judged')).toBeGreaterThan(900)
    expect(report.times.get('tickets judged')).toBeGreaterThan(800)
  })
})

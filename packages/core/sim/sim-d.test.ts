import { describe, expect, it } from 'vitest'
import { chosenSeed, runSeeds } from './seeds.ts'

describe.skipIf(chosenSeed !== undefined)('whole fleets whose workers tell who is in which rooms, under faults', () => {
  it('[SM12] 300 seeds keep the promises, and what is told of a room is what is so', () => {
    const report = runSeeds(1, 300, { told: true })
    console.log(report.line)
    expect(report.failed).toEqual([])
    for (const landmark of ['take-over', 'new inc', 'commits written again'] as const)
      expect(report.times.get(landmark)).toBeGreaterThan(10)
  })
})

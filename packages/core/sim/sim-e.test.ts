import { describe, expect, it } from 'vitest'
import { chosenSeed, runSeeds } from './seeds.ts'

describe.skipIf(chosenSeed !== undefined)('whole fleets whose clients are members of their rooms, under faults', () => {
  it('[SM11] at rest every edge tells of exactly those who are there: 500 seeds', () => {
    const report = runSeeds(1, 500, { members: true })
    console.log(report.line)
    expect(report.failed).toEqual([])
  })
})

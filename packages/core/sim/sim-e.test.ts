import { describe, expect, it } from 'vitest'
import { chosenSeed, runSeeds } from './seeds.ts'

describe.skipIf(chosenSeed !== undefined)('whole fleets whose clients are members of their rooms, under faults', () => {
  it('[SM11] what an edge told under its old boot, executed behind what it told under the new one, takes nobody away: seed 4657', () => {
    expect(runSeeds(4657, 4657, { members: true }).failed).toEqual([])
  })

  it('[SM11] at rest every edge tells of exactly those who are there: 500 seeds', () => {
    const report = runSeeds(1, 500, { members: true })
    console.log(report.line)
    expect(report.failed).toEqual([])
  })
})

import { describe, expect, it } from 'vitest'
import { simulate } from './run.ts'
import { chosenSeed, runSeeds, unreached } from './seeds.ts'

describe.skipIf(chosenSeed !== undefined)('whole fleets under faults, first half', () => {
  it('[SM2] [SM5] 5,000 seeds keep the promises, and reach every limit and every turn: 1 to 2,500', () => {
    const report = runSeeds(1, 2_500)
    console.log(report.line)
    expect(report.failed).toEqual([])
    expect(unreached(report)).toEqual([])
  })
})

describe.runIf(chosenSeed !== undefined)('one seed', () => {
  it(`[SM2] seed ${chosenSeed} keeps the promises`, () => {
    const { violations, ...rest } = simulate(Number(chosenSeed), { log: (text) => console.log(text) })
    console.log(rest)
    expect(violations).toEqual([])
  })
})

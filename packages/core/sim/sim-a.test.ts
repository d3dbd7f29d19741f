import { describe, expect, it } from 'vitest'
import { simulate } from './run.ts'
import { chosenSeed, runSeeds } from './seeds.ts'

describe.skipIf(chosenSeed !== undefined)('whole fleets under faults, first half', () => {
  it('[SM2] 1,000 seeds keep the promises: 1 to 500', () => {
    const { failed, line } = runSeeds(1, 500)
    console.log(line)
    expect(failed).toEqual([])
  })
})

describe.runIf(chosenSeed !== undefined)('one seed', () => {
  it(`[SM2] seed ${chosenSeed} keeps the promises`, () => {
    const { violations, ...rest } = simulate(Number(chosenSeed), { log: (text) => console.log(text) })
    console.log(rest)
    expect(violations).toEqual([])
  })
})

import { describe, expect, it } from 'vitest'
import { bugs } from './bugs.ts'
import { simulate } from './run.ts'
import { chosenSeed, firstToFind } from './seeds.ts'

describe.skipIf(chosenSeed !== undefined)('planted bugs', () => {
  it.each(bugs)('[SM3] finds within 1,000 seeds: %s', (bug) => {
    const found = firstToFind(bug, 1_000)
    console.log(`${bug}: seed ${found?.seed}, ${found?.violations[0]}`)
    expect(found).toBeDefined()
    // The bug is the reason: without it the seed keeps the promises.
    expect(simulate(found?.seed ?? 0).violations).toEqual([])
  })
})

describe.skipIf(chosenSeed !== undefined)('a run', () => {
  it('[SM4] is the same whenever its seed is the same', () => {
    for (const seed of [3, 12]) {
      const logs: string[][] = [[], []]
      const outcomes = logs.map((log) => simulate(seed, { log: (text) => log.push(text) }))
      expect(outcomes[1]).toEqual(outcomes[0])
      expect(logs[1]).toEqual(logs[0])
      expect(logs[0]?.length).toBeGreaterThan(20)
    }
  })
})

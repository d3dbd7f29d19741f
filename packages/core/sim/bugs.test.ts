import { describe, expect, it } from 'vitest'
import { bugs, moveBugs } from './bugs.ts'
import type { Violation } from './checks.ts'
import { simulate } from './run.ts'
import { chosenSeed, firstToFind } from './seeds.ts'

/** The promise that each of them breaks: any other violation would not show that the bug is found. */
const broken: Readonly<Record<(typeof bugs)[number], Violation['check'] | 'liveness'>> = {
  'no fence': 'single writer',
  'no producer marks': 'duplicate',
  'no vouching': 'lost',
  // Entries that are numbered anew under the old generation are taken for repeats.
  'no generation': 'liveness',
  // Input below the ids that the worker has read is never read.
  'cursor kept': 'liveness',
  'ack before commit': 'early',
  'partial replay': 'contiguity',
  'client dedupes without epoch': 'contiguity',
}

describe.skipIf(chosenSeed !== undefined)('planted bugs', () => {
  it.each(bugs)('[SM3] finds within 1,000 seeds, by the promise it breaks: %s', (bug) => {
    const found = firstToFind(bug, broken[bug], 1_000)
    console.log(`${bug}: seed ${found?.seed}, ${found?.violations[0]}`)
    expect(found).toBeDefined()
    // The bug is the reason: without it the seed keeps the promises.
    expect(simulate(found?.seed ?? 0).violations).toEqual([])
  })
})

const brokenByMoves: Readonly<Record<(typeof moveBugs)[number], Violation['check'] | 'interrupted'>> = {
  'move without positions': 'contiguity',
  'move before the answers': 'interrupted',
  'move back': 'contiguity',
}

describe.skipIf(chosenSeed !== undefined)('planted bugs of clients that move away from an edge which drains', () => {
  it.each(moveBugs)('[SM10] finds within 1,000 seeds, by the promise it breaks: %s', (bug) => {
    const found = firstToFind(bug, brokenByMoves[bug], 1_000)
    console.log(`${bug}: seed ${found?.seed}, ${found?.violations[0]}`)
    expect(found).toBeDefined()
    expect(simulate(found?.seed ?? 0).violations).toEqual([])
    expect(simulate(found?.seed ?? 0, { bug, edgeDrains: false }).violations).toEqual([])
  })
})

describe.skipIf(chosenSeed !== undefined)('a server that nobody made a replica when it was replaced', () => {
  // Without drains, which would make other runs of them. It is the primary again under the run that it had: to those who claim then its state would be proven.
  it.each([545, 571, 664, 681, 975, 2966, 3106, 3591, 5161, 5588, 5629])(
    '[SM8] comes back without its later commits, and their loss is told: seed %i',
    (seed) => expect(simulate(seed, { undemoted: true, edgeDrains: false }).violations).toEqual([]),
  )
})

describe.skipIf(chosenSeed !== undefined)('a run', () => {
  it('[SM4] is the same whenever its seed is the same', () => {
    // In the last one edges drain.
    for (const seed of [3, 12, 186]) {
      const logs: string[][] = [[], []]
      const outcomes = logs.map((log) => simulate(seed, { log: (text) => log.push(text) }))
      expect(outcomes[1]).toEqual(outcomes[0])
      expect(logs[1]).toEqual(logs[0])
      expect(logs[0]?.length).toBeGreaterThan(20)
    }
  })
})

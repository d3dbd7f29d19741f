import { describe, expect, it } from 'vitest'
import { explore } from './explore.ts'
import { chosenSeed } from './seeds.ts'
import type { Budget } from './small-rest.ts'

const nothing: Budget = { publishes: 0, moves: 0, renewals: 0, lostReplies: 0, failOvers: 0, backs: 0, crashes: 0 }
const all: Budget = { publishes: 1, moves: 1, renewals: 1, lostReplies: 1, failOvers: 1, backs: 0, crashes: 1 }
const backAtOnce: Budget = { ...nothing, publishes: 1, moves: 2, failOvers: 1 }
/** Above what each of them has: an exploration that comes there fails. */
const maxStates = 6_000_000

describe.skipIf(chosenSeed !== undefined)('one slot, two workers, all orders of what may happen, to their end', () => {
  // Each with somewhat less than the states that there are: fewer would mean that something cannot happen any more.
  it.each<[string, Partial<Budget>, number]>([
    [
      'a publish, a move, a fail-over, a crash',
      { publishes: 1, moves: 1, renewals: 1, failOvers: 1, crashes: 1 },
      4_000_000,
    ],
    ['a move and back, a fail-over, a crash', { moves: 2, renewals: 1, failOvers: 1, crashes: 1 }, 150_000],
    ['a move, two fail-overs', { moves: 1, renewals: 1, failOvers: 2 }, 200_000],
    ['a move, a fail-over and back', { moves: 1, renewals: 1, failOvers: 1, backs: 1 }, 130_000],
    ['a publish, a fail-over and back', { publishes: 1, renewals: 1, failOvers: 1, backs: 1 }, 100_000],
    ['two publishes, a move, a lost reply, a crash', { publishes: 2, moves: 1, lostReplies: 1, crashes: 1 }, 100_000],
    [
      'a move, a lost reply, a fail-over, a crash',
      { moves: 1, renewals: 1, lostReplies: 1, failOvers: 1, crashes: 1 },
      25_000,
    ],
    [
      'a publish, a lost reply, a fail-over, a crash',
      { publishes: 1, renewals: 1, lostReplies: 1, failOvers: 1, crashes: 1 },
      15_000,
    ],
  ])('[SM6] nothing is lost needlessly or untold, doubled, written by two, or stuck: %s', (_, budget, atLeast) => {
    const { found, ...rest } = explore({ budget: { ...nothing, ...budget }, maxStates })
    console.log(rest)
    expect(found).toBeUndefined()
    expect(rest.whole).toBe(true)
    expect(rest.states).toBeGreaterThan(atLeast)
  })

  it.each<[string, Partial<Budget>, number]>([
    ['a move', { moves: 1 }, 200_000],
    ['a publish', { publishes: 1 }, 250_000],
  ])('[SM6] nor where a server comes back that nobody demoted: %s', (_, more, atLeast) => {
    const budget = { ...nothing, renewals: 1, failOvers: 1, backs: 1, ...more }
    const { found, ...rest } = explore({ budget, maxStates, undemoted: true })
    console.log(rest)
    expect([found, rest.whole]).toEqual([undefined, true])
    expect(rest.states).toBeGreaterThan(atLeast)
  })

  it('[SM6] an exploration that is cut short is not whole', () => {
    const budget = { ...nothing, publishes: 1, moves: 1 }
    const { states } = explore({ budget, maxStates })
    expect(explore({ budget, maxStates: states })).toMatchObject({ whole: true, states })
    expect(explore({ budget, maxStates: states - 1 }).whole).toBe(false)
  })

  it('[SM7] without the fence two workers write', () => {
    const { found } = explore({ budget: all, maxStates, bug: 'no fence' })
    console.log(found)
    expect(found?.violations[0]).toMatch(/^single writer: /)
  })

  it('[SM7] without vouching an acknowledged message is lost and nobody is told', () => {
    const { found } = explore({ budget: all, maxStates, bug: 'no vouching' })
    console.log(found)
    expect(found?.violations[0]).toMatch(/^lost: /)
  })

  it('[SM7] a claim that gives continuity up for nothing is found', () => {
    const { found } = explore({ budget: { ...nothing, moves: 1 }, maxStates, bug: 'always a new inc' })
    console.log(found)
    expect(found?.violations[0]).toMatch(/^needless: /)
  })

  it('[SM7] without a reset in the outboxes a new inc is not told', () => {
    const { found } = explore({ budget: all, maxStates, bug: 'loss untold' })
    console.log(found)
    expect(found?.violations[0]).toMatch(/^untold: /)
  })

  it('[SM6] nor is anything where control moves the slot on before the others have heard of the last plan', () => {
    const budget = { ...nothing, publishes: 1, moves: 1, failOvers: 1, crashes: 1 }
    const { found, ...rest } = explore({ budget, maxStates, hasty: true })
    console.log(rest)
    expect([found, rest.whole]).toEqual([undefined, true])
    expect(rest.states).toBeGreaterThan(1_800_000)
  })

  // Of more than 14 million states, those that the fewest actions lead to.
  it('[SM6] nor where it gives the slot back at once, as far as that is explored', () => {
    const { found, ...rest } = explore({ budget: backAtOnce, maxStates: 2_000_000, hasty: true })
    console.log(rest)
    expect([found, rest.whole]).toEqual([undefined, false])
    expect(rest.depth).toBeGreaterThan(14)
  })

  it('[SM7] a claim that says what its owner holds, taken by any server, loses what a late rival committed, and nobody is told', () => {
    const { found } = explore({ budget: backAtOnce, maxStates, bug: 'claims for any server', hasty: true })
    console.log(found)
    expect(found?.violations[0]).toMatch(/^lost: /)
    expect(found?.trace.length).toBeLessThan(16)
  })

  it('[SM7] without being told of the newest rival one who did not hear of it goes on, and nobody is told of the loss', () => {
    const { found } = explore({ budget: all, maxStates, bug: 'no rivals', hasty: true })
    console.log(found)
    expect(found?.violations[0]).toMatch(/^lost: /)
  })
})

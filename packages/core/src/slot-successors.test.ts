import { describe, expect, test } from 'vitest'
import { pairSuccessors, type PlanWorker, type SlotPlanInput } from './slot-plan.ts'

describe('pairSuccessors', () => {
  const live = (id: string, joinedAtMs: number): PlanWorker => ({ id, state: 'live', joinedAtMs })
  const draining = (id: string, successor?: string): PlanWorker => ({ id, state: 'draining', joinedAtMs: 0, successor })
  const pairs = (...args: Parameters<typeof pairSuccessors>): unknown => Object.fromEntries(pairSuccessors(...args))

  test('[SP12] the newest live worker that is nobody’s successor yet', () => {
    expect(pairs([draining('a'), live('b', 1), live('n', 9), live('m', 5)])).toEqual({ a: 'n' })
    expect(pairs([draining('a', 'n'), draining('b'), live('n', 9), live('m', 5)])).toEqual({ a: 'n', b: 'm' })
    expect(pairs([draining('a'), draining('b'), draining('c'), live('n', 9), live('m', 5)])).toEqual({ a: 'n', b: 'm' })
    expect(pairs([live('n', 9)])).toEqual({})
    expect(pairs([draining('a')])).toEqual({})
  })

  test('[SP12] a pair stays while both are there; when the successor goes there is another', () => {
    expect(pairs([draining('a', 'm'), live('n', 9), live('m', 5)])).toEqual({ a: 'm' })
    expect(pairs([draining('a', 'gone'), live('n', 9)])).toEqual({ a: 'n' })
    expect(pairs([draining('a', 'b'), draining('b'), live('n', 9), live('m', 5)])).toEqual({ a: 'n', b: 'm' })
  })

  test('[SP12] a worker with slots of its own replaces nobody: a fleet that shrinks spreads', () => {
    const held = (...owners: string[]): SlotPlanInput['assignments'] => owners.map((worker) => ({ worker, epoch: 1 }))
    const fleet = [draining('a'), live('b', 1), live('n', 9)]
    expect(pairs(fleet, held('a', 'a', 'b', 'b', 'n', 'n'))).toEqual({})
    expect(pairs(fleet, held('a', 'a', 'a', 'b', 'b', 'n'))).toEqual({ a: 'n' })
    // A pair that was made before stays, although the successor fills.
    expect(pairs([draining('a', 'n'), live('b', 1), live('n', 9)], held('a', 'n', 'n', 'n'))).toEqual({ a: 'n' })
  })
})

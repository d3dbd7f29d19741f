import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  balanceIntervalMs,
  maxImbalance,
  maxInFlightShare,
  maxRoundShare,
  pairSuccessors,
  planSlots,
  rampSteps,
  type PlanWorker,
  type SlotMove,
  type SlotPlanInput,
} from './slot-plan.ts'

type Owners = (string | null)[]
const dayMs = 86_400_000
const old = (id: string): PlanWorker => ({ id, state: 'live', joinedAtMs: 0 })
const workersOf = (count: number, prefix = 'w'): PlanWorker[] =>
  Array.from({ length: count }, (_, i) => old(`${prefix}${i}`))
const idsOf = (workers: readonly PlanWorker[]): string[] => workers.map((worker) => worker.id)

function inputOf(owners: Owners, workers: readonly PlanWorker[], more: Partial<SlotPlanInput> = {}): SlotPlanInput {
  const assignments = owners.map((worker) => (worker === null ? null : { worker, epoch: 1 }))
  return { slots: owners.length, assignments, workers, inFlight: 0, nowMs: dayMs, ...more }
}
function apply(owners: Owners, moves: readonly SlotMove[]): void {
  for (const move of moves) {
    expect(owners[move.slot]).toBe(move.from)
    expect(move.to).not.toBe(move.from)
    owners[move.slot] = move.to
  }
}
function weigh(owners: Owners, ids: readonly string[], loads?: readonly number[]): number[] {
  const sums = new Map(ids.map((id) => [id, 0]))
  for (const [slot, id] of owners.entries()) {
    if (id !== null && sums.has(id)) sums.set(id, (sums.get(id) ?? 0) + (loads?.[slot] ?? 1))
  }
  return [...sums.values()]
}
const ratio = (sums: readonly number[]): number => Math.max(...sums) / (sums.reduce((a, b) => a + b, 0) / sums.length)
const even = (slots: number, workers: readonly PlanWorker[]): Owners => {
  const owners: Owners = new Array<string | null>(slots).fill(null)
  apply(owners, planSlots(inputOf(owners, workers)))
  return owners
}
/** Rounds until nothing moves; every round's balancing keeps its cap. */
function settle(owners: Owners, workers: readonly PlanWorker[], more: Partial<SlotPlanInput> = {}): SlotMove[] {
  const all: SlotMove[] = []
  for (let round = 0; round < 500; round++) {
    const moves = planSlots(inputOf(owners, workers, more))
    if (moves.length === 0) return all
    apply(owners, moves)
    all.push(...moves)
  }
  throw new Error('still moving after 500 rounds')
}

const powerOfTwo = fc.integer({ min: 4, max: 9 }).map((bits) => 2 ** bits)

describe('orphans', () => {
  test('[SP1] without a live worker there are no moves', () => {
    expect(planSlots(inputOf([null, 'gone'], []))).toEqual([])
    expect(planSlots(inputOf(['a', null], [{ ...old('a'), state: 'draining' }]))).toEqual([])
  })

  test('[SP2] when the whole fleet starts all slots are assigned at once, evenly', () => {
    fc.assert(
      fc.property(powerOfTwo, fc.integer({ min: 1, max: 16 }), fc.nat(5), (slots, count, inFlight) => {
        const owners: Owners = new Array<string | null>(slots).fill(null)
        const workers = workersOf(count).map((worker) => ({ ...worker, joinedAtMs: dayMs }))
        const moves = planSlots(inputOf(owners, workers, { inFlight }))
        apply(owners, moves)
        expect(moves).toHaveLength(slots)
        expect(moves.every((move) => move.reason === 'orphan' && move.from === null)).toBe(true)
        const counts = weigh(owners, idsOf(workers))
        expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1)
      }),
    )
  })

  test('[SP2] a dead worker’s slots go to all survivors at once, whatever is in flight; nothing else moves', () => {
    fc.assert(
      fc.property(powerOfTwo, fc.integer({ min: 2, max: 12 }), (slots, count) => {
        const owners = even(slots, workersOf(count))
        const orphans = weigh(owners, ['w0'])[0]
        const survivors = workersOf(count).slice(1)
        const moves = planSlots(inputOf(owners, survivors, { inFlight: slots }))
        expect(moves.map((move) => [move.from, move.reason])).toEqual(new Array(orphans).fill(['w0', 'orphan']))
        apply(owners, moves)
        const counts = weigh(owners, idsOf(survivors))
        expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1)
        expect(settle(owners, survivors)).toEqual([])
      }),
    )
  })

  test('[SP2] orphans go where the load is least, the heaviest first', () => {
    const owners = ['a', 'a', 'b', null, null, null]
    const moves = planSlots(inputOf(owners, [old('a'), old('b')], { loads: [5, 5, 1, 1, 10, 1] }))
    expect(moves.map((move) => [move.slot, move.to])).toEqual([
      [4, 'b'],
      [3, 'a'],
      [5, 'b'],
    ])
  })

  test('[SP2] idle slots are spread too, and load figures that make no sense count as idle', () => {
    const owners: Owners = new Array<string | null>(32).fill(null)
    const loads = owners.map((_, slot) => [0, -1, Number.NaN, Infinity][slot % 4] ?? 0)
    loads[0] = 1
    apply(owners, planSlots(inputOf(owners, workersOf(4), { loads })))
    expect(Math.min(...weigh(owners, idsOf(workersOf(4))))).toBeGreaterThan(0)
  })

  test('[SP3] of workers whose slots weigh the same the one that reports less load comes first', () => {
    const workers = [{ ...old('a'), load: 3 }, { ...old('b'), load: 1 }, old('c')]
    expect(planSlots(inputOf([null], workers)).map((move) => move.to)).toEqual(['c'])
  })

  test('[SP3] ties are broken by rendezvous: with one worker less only its slots change hands', () => {
    // Every slot alone on an empty fleet, so every decision is a tie.
    const choice = (workers: readonly PlanWorker[], slot: number): string | undefined => {
      const owners: Owners = new Array<string | null>(slot + 1).fill('keeper')
      owners[slot] = null
      const keeper: PlanWorker = { ...old('keeper'), state: 'draining' }
      return planSlots(inputOf(owners, [keeper, ...workers], { inFlight: 1_000 }))[0]?.to
    }
    const counts = new Map<string, number>()
    for (let slot = 0; slot < 200; slot++) {
      const with4 = choice(workersOf(4), slot) ?? ''
      counts.set(with4, (counts.get(with4) ?? 0) + 1)
      if (with4 !== 'w3') expect(choice(workersOf(3), slot)).toBe(with4)
    }
    expect(Math.min(...counts.values())).toBeGreaterThan(25)
    expect(counts.size).toBe(4)
  })
})

test('[SP4] the same input gives the same moves, in whatever order the workers are listed', () => {
  const worker = fc.record({
    id: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
    state: fc.constantFrom<('live' | 'draining')[]>('live', 'draining'),
    successor: fc.option(fc.constantFrom('a', 'b', 'c', 'd', 'e'), { nil: undefined }),
    joinedAtMs: fc.integer({ min: dayMs - 200_000, max: dayMs }),
    load: fc.option(fc.nat(3), { nil: undefined }),
  })
  const owner = fc.option(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'dead'))
  fc.assert(
    fc.property(
      fc.uniqueArray(worker, { selector: ({ id }) => id }),
      fc.array(owner, { minLength: 32, maxLength: 32 }),
      fc.option(fc.array(fc.nat(9), { minLength: 32, maxLength: 32 }), { nil: undefined }),
      (workers, owners, loads) => {
        const moves = planSlots(inputOf(owners, workers, { loads }))
        expect(planSlots(inputOf(owners, workers.toReversed(), { loads }))).toEqual(moves)
        // Whatever the fleet looks like: a slot moves once a round, from its owner, to somebody live.
        expect(new Set(moves.map((move) => move.slot)).size).toBe(moves.length)
        const live = new Set(idsOf(workers.filter(({ state }) => state === 'live')))
        expect(moves.every((move) => live.has(move.to))).toBe(true)
        apply([...owners], moves)
        if (live.size > 0) settle([...owners], workers, { loads })
      },
    ),
    { numRuns: 300 },
  )
})

test('[SP4] a slot does not move on in the round that moved it', () => {
  const weights = [1, 1, 1, 2, 3, 1, 1, 3]
  const first = [1, 1, 1, 1, 3, 1, 2, 3, 0, 0, 0, 0]
  const loads = Array.from({ length: 60 }, (_, slot) => weights[slot] ?? 0)
  const owners = loads.map((_, slot) => `w${first[slot] ?? slot % 4}`)
  const workers = workersOf(4).map((worker) =>
    worker.id === 'w2' ? { ...worker, joinedAtMs: dayMs - 35_000 } : worker,
  )
  const moves = planSlots(inputOf(owners, workers, { loads }))
  expect(new Set(moves.map((move) => move.slot)).size).toBe(moves.length)
})

describe('drain', () => {
  const draining = (id: string, successor?: string): PlanWorker => ({ ...old(id), state: 'draining', successor })

  test('[SP5] all slots of a draining worker go to its successor, and only those', () => {
    const owners = even(16, workersOf(2))
    const moves = settle(owners, [draining('w0', 'n0'), old('w1'), { ...old('n0'), joinedAtMs: dayMs }])
    expect(moves).toHaveLength(8)
    expect(moves.every((move) => move.from === 'w0' && move.to === 'n0' && move.reason === 'drain')).toBe(true)
  })

  test.each([undefined, 'nobody', 'w0', 'w1'])('[SP5] with the successor %s they are spread', (successor) => {
    const owners = even(36, workersOf(4))
    const moves = settle(owners, [draining('w0', successor), draining('w1'), old('w2'), old('w3')])
    expect(moves).toHaveLength(18)
    expect(weigh(owners, ['w2', 'w3'])).toEqual([18, 18])
  })

  test('[SP5] a successor that drains in its turn is passed over', () => {
    const owners = even(8, [old('a')])
    const moves = settle(owners, [draining('a', 'b'), draining('b', 'c'), old('c'), old('d')])
    expect(moves.map((move) => move.to)).toEqual(new Array(8).fill('c'))
    const ring = settle(even(8, [old('a')]), [draining('a', 'b'), draining('b', 'a'), old('c')])
    expect(ring.map((move) => move.to)).toEqual(new Array(8).fill('c'))
  })

  test('[SP6] planned moves keep the number of slots in flight under its cap', () => {
    const cap = Math.max(1, Math.floor(64 * maxInFlightShare))
    const workers = [draining('w0', 'n0'), old('n0')]
    for (const inFlight of [0, 1, cap - 1, cap, cap + 9]) {
      const moves = planSlots(inputOf(even(64, [old('w0')]), workers, { inFlight }))
      expect(moves).toHaveLength(Math.max(0, cap - inFlight))
    }
    expect(planSlots(inputOf(['w0', 'w0'], workers))).toHaveLength(1)
    // Orphans come first and count.
    const owners = [...even(48, [old('w0')]), ...new Array<null>(16).fill(null)]
    expect(planSlots(inputOf(owners, workers)).map((move) => move.reason)).toEqual(new Array(16).fill('orphan'))
  })

  test('[SP7] rolling n workers one by one with successors moves every slot exactly once', () => {
    const roll = fc.record({
      joinLeadMs: fc.nat(29_999),
      restMs: fc.nat(600_000),
      confirmShare: fc.double({ min: 0.1, max: 1, noNaN: true }),
    })
    fc.assert(
      fc.property(powerOfTwo, fc.array(roll, { minLength: 1, maxLength: 8 }), (slots, rolls) => {
        const fleet = new Map(workersOf(rolls.length).map((worker) => [worker.id, worker]))
        const owners = even(slots, [...fleet.values()])
        const moved = new Array<number>(slots).fill(0)
        let nowMs = dayMs
        let lastMovedAtMs: number | undefined
        let inFlight = 0
        const round = (confirmShare: number): number => {
          for (const [id, successor] of pairSuccessors([...fleet.values()], inputOf(owners, []).assignments)) {
            fleet.set(id, { ...old(id), ...fleet.get(id), successor })
          }
          const moves = planSlots(inputOf(owners, [...fleet.values()], { nowMs, lastMovedAtMs, inFlight }))
          apply(owners, moves)
          for (const move of moves) moved[move.slot] = (moved[move.slot] ?? 0) + 1
          if (moves.length > 0) lastMovedAtMs = nowMs
          inFlight = Math.floor((inFlight + moves.length) * (1 - confirmShare))
          nowMs += 1_000
          return moves.length
        }
        for (const [i, { joinLeadMs, restMs, confirmShare }] of rolls.entries()) {
          fleet.set(`n${i}`, { ...old(`n${i}`), joinedAtMs: nowMs })
          for (const endMs = nowMs + joinLeadMs; nowMs < endMs;) expect(round(confirmShare)).toBe(0)
          fleet.set(`w${i}`, { ...old(`w${i}`), state: 'draining' })
          while (owners.includes(`w${i}`)) round(confirmShare)
          fleet.delete(`w${i}`)
          nowMs += restMs
          for (let rounds = 0; rounds < 5; rounds++) expect(round(1)).toBe(0)
        }
        expect(moved).toEqual(new Array(slots).fill(1))
      }),
      { numRuns: 200 },
    )
  })
})

describe('balance', () => {
  test('[SP8] within 1.15 of the mean, up and down, nothing moves; beyond it something does', () => {
    const counts = (...each: number[]): Owners => each.flatMap((count, i) => new Array<string>(count).fill(`w${i}`))
    expect(planSlots(inputOf(counts(23, 20, 18, 19), workersOf(4)))).toEqual([])
    expect(planSlots(inputOf(counts(24, 19, 18, 19), workersOf(4)))).not.toEqual([])
    expect(planSlots(inputOf(counts(22, 22, 22, 14), workersOf(4)))).not.toEqual([])
    // Over the ratio, but no move would make it better.
    expect(planSlots(inputOf(counts(2, 1, 1, 1), workersOf(4)))).toEqual([])
    expect(planSlots(inputOf(counts(3, 3), workersOf(2), { loads: [90, 1, 1, 1, 1, 1] }))).toHaveLength(1)
  })

  test('[SP8] in the end max/mean is at most 1.15, from any start', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 10 }),
        fc.nat(),
        fc.integer({ min: 8, max: 40 }),
        (count, seed, perWorker) => {
          const workers = workersOf(count)
          const owners: Owners = Array.from({ length: count * perWorker }, (_, slot) => {
            return `w${Math.floor(((slot * 7919 + seed) % 97) ** 2 / 97) % count}`
          })
          settle(owners, workers)
          const counts = weigh(owners, idsOf(workers))
          expect(ratio(counts)).toBeLessThanOrEqual(maxImbalance)
          expect(Math.min(...counts) * maxImbalance).toBeGreaterThan(perWorker - 1e-9)
        },
      ),
    )
  })

  test('[SP8] in the end max/mean is at most 1.15 by load, when no slot is too heavy for it', () => {
    const loads = fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 256, maxLength: 256 })
    fc.assert(
      fc.property(
        loads,
        fc.integer({ min: 1, max: 6 }),
        fc.array(fc.nat(5), { minLength: 256, maxLength: 256 }),
        (weights, count, seats) => {
          const workers = workersOf(count)
          const owners: Owners = seats.map((seat) => `w${seat % count}`)
          settle(owners, workers, { loads: weights })
          const mean = weights.reduce((a, b) => a + b, 0) / weights.length
          expect(
            ratio(
              weigh(
                owners,
                idsOf(workers),
                weights.map((load) => load + mean / 10),
              ),
            ),
          ).toBeLessThanOrEqual(maxImbalance)
        },
      ),
    )
  })

  test('[SP8] a slot too hot to move ends alone with its worker, and the rest is even', () => {
    const owners = even(64, workersOf(4))
    const hot = owners.indexOf('w0')
    settle(owners, workersOf(4), { loads: owners.map((_, slot) => (slot === hot ? 10_000 : 1)) })
    expect(ratio(weigh(owners, ['w1', 'w2', 'w3']))).toBeLessThanOrEqual(maxImbalance)
  })

  test('[SP9] a round moves at most 5 % of the slots, at least one, and none at the cap in flight', () => {
    const lopsided: Owners = new Array<string>(128).fill('w0')
    const cap = Math.floor(128 * maxRoundShare)
    const inFlightCap = 128 * maxInFlightShare
    expect(planSlots(inputOf(lopsided, workersOf(2)))).toHaveLength(cap)
    expect(planSlots(inputOf(['w0', 'w0', 'w0', 'w0'], workersOf(2)))).toHaveLength(1)
    expect(planSlots(inputOf(lopsided, workersOf(2), { inFlight: inFlightCap - 2 }))).toHaveLength(2)
    expect(planSlots(inputOf(lopsided, workersOf(2), { inFlight: inFlightCap }))).toEqual([])
  })

  test('[SP9] rounds of balancing keep their distance from the last move, and from orphans', () => {
    const lopsided: Owners = new Array<string>(128).fill('w0')
    const since = (ms: number): number =>
      planSlots(inputOf(lopsided, workersOf(2), { lastMovedAtMs: dayMs - ms })).length
    expect([since(0), since(balanceIntervalMs - 1)]).toEqual([0, 0])
    expect(since(balanceIntervalMs)).toBeGreaterThan(0)
    lopsided[0] = null
    expect(planSlots(inputOf(lopsided, workersOf(2))).map((move) => move.reason)).toEqual(['orphan'])
  })

  test('[SP10] nothing is balanced while any worker drains', () => {
    const lopsided: Owners = new Array<string>(128).fill('w0')
    const workers = [...workersOf(2), { ...old('leaver'), state: 'draining' as const }]
    expect(planSlots(inputOf(lopsided, workers))).toEqual([])
  })

  test('[SP11] a new worker gets nothing at first, then 10, 25, 50 and 100 % of its fair share', () => {
    const owners = even(1_024, workersOf(3))
    const workers = [...workersOf(3), { ...old('new'), joinedAtMs: dayMs }]
    const held = (ageMs: number): number => {
      settle(owners, workers, { nowMs: dayMs + ageMs })
      return weigh(owners, ['new'])[0] ?? 0
    }
    expect(held(0)).toBe(0)
    expect(held(29_999)).toBe(0)
    const steps = rampSteps.map(({ fromAgeMs }) => held(fromAgeMs) / 256)
    for (const [i, share] of [0.1, 0.25, 0.5].entries()) {
      expect(steps[i]).toBeLessThanOrEqual(share)
      expect(steps[i]).toBeGreaterThan(share / maxImbalance - 0.01)
    }
    expect(steps[3]).toBeGreaterThanOrEqual(1 / maxImbalance)
    expect(ratio(weigh(owners, idsOf(workers)))).toBeLessThanOrEqual(maxImbalance)
  })

  test('[SP11] the eleventh worker gets its share although nobody is overloaded', () => {
    const owners = even(256, workersOf(10))
    const workers = workersOf(11)
    settle(owners, workers)
    expect(Math.min(...weigh(owners, idsOf(workers)))).toBeGreaterThanOrEqual(256 / 11 / maxImbalance)
  })

  test('[SP11] a new worker that waits for its predecessor does not count', () => {
    const owners = even(128, workersOf(3))
    expect(planSlots(inputOf(owners, [...workersOf(3), { ...old('n'), joinedAtMs: dayMs }]))).toEqual([])
    // Nor does it hide that they are uneven.
    const uneven = [30, 16, 17, 17].flatMap((count, i) => new Array<string>(count).fill(`w${i}`))
    const moves = planSlots(inputOf(uneven, [...workersOf(4), { ...old('n'), joinedAtMs: dayMs }]))
    expect(moves.map((move) => move.from)).toEqual(new Array(4).fill('w0'))
  })
})

test('[SP13] held slots are neither drained nor moved for balance while their owner lives, and go with the others when it is dead', () => {
  const held = new Set([0, 1])
  const owners = ['a', 'a', 'a', 'b']
  const drained = planSlots(inputOf(owners, [{ ...old('a'), state: 'draining' }, old('b')], { held, slots: 4 }))
  expect(drained.map(({ slot }) => slot)).toEqual([2])
  const crowded: Owners = ['a', 'a', 'a', 'a', 'b']
  expect(settle(crowded, [old('a'), old('b')], { held: new Set([0, 1, 2, 3]) })).toEqual([])
  expect(settle(crowded, [old('a'), old('b')], { held }).every(({ slot }) => slot > 1)).toBe(true)
  expect(planSlots(inputOf(['a', 'a'], [old('b')], { held })).map(({ reason }) => reason)).toEqual(['orphan', 'orphan'])
})

import { expect, it } from 'vitest'
import { encodeInput } from './entry.ts'
import { createLane } from './lane-state.ts'
import type { LaneEffect, LaneInput } from './lane-state.ts'
import { ownedEpochs, stepLane } from './lane.ts'
import { slotOf } from './slot.ts'
import { StoreModel } from './store-model.ts'

const me = 'w1#a'
const slots = 8
const plan = {
  version: 1,
  slots: Array.from({ length: slots }, () => ({ worker: me, epoch: 1, confirmed: 0 })),
  runs: ['run-1'],
}

/** A lane over the store model; effects are kept until the test executes them. */
function bench() {
  const store = new StoreModel({ slots, lanes: 1 }, 'run-1')
  const lane = createLane(0, 1, me)
  const clock = { now: 0, wallMs: 0 }
  const kept: LaneEffect[] = []
  const step = (input: LaneInput): void => void kept.push(...stepLane(lane, input, clock))
  const take = <T extends LaneEffect['type']>(type: T): Extract<LaneEffect, { type: T }>[] => {
    const found = kept.filter((effect) => effect.type === type) as Extract<LaneEffect, { type: T }>[]
    for (const effect of found) kept.splice(kept.indexOf(effect), 1)
    return found
  }
  /** Answers every claim that was made; says how many. */
  const answerClaims = (): number => {
    const claims = take('claim')
    for (const { claim } of claims) step({ type: 'claimed', claim, reply: store.claim(claim), interest: [] })
    return claims.length
  }
  return { store, lane, clock, step, take, answerClaims }
}

it('[LN29] slots are claimed two at a time, and all in the end', () => {
  const { lane, step, answerClaims } = bench()
  step({ type: 'plan', plan })
  expect(Array.from({ length: 5 }, answerClaims)).toEqual([2, 2, 2, 2, 0])
  expect(ownedEpochs(lane).size).toBe(slots)
})

it('[LN29] a newer epoch for a slot that is being claimed does not wait', () => {
  const { step, take } = bench()
  step({ type: 'plan', plan })
  const [first] = take('claim')
  const newer = plan.slots.map((each, slot) => (slot === first?.claim.slot ? { ...each, epoch: 2 } : each))
  step({ type: 'plan', plan: { ...plan, version: 2, slots: newer } })
  expect(take('claim').map(({ claim }) => [claim.slot, claim.epoch])).toEqual([[first?.claim.slot, 2]])
})

it('[LN29] nor do they wait for more than two seconds in all', () => {
  const { clock, step, take } = bench()
  step({ type: 'plan', plan })
  expect(take('claim').length).toBe(2)
  clock.now = 2_001
  step({ type: 'tick' })
  expect(take('claim').length).toBe(slots - 2)
})

it('[LN29] no more are claimed while a room of the last ones is loaded, but not for longer than half a second', () => {
  const { clock, step, take, answerClaims } = bench()
  step({ type: 'plan', plan })
  expect(answerClaims()).toBe(2)
  const [read] = take('read')
  if (read === undefined) throw new Error('nothing is read')
  const room =
    Array.from({ length: 1_000 }, (_, i) => `public:r${i}`).find((name) => slotOf(name, slots) === read.slot) ?? ''
  const message = { type: 'publish', room, key: 'k', sender: 's', options: '', tail: 't' } as const
  const body = encodeInput({ boot: 'edge-1#a', generation: 0, k: 1 }, [message])
  step({ type: 'entries', reads: [{ slot: read.slot, read: read.read, entries: [{ id: '1-0', body }] }] })
  const [load] = take('loadRoom')
  if (load === undefined) throw new Error('nothing is loaded')
  // Two were under way before; from then on the load holds the others back.
  expect([answerClaims(), answerClaims()]).toEqual([2, 0])
  clock.now = 400
  step({ type: 'tick' })
  expect(answerClaims()).toBe(0)
  clock.now = 600
  step({ type: 'tick' })
  expect(answerClaims()).toBe(2)
  step({ type: 'rooms', rooms: [{ slot: load.slot, read: load.read, room, entries: [] }] })
  expect(answerClaims()).toBe(2)
})

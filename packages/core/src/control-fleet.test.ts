import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Fleet, fleetOf } from '../sim/control-fleet.ts'
import type { Worker } from '../sim/control-fleet.ts'
import { workerDeadMs } from './limits.ts'

test('[CT12] the first workers share the slots, and then nothing moves without need', () => {
  const fleet = fleetOf(32, 3)
  expect(fleet.run(5_000, () => fleet.served())).toBe(true)
  fleet.run(20_000)
  const { publishes } = fleet
  fleet.run(60_000)
  expect(fleet.publishes).toBe(publishes)
  expect(Math.max(...fleet.counts()) - Math.min(...fleet.counts())).toBeLessThanOrEqual(2)
})

test('[CT2] a killed worker is dead after the time, its slots go to all survivors at once, and its record goes', () => {
  const fleet = fleetOf(32, 4)
  fleet.run(30_000)
  const [victim] = fleet.living()
  if (victim === undefined) throw new Error('no worker')
  const before = fleet.moves.length
  victim.alive = false
  const atMs = fleet.nowMs
  expect(fleet.run(10_000, () => fleet.served())).toBe(true)
  expect(fleet.nowMs - atMs).toBeLessThanOrEqual(5_000)
  const orphans = fleet.moves.slice(before).filter(({ reason }) => reason === 'orphan')
  expect(orphans.every(({ from }) => from === victim.boot)).toBe(true)
  expect(new Set(orphans.map(({ to }) => to)).size).toBe(3)
  fleet.run(1_000)
  expect(fleet.removed).toContain(victim.boot)
})

test.each([0, 500, 1_000, 1_500, 2_000, 2_500])(
  '[CT2] slots of workers long gone go to the first that joins (%d ms)',
  (ms) => {
    const fleet = fleetOf(8, 2)
    fleet.run(10_000)
    for (const worker of fleet.living()) worker.alive = false
    fleet.run(10_000 + ms)
    fleet.addWorker()
    expect(fleet.run(2_000, () => fleet.served())).toBe(true)
  },
)

test('[CT3] nobody is dead because the store was away, but who stays away is', () => {
  const fleet = fleetOf(32, 3)
  fleet.run(30_000)
  const moves = fleet.moves.length
  fleet.storeUp = false
  fleet.run(20_000)
  const [victim] = fleet.living()
  if (victim === undefined) throw new Error('no worker')
  victim.alive = false
  fleet.storeUp = true
  fleet.run(workerDeadMs)
  expect(fleet.moves.length).toBe(moves)
  expect(fleet.run(2_500, () => fleet.served())).toBe(true)
  expect(fleet.moves.slice(moves).every(({ from }) => from === victim.boot)).toBe(true)
})

test('[CT8] the leader dies and another goes on with the same plan', () => {
  const fleet = new Fleet(32, 2)
  fleet.addWorker()
  const second = fleet.addWorker()
  fleet.run(30_000)
  const leader = fleet.leader()
  const moves = fleet.moves.length
  if (leader === undefined) throw new Error('no leader')
  leader.alive = false
  fleet.run(5_000)
  expect(fleet.leader()?.alive).toBe(true)
  expect(fleet.moves.length).toBe(moves)
  second.alive = false
  expect(fleet.run(6_000, () => fleet.served())).toBe(true)
})

test('[CT7] control keeps its plan over a store that lost it, and a new control takes it from what workers report', () => {
  const fleet = fleetOf(16, 2)
  fleet.run(30_000)
  const owners = fleet.plan?.slots.map((assignment) => assignment?.worker)
  const moves = fleet.moves.length
  const version = fleet.plan?.version ?? 0
  fleet.flush()
  expect(fleet.run(3_000, () => fleet.plan !== null)).toBe(true)
  expect(fleet.plan?.version).toBeGreaterThan(version)
  expect(fleet.plan?.runs).toEqual([fleet.serverRun])
  fleet.run(10_000)
  expect(fleet.moves.length).toBe(moves)
  for (const control of fleet.controls) control.alive = false
  fleet.flush()
  fleet.addControl()
  expect(fleet.run(10_000, () => fleet.plan !== null && fleet.served())).toBe(true)
  expect(fleet.plan?.slots.map((assignment) => assignment?.worker)).toEqual(owners)
})

test('[CT6] a refused claim gets a new epoch for the same worker', () => {
  const fleet = fleetOf(8, 1)
  fleet.run(10_000)
  const worker = fleet.living()[0]
  if (worker === undefined) throw new Error('no worker')
  fleet.fences.set(3, { epoch: 500, owner: 'shard-9#gone' })
  worker.owned.set(3, 0)
  expect(fleet.run(6_000, () => (fleet.plan?.slots[3]?.epoch ?? 0) > 8)).toBe(true)
  expect(fleet.moves.at(-1)).toMatchObject({ slot: 3, to: worker.boot, reason: 'reclaim' })
})

test('[CT10] rolling all workers one by one moves each slot once', () => {
  const fleet = fleetOf(64, 4)
  fleet.run(60_000)
  const before = fleet.moves.length
  for (const old of fleet.living()) {
    fleet.addWorker()
    fleet.run(1_500)
    old.state = 'draining'
    const emptied = (): boolean =>
      fleet.served() && !fleet.plan?.slots.some((assignment) => assignment?.worker === old.boot)
    expect(fleet.run(60_000, emptied)).toBe(true)
    old.alive = false
    fleet.members.delete(old.boot)
    fleet.run(1_500)
  }
  const moved = fleet.moves.slice(before).filter(({ reason }) => reason !== 'reclaim')
  expect(moved.length).toBe(64)
})

const upset = fc.oneof(
  fc.record({ type: fc.constant('join' as const), ms: fc.nat(4_000) }),
  fc.record({ type: fc.constant('kill' as const), ms: fc.nat(4_000), which: fc.nat(7) }),
  fc.record({ type: fc.constant('pause' as const), ms: fc.nat(4_000), which: fc.nat(7), forMs: fc.nat(8_000) }),
  fc.record({ type: fc.constant('drain' as const), ms: fc.nat(4_000), which: fc.nat(7) }),
  fc.record({ type: fc.constant('outage' as const), ms: fc.nat(4_000), forMs: fc.nat(8_000) }),
  fc.record({ type: fc.constant('run' as const), ms: fc.nat(4_000) }),
  fc.record({ type: fc.constant('killControl' as const), ms: fc.nat(4_000) }),
  fc.record({ type: fc.constant('pauseControl' as const), ms: fc.nat(4_000), forMs: fc.nat(8_000) }),
)
type Upset = typeof upset extends fc.Arbitrary<infer T> ? T : never

type Disturb<T extends Upset['type']> = (fleet: Fleet, event: Extract<Upset, { type: T }>) => void

const disturbances: { readonly [T in Upset['type']]: Disturb<T> } = {
  join: (fleet) => void (fleet.living().length < 8 && fleet.addWorker()),
  kill: (fleet, { which }) => withWorker(fleet, which, (worker) => (worker.alive = false)),
  pause: (fleet, { which, forMs }) =>
    withWorker(fleet, which, (worker) => (worker.pausedUntilMs = fleet.nowMs + forMs)),
  drain: (fleet, { which }) => withWorker(fleet, which, (worker) => (worker.state = 'draining')),
  outage: (fleet, { forMs }) => {
    fleet.storeUp = false
    fleet.run(forMs)
    fleet.storeUp = true
  },
  run: (fleet) => void (fleet.serverRun += '+'),
  killControl: (fleet) => {
    const leader = fleet.leader()
    if (leader !== undefined) leader.alive = false
    fleet.addControl()
  },
  pauseControl: (fleet, { forMs }) => {
    const leader = fleet.leader()
    if (leader !== undefined) leader.pausedUntilMs = fleet.nowMs + forMs
  },
}

function withWorker(fleet: Fleet, which: number, change: (worker: Worker) => void): void {
  const living = fleet.living()
  const worker = living[which % Math.max(1, living.length)]
  if (worker !== undefined) change(worker)
}

function disturb<T extends Upset['type']>(fleet: Fleet, event: Extract<Upset, { type: T }>): void {
  const change: Disturb<T> = disturbances[event.type]
  change(fleet, event)
  fleet.run(event.ms)
}

test('[CT13] whatever joins, dies, pauses or goes away: in the end every slot is served, and epochs only grow', () => {
  fc.assert(
    fc.property(fc.array(upset, { maxLength: 25 }), (events) => {
      const fleet = new Fleet(16, 2)
      fleet.addWorker()
      fleet.addWorker()
      for (const event of events) disturb(fleet, event)
      fleet.addWorker()
      fleet.run(9_000)
      expect(
        fleet.run(20_000, () => fleet.served()),
        'served in the end',
      ).toBe(true)
      fleet.run(240_000)
      const { publishes } = fleet
      fleet.run(10_000)
      expect(fleet.publishes, 'at rest in the end').toBe(publishes)
    }),
    { numRuns: 60 },
  )
}, 30_000)

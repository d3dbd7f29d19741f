import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isLeading, startControl, stepControl } from './control.ts'
import type { ControlEffect, ControlInput, ControlState } from './control.ts'
import type { NumberedMove } from './control-plan.ts'
import { workerDeadMs, workerHeartbeatMs } from './limits.ts'
import type { Member, Plan } from './plan.ts'

/** A fleet without processes: a store that can go away, workers that claim under fences, and several controls. */
const stepMs = 50

interface Worker {
  readonly boot: string
  alive: boolean
  pausedUntilMs: number
  state: 'live' | 'draining'
  beat: number
  beatAtMs: number
  /** Since when it did not beat although the store was there; what an orphan move must be explained by. */
  lastBeatMs: number
  readonly owned: Map<number, number>
}
interface Control {
  readonly boot: string
  alive: boolean
  pausedUntilMs: number
  tickAtMs: number
  state: ControlState
  answers: { atMs: number; input: ControlInput }[]
}

class Fleet {
  nowMs = 0
  storeUp = true
  storeUpSinceMs = 0
  plan: Plan | null = null
  counter = 0
  run = 'run-1'
  lease: { boot: string; untilMs: number } | null = null
  readonly slots: number
  readonly members = new Map<string, Member>()
  readonly workers = new Map<string, Worker>()
  readonly fences = new Map<number, { epoch: number; owner: string }>()
  readonly controls: Control[] = []
  readonly moves: NumberedMove[] = []
  readonly removed: string[] = []
  /** Highest epoch ever published per slot. */
  readonly published = new Map<number, number>()
  publishes = 0
  private boots = 0

  constructor(slots: number, controls: number) {
    this.slots = slots
    for (let i = 0; i < controls; i += 1) this.addControl()
  }

  addControl(): void {
    const boot = `control-${this.controls.length}#b${(this.boots += 1)}`
    const fresh = { boot, alive: true, pausedUntilMs: 0, state: startControl(this.slots), answers: [] }
    this.controls.push({ ...fresh, tickAtMs: this.nowMs + 10 * this.controls.length })
  }

  addWorker(): Worker {
    const boot = `shard-${this.workers.size}#b${(this.boots += 1)}`
    const life = { alive: true, pausedUntilMs: 0, state: 'live', beat: 0, owned: new Map<number, number>() } as const
    const worker: Worker = { boot, ...life, beatAtMs: this.nowMs, lastBeatMs: this.nowMs }
    this.workers.set(boot, worker)
    return worker
  }

  living(): Worker[] {
    return [...this.workers.values()].filter((worker) => worker.alive)
  }

  run_(ms: number, until: () => boolean = () => false): boolean {
    const endMs = this.nowMs + ms
    while (this.nowMs < endMs) {
      if (until()) return true
      this.nowMs += stepMs
      for (const worker of this.workers.values()) this.work(worker)
      for (const control of this.controls) this.control(control)
    }
    return until()
  }

  private work(worker: Worker): void {
    if (!worker.alive || worker.pausedUntilMs > this.nowMs || worker.beatAtMs > this.nowMs) return
    worker.beatAtMs = this.nowMs + workerHeartbeatMs
    if (!this.storeUp) return
    worker.beat += 1
    worker.lastBeatMs = this.nowMs
    this.members.set(worker.boot, this.memberOf(worker))
    this.plan?.slots.forEach((assignment, slot) => this.follow(worker, slot, assignment))
  }

  private memberOf(worker: Worker): Member {
    const { boot, state, beat } = worker
    const owned = Object.fromEntries(worker.owned)
    return { boot, role: 'shard', state, beat, owned, startedAtMs: 0, version: '0.1.0' }
  }

  /** Claims what the plan assigns, and lets go of what it gives to others. A refused claim asks for a new epoch. */
  private follow(worker: Worker, slot: number, assignment: Plan['slots'][number]): void {
    const mine = assignment?.worker === worker.boot
    if (!mine || assignment === null) {
      worker.owned.delete(slot)
      return
    }
    const fence = this.fences.get(slot) ?? { epoch: 0, owner: '' }
    const taken = assignment.epoch > fence.epoch || (assignment.epoch === fence.epoch && fence.owner === worker.boot)
    if (taken) this.fences.set(slot, { epoch: assignment.epoch, owner: worker.boot })
    worker.owned.set(slot, taken ? assignment.epoch : 0)
  }

  private control(control: Control): void {
    if (!control.alive || control.pausedUntilMs > this.nowMs) return
    const due = control.answers.filter(({ atMs }) => atMs <= this.nowMs)
    control.answers = control.answers.filter(({ atMs }) => atMs > this.nowMs)
    for (const { input } of due) this.feed(control, input)
    if (control.tickAtMs > this.nowMs) return
    control.tickAtMs = this.nowMs + 250
    this.feed(control, { type: 'tick' })
  }

  feed(control: Control, input: ControlInput): void {
    const { state, effects } = stepControl(control.state, input, this.nowMs)
    control.state = state
    for (const effect of effects) {
      const answer = this.storeUp ? this.execute(control, effect) : fail(effect)
      if (answer !== undefined) control.answers.push({ atMs: this.nowMs + stepMs, input: answer })
    }
  }

  private execute(control: Control, effect: ControlEffect): ControlInput | undefined {
    switch (effect.type) {
      case 'lead': {
        const free = this.lease === null || this.lease.untilMs <= this.nowMs || this.lease.boot === control.boot
        if (free) this.lease = { boot: control.boot, untilMs: this.nowMs + effect.ttlMs }
        return { type: 'led', leading: free }
      }
      case 'read':
        return { type: 'observed', members: [...this.members.values()], plan: this.plan, runs: [this.run] }
      case 'issueEpochs': {
        const first = Math.max(this.counter, effect.above) + 1
        this.counter = first + effect.count - 1
        return { type: 'epochs', first, count: effect.count }
      }
      case 'publish': {
        const holds = this.lease?.boot === control.boot && this.lease.untilMs > this.nowMs
        const ok = holds && effect.plan.version > (this.plan?.version ?? 0)
        if (ok) this.write(effect.plan, effect.moves)
        return { type: 'published', ok }
      }
      case 'remove':
        this.members.delete(effect.boot)
        this.removed.push(effect.boot)
        return undefined
    }
  }

  private write(plan: Plan, moves: readonly NumberedMove[]): void {
    for (const move of moves) this.checkMove(move)
    plan.slots.forEach((assignment, slot) => {
      const before = this.plan?.slots[slot] ?? null
      if (assignment === null) return expect(before).toBeNull()
      if (assignment.worker === before?.worker && assignment.epoch === before.epoch) return undefined
      expect(assignment.epoch, `epoch of slot ${slot}`).toBeGreaterThan(this.published.get(slot) ?? 0)
      this.published.set(slot, assignment.epoch)
      return undefined
    })
    this.moves.push(...moves)
    this.plan = plan
    this.publishes += 1
  }

  /** Nobody is taken for dead who could beat, and nobody for the time in which the store was away. */
  private checkMove(move: NumberedMove): void {
    const from = this.workers.get(move.from ?? '')
    if (move.reason === 'orphan' && from !== undefined) {
      const silentMs = this.nowMs - Math.max(from.lastBeatMs, this.storeUpSinceMs)
      expect(silentMs, `${move.from} taken for dead`).toBeGreaterThan(workerDeadMs - workerHeartbeatMs)
    }
    if (move.reason === 'drain') expect(from?.state).toBe('draining')
    expect(this.members.has(move.to), `${move.to} is a member`).toBe(true)
  }

  /** Every slot is owned by a living worker at the epoch of the plan. */
  served(): boolean {
    if (this.plan === null) return false
    return this.plan.slots.every((assignment, slot) => {
      const worker = this.workers.get(assignment?.worker ?? '')
      return worker !== undefined && worker.alive && worker.owned.get(slot) === assignment?.epoch
    })
  }

  counts(): number[] {
    return this.living().map(({ boot }) => this.plan?.slots.filter((assignment) => assignment?.worker === boot).length ?? 0)
  }
}

function fail(effect: ControlEffect): ControlInput | undefined {
  switch (effect.type) {
    case 'lead':
      return { type: 'leadFailed' }
    case 'read':
      return { type: 'readFailed' }
    case 'issueEpochs':
      return { type: 'epochsFailed' }
    case 'publish':
      return { type: 'publishFailed' }
    case 'remove':
      return undefined
  }
}

function fleetOf(slots: number, workers: number, controls = 1): Fleet {
  const fleet = new Fleet(slots, controls)
  for (let i = 0; i < workers; i += 1) fleet.addWorker()
  return fleet
}

test('[CT12] the first workers share the slots, and then nothing moves without need', () => {
  const fleet = fleetOf(32, 3)
  expect(fleet.run_(5_000, () => fleet.served())).toBe(true)
  fleet.run_(20_000)
  const { publishes } = fleet
  fleet.run_(60_000)
  expect(fleet.publishes).toBe(publishes)
  expect(Math.max(...fleet.counts()) - Math.min(...fleet.counts())).toBeLessThanOrEqual(2)
})

test('[CT2] a killed worker is dead after the time, its slots go to all survivors at once, and its record goes', () => {
  const fleet = fleetOf(32, 4)
  fleet.run_(30_000)
  const [victim] = fleet.living()
  if (victim === undefined) throw new Error('no worker')
  const before = fleet.moves.length
  victim.alive = false
  const atMs = fleet.nowMs
  expect(fleet.run_(10_000, () => fleet.served())).toBe(true)
  expect(fleet.nowMs - atMs).toBeLessThanOrEqual(5_000)
  const orphans = fleet.moves.slice(before).filter(({ reason }) => reason === 'orphan')
  expect(orphans.every(({ from }) => from === victim.boot)).toBe(true)
  expect(new Set(orphans.map(({ to }) => to)).size).toBe(3)
  fleet.run_(1_000)
  expect(fleet.removed).toContain(victim.boot)
})

test('[CT3] nobody is dead because the store was away, but who stays away is', () => {
  const fleet = fleetOf(32, 3)
  fleet.run_(30_000)
  const moves = fleet.moves.length
  fleet.storeUp = false
  fleet.run_(20_000)
  const [victim] = fleet.living()
  if (victim === undefined) throw new Error('no worker')
  victim.alive = false
  fleet.storeUp = true
  fleet.storeUpSinceMs = fleet.nowMs
  fleet.run_(workerDeadMs)
  expect(fleet.moves.length).toBe(moves)
  expect(fleet.run_(2_500, () => fleet.served())).toBe(true)
  expect(fleet.moves.slice(moves).every(({ from }) => from === victim.boot)).toBe(true)
})

test('[CT8] the leader dies and another goes on with the same plan', () => {
  const fleet = new Fleet(32, 2)
  fleet.addWorker()
  const second = fleet.addWorker()
  fleet.run_(30_000)
  const leader = fleet.controls.find((control) => isLeading(control.state, fleet.nowMs))
  const moves = fleet.moves.length
  if (leader === undefined) throw new Error('no leader')
  leader.alive = false
  fleet.run_(5_000)
  expect(fleet.controls.filter((control) => control.alive && isLeading(control.state, fleet.nowMs))).toHaveLength(1)
  expect(fleet.moves.length).toBe(moves)
  second.alive = false
  expect(fleet.run_(6_000, () => fleet.served())).toBe(true)
})

test('[CT7] control keeps its plan over a store that lost it, and a new control takes it from what workers report', () => {
  const fleet = fleetOf(16, 2)
  fleet.run_(30_000)
  const owners = fleet.plan?.slots.map((assignment) => assignment?.worker)
  const moves = fleet.moves.length
  const version = fleet.plan?.version ?? 0
  fleet.plan = null
  fleet.counter = 0
  fleet.members.clear()
  fleet.run = 'run-2'
  expect(fleet.run_(3_000, () => fleet.plan !== null)).toBe(true)
  expect(fleet.plan?.version).toBeGreaterThan(version)
  expect(fleet.plan?.runs).toEqual(['run-2'])
  fleet.run_(10_000)
  expect(fleet.moves.length).toBe(moves)
  for (const control of fleet.controls) control.alive = false
  fleet.plan = null
  fleet.addControl()
  expect(fleet.run_(10_000, () => fleet.plan !== null && fleet.served())).toBe(true)
  expect(fleet.plan?.slots.map((assignment) => assignment?.worker)).toEqual(owners)
})

test('[CT6] a refused claim gets a new epoch for the same worker', () => {
  const fleet = fleetOf(8, 1)
  fleet.run_(10_000)
  const worker = fleet.living()[0]
  if (worker === undefined) throw new Error('no worker')
  fleet.fences.set(3, { epoch: 500, owner: 'shard-9#gone' })
  worker.owned.set(3, 0)
  expect(fleet.run_(6_000, () => (fleet.plan?.slots[3]?.epoch ?? 0) > 8)).toBe(true)
  expect(fleet.moves.at(-1)).toMatchObject({ slot: 3, to: worker.boot, reason: 'reclaim' })
})

test('[CT10] rolling all workers one by one moves each slot once', () => {
  const fleet = fleetOf(64, 4)
  fleet.run_(60_000)
  const before = fleet.moves.length
  for (const old of fleet.living()) {
    fleet.addWorker()
    fleet.run_(1_500)
    old.state = 'draining'
    const emptied = (): boolean => fleet.served() && !fleet.plan?.slots.some((assignment) => assignment?.worker === old.boot)
    expect(fleet.run_(60_000, emptied)).toBe(true)
    old.alive = false
    fleet.members.delete(old.boot)
    fleet.run_(1_500)
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

function disturb(fleet: Fleet, event: Upset): void {
  const living = fleet.living()
  const worker = 'which' in event ? living[event.which % Math.max(1, living.length)] : undefined
  const leader = fleet.controls.find((control) => control.alive && isLeading(control.state, fleet.nowMs))
  switch (event.type) {
    case 'join':
      if (living.length < 8) fleet.addWorker()
      break
    case 'kill':
      if (worker !== undefined) worker.alive = false
      break
    case 'pause':
      if (worker !== undefined) worker.pausedUntilMs = fleet.nowMs + event.forMs
      break
    case 'drain':
      if (worker !== undefined) worker.state = 'draining'
      break
    case 'outage':
      fleet.storeUp = false
      fleet.run_(event.forMs)
      fleet.storeUp = true
      fleet.storeUpSinceMs = fleet.nowMs
      break
    case 'run':
      fleet.run += '+'
      break
    case 'killControl':
      if (leader !== undefined) leader.alive = false
      fleet.addControl()
      break
    case 'pauseControl':
      if (leader !== undefined) leader.pausedUntilMs = fleet.nowMs + event.forMs
      break
  }
  fleet.run_(event.ms)
}

test('[CT13] whatever joins, dies, pauses or goes away: in the end every slot is served, and epochs only grow', () => {
  fc.assert(
    fc.property(fc.array(upset, { maxLength: 25 }), (events) => {
      const fleet = new Fleet(16, 2)
      fleet.addWorker()
      fleet.addWorker()
      for (const event of events) disturb(fleet, event)
      fleet.addWorker()
      fleet.run_(9_000)
      expect(fleet.run_(20_000, () => fleet.served()), 'served in the end').toBe(true)
      fleet.run_(90_000)
      const { publishes } = fleet
      fleet.run_(10_000)
      expect(fleet.publishes, 'at rest in the end').toBe(publishes)
    }),
    { numRuns: 200 },
  )
})

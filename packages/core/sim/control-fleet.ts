import { expect } from 'vitest'
import { isLeading, startControl, stepControl } from '../src/control.ts'
import type { ControlEffect, ControlInput, ControlState } from '../src/control.ts'
import type { Move, NumberedMove } from '../src/control-plan.ts'
import { workerDeadMs, workerHeartbeatMs } from '../src/limits.ts'
import type { Assignment, Member, Plan } from '../src/plan.ts'

/** A fleet without processes: a store that can go away, workers that claim under fences, and several controls. */
const stepMs = 50

export interface Worker {
  readonly boot: string
  alive: boolean
  pausedUntilMs: number
  state: 'live' | 'draining'
  beat: number
  beatAtMs: number
  /** `upMs` of the store at its last beat: what an orphan move must be explained by. */
  lastBeatUpMs: number
  readonly owned: Map<number, number>
}
interface Control {
  readonly boot: string
  alive: boolean
  pausedUntilMs: number
  tickAtMs: number
  state: ControlState
  answers: { atMs: number; input: ControlInput }[]
  /** Of each worker at the last read: for how long it had been silent while the store was there. */
  silences: Map<string, number>
}

export class Fleet {
  nowMs = 0
  storeUp = true
  /** How long the store was there, in all. */
  upMs = 0
  plan: Plan | null = null
  counter = 0
  serverRun = 'run-1'
  lease: { boot: string; untilMs: number } | null = null
  readonly slots: number
  readonly members = new Map<string, Member>()
  readonly workers = new Map<string, Worker>()
  readonly fences = new Map<number, { epoch: number; owner: string }>()
  readonly controls: Control[] = []
  readonly moves: NumberedMove[] = []
  readonly removed: string[] = []
  /** The assignment of the highest epoch ever published, per slot. */
  readonly published = new Map<number, Assignment>()
  publishes = 0
  private boots = 0

  constructor(slots: number, controls: number) {
    this.slots = slots
    for (let i = 0; i < controls; i += 1) this.addControl()
  }

  addControl(): void {
    const boot = `control-${this.controls.length}#b${(this.boots += 1)}`
    const fresh = {
      boot,
      alive: true,
      pausedUntilMs: 0,
      state: startControl(this.slots),
      answers: [],
      silences: new Map(),
    }
    this.controls.push({ ...fresh, tickAtMs: this.nowMs + 10 * this.controls.length })
  }

  addWorker(): Worker {
    const boot = `shard-${this.workers.size}#b${(this.boots += 1)}`
    const life = { alive: true, pausedUntilMs: 0, state: 'live', beat: 0, owned: new Map<number, number>() } as const
    const worker: Worker = { boot, ...life, beatAtMs: this.nowMs, lastBeatUpMs: this.upMs }
    this.workers.set(boot, worker)
    return worker
  }

  /** The store loses all it has, and everything is asked of another server from now on. */
  flush(): void {
    this.plan = null
    this.counter = 0
    this.lease = null
    this.members.clear()
    this.fences.clear()
    this.serverRun += '+'
  }

  leader(): Control | undefined {
    return this.controls.find((control) => control.alive && isLeading(control.state, this.nowMs))
  }

  living(): Worker[] {
    return [...this.workers.values()].filter((worker) => worker.alive)
  }

  run(ms: number, until: () => boolean = () => false): boolean {
    const endMs = this.nowMs + ms
    while (this.nowMs < endMs) {
      if (until()) return true
      this.nowMs += stepMs
      if (this.storeUp) this.upMs += stepMs
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
    worker.lastBeatUpMs = this.upMs
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
    if (input.type === 'observed' && state.phase.type === 'numbering') this.checkMoves(control, state.phase.moves)
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
        control.silences = new Map([...this.workers.values()].map((worker) => [worker.boot, this.silenceOf(worker)]))
        return { type: 'observed', members: [...this.members.values()], plan: this.plan, runs: [this.serverRun] }
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

  /** One that was declared dead and has not registered again since counts as silent, whatever it does. */
  private silenceOf(worker: Worker): number {
    return this.members.has(worker.boot) ? this.upMs - worker.lastBeatUpMs : Infinity
  }

  private write(plan: Plan, moves: readonly NumberedMove[]): void {
    plan.slots.forEach((assignment, slot) => {
      const before = this.plan?.slots[slot] ?? null
      if (assignment === null) return expect(before).toBeNull()
      const last = this.published.get(slot)
      if (assignment.worker === last?.worker && assignment.epoch === last.epoch) return undefined
      expect(assignment.epoch, `epoch of slot ${slot}`).toBeGreaterThan(last?.epoch ?? 0)
      this.published.set(slot, assignment)
      return undefined
    })
    this.moves.push(...moves)
    this.plan = plan
    this.publishes += 1
  }

  /** Nobody is taken for dead who could beat, and nobody for the time in which the store was away. */
  private checkMoves(control: Control, moves: readonly Move[]): void {
    for (const { from, to, reason } of moves) {
      const silentMs = control.silences.get(from ?? '') ?? Infinity
      if (reason === 'orphan')
        expect(silentMs, `${from} taken for dead`).toBeGreaterThan(workerDeadMs - workerHeartbeatMs)
      if (reason === 'drain') expect(this.workers.get(from ?? '')?.state).toBe('draining')
      expect(control.silences.has(to), `${to} is a worker`).toBe(true)
    }
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
    return this.living().map(
      ({ boot }) => this.plan?.slots.filter((assignment) => assignment?.worker === boot).length ?? 0,
    )
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

export function fleetOf(slots: number, workers: number, controls = 1): Fleet {
  const fleet = new Fleet(slots, controls)
  for (let i = 0; i < workers; i += 1) fleet.addWorker()
  return fleet
}

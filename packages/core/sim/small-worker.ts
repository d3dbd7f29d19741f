import { KeyWindow } from '../src/key-window.ts'
import { ownedEpochs, stepLane } from '../src/lane.ts'
import { createLane } from '../src/lane-state.ts'
import type { LaneEffect, LaneInput, LaneState, MaintenanceWork } from '../src/lane-state.ts'
import type { CallEffect } from './small-calls.ts'
import type { NumberedPlan } from './small-control.ts'
import { copyOf, Machine, Memo, Parts, textOf } from './small-parts.ts'
import { wallMs } from './small-store.ts'
import type { SmallStore } from './small-store.ts'
import { holdsTail } from './small-tail.ts'

/** Calls that a worker makes while everything comes to its turn, at the most. */
const maxCalls = 20

/** What a worker asked the store, in order, by the numbers of call and reply. */
interface Call {
  readonly call: number
  /** Undefined: not executed yet. */
  readonly reply: number | 'failed' | undefined
}
interface Standing {
  readonly boot: string
  readonly alive: boolean
  readonly lane: number
  readonly calls: readonly Call[]
  readonly reading: { readonly cursor: string; readonly read: number } | undefined
  /** It has the newest plan. */
  readonly told: boolean
}
/** A worker, and what others see of it. */
export interface Worker extends Standing {
  /** What control hears from it: its heartbeat's number for the slot. Undefined: nothing. */
  readonly owned: number | undefined
  readonly claims: boolean
  /** Of the two. */
  readonly report: number
  readonly mode: LaneState['mode']['type']
  /** A call waits to be executed; the oldest has its reply, which can still be lost. */
  readonly executes: boolean
  readonly answers: boolean
  readonly loses: boolean
}
interface SmallWorkersOptions {
  readonly room: string
  /** The publish keys that there can be in it. */
  readonly keys: readonly string[]
  /** Control does not wait until all have heard of the last plan. */
  readonly hasty: boolean
  /** Servers come back undemoted: then one claim may have been taken by two of them, and is dropped. */
  readonly undemoted: boolean
}
/** What a step of a worker leads to. */
export interface Turn {
  readonly worker: number
  readonly store: number
  readonly faults: readonly string[]
}
/** One that does not depend on the store. */
interface LaneTurn {
  readonly worker: number
  readonly work: readonly MaintenanceWork[]
  readonly faults: readonly string[]
}
interface Step {
  readonly input: LaneInput
  readonly name: string
  readonly now: number
}

/** What was computed for one time. */
const createMemos = () => ({
  answers: new Memo<LaneTurn>(),
  plans: new Memo<LaneTurn>(),
  runs: new Memo<LaneTurn>(),
  reads: new Memo<LaneTurn>(),
  ticks: new Memo<LaneTurn>(),
  rounds: [] as (Memo<Turn> | undefined)[],
})

/** The states that workers come to: the real reducer, in a shell whose steps are taken one by one. */
export class SmallWorkers {
  readonly #store: SmallStore
  readonly #hasty: boolean
  readonly #undemoted: boolean
  readonly #lanes: Machine<LaneState, LaneEffect>
  readonly #workers = new Parts<Worker>()
  readonly #calls = new Parts<CallEffect>()
  readonly #replies = new Parts<LaneInput>()
  readonly #runs = new Parts<string>()
  readonly #reports = new Parts<string>()
  readonly #executed = new Memo<Turn>()
  readonly #untold = new Memo<number>()
  readonly #failed = new Memo<number>()
  readonly #crashed = new Memo<number>()
  readonly #memos = new Map<number, ReturnType<typeof createMemos>>()

  constructor(store: SmallStore, { room, keys, hasty, undemoted }: SmallWorkersOptions) {
    this.#store = store
    this.#hasty = hasty
    this.#undemoted = undemoted
    this.#lanes = new Machine<LaneState, LaneEffect>({
      copy: (lane) => copyLane(lane, room, keys),
      text: (lane) => textOf([lane, Array.from(lane.slots.values(), (own) => seqsOf(own.keys, room, keys))]),
    })
  }

  /** One that knows who is alive, and nothing else. */
  create(boot: string, alive: ReadonlySet<string>, now: number): number {
    const lane = this.#lanes.number(createLane(0, 1, boot))
    const standing = { boot, alive: true, lane, calls: [], reading: undefined, told: true }
    return this.#step(standing, { input: { type: 'members', alive }, name: 'members', now }).worker
  }

  at(worker: number): Worker {
    return this.#workers.at(worker)
  }

  crash(worker: number): number {
    return this.#crashed.get(worker, 0, () =>
      this.#number({ ...this.at(worker), alive: false, calls: [], reading: undefined, told: true }),
    )
  }

  /** There is a newer plan. */
  untold(worker: number): number {
    const { alive } = this.at(worker)
    return alive ? this.#untold.get(worker, 0, () => this.#number({ ...this.at(worker), told: false })) : worker
  }

  /** The server of its calls is gone. */
  failAll(worker: number): number {
    return this.#fail(worker, Infinity)
  }

  /** The reply to the oldest call is lost. */
  loseReply(worker: number): number {
    return this.#fail(worker, 1)
  }

  execute(worker: number, store: number): Turn {
    return this.#executed.get(worker, store, () => {
      const it = this.at(worker)
      const at = it.calls.findIndex(({ reply }) => reply === undefined)
      const call = it.calls[at]?.call
      if (call === undefined) return { worker, store, faults: [] }
      const effect = this.#calls.at(call)
      const { reply, store: next, faults } = this.#store.call(store, call, effect)
      const answered = { call, reply: this.#replies.number(textOf(reply), reply) }
      // A claim is not made anew for what was stored while it was under way: by a server that went back, or by a claim of one who was not told.
      const isFresh = !this.#hasty && effect.type === 'claim' && effect.claim.holdsAfter === undefined
      const gaveUp = isFresh && this.#store.gaveUp(store, next)
      const isNeedless = gaveUp && holdsTail(this.#lanes.at(it.lane), this.#store.value(store))
      const needless = isNeedless ? [`needless: ${it.boot} gave continuity up, and had it all`] : []
      const asked = this.#number({ ...it, calls: it.calls.with(at, answered) })
      return { worker: asked, store: next, faults: [...faults, ...needless] }
    })
  }

  answer(worker: number, now: number): LaneTurn {
    return this.#at(now).answers.get(worker, 0, () => {
      const it = this.at(worker)
      const [head, ...calls] = it.calls
      if (head?.reply === undefined) return { worker, work: [], faults: [] }
      const rest = { ...it, calls }
      if (head.reply !== 'failed')
        return this.#step(rest, { input: this.#replies.at(head.reply), name: `reply ${head.reply}`, now })
      const effect = this.#calls.at(head.call)
      if (effect.type === 'commit' || effect.type === 'vouch')
        return this.#step(rest, { input: { type: 'commitFailed', id: effect.id }, name: `failed ${effect.id}`, now })
      // The shell asks again, unless nobody waits for it any more.
      const waits = effect.type !== 'claim' || isSame(this.#lanes.at(it.lane).claiming.get(0), effect.claim)
      const again = waits ? [...calls, { call: head.call, reply: undefined }] : calls
      return { worker: this.#number({ ...it, calls: again }), work: [], faults: [] }
    })
  }

  plan(worker: number, { number, plan }: NumberedPlan, now: number): LaneTurn {
    return this.#at(now).plans.get(worker, number, () =>
      this.#step({ ...this.at(worker), told: true }, { input: { type: 'plan', plan }, name: `plan ${number}`, now }),
    )
  }

  run(worker: number, store: number, now: number): LaneTurn {
    const { run } = this.#store.at(store)
    return this.#at(now).runs.get(worker, this.#runs.number(run, run), () =>
      this.#step(this.at(worker), { input: { type: 'run', run }, name: `run ${run}`, now }),
    )
  }

  /** Whatever input there is; the same worker where there is none. */
  read(worker: number, store: number, now: number): LaneTurn {
    return this.#at(now).reads.get(worker, store, () => {
      const it = this.at(worker)
      const { reading } = it
      const cursors = new Map(reading === undefined ? [] : [[0, reading.cursor]])
      const entries = this.#store.at(store).read(0, cursors, 10).get(0)
      const last = entries?.at(-1)
      if (reading === undefined || entries === undefined || last === undefined) return { worker, work: [], faults: [] }
      const reads = [{ slot: 0, read: reading.read, entries }]
      const next = { ...it, reading: { ...reading, cursor: last.id } }
      return this.#step(next, { input: { type: 'entries', reads }, name: `entries ${textOf(reads)}`, now })
    })
  }

  /** The plan and the run are told again, time has passed, and all its calls are answered. */
  round(worker: number, store: number, { plan, now }: { readonly plan: NumberedPlan; readonly now: number }): Turn {
    const known = (this.#at(now).rounds[plan.number] ??= new Memo())
    return known.get(worker, store, () => {
      const turns = [
        (at: Turn) => this.run(at.worker, at.store, now),
        (at: Turn) => this.plan(at.worker, plan, now),
        (at: Turn) => this.#tick(at.worker, now),
        (at: Turn) => this.read(at.worker, at.store, now),
      ]
      let at: Turn = { worker, store, faults: [] }
      for (const turn of turns) {
        at = this.#after(at, turn(at))
        for (let n = 0; n < maxCalls && this.at(at.worker).calls.length > 0; n += 1) {
          const executed = this.execute(at.worker, at.store)
          at = { ...executed, faults: [...at.faults, ...executed.faults] }
          at = this.#after(at, this.answer(at.worker, now))
        }
      }
      return at
    })
  }

  #tick(worker: number, now: number): LaneTurn {
    const { ticks } = this.#at(now)
    return ticks.get(worker, 0, () => this.#step(this.at(worker), { input: { type: 'tick' }, name: 'tick', now }))
  }

  #after({ store, faults }: Turn, turn: LaneTurn): Turn {
    const maintained = turn.work.length === 0 ? store : this.#store.maintain(store, turn.work)
    return { worker: turn.worker, store: maintained, faults: [...faults, ...turn.faults] }
  }

  #fail(worker: number, count: number): number {
    return this.#failed.get(worker, count === 1 ? 1 : 0, () => {
      const it = this.at(worker)
      const calls = it.calls.map((each, i) => (i < count ? { ...each, reply: 'failed' as const } : each))
      return this.#number({ ...it, calls })
    })
  }

  #at(now: number): ReturnType<typeof createMemos> {
    let memos = this.#memos.get(now)
    if (memos === undefined) this.#memos.set(now, (memos = createMemos()))
    return memos
  }

  #step(it: Standing, { input, name, now }: Step): LaneTurn {
    const { next, effects } = this.#lanes.step(it.lane, `${now} ${name}`, (lane) =>
      stepLane(lane, ownCopyOf(lane, input), { now, wallMs }),
    )
    const calls = [...it.calls]
    const work: MaintenanceWork[] = []
    const faults: string[] = []
    let { reading } = it
    for (const effect of effects) {
      switch (effect.type) {
        case 'read':
          reading = { cursor: effect.cursor, read: effect.read }
          break
        case 'release':
          reading = undefined
          if (effect.reason === 'conflict' && !this.#undemoted) faults.push('conflict: a commit met another one')
          break
        case 'maintain':
          work.push(...effect.work)
          break
        case 'members':
        case 'report':
          break
        case 'deadLetter':
          faults.push('poison: an entry cannot be decoded')
          break
        default:
          calls.push({ call: this.#calls.number(textOf(effect), effect), reply: undefined })
      }
    }
    return { worker: this.#number({ ...it, lane: next, calls, reading }), work, faults }
  }

  #number({ boot, alive, lane, calls, reading, told }: Standing): number {
    const at = `${reading?.cursor} ${reading?.read} ${calls.map(({ call, reply }) => `${call}:${reply}`).join()}`
    const state = this.#lanes.at(lane)
    const owned = alive ? ownedEpochs(state).get(0) : undefined
    const claims = alive && state.claiming.size > 0
    const [head] = calls
    // Of one that is dead nothing counts but that it is.
    return this.#workers.number(alive ? `${boot} ${lane} ${told} ${at}` : boot, {
      ...{ boot, alive, lane, calls, reading, told },
      ...{ owned, claims, report: this.#reports.number(`${owned} ${claims}`, boot) },
      mode: state.mode.type,
      executes: calls.some(({ reply }) => reply === undefined),
      answers: head?.reply !== undefined,
      loses: head?.reply !== undefined && head.reply !== 'failed',
    })
  }
}

/** A lane knows its claim by identity, and a copy of it has a copy of the claim. */
function ownCopyOf(lane: LaneState, input: LaneInput): LaneInput {
  if (input.type !== 'claimed') return input
  const claim = lane.claiming.get(input.claim.slot)
  return claim !== undefined && isSame(claim, input.claim) ? { ...input, claim } : input
}

const isSame = (a: unknown, b: unknown): boolean => textOf([a]) === textOf([b])

function copyLane(lane: LaneState, room: string, keys: readonly string[]): LaneState {
  const budget = { ...lane.keyBudget, used: 0 }
  const seen = new Map<unknown, unknown>([[lane.keyBudget, budget]])
  for (const own of lane.slots.values()) {
    // A window cannot be copied: it is filled anew with the keys that it knows.
    const to = new KeyWindow(lane.seed, budget)
    const seqs = seqsOf(own.keys, room, keys)
    for (const seq of seqs.filter((each) => each > 0).toSorted((a, b) => a - b)) {
      const key = keys[seqs.indexOf(seq)] ?? ''
      to.find(to.hash(room), key, key.length)
      to.add(seq, lane.keysNow)
    }
    if (to.size !== own.keys.size) throw new Error('a window has keys that nobody published')
    seen.set(own.keys, to)
  }
  return copyOf(lane, seen)
}

/** 0: it does not know the key. */
function seqsOf(window: KeyWindow, room: string, keys: readonly string[]): number[] {
  return keys.map((key) => window.find(window.hash(room), key, key.length) ?? 0)
}

import { parseSlotValue } from '../src/commit.ts'
import { decodeOut } from '../src/entry.ts'
import { ownedEpochs, stepLane } from '../src/lane.ts'
import { createLane } from '../src/lane-state.ts'
import type { LaneInput, LaneState } from '../src/lane-state.ts'
import type { Plan } from '../src/plan.ts'
import { parseEpoch } from '../src/position.ts'
import { createProducer, isIdle, stepProducer } from '../src/producer.ts'
import type { ProducerInput } from '../src/producer-state.ts'
import { StoreModel } from '../src/store-model.ts'
import type { Snapshot } from '../src/store-model.ts'
import { callStore } from './small-calls.ts'
import type { CallEffect, SmallBug } from './small-calls.ts'

/**
 * The small model: one slot, two workers, one edge, and a server that is replaced once by a replica that lacks the tail. The
 * reducers and the store model are the real ones; what may happen next is a set of named actions, so that every order of
 * them can be tried (explore.ts).
 */
const edge = 'edge-1#a'
const room = 'public:a'
/** More than a producer waits before it sends again, and than maintenance waits, ms. */
const roundMs = 1_100
/** Rounds in which everything must come to rest when nothing goes wrong any more. */
const maxRounds = 40

/** What follows from the rest, or is the same for all. */
const hidden: ReadonlySet<string> = new Set(['keys', 'limits', 'entry'])

/** What a worker asked the store, in order; answered with an input of its lane. */
interface Call {
  readonly effect: CallEffect
  /** Undefined: not executed yet. */
  reply: LaneInput | 'failed' | undefined
}
interface Worker {
  readonly boot: string
  readonly lane: LaneState
  readonly calls: Call[]
  reading: { cursor: string; read: number } | undefined
  alive: boolean
  /** Version of the plan, and run, that it was told last. */
  plan: number
  run: string
}

export interface Budget {
  readonly publishes: number
  readonly moves: number
  readonly lostReplies: number
  readonly failOvers: number
  readonly crashes: number
}

export class SmallModel {
  readonly violations: string[] = []
  readonly #bug: SmallBug | undefined
  readonly #store = new StoreModel({ slots: 1, lanes: 1 }, 'run-1')
  readonly #workers: readonly Worker[]
  readonly #producer = createProducer(edge, { used: 0, max: 1_000_000 })
  readonly #acknowledged: { message: string; epoch: string; seq: number }[] = []
  readonly #left: { -readonly [K in keyof Budget]: number }
  #plan: Plan = { version: 0, slots: [null], runs: [] }
  #epoch = 0
  #replica: Snapshot | undefined
  #replicaOf = ''
  #outbox = '0-0'
  #edgeRun = 'run-1'
  #published = 0
  #now = 1_000
  #last: { epoch: number; n: number } | undefined

  constructor(budget: Budget, bug?: SmallBug) {
    this.#bug = bug
    this.#workers = ['w1#a', 'w2#b'].map((boot) => ({
      ...{ boot, lane: createLane(0, 1, boot), calls: [], reading: undefined, alive: true, plan: 0, run: 'run-1' },
    }))
    this.#left = { publishes: 1, moves: 1, lostReplies: 0, failOvers: 0, crashes: 0 }
    this.#store.openOutbox(0, edge)
    for (const worker of this.#workers) this.#step(worker, { type: 'members', alive: new Set([edge]) })
    // The first worker serves the slot, one message is acknowledged, and a replica has all of that.
    this.apply('move 0')
    this.apply('publish')
    this.settle()
    this.apply('copy')
    this.#left = { ...budget }
  }

  /** What may happen next. */
  enabled(): string[] {
    const found: string[] = []
    const left = this.#left
    if (left.publishes > 0) found.push('publish')
    if (left.failOvers > 0 && this.#replica !== undefined) found.push('fail-over')
    if (this.#replicaOf !== this.#written() && left.failOvers > 0) found.push('copy')
    if (this.#looked() !== undefined) found.push('look')
    if (this.#toRead()) found.push('outbox')
    this.#workers.forEach((worker, i) => {
      for (const what of worker.alive ? this.#enabledFor(worker) : []) found.push(`${what} ${i}`)
    })
    return found
  }

  #enabledFor(worker: Worker): string[] {
    const left = this.#left
    const [head] = worker.calls
    const found: string[] = []
    if (left.moves > 0 && this.#plan.slots[0]?.worker !== worker.boot) found.push('move')
    if (left.crashes > 0) found.push('crash')
    if (worker.calls.some(({ reply }) => reply === undefined)) found.push('execute')
    if (head?.reply !== undefined) found.push('answer')
    if (head?.reply !== undefined && head.reply !== 'failed' && left.lostReplies > 0) found.push('lose')
    if (worker.plan < this.#plan.version) found.push('plan')
    if (worker.run !== this.#store.run) found.push('run')
    if (this.#input(worker).length > 0) found.push('read')
    return found
  }

  apply(action: string): void {
    const [what, which] = action.split(' ')
    const worker = this.#workers[Number(which)]
    if (worker !== undefined) return this.#act(what ?? '', worker)
    switch (what) {
      case 'publish':
        return this.#publish()
      case 'fail-over':
        return this.#failOver()
      case 'copy':
        this.#replica = this.#store.snapshot()
        this.#replicaOf = this.#written()
        return
      case 'look':
        return this.#look()
      case 'outbox':
        return this.#readOutbox()
      default:
        throw new Error(`no action ${action}`)
    }
  }

  /** From here on nothing goes wrong and everything comes to its turn: then all must come to rest, whole. */
  settle(): void {
    for (let round = 0; round < maxRounds; round += 1) {
      this.#now += roundMs
      const owner = this.#workers.find(({ boot }) => boot === this.#plan.slots[0]?.worker)
      if (owner?.alive === false) this.#move(this.#workers.find(({ alive }) => alive))
      for (const [i, worker] of this.#workers.entries()) {
        if (!worker.alive) continue
        for (const what of ['run', 'plan', 'tick', 'read']) {
          this.#act(what, worker)
          for (let n = 0; n < 20 && worker.calls.length > 0; n += 1) {
            if (worker.calls.some(({ reply }) => reply === undefined)) this.apply(`execute ${i}`)
            this.apply(`answer ${i}`)
          }
        }
      }
      if (this.#looked() !== undefined) this.#look()
      this.#readOutbox()
      this.#produce({ type: 'tick' })
      if (this.#rests()) return
    }
    this.violations.push('liveness: it does not come to rest')
  }

  /** After `settle`: what was acknowledged is there, or its loss is told; nothing is there twice. */
  check(): void {
    const text = this.#store.values(0, [0]).values.get(0) ?? ''
    const { inc } = parseSlotValue(text)
    const log = this.#store.roomRange(room, 0, 1_000).flatMap((entry) => entry.messages.map((each) => each.key))
    for (const { message, epoch, seq } of this.#acknowledged) {
      if ((parseEpoch(epoch)?.inc ?? 0) < inc) continue
      if (log[seq - 1] !== message)
        this.violations.push(`lost: ${message} was acknowledged at ${epoch}:${seq}, the log has ${log[seq - 1]}`)
    }
    if (new Set(log).size < log.length) this.violations.push(`duplicate: the log has ${log.join(' ')}`)
  }

  /** Two models of the same text behave alike. Time does not pass but in `settle`. */
  text(): string {
    const { lanes, fleet } = this.#store.snapshot()
    return JSON.stringify(
      [
        ...[lanes, fleet, this.#store.run, this.#workers, this.#producer, this.#acknowledged, this.#left, this.#plan],
        ...[this.#epoch, this.#replica?.lanes, this.#outbox, this.#edgeRun, this.#last],
      ],
      (key, value: unknown): unknown => {
        if (value instanceof Map || value instanceof Set) return Array.from<unknown>(value)
        return hidden.has(key) ? undefined : value
      },
    )
  }

  #act(what: string, worker: Worker): void {
    switch (what) {
      case 'move':
        return this.#move(worker)
      case 'crash':
        this.#left.crashes -= 1
        worker.alive = false
        worker.calls.length = 0
        return
      case 'execute': {
        const call = worker.calls.find(({ reply }) => reply === undefined)
        if (call !== undefined) call.reply = this.#execute(call.effect)
        return
      }
      case 'answer':
        return this.#answer(worker)
      case 'lose': {
        this.#left.lostReplies -= 1
        const [head] = worker.calls
        if (head !== undefined) head.reply = 'failed'
        return
      }
      case 'plan':
        worker.plan = this.#plan.version
        return this.#step(worker, { type: 'plan', plan: this.#plan })
      case 'run':
        worker.run = this.#store.run
        return this.#step(worker, { type: 'run', run: worker.run })
      case 'tick':
        return this.#step(worker, { type: 'tick' })
      case 'read': {
        const entries = this.#input(worker)
        if (worker.reading === undefined || entries.length === 0) return
        worker.reading.cursor = entries.at(-1)?.id ?? worker.reading.cursor
        return this.#step(worker, { type: 'entries', reads: [{ slot: 0, read: worker.reading.read, entries }] })
      }
      default:
        throw new Error(`no action ${what}`)
    }
  }

  #step(worker: Worker, input: LaneInput): void {
    for (const effect of stepLane(worker.lane, input, { now: this.#now, wallMs: 1_000 })) {
      switch (effect.type) {
        case 'read':
          worker.reading = { cursor: effect.cursor, read: effect.read }
          break
        case 'release':
          worker.reading = undefined
          if (effect.reason === 'conflict') this.violations.push('conflict: a commit met another one')
          break
        case 'maintain':
          this.#store.maintain(0, effect.work, 1_000)
          break
        case 'members':
        case 'report':
          break
        case 'deadLetter':
          this.violations.push('poison: an entry cannot be decoded')
          break
        default:
          worker.calls.push({ effect, reply: undefined })
      }
    }
  }

  #answer(worker: Worker): void {
    const call = worker.calls.shift()
    if (call?.reply === undefined) return
    if (call.reply !== 'failed') return this.#step(worker, call.reply)
    const { effect } = call
    if (effect.type === 'commit' || effect.type === 'vouch')
      return this.#step(worker, { type: 'commitFailed', id: effect.id })
    // The shell asks again, unless nobody waits for it any more.
    if (effect.type !== 'claim' || worker.lane.claiming.get(0) === effect.claim)
      worker.calls.push({ effect, reply: undefined })
  }

  #execute(effect: CallEffect): LaneInput {
    const store = this.#store
    const before = store.values(0, [0]).values.get(0) ?? ''
    const reply = callStore(store, effect, this.#bug)
    const after = store.values(0, [0]).values.get(0) ?? ''
    if (effect.type !== 'vouch' && after !== before) this.#wrote(parseSlotValue(after))
    return reply
  }

  /** P4: the writes never step back in epoch, nor in n within one. */
  #wrote({ epoch, n }: { epoch: number; n: number }): void {
    const last = this.#last
    if (last !== undefined && (epoch < last.epoch || (epoch === last.epoch && n !== last.n + 1)))
      this.violations.push(`single writer: ${epoch}/${n} written after ${last.epoch}/${last.n}`)
    this.#last = { epoch, n }
  }

  #publish(): void {
    this.#left.publishes -= 1
    const key = `m${(this.#published += 1)}`
    const message = { type: 'publish', room, key, sender: 'alice', options: '', tail: key } as const
    this.#produce({ type: 'publish', id: this.#published, message, deadlineAtMs: Infinity })
    this.#produce({ type: 'tick' })
  }

  #produce(input: ProducerInput): void {
    for (const effect of stepProducer(this.#producer, input, this.#now)) {
      if (effect.type === 'append') {
        this.#store.append(0, effect.body, 1_000)
        this.#produce({ type: 'appended', attempt: effect.attempt })
      } else if (effect.outcome.type === 'committed') {
        const { epoch, seq } = effect.outcome
        this.#acknowledged.push({ message: `m${effect.id}`, epoch, seq })
      } else this.violations.push(`outcome: m${effect.id} is ${effect.outcome.type}`)
    }
  }

  #input(worker: Worker): { id: string; body: string }[] {
    if (worker.reading === undefined) return []
    return this.#store.read(0, new Map([[0, worker.reading.cursor]]), 10).get(0) ?? []
  }

  #toRead(): boolean {
    return this.#edgeRun !== this.#store.run || this.#store.readOutbox(0, edge, this.#outbox, 1).entries.length > 0
  }

  /** The edge reads all there is; of another run from the oldest entry. */
  #readOutbox(): void {
    if (this.#edgeRun !== this.#store.run) {
      this.#edgeRun = this.#store.run
      this.#outbox = '0-0'
      this.#produce({ type: 'resync' })
    }
    for (const { id, body } of this.#store.readOutbox(0, edge, this.#outbox, 100).entries) {
      this.#outbox = id
      for (const record of decodeOut(body)) if (record.type === 'ack' || record.type === 'rewind') this.#produce(record)
    }
  }

  #failOver(): void {
    if (this.#replica === undefined) return
    this.#left.failOvers -= 1
    this.#store.restore(this.#replica)
    this.#store.run = 'run-2'
    this.#last = undefined
    for (const { calls } of this.#workers) for (const call of calls) call.reply = 'failed'
  }

  /** Control gives the slot to a worker. */
  #move(worker: Worker | undefined): void {
    if (worker === undefined) return
    this.#left.moves -= 1
    const confirmed = this.#plan.slots[0]?.confirmed ?? 0
    this.#write([{ worker: worker.boot, epoch: (this.#epoch += 1), confirmed }])
  }

  #write(slots: Plan['slots'], runs: readonly string[] = this.#plan.runs): void {
    this.#plan = { version: this.#plan.version + 1, slots, runs: runs.length === 0 ? [this.#store.run] : runs }
  }

  /** What control would write if it looked now: the run, what workers own, and a new epoch for one that needs it. */
  #looked(): Pick<Plan, 'slots' | 'runs'> | undefined {
    const [assigned] = this.#plan.slots
    if (assigned === null || assigned === undefined) return undefined
    let { epoch, confirmed } = assigned
    for (const { alive, boot, lane } of this.#workers) {
      const owned = alive ? ownedEpochs(lane).get(0) : undefined
      if (owned === undefined) continue
      if (owned > confirmed) confirmed = owned
      if (boot === assigned.worker && owned <= 0 && -owned <= epoch && lane.claiming.size === 0) epoch = this.#epoch + 1
    }
    const runs = [this.#store.run]
    const same = epoch === assigned.epoch && confirmed === assigned.confirmed && runs[0] === this.#plan.runs[0]
    return same ? undefined : { slots: [{ worker: assigned.worker, epoch, confirmed }], runs }
  }

  #look(): void {
    const seen = this.#looked()
    if (seen === undefined) return
    this.#epoch = Math.max(this.#epoch, seen.slots[0]?.epoch ?? 0)
    this.#write(seen.slots, seen.runs)
  }

  /** Everything that could make a replica differ. */
  #written(): string {
    const text = this.#store.values(0, [0]).values.get(0) ?? ''
    return `${text} ${this.#store.read(0, new Map([[0, '0-0']]), 100).get(0)?.length ?? 0}`
  }

  #rests(): boolean {
    const settled = this.#acknowledged.length === this.#published && isIdle(this.#producer)
    const quiet = this.#workers.every(
      ({ alive, lane, calls }) => !alive || (lane.mode.type === 'serving' && calls.length === 0),
    )
    return settled && quiet && this.#looked() === undefined
  }
}

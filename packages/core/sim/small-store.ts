import { parseSlotValue } from '../src/commit.ts'
import { decodeOut } from '../src/entry.ts'
import type { LaneInput, MaintenanceWork } from '../src/lane-state.ts'
import { StoreModel } from '../src/store-model.ts'
import { callStore } from './small-calls.ts'
import type { CallEffect, SmallBug } from './small-calls.ts'
import { Machine, Memo, textOf } from './small-parts.ts'

export const wallMs = 1_000
const shape = { slots: 1, lanes: 1 }

/** What a call led to. */
interface Executed {
  readonly store: number
  readonly reply: LaneInput
  readonly faults: readonly string[]
}

/** The states that the one server comes to: what it has, and its run. */
export class SmallStore {
  readonly #machine = new Machine<StoreModel, LaneInput>({
    copy: copyStore,
    text: (store) => textOf([store.run, store.snapshot().lanes]),
  })
  readonly #bug: SmallBug | undefined
  readonly #edge: string
  readonly #incs = new Memo<number>()

  constructor(edge: string, bug: SmallBug | undefined) {
    this.#edge = edge
    this.#bug = bug
  }

  /** One with an outbox and nothing else. */
  empty(): number {
    const store = new StoreModel(shape, 'run-1')
    store.openOutbox(0, this.#edge)
    return this.#machine.number(store)
  }

  at(store: number): Readonly<StoreModel> {
    return this.#machine.at(store)
  }

  value(store: number): string {
    return this.at(store).values(0, [0]).values.get(0) ?? ''
  }

  inc(store: number): number {
    return this.#incs.get(store, 0, () => parseSlotValue(this.value(store)).inc)
  }

  call(store: number, call: number, effect: CallEffect): Executed {
    const { next, effects } = this.#machine.step(store, `call ${call}`, (model) => [
      callStore(model, effect, this.#bug),
    ])
    const [reply] = effects
    if (reply === undefined) throw new Error(`no reply to ${effect.type}`)
    const faults = written(this.value(store), this.value(next))
    if (effect.type === 'claim') faults.push(...this.#untold(store, next))
    return { store: next, reply, faults }
  }

  /** Whether the claim that led from one state to the other gave up continuity. */
  gaveUp(before: number, after: number): boolean {
    const { epoch, inc } = parseSlotValue(this.value(after))
    return this.value(before) !== '' && inc !== this.inc(before) && inc === epoch
  }

  /** P1: the edge finds a `reset` behind all that it was told before. */
  #untold(before: number, after: number): string[] {
    if (!this.gaveUp(before, after)) return []
    const { inc } = parseSlotValue(this.value(after))
    const [last] = this.at(after).readOutbox(0, this.#edge, '0-0', Infinity).entries.slice(-1)
    const isTold = decodeOut(last?.body ?? '').some((record) => record.type === 'reset' && record.inc === inc)
    return isTold ? [] : [`untold: inc is ${inc}, and no reset says so`]
  }

  append(store: number, body: string): number {
    return this.#change(store, `append ${body}`, (model) => model.append(0, body, wallMs))
  }

  maintain(store: number, work: readonly MaintenanceWork[]): number {
    return this.#change(store, `maintain ${textOf(work)}`, (model) => model.maintain(0, work, wallMs))
  }

  /** What the replica has, under another run than the one that was there. */
  failOver(replica: number, before: string): number {
    return this.#change(replica, `after ${before}`, (model) => (model.run = `${before}+`))
  }

  #change(store: number, name: string, change: (model: StoreModel) => unknown): number {
    return this.#machine.step(store, name, (model) => {
      change(model)
      return []
    }).next
  }
}

function copyStore(store: StoreModel): StoreModel {
  const copy = new StoreModel(shape, store.run)
  copy.restore(store.snapshot())
  return copy
}

/** P4: the writes never step back in epoch, nor in n within one. Vouching changes neither. */
function written(before: string, after: string): string[] {
  if (before === '' || before === after) return []
  const [last, next] = [parseSlotValue(before), parseSlotValue(after)]
  const same = next.epoch === last.epoch && next.n === last.n && next.token === last.token
  if (same || next.epoch > last.epoch || (next.epoch === last.epoch && next.n === last.n + 1)) return []
  return [`single writer: ${next.epoch}/${next.n} written after ${last.epoch}/${last.n}`]
}

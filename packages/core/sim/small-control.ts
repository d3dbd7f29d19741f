import { addReplaced, assign } from '../src/control-plan.ts'
import type { Plan } from '../src/plan.ts'
import type { SmallBug } from './small-calls.ts'
import { memoOf, Parts, textOf } from './small-parts.ts'
import type { Memo } from './small-parts.ts'

export interface NumberedPlan {
  readonly number: number
  readonly plan: Plan
}
/** What control hears from a worker. */
interface Report {
  readonly boot: string
  readonly owned: number | undefined
  readonly claims: boolean
  readonly report: number
}
interface Control {
  readonly plan: number
  /** The highest epoch that was given out. */
  readonly epoch: number
}
/** What control would write if it looked now. */
interface Looked {
  readonly control: number
  /** The worker gets a new epoch. */
  readonly renews: boolean
}

/** Reports that there can be, at the most. */
const maxReports = 2 ** 15

/**
 * Control, as far as the one slot knows it: it gives the slot to a worker, and tells what it hears. Plans have no numbers of
 * their own here: a worker has the newest one or not.
 */
export class SmallControl {
  readonly #plans = new Parts<Plan>()
  readonly #controls = new Parts<Control>()
  readonly #looks = new Map<string, Memo<Looked | 'nothing'>>()

  readonly #bug: SmallBug | undefined
  readonly #undemoted: boolean

  /** It names replaced runs where one of them can come back; elsewhere the list judges no claim. */
  constructor(bug: SmallBug | undefined, undemoted: boolean) {
    this.#bug = bug
    this.#undemoted = undemoted
  }

  create(run: string): number {
    return this.#number({ slots: [null], runs: [run] }, 0)
  }

  plan(control: number): NumberedPlan {
    const number = this.#controls.at(control).plan
    return { number, plan: this.#plans.at(number) }
  }

  /** Whose the slot is. */
  owner(control: number): string | undefined {
    return this.plan(control).plan.slots[0]?.worker
  }

  /** Control has heard that the owner has it. */
  isReported(control: number): boolean {
    const [assigned] = this.plan(control).plan.slots
    return assigned !== null && assigned !== undefined && assigned.confirmed >= assigned.epoch
  }

  /** Gives the slot to the worker. */
  move(control: number, worker: string): number {
    const { slots, ...rest } = this.plan(control).plan
    const epoch = this.#controls.at(control).epoch + 1
    const assigned = assign(slots[0] ?? null, worker, epoch)
    const told = this.#bug === 'no rivals' ? { worker, epoch, confirmed: assigned.confirmed } : assigned
    return this.#number({ ...rest, slots: [told] }, epoch)
  }

  /** The run, what workers own, and a new epoch for the one that needs it; undefined when there is nothing new. */
  look(control: number, one: Report, other: Report, run: string): Looked | undefined {
    const memo = memoOf(this.#looks, run)
    const looked = memo.get(control, one.report * maxReports + other.report, () => {
      const { epoch: highest } = this.#controls.at(control)
      const { slots, runs, replaced: known } = this.plan(control).plan
      const [assigned] = slots
      if (assigned === null || assigned === undefined) return 'nothing'
      let { epoch, confirmed } = assigned
      for (const { boot, owned, claims } of [one, other]) {
        if (owned === undefined) continue
        if (owned > confirmed) confirmed = owned
        if (boot === assigned.worker && owned <= 0 && -owned <= epoch && !claims) epoch = highest + 1
      }
      const renews = epoch !== assigned.epoch
      if (!renews && confirmed === assigned.confirmed && run === runs[0]) return 'nothing'
      const replaced = !this.#undemoted
        ? undefined
        : addReplaced(known, { before: runs, now: [run], highest: Math.max(highest, epoch) })
      const next = { slots: [{ ...assigned, epoch, confirmed }], runs: [run], ...(replaced && { replaced }) }
      return { control: this.#number(next, Math.max(highest, epoch)), renews }
    })
    return looked === 'nothing' ? undefined : looked
  }

  #number(content: Omit<Plan, 'version'>, epoch: number): number {
    const plan = this.#plans.number(textOf(content), { version: 1, ...content })
    return this.#controls.number(`${plan} ${epoch}`, { plan, epoch })
  }
}

import { actions, SmallModel } from './small.ts'
import type { SmallOptions } from './small.ts'
import type { Budget } from './small-rest.ts'
import { Rows } from './small-rows.ts'

export interface Exploration {
  readonly states: number
  readonly transitions: number
  /** Actions of the longest of the shortest traces: no state is further away. */
  readonly depth: number
  /** Every state was met, and every action tried in each: nothing is left to try. */
  readonly whole: boolean
  /** A shortest trace that leads to a violation, if there is one. */
  readonly found: { readonly trace: readonly string[]; readonly violations: readonly string[] } | undefined
}

/**
 * Breadth first over all orders of actions, to their end: the first violation has a shortest trace. A state that was met before
 * is not gone on from. Every state is let come to rest once, so that liveness and losses are judged in each. `maxStates` keeps a
 * budget that is too large from running for hours: what is cut short is not whole.
 */
export function explore(options: { budget: Budget; maxStates: number } & SmallOptions): Exploration {
  const { budget, maxStates } = options
  const model = new SmallModel(budget, options)
  const rows = new Rows()
  rows.add(model.root, { row: 0, action: 0 })
  let [transitions, depth, levelEnd] = [0, 0, 1]
  let row = 0
  for (; row < rows.size && rows.size <= maxStates; row += 1) {
    if (row === levelEnd) {
      depth += 1
      levelEnd = rows.size
    }
    for (const next of model.next(rows.at(row))) {
      transitions += 1
      const isNew = rows.add(next.row, { row, action: next.action })
      const violations = next.faults.length > 0 || !isNew ? next.faults : model.settle(next.row)
      if (violations.length === 0) continue
      const trace = [...traceOf(rows, row), actions[next.action] ?? '']
      return { states: rows.size, transitions, depth, whole: false, found: { trace, violations } }
    }
  }
  return { states: rows.size, transitions, depth, whole: row === rows.size, found: undefined }
}

function traceOf(rows: Rows, number: number): string[] {
  const trace: string[] = []
  for (let at = number; at > 0; at = rows.before(at).row) trace.push(actions[rows.before(at).action] ?? '')
  return trace.reverse()
}

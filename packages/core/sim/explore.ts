import { SmallModel } from './small.ts'
import type { Budget } from './small.ts'
import type { SmallBug } from './small-calls.ts'

export interface Exploration {
  readonly states: number
  readonly transitions: number
  /** Actions of the longest trace that was tried. */
  readonly depth: number
  /** Nothing was left to try: every state within the depth was seen. */
  readonly whole: boolean
  /** The shortest trace that leads to a violation, if there is one. */
  readonly found: { readonly trace: readonly string[]; readonly violations: readonly string[] } | undefined
}

interface State {
  readonly before: State | undefined
  readonly action: string
  readonly enabled: readonly string[]
}

/**
 * Breadth first over all orders of actions, up to `maxDepth` of them: the first violation has a shortest trace. A state that
 * was met before, by its text, is not gone on from. Every state is let come to rest once, so that liveness and losses are
 * judged in each. States are made again from their traces: reducers change what belongs to them in place.
 */
export function explore(options: { budget: Budget; maxDepth: number; maxStates: number; bug?: SmallBug }): Exploration {
  const { budget, maxDepth, maxStates, bug } = options
  const seen = new Set<string>()
  let [states, transitions, depth] = [0, 0, 0]
  const root = new SmallModel(budget, bug)
  let level: State[] = [{ before: undefined, action: '', enabled: root.enabled() }]
  for (; level.length > 0 && depth < maxDepth && states < maxStates; depth += 1) {
    const next: State[] = []
    for (const before of level) {
      for (const action of before.enabled) {
        const state: State = { before, action, enabled: [] }
        const trace = traceOf(state)
        const model = replay(trace, budget, bug)
        transitions += 1
        const hash = hashOf(model.text())
        if (seen.has(hash)) continue
        seen.add(hash)
        states += 1
        const enabled = model.enabled()
        model.settle()
        model.check()
        if (model.violations.length > 0)
          return { states, transitions, depth: depth + 1, whole: false, found: { trace, violations: model.violations } }
        next.push({ before, action, enabled })
      }
      if (states >= maxStates) break
    }
    level = next
  }
  return { states, transitions, depth, whole: states < maxStates, found: undefined }
}

function replay(trace: readonly string[], budget: Budget, bug: SmallBug | undefined): SmallModel {
  const model = new SmallModel(budget, bug)
  for (const action of trace) model.apply(action)
  return model
}

function traceOf(state: State): string[] {
  const trace: string[] = []
  for (let at: State | undefined = state; at?.before !== undefined; at = at.before) trace.push(at.action)
  return trace.reverse()
}

/** 106 bits (cyrb53, twice): two texts of a million share one with a chance of 10^-20. */
function hashOf(text: string): string {
  return `${cyrb53(text, 1)} ${cyrb53(text, 2)}`
}

function cyrb53(text: string, seed: number): number {
  let a = 0xdeadbeef ^ seed
  let b = 0x41c6ce57 ^ seed
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i)
    a = Math.imul(a ^ code, 2654435761)
    b = Math.imul(b ^ code, 1597334677)
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909)
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909)
  return 4294967296 * (2097151 & b) + (a >>> 0)
}

import { startDrain, stepDrain } from '@flotilla/core/drain'
import type { DrainLimits } from '@flotilla/core/drain'
import { wait } from '@flotilla/node/backoff'
import type { Connection } from './connection.ts'

const stepMs = 50

export interface DrainDeps {
  readonly connections: ReadonlySet<Connection>
  readonly signal: AbortSignal
  /** No other edge serves, as far as is known. */
  alone(): boolean
  /** Clients that may be told per second; null: control has granted nothing. */
  granted(): number | null
  /** Whether new connections are taken from now on. */
  admit(admits: boolean): void
}

/** Empties an edge. Resolves when no connection is left; late ones are treated as those that were there. */
export async function emptyEdge(limits: DrainLimits, deps: DrainDeps): Promise<void> {
  const { connections, signal } = deps
  const state = startDrain(limits, performance.now())
  // In the order in which they were told.
  const toldAtMs = new Map<Connection, number>()
  for (;;) {
    const nowMs = performance.now()
    const movesMs: number[] = []
    for (const [each, told] of toldAtMs) {
      if (connections.has(each)) continue
      toldAtMs.delete(each)
      movesMs.push(nowMs - told)
    }
    // Who has not authenticated yet has nothing to take along, and is told once it has.
    const untold = (one: Connection): boolean => one.identity !== null && !toldAtMs.has(one)
    const { admits, tell, closeToldBeforeMs, close } = stepDrain(
      state,
      {
        ...{ open: connections.size, untold: count(connections, untold), movesMs },
        ...{ alone: deps.alone(), granted: deps.granted() },
      },
      nowMs,
    )
    deps.admit(admits)
    for (const each of firstOf(connections, tell, untold)) {
      toldAtMs.set(each, nowMs)
      each.tellToMove(stepMs)
    }
    const late = Array.from(toldAtMs).flatMap(([each, told]) => (told < closeToldBeforeMs ? [each] : []))
    for (const each of [...late, ...firstOf(connections, close)]) {
      // It did not move.
      toldAtMs.delete(each)
      each.close('goingAway')
    }
    if (connections.size === 0 && !admits) return
    await wait(stepMs, signal)
  }
}

function count<T>(all: Iterable<T>, wanted: (each: T) => boolean): number {
  let found = 0
  for (const each of all) if (wanted(each)) found += 1
  return found
}

function firstOf<T>(all: Iterable<T>, count: number, wanted: (each: T) => boolean = () => true): T[] {
  const found: T[] = []
  if (count === 0) return found
  for (const each of all) {
    if (wanted(each)) found.push(each)
    if (found.length === count) break
  }
  return found
}

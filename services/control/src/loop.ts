import { controlPollMs, startControl, isLeading, stepControl } from '@flotilla/core/control'
import type { ControlInput, ControlState } from '@flotilla/core/control'
import type { Pods } from '@flotilla/core/control-pods'
import type { Log } from '@flotilla/node/log'
import type { Metrics } from '@flotilla/node/metrics'
import type { Scope } from '@flotilla/node/scope'
import type { Store } from '@flotilla/node/store/port'
import { noTracing } from '@flotilla/node/tracing'
import type { Tracing } from '@flotilla/node/tracing'
import { createCalls } from './calls.ts'
import { storeLeadership } from './leadership.ts'
import type { Leadership } from './leadership.ts'
import { controlMetrics } from './metrics.ts'
import type { ControlMetrics } from './metrics.ts'

export interface ControlDeps {
  /** In the store where it is not given. */
  readonly leadership?: (boot: string, metrics: ControlMetrics) => Leadership
  readonly store: Store
  readonly log: Log
  readonly scope: Scope
  readonly metrics: Metrics
  readonly tracing?: Tracing
}

/** Reconnects that the fleet takes per second while edges drain. */
export type LoopOptions = Partial<Pick<ControlState, 'reconnectsPerSecond'>>

export interface ControlLoop {
  state(): ControlState
  /**
   * Empties a worker or an edge as if it said itself that it drains, whatever boot id its process takes. Remembered by this process only; an
   * edge that has begun goes on.
   */
  drain(boot: string): void
  /** All pods of the fleet that are there now. */
  tell(pods: Pods): void
  readonly leadership: Leadership
  readonly counters: ControlMetrics
  /** Decides nothing more; resolves when no call is under way. */
  stop(): Promise<void>
}

/** Runs the reducer: executes its effects and feeds it their answers. */
export function runLoop(boot: string, deps: ControlDeps, options: LoopOptions = {}): ControlLoop {
  const { store, scope, log } = deps
  let state = startControl(store.shape.slots, options)
  let stopped = false
  const underWay = new Set<Promise<void>>()
  const metrics = controlMetrics(deps.metrics, () => state)
  const leadership = deps.leadership?.(boot, metrics) ?? storeLeadership(store, boot)
  const call = createCalls(boot, { store, log, metrics, leadership, tracing: deps.tracing ?? noTracing })

  function step(input: ControlInput): void {
    if (stopped || scope.signal.aborted) return
    const nowMs = performance.now()
    const before = state
    const { state: after, effects } = stepControl(before, input, nowMs)
    state = after
    tellOf(before, after, nowMs)
    for (const effect of effects) {
      const work = call(effect)
        .then((answer) => answer && step(answer))
        .finally(() => underWay.delete(work))
      underWay.add(work)
    }
  }

  function tellOf(before: ControlState, after: ControlState, nowMs: number): void {
    if ((before.leaseUntilMs === null) !== (after.leaseUntilMs === null)) {
      log.info(isLeading(after, nowMs) ? 'leading' : 'not leading', { planVersion: after.plan.version })
    }
    if (after.mismatch && !before.mismatch)
      log.error('the stored plan has another number of slots', { slots: after.slots })
  }

  const cancel = scope.every(controlPollMs, () => step({ type: 'tick' }))
  step({ type: 'tick' })
  return {
    state: () => state,
    tell: (pods) => step({ type: 'pods', pods }),
    leadership,
    counters: metrics,
    drain: (asked) => step({ type: 'drainRequested', boot: asked }),
    stop: async () => {
      stopped = true
      cancel()
      await Promise.all(underWay)
    },
  }
}

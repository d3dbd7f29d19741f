import { performance } from 'node:perf_hooks'
import type { Scope } from '@flotilla/node/scope'

const everyMs = 100

/** How late the event loop was at the most since the last look, ms: what control slows drains down by. */
export function createLag(scope: Scope): () => number {
  let dueAtMs = performance.now() + everyMs
  let latestMs = 0
  scope.every(everyMs, () => {
    const nowMs = performance.now()
    latestMs = Math.max(latestMs, nowMs - dueAtMs)
    dueAtMs = nowMs + everyMs
  })
  return () => {
    // What is late now and has not run yet counts too.
    const lagMs = Math.max(latestMs, performance.now() - dueAtMs, 0)
    latestMs = 0
    return Math.round(lagMs)
  }
}

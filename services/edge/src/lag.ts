import { performance } from 'node:perf_hooks'
import type { Scope } from '@flotilla/node/scope'
import { createPeak } from './peak.ts'

const everyMs = 100

/** How late the event loop was at the most in the last second or two, ms: what control slows drains down by. */
export function createLag(scope: Scope): () => number {
  let dueAtMs = performance.now() + everyMs
  const late = createPeak()
  scope.every(everyMs, () => {
    const nowMs = performance.now()
    late.note(nowMs - dueAtMs)
    dueAtMs = nowMs + everyMs
  })
  // What is late now and has not run yet counts too.
  return () => Math.round(Math.max(late.value, performance.now() - dueAtMs, 0))
}

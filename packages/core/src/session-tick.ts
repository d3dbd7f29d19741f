import { endTokens, retryOwnRooms } from './session-rooms.ts'
import { close, fail } from './session-state.ts'
import type { SessionState, SessionStep } from './session-state.ts'

export function isIdle({ limits, activeAtMs }: SessionState, nowMs: number): boolean {
  return limits.idleMs > 0 && nowMs - activeAtMs >= limits.idleMs
}

/** Time has passed: deadlines, expiry, idleness, and rooms that are tried again. */
export function tick(step: SessionStep): void {
  const { state, clock } = step
  const { phase } = state
  if (phase.type === 'authenticating') {
    if (clock.now < phase.deadlineMs) return
    // The client did its part: the keys cannot be had, or nobody counts connections now.
    if (phase.verifying !== null || phase.registering !== null || phase.connecting !== null)
      return close(step, 'tryLater')
    fail(step, { code: 'UNAUTHORIZED', message: 'Authentication required' })
    return close(step, 'unauthorized')
  }
  if (phase.type !== 'open') return
  const { expiresAtMs } = phase.identity
  if (expiresAtMs !== undefined && clock.wallMs >= expiresAtMs) {
    fail(step, { code: 'UNAUTHORIZED', message: 'Token expired' })
    return close(step, 'unauthorized', 'Token expired')
  }
  if (isIdle(state, clock.now)) return close(step, 'idle')
  endTokens(step, phase)
  retryOwnRooms(step)
}

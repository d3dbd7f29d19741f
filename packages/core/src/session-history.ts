import { take } from './bucket.ts'
import type { ClientFrame } from './frames.ts'
import { historyFrames, maxHistoriesInFlight, maxHistoryEvents } from './limits.ts'
import { mayJoin } from './session-permit.ts'
import { fail, send } from './session-state.ts'
import type { Open, SessionInput, SessionStep } from './session-state.ts'

/** Time that who has too many pages under way, or whose page cannot be read, is asked to wait, ms. */
const retryAfterMs = 1_000

/** Who may join a room may read what it keeps. */
export function history(step: SessionStep, open: Open, frame: Extract<ClientFrame, { type: 'history' }>): void {
  const { state, effects } = step
  const { id, room, before, after, limit = maxHistoryEvents } = frame
  const permission = mayJoin(step, open.identity, room)
  if (!permission.allow) return fail(step, { ...permission.fault, id, room })
  if (before !== undefined && after !== undefined)
    return fail(step, { code: 'VALIDATION_ERROR', message: 'before or after, not both', id, room })
  if ((state.histories?.size ?? 0) >= maxHistoriesInFlight) {
    const message = `${maxHistoriesInFlight} pages are being read already`
    return fail(step, { code: 'RATE_LIMITED', message, id, room, retryAfterMs })
  }
  // One was counted when the frame came.
  const rate = take(state.frames, historyFrames - 1, step.clock.now)
  if (!rate.ok)
    return fail(step, { code: 'RATE_LIMITED', message: 'too many pages', id, room, retryAfterMs: rate.retryAfterMs })
  const request = (state.requests += 1)
  state.histories ??= new Map()
  state.histories.set(request, { id, room })
  effects.push({ type: 'history', request, room, before, after, limit })
}

/** The policy, or the token, may be another one than when the page was asked for. */
export function historyRead(step: SessionStep, { request, page }: Extract<SessionInput, { type: 'history' }>): void {
  const { phase, histories } = step.state
  const asked = histories?.get(request)
  if (asked === undefined || phase.type !== 'open') return
  histories?.delete(request)
  const { id, room } = asked
  const permission = mayJoin(step, phase.identity, room)
  if (!permission.allow) return fail(step, { ...permission.fault, id, room })
  if (page !== null) return send(step, { type: 'history', id, ...page })
  fail(step, { code: 'OVERLOADED', message: 'the history cannot be read now, retry later', id, room, retryAfterMs })
}

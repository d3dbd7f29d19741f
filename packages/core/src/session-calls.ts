import type { ClientFrame } from './frames.ts'
import { maxCallsInFlight } from './limits.ts'
import { fail, send } from './session-state.ts'
import type { Open, SessionInput, SessionStep } from './session-state.ts'

/** Time that who calls too much, or hears of no outcome, is asked to wait, ms. */
const retryAfterMs = 1_000

/** Passes a call on to the service that its method's first part names. */
export function call(step: SessionStep, { identity }: Open, frame: Extract<ClientFrame, { type: 'call' }>): void {
  const { state, effects } = step
  const { id, method } = frame
  if (!state.policy.hooks.calls.has(prefixOf(method)))
    return fail(step, { code: 'UNKNOWN_METHOD', message: 'no service is called by this method', id })
  if (identity.anonymous === true)
    return fail(step, { code: 'FORBIDDEN', message: 'an anonymous connection calls no service', id })
  if ((state.calls?.size ?? 0) >= maxCallsInFlight) {
    const message = `${maxCallsInFlight} calls wait for their answer already; nothing was done`
    return fail(step, { code: 'RATE_LIMITED', message, id, retryAfterMs })
  }
  const request = (state.requests += 1)
  state.calls ??= new Map()
  state.calls.set(request, id)
  effects.push({ type: 'call', request, method, params: JSON.stringify(frame.params ?? null), identity })
}

/** What services are called by: `billing` of `billing.invoice`. */
export function prefixOf(method: string): string {
  const dot = method.indexOf('.')
  return dot === -1 ? method : method.slice(0, dot)
}

export function called(step: SessionStep, { request, answer }: Extract<SessionInput, { type: 'called' }>): void {
  const { calls } = step.state
  const id = calls?.get(request)
  if (id === undefined) return
  calls?.delete(request)
  switch (answer.outcome) {
    case 'result':
      return send(step, { type: 'result', id, data: answer.data })
    case 'refused':
      return fail(step, { code: 'CALL_REFUSED', message: answer.message, reason: answer.reason, id })
    case 'failed': {
      const message = 'the service cannot be called now; nothing was done'
      return fail(step, { code: 'OVERLOADED', message, id, retryAfterMs: Math.max(1, Math.ceil(answer.retryAfterMs)) })
    }
    case 'unknown':
      fail(step, { code: 'UNKNOWN', message: 'the service gave no answer: it may have done it', id, retryAfterMs })
  }
}

import type { ClientFrame, RequestId } from './frames.ts'
import { call } from './session-calls.ts'
import { history } from './session-history.ts'
import { holds, nextReady } from './session-hooks.ts'
import { locks } from './session-locks.ts'
import { show } from './session-presence.ts'
import { publish } from './session-publish.ts'
import { resume, subscribe, unsubscribe } from './session-rooms.ts'
import type { Proofs } from './session-rooms.ts'
import { fail, send } from './session-state.ts'
import type { Open, SessionPhase, SessionStep } from './session-state.ts'

/** A frame of a session that is open, of so many bytes. */
export function takeOpen(step: SessionStep, open: Open, frame: ClientFrame, bytes: number): void {
  if (!holds(step, open, frame, bytes)) take(step, open, frame)
}

/** Frames whose questions have been answered. */
export function takeReady(step: SessionStep, open: Open): void {
  for (let ready = nextReady(step, open); ready !== undefined; ready = nextReady(step, open)) {
    take(step, open, ready.frame, ready.proofs)
    if (step.state.phase.type !== 'open') return
  }
}

function take(step: SessionStep, open: Open, frame: ClientFrame, proofs?: Proofs): void {
  switch (frame.type) {
    case 'publish':
      return publish(step, open, frame)
    case 'subscribe':
      return subscribe(step, open, frame, proofs)
    case 'resume':
      return resume(step, open, frame, proofs)
    case 'unsubscribe':
      return unsubscribe(step, frame)
    case 'history':
      return history(step, open, frame)
    case 'presence':
      return show(step, frame)
    case 'lock':
    case 'unlock':
    case 'locks':
      return locks(step, open, frame)
    case 'call':
      return call(step, open, frame)
    case 'ping':
      step.effects.push({ type: 'advance' })
      return pong(step, frame.id)
    case 'auth':
      return renew(step, open, frame)
  }
}

/** Who is anonymous stays so, and nobody else becomes it. */
function renew(step: SessionStep, open: Open, frame: Extract<ClientFrame, { type: 'auth' }>): void {
  const { id, token } = frame
  if (token === undefined) {
    if (open.identity.anonymous === true) return send(step, { type: 'ok', ...(id === undefined ? {} : { id }) })
    return fail(step, {
      code: 'UNAUTHORIZED',
      message: 'this connection has a token: it does not become anonymous',
      id,
    })
  }
  if (open.verifying === null) return verify(step, open, frame)
  const message = 'another token is being checked'
  fail(step, { code: 'RATE_LIMITED', message, id, retryAfterMs: 1_000 })
}

export function pong(step: SessionStep, id: RequestId | undefined): void {
  send(step, { type: 'pong', ...(id === undefined ? {} : { id }), timestamp: step.clock.timestamp })
}

export function mayVerify(phase: Exclude<SessionPhase, { type: 'closed' }>): boolean {
  return (
    phase.verifying === null && (phase.type === 'open' || (phase.registering === null && phase.connecting === null))
  )
}

export function verify(
  { state, effects }: SessionStep,
  phase: Exclude<SessionPhase, { type: 'closed' }>,
  { token, id }: { readonly token?: string | null | undefined; readonly id?: RequestId | undefined },
): void {
  const attempt = (state.attempts += 1)
  phase.verifying = { attempt, id }
  effects.push({ type: 'verify', attempt, token: token ?? null })
}

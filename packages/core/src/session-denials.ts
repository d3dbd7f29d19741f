import { endOf } from './denials.ts'
import type { Denial, Denials } from './denials.ts'
import type { RequestId } from './frames.ts'
import { close, fail } from './session-state.ts'
import type { SessionStep } from './session-state.ts'

/** Says why, and closes for good. The reason is the administrator's, for the user. */
export function endBy(step: SessionStep, { type, reason }: Denial, id?: RequestId): void {
  if (type === 'revoke') {
    fail(step, { code: 'UNAUTHORIZED', message: reason ?? 'Token revoked', id })
    return close(step, 'unauthorized', 'Token revoked')
  }
  fail(step, { code: type === 'ban' ? 'BANNED' : 'KICKED', message: reason ?? 'Disconnected by administrator', id })
  close(step, 'kicked')
}

/** A connection whose token is still to be judged is judged by the new ones then. */
export function takeDenials(step: SessionStep, denials: Denials): void {
  const { state, clock } = step
  const before = state.denials
  state.denials = denials
  const { phase, connectionId, replaces } = state
  const identity =
    phase.type === 'open'
      ? phase.identity
      : phase.type === 'authenticating'
        ? (phase.registering ?? phase.connecting)?.identity
        : undefined
  if (identity === undefined) return
  const denial = endOf({ denials, before }, { ...identity, connectionId, replaces }, clock.wallMs)
  if (denial !== undefined) endBy(step, denial)
}

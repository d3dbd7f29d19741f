import { decide, isKnown } from './policy.ts'
import type { Decision, Policy } from './policy.ts'
import { refusal } from './session-text.ts'
import type { Fault, SessionIdentity, SessionStep } from './session-state.ts'

/** What a service is asked about. */
export type HookedAction = 'join' | 'publish'
/** What a room token was found to be worth: until when it opens the room, ms of the monotonic clock. `unknown`: its key cannot be had now. `expired`: it was good. */
export type Proof = number | 'unknown' | 'expired'

export interface Wanted {
  readonly room: string
  readonly action: HookedAction | 'presence'
  readonly event?: string
  /** Of the token that came with this very request. */
  readonly proof?: Proof | undefined
}
export type Permission = { readonly allow: true } | { readonly allow: false; readonly fault: Fault }

/** What a service said, or that it could not be asked, and how long that counts, ms of the monotonic clock. */
export interface Verdict {
  readonly outcome: 'allow' | 'deny' | 'failed'
  readonly untilMs: number
}

const allowed: Permission = { allow: true }
/** Time that who cannot be judged now is asked to wait, ms, where nothing else is known. */
const retryAfterMs = 1_000

/** What the policy says, as far as it can be said without asking anybody. A room that a service has put the user into is open whatever else the policy asks. */
export function decisionOf(step: SessionStep, identity: SessionIdentity, wanted: Wanted): Decision {
  const { policy, granted } = step.state
  const { room, action, event, proof } = wanted
  if (action === 'join' && granted?.has(room) === true && isKnown(policy, room)) return { allow: true }
  const hasToken = isProof(step, proof ?? step.state.rooms.get(room)?.provenUntilMs)
  return decide(policy, { identity, room, action, hasToken, ...(event === undefined ? {} : { event }) })
}

/** The same, with what services have said. Who is in a room stays until they say no. */
export function permit(step: SessionStep, identity: SessionIdentity, wanted: Wanted): Permission {
  const decision = decisionOf(step, identity, wanted)
  if (decision.allow) return allowed
  if (decision.hook === undefined) {
    if (wanted.proof === 'unknown') return later(retryAfterMs)
    if (wanted.proof === 'expired' && decision.code === 'FORBIDDEN')
      return { allow: false, fault: refusal('ROOM_TOKEN_EXPIRED') }
    return { allow: false, fault: refusal(decision.code) }
  }
  const { room, action } = wanted
  if (action === 'join' && step.state.rooms.has(room)) return allowed
  const verdict = verdictOf(step, { hook: decision.hook, room, action })
  switch (verdict?.outcome) {
    case 'allow':
      return allowed
    case 'deny':
      return { allow: false, fault: refusal('FORBIDDEN') }
    default:
      return later(verdict === undefined ? retryAfterMs : verdict.untilMs - step.clock.now)
  }
}

const later = (ms: number): Permission => ({
  allow: false,
  fault: { ...refusal('OVERLOADED'), retryAfterMs: Math.max(1, Math.ceil(ms)) },
})

export function mayJoin(step: SessionStep, identity: SessionIdentity, room: string): Permission {
  return permit(step, identity, { room, action: 'join' })
}

function isProof({ clock }: SessionStep, proof: Proof | null | undefined): boolean {
  return typeof proof === 'number' && proof > clock.now
}

/** What somebody has to be asked; undefined: nothing, or it is known. */
export function hookFor(step: SessionStep, identity: SessionIdentity, wanted: Wanted): string | undefined {
  const decision = decisionOf(step, identity, wanted)
  if (decision.allow || decision.hook === undefined || wanted.action === 'presence') return undefined
  const { room, action } = wanted
  if (action === 'join' && step.state.rooms.has(room)) return undefined
  return verdictOf(step, { hook: decision.hook, room, action }) === undefined ? decision.hook : undefined
}

interface Question {
  readonly hook: string
  readonly room: string
  readonly action: Wanted['action']
}
export const questionKey = ({ hook, room, action }: Question): string => `${hook} ${action} ${room}`

function verdictOf({ state, clock }: SessionStep, question: Question): Verdict | undefined {
  const verdict = state.asking?.verdicts.get(questionKey(question))
  return verdict !== undefined && verdict.untilMs > clock.now ? verdict : undefined
}

/** Whether the policy has anybody asked, so that frames may have to wait. */
export function asksAnybody({ hooks }: Policy): boolean {
  return hooks.rooms.size > 0
}

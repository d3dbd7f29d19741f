import { createBucket, take } from './bucket.ts'
import type { ClientFrame, RequestId } from './frames.ts'
import {
  authDeadlineMs,
  maxBadFrames,
  maxHeldFrames,
  maxPublishesInFlight,
  maxSubscriptions,
  maxUnauthenticatedFrameBytes,
} from './limits.ts'
import { denialOf, freshKickOf, noDenials } from './denials.ts'
import type { Denial, Denials } from './denials.ts'
import { defaultPolicy } from './policy-default.ts'
import type { Policy } from './policy.ts'
import { createRateStore } from './rates.ts'
import type { RateStore } from './rates.ts'
import { called } from './session-calls.ts'
import { takeControl } from './session-control.ts'
import { endBy, takeDenials } from './session-denials.ts'
import { mayVerify, pong, takeOpen, takeReady, verify } from './session-dispatch.ts'
import { askedBy, parseFrame } from './session-frames.ts'
import { historyRead } from './session-history.ts'
import { askAgain, asked, tokenChecked } from './session-hooks.ts'
import { lockAnswered } from './session-locks.ts'
import { admit, connectAnswered, registered } from './session-open.ts'
import { leased, published } from './session-publish.ts'
import { isIdle, tick } from './session-tick.ts'
import { answered, judgeAgain, refused } from './session-rooms.ts'
import { close, fail, send } from './session-state.ts'
import type {
  Early,
  Fault,
  Open,
  SessionClock,
  SessionEffect,
  SessionIdentity,
  SessionInput,
  SessionLimits,
  SessionState,
  SessionStep,
} from './session-state.ts'
import type { UserLeases } from './user-leases.ts'

export const defaultSessionLimits: SessionLimits = {
  authDeadlineMs,
  maxSubscriptions,
  maxPublishesInFlight,
  maxBadFrames,
  framesPerSecond: 500,
  framesAtOnce: 2_000,
  connectionsPerUser: 0,
  connectionsPerTenant: 0,
  idleMs: 0,
}
/** Bad frames beyond the limit are forgiven at this rate, so that a connection of weeks is not closed for a slip a day. */
const forgivenPerSecond = 1 / 60
/** Above this many bytes a frame over the rate is refused without being parsed: its id is not worth the work. */
const maxParsedOverRateBytes = 4_096

export interface SessionOptions {
  readonly limits?: SessionLimits
  readonly policy?: Policy
  readonly denials?: Denials
  /** The connection whose place it takes, as the client names it. */
  readonly replaces?: string
  /** The client says that it was connected before, or still is. */
  readonly returns?: boolean
  /** Shared by the sessions of a process. */
  readonly userRates?: RateStore
  readonly leases?: UserLeases
}

export function createSession(connectionId: string, nowMs: number, options: SessionOptions = {}): SessionState {
  const { limits = defaultSessionLimits, policy = defaultPolicy, denials = noDenials } = options
  const { replaces = '', returns = false } = options
  return {
    connectionId,
    replaces,
    returns,
    limits,
    policy,
    denials,
    phase: {
      type: 'authenticating',
      deadlineMs: nowMs + limits.authDeadlineMs,
      verifying: null,
      registering: null,
      connecting: null,
      welcome: null,
      held: [],
      heldBytes: 0,
    },
    rooms: new Map(),
    granted: null,
    subscribed: 0,
    publishes: null,
    histories: null,
    locks: null,
    asking: null,
    calls: null,
    requests: 0,
    attempts: 0,
    activeAtMs: nowMs,
    retryAtMs: Infinity,
    tokensEndAtMs: Infinity,
    frames: createBucket({ capacity: limits.framesAtOnce, refillPerSecond: limits.framesPerSecond }),
    rates: null,
    userRates: options.userRates ?? createRateStore(),
    leases: options.leases ?? null,
    unleased: null,
    badFrames: null,
  }
}

/**
 * One connection, from its handshake to its end (docs/spec.md SE). Changes `state` in place: there are 100,000 of them,
 * and each has one owner. A closed session does nothing any more.
 */
export function stepSession(state: SessionState, input: SessionInput, clock: SessionClock): SessionEffect[] {
  const step: SessionStep = { state, clock, effects: [] }
  if (state.phase.type === 'closed') return step.effects
  switch (input.type) {
    case 'token':
      if (mayVerify(state.phase)) verify(step, state.phase, { token: input.token, id: undefined })
      break
    case 'frame':
      takeFrame(step, input)
      break
    case 'binary':
      close(step, 'unsupportedData')
      break
    case 'verdict':
      takeVerdict(step, input)
      break
    case 'registered':
      registered(step, input)
      break
    case 'asked':
      takeAnswer(step, input)
      break
    case 'roomToken':
      if (state.phase.type === 'open') tokenChecked(step, state.phase, input)
      break
    case 'called':
      called(step, input)
      break
    case 'published':
      published(step, input)
      break
    case 'history':
      historyRead(step, input)
      break
    case 'lock':
      lockAnswered(step, input)
      break
    case 'leased':
      leased(step)
      break
    case 'answered':
      answered(step, input)
      break
    case 'refused':
      refused(step, input)
      break
    case 'control':
      takeControl(step, input.control)
      break
    case 'policy':
      takePolicy(step, input.policy)
      break
    case 'denials':
      takeDenials(step, input.denials)
      break
    case 'tick':
      tick(step)
      break
    case 'closed':
      state.phase = { type: 'closed' }
      break
  }
  if (state.asking !== null && state.phase.type === 'open') takeReady(step, state.phase)
  return step.effects
}

/** Whether a `tick` would do anything: an edge asks this of 100,000 sessions every second. */
export function isDue(state: SessionState, nowMs: number, wallMs: number): boolean {
  const { phase } = state
  if (phase.type === 'authenticating') return nowMs >= phase.deadlineMs
  if (phase.type === 'closed') return false
  return (
    nowMs >= state.retryAtMs ||
    nowMs >= state.tokensEndAtMs ||
    isIdle(state, nowMs) ||
    (phase.identity.expiresAtMs !== undefined && wallMs >= phase.identity.expiresAtMs)
  )
}

function takeFrame(step: SessionStep, { text, bytes }: { readonly text: string; readonly bytes: number }): void {
  const { state, clock } = step
  const { phase } = state
  if (phase.type === 'closed') return
  if (phase.type === 'authenticating' && bytes > maxUnauthenticatedFrameBytes) return close(step, 'tooBig')
  const rate = take(state.frames, 1, clock.now)
  if (!rate.ok) return overRate(step, { text, bytes }, rate.retryAfterMs)
  const parsed = parseFrame(text)
  if (!parsed.ok) return bad(step, parsed.fault)
  if (parsed.frame.type !== 'ping') state.activeAtMs = clock.now
  if (phase.type === 'open') takeOpen(step, phase, parsed.frame, bytes)
  else takeEarly(step, phase, { frame: parsed.frame, text, bytes })
}

function overRate(step: SessionStep, { text, bytes }: { text: string; bytes: number }, retryAfterMs: number): void {
  const parsed = bytes <= maxParsedOverRateBytes ? parseFrame(text) : undefined
  const asked = parsed === undefined ? {} : parsed.ok ? askedBy(parsed.frame) : parsed.fault
  const { id, event } = asked
  fail(step, { code: 'RATE_LIMITED', message: 'too many frames, nothing was done', id, event, retryAfterMs })
}

function bad(step: SessionStep, fault: Fault): void {
  fail(step, fault)
  const { state } = step
  state.badFrames ??= createBucket({ capacity: state.limits.maxBadFrames, refillPerSecond: forgivenPerSecond })
  if (!take(state.badFrames, 1, step.clock.now).ok) close(step, 'badProtocol')
}

function takeEarly(
  step: SessionStep,
  phase: Early,
  { frame, text, bytes }: { frame: ClientFrame; text: string; bytes: number },
): void {
  if (frame.type === 'ping') return pong(step, frame.id)
  if (frame.type === 'auth' && mayVerify(phase)) return verify(step, phase, frame)
  if (phase.held.length >= maxHeldFrames || phase.heldBytes + bytes > maxUnauthenticatedFrameBytes) {
    return bad(step, { code: 'UNAUTHORIZED', message: 'too many frames before authentication', id: frame.id })
  }
  phase.held.push({ text, bytes })
  phase.heldBytes += bytes
}

function takeVerdict(step: SessionStep, { attempt, verdict }: Extract<SessionInput, { type: 'verdict' }>): void {
  const { phase } = step.state
  if (phase.type === 'closed' || phase.verifying?.attempt !== attempt) return
  const { id } = phase.verifying
  phase.verifying = null
  if (phase.type === 'open') return refresh(step, phase, id, verdict)
  const denial = verdict.ok ? keptOut(step, verdict.identity) : undefined
  if (denial !== undefined) return endBy(step, denial, id)
  if (verdict.ok) return admit(step, phase, id, verdict.identity)
  if (verdict.retryable) {
    fail(step, { code: 'OVERLOADED', message: 'the token cannot be checked now', id, retryAfterMs: 1_000 })
    return close(step, 'tryLater')
  }
  fail(step, { code: 'UNAUTHORIZED', message: 'Invalid token', id })
  close(step, 'unauthorized', 'Invalid token')
}

function keptOut({ state, clock }: SessionStep, identity: SessionIdentity): Denial | undefined {
  const { connectionId, replaces, denials } = state
  const denial = denialOf(denials, identity, clock.wallMs)
  if (denial !== undefined || !state.returns) return denial
  return freshKickOf(denials, { ...identity, connectionId, replaces }, clock.wallMs)
}

function takeAnswer(step: SessionStep, input: Extract<SessionInput, { type: 'asked' }>): void {
  const { phase } = step.state
  if (phase.type === 'authenticating') connectAnswered(step, phase, input)
  else if (phase.type === 'open') asked(step, phase, input)
}

function takePolicy(step: SessionStep, policy: Policy): void {
  const { state } = step
  const before = state.policy
  state.policy = policy
  if (state.phase.type !== 'open') return
  judgeAgain(step, state.phase, { identity: state.phase.identity, policy: before })
  askAgain(step, state.phase)
}

/** A newer token of the same user moves the expiry, and what the user may; any other changes nothing. */
function refresh(
  step: SessionStep,
  phase: Open,
  id: RequestId | undefined,
  verdict: Extract<SessionInput, { type: 'verdict' }>['verdict'],
): void {
  if (!verdict.ok) {
    if (verdict.retryable)
      return fail(step, { code: 'OVERLOADED', message: 'the token cannot be checked now', id, retryAfterMs: 1_000 })
    return fail(step, { code: 'UNAUTHORIZED', message: 'Invalid token', id })
  }
  const { identity } = verdict
  if (denialOf(step.state.denials, identity, step.clock.wallMs) !== undefined)
    return fail(step, { code: 'UNAUTHORIZED', message: 'Token revoked', id })
  if (identity.userId !== phase.identity.userId || identity.tenantId !== phase.identity.tenantId) {
    return fail(step, { code: 'UNAUTHORIZED', message: 'the token is of somebody else', id })
  }
  const before = phase.identity
  phase.identity = identity
  send(step, { type: 'ok', ...(id === undefined ? {} : { id }) })
  judgeAgain(step, phase, { identity: before, policy: step.state.policy })
  askAgain(step, phase)
}

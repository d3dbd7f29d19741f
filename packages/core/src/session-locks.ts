import { take } from './bucket.ts'
import type { ClientFrame, RequestId, ServerFrame } from './frames.ts'
import { historyFrames, maxLocks, maxLocksInFlight, maxLockTtlMs } from './limits.ts'
import type { LockChange } from './lock-entry.ts'
import { validKey } from './room-name.ts'
import { permit } from './session-permit.ts'
import { fail, send } from './session-state.ts'
import type { Fault, Open, SessionInput, SessionStep } from './session-state.ts'

/** Time that who asks too much, or hears of no outcome, is asked to wait, ms. */
const retryAfterMs = 1_000

export interface LockRequest {
  readonly id: RequestId
  readonly room: string
  readonly change: LockChange
}

type LockFrame = Extract<ClientFrame, { type: 'lock' | 'unlock' | 'locks' }>

/** Who may publish to a room may lock something in it, and who may join it may see what is locked. */
export function locks(step: SessionStep, open: Open, frame: LockFrame): void {
  const { state, effects } = step
  const { id, room, type } = frame
  const { identity } = open
  const isList = type === 'locks'
  const permission = permit(step, identity, { room, action: isList ? 'join' : 'publish' })
  if (!permission.allow) return fail(step, { ...permission.fault, id, room })
  const { name, holder, ttlMs } = wantedBy(frame)
  if (![name, holder].every((text) => text === '' || validKey(text)))
    return fail(step, { code: 'VALIDATION_ERROR', message: 'a character of name or holder is not allowed', id, room })
  if ((state.locks?.size ?? 0) >= maxLocksInFlight) {
    const message = `${maxLocksInFlight} requests about locks are under way already`
    return fail(step, { code: 'RATE_LIMITED', message, id, room, retryAfterMs })
  }
  // One was counted when the frame came. A full list is as large as a page of history.
  const rate = take(state.frames, isList ? historyFrames - 1 : 0, step.clock.now)
  if (!rate.ok)
    return fail(step, { code: 'RATE_LIMITED', message: 'too many lists', id, room, retryAfterMs: rate.retryAfterMs })
  const request = (state.requests += 1)
  const change: LockChange = isList ? 'list' : type
  state.locks ??= new Map()
  state.locks.set(request, { id, room, change })
  effects.push({ type: 'lock', request, room, change, name, holder, user: identity.userId, ttlMs })
}

function wantedBy(frame: LockFrame): { name: string; holder: string; ttlMs: number } {
  if (frame.type === 'locks') return { name: '', holder: '', ttlMs: maxLockTtlMs }
  const { name = '', holder } = frame
  return { name, holder, ttlMs: (frame.type === 'lock' ? frame.ttlMs : undefined) ?? maxLockTtlMs }
}

export function lockAnswered(step: SessionStep, { request, answer }: Extract<SessionInput, { type: 'lock' }>): void {
  const asked = step.state.locks?.get(request)
  if (asked === undefined) return
  step.state.locks?.delete(request)
  const { id, room } = asked
  if (answer === null)
    return fail(step, { code: 'UNKNOWN', message: 'the outcome is not known, ask again', id, room, retryAfterMs })
  const [lock] = answer.locks
  const list = answer.locks.map(({ name, user, fence, leftMs }) => ({ name, userId: user, fence, leftMs }))
  switch (answer.outcome) {
    case 'held':
      return send(step, { type: 'ok', id, room, ...(list[0] === undefined ? {} : { lock: list[0] }) })
    case 'list':
      return tellList(step, { id, room }, list)
    case 'released':
      return send(step, { type: 'ok', id, room })
    default:
      fail(step, { ...faults[answer.outcome](lock?.user ?? ''), id, room, ...waitOf(answer.retryAfterMs) })
  }
}

/** The policy, or the token, may be another one than when it was asked for. */
function tellList(
  step: SessionStep,
  { id, room }: Pick<LockRequest, 'id' | 'room'>,
  list: Extract<ServerFrame, { type: 'ok' }>['locks'],
): void {
  const { phase } = step.state
  if (phase.type !== 'open') return
  const permission = permit(step, phase.identity, { room, action: 'join' })
  if (permission.allow) return send(step, { type: 'ok', id, room, locks: list })
  fail(step, { ...permission.fault, id, room })
}

const waitOf = (ms: number): { retryAfterMs?: number } => (ms > 0 ? { retryAfterMs: ms } : {})

const faults: Readonly<Record<'taken' | 'none' | 'wait' | 'full', (user: string) => Pick<Fault, 'code' | 'message'>>> =
  {
    taken: (user) => ({ code: 'LOCKED', message: `locked by ${user}` }),
    none: () => ({ code: 'NOT_LOCKED', message: 'this holder does not have the lock' }),
    wait: () => ({ code: 'OVERLOADED', message: 'no lock can be given now' }),
    full: () => ({ code: 'TOO_MANY_LOCKS', message: `at most ${maxLocks} locks per room` }),
  }

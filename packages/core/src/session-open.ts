import { PROTOCOL_VERSION } from './frames.ts'
import type { RequestId } from './frames.ts'
import { maxHeldEvents, pingIntervalMs } from './limits.ts'
import { isKnown, roomsAtConnect } from './policy.ts'
import { takeOpen } from './session-dispatch.ts'
import { parseFrame } from './session-frames.ts'
import { joinRooms, userRoom } from './session-rooms.ts'
import { close, fail, send } from './session-state.ts'
import type {
  Early,
  HeldFrame,
  Place,
  Registering,
  SessionIdentity,
  SessionInput,
  SessionState,
  SessionStep,
  Welcome,
} from './session-state.ts'

/** The token is good. Where a service decides about connections it is asked first: who is refused takes no place. */
export function admit(step: SessionStep, early: Early, id: RequestId | undefined, identity: SessionIdentity): void {
  const { state, effects } = step
  if (state.policy.hooks.connect === null) return register(step, early, id, identity)
  const request = (state.requests += 1)
  early.connecting = { request, identity, id }
  effects.push({ type: 'ask', request, about: { type: 'connect' }, identity })
}

export function connectAnswered(
  step: SessionStep,
  early: Early,
  { request, answer }: Extract<SessionInput, { type: 'asked' }>,
): void {
  const { connecting } = early
  if (connecting?.request !== request) return
  early.connecting = null
  const { identity, id } = connecting
  if (answer.outcome === 'allow') {
    early.welcome = answer.welcome ?? null
    return register(step, early, id, identity)
  }
  if (answer.outcome === 'deny') {
    fail(step, { code: 'UNAUTHORIZED', message: answer.reason ?? 'a service refuses this connection', id })
    return close(step, 'unauthorized', 'Connection refused')
  }
  const message = 'whether this user may connect cannot be said now'
  fail(step, { code: 'OVERLOADED', message, id, retryAfterMs: Math.max(1, Math.ceil(answer.validMs)) })
  close(step, 'tryLater')
}

function register(step: SessionStep, early: Early, id: RequestId | undefined, identity: SessionIdentity): void {
  const { connectionsPerUser, connectionsPerTenant } = step.state.limits
  // A user who has no other connection: there is nothing to count.
  if (identity.anonymous === true) return open(step, early, id, identity)
  const { tenantId } = identity
  const places: Place[] = []
  if (connectionsPerUser > 0) places.push({ scope: 'user', room: userRoom(identity), limit: connectionsPerUser })
  if (connectionsPerTenant > 0 && tenantId !== undefined)
    places.push({ scope: 'tenant', room: `tenant:${tenantId}`, limit: connectionsPerTenant })
  askForPlace(step, early, { identity, id, places })
}

function askForPlace(step: SessionStep, early: Early, registering: Registering): void {
  const { identity, id, places } = registering
  const [place] = places
  if (place === undefined) return open(step, early, id, identity)
  early.registering = registering
  const { scope, room } = place
  step.effects.push({ type: 'register', scope, room, replaces: step.state.replaces })
}

export function registered(step: SessionStep, { scope, outcome }: Extract<SessionInput, { type: 'registered' }>): void {
  const { phase } = step.state
  if (phase.type !== 'authenticating' || phase.registering === null) return
  const { registering } = phase
  const [place, ...rest] = registering.places
  if (place === undefined || place.scope !== scope) return
  if (outcome === 'taken') return askForPlace(step, phase, { ...registering, places: rest })
  const { id } = registering
  if (outcome === 'unknown') {
    fail(step, { code: 'OVERLOADED', message: 'connections cannot be counted now', id, retryAfterMs: 1_000 })
    return close(step, 'tryLater')
  }
  const message = `at most ${place.limit} connections per ${scope}`
  fail(step, { code: 'TOO_MANY_CONNECTIONS', message, id })
  close(step, 'tooManyConnections')
}

function open(step: SessionStep, early: Early, id: RequestId | undefined, identity: SessionIdentity): void {
  const { state, clock, effects } = step
  const { rooms, data } = welcomed(state, early, roomsAtConnect(state.policy, identity))
  const { events, ageMs } = state.policy.history
  state.phase = { type: 'open', identity, verifying: null }
  effects.push({ type: 'opened', identity })
  send(step, {
    type: 'connected',
    protocol: PROTOCOL_VERSION,
    userId: identity.userId,
    connectionId: state.connectionId,
    ...(identity.tenantId === undefined ? {} : { tenantId: identity.tenantId }),
    rooms: [...rooms],
    timestamp: clock.timestamp,
    resumeWindow: { events: Math.min(events, maxHeldEvents), ms: ageMs },
    pingIntervalMs,
    ...(data === undefined ? {} : { data }),
  })
  if (id !== undefined) send(step, { type: 'ok', id })
  joinRooms(step, rooms)
  for (const held of early.held) replayHeld(step, held)
}

/** Rooms that a service names are open to this connection as those that it is put into later (session-control.ts). */
function welcomed(state: SessionState, { welcome }: Early, rooms: readonly string[]): Welcome {
  if (welcome === null) return { rooms }
  const known = welcome.rooms.filter((room) => isKnown(state.policy, room))
  if (known.length > 0) state.granted = new Set(known)
  return { ...welcome, rooms: [...new Set([...rooms, ...known])] }
}

/** Its bucket was paid, and its form judged, when it came. */
function replayHeld(step: SessionStep, { text, bytes }: HeldFrame): void {
  const { phase } = step.state
  const parsed = parseFrame(text)
  if (parsed.ok && phase.type === 'open') takeOpen(step, phase, parsed.frame, bytes)
}

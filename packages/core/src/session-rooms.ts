import type { Since } from './feed-state.ts'
import { parseFilter } from './filter.ts'
import type { Filter } from './filter.ts'
import type { ClientFrame, RequestId } from './frames.ts'
import { roomsAtConnect } from './policy.ts'
import type { Policy } from './policy.ts'
import { parseEpoch } from './position.ts'
import { mayJoin, permit } from './session-permit.ts'
import type { Proof } from './session-permit.ts'
import { fail, send } from './session-state.ts'
import { attend, attendAgain, presenceOf } from './session-presence.ts'
import type {
  Fault,
  Open,
  Resume,
  RoomAnswer,
  RoomAsker,
  SessionIdentity,
  SessionInput,
  SessionStep,
  Subscription,
} from './session-state.ts'
import { refusal } from './session-text.ts'

type Wish = Extract<ClientFrame, { type: 'resume' }>['rooms'][number] & { readonly proof?: Proof | undefined }

export function userRoom({ userId }: SessionIdentity): string {
  return `user:${userId}`
}

/** None of a room that was joined and waits for its answer differs from another. */
const join: RoomAsker = { type: 'join' }

/** Nobody asked to be told of members, and the edge knows nothing yet. */
const alone = { presence: false, attends: null }

export function joinRooms({ state, effects }: SessionStep, rooms: readonly string[]): void {
  for (const room of rooms) {
    state.rooms.set(room, { joined: true, filter: null, ...alone, asker: join, retryAtMs: null, provenUntilMs: null })
    effects.push({ type: 'subscribe', room, since: null, filter: null })
  }
}

/** Ends a subscription, and tells it: who waits for its answer gets the code instead. */
export function end(step: SessionStep, room: string, { code, message }: Fault): void {
  const { state, effects } = step
  const subscription = state.rooms.get(room)
  if (subscription === undefined) return
  const { joined, asker } = subscription
  state.rooms.delete(room)
  if (!joined) state.subscribed -= 1
  effects.push({ type: 'unsubscribe', room })
  if (asker === null || asker.type === 'join') send(step, { type: 'unsubscribed', room, code, message })
  else refuse(step, room, asker, { code, message })
}

/** Whom the session was open for until now, and by which policy. */
export interface Before {
  readonly identity: SessionIdentity
  readonly policy: Policy
}

/** The policy, or what the identity may, has changed: rooms that are not allowed any more end, and others are joined. */
export function judgeAgain(step: SessionStep, open: Open, before: Before): void {
  const { state } = step
  const { identity } = open
  for (const [room, subscription] of state.rooms) {
    const permission = mayJoin(step, identity, room)
    if (!permission.allow) end(step, room, permission.fault)
    else if (subscription.asker === null) attend(step, room, subscription)
  }
  const then = new Set(roomsAtConnect(before.policy, before.identity))
  const now = roomsAtConnect(state.policy, identity)
  joinRooms(
    step,
    now.filter((room) => !then.has(room) && !state.rooms.has(room)),
  )
}

/** What the tokens that came with a request are worth, by room. */
export type Proofs = ReadonlyMap<string, Proof>

export function subscribe(
  step: SessionStep,
  open: Open,
  frame: Extract<ClientFrame, { type: 'subscribe' }>,
  proofs?: Proofs,
): void {
  const { id, room } = frame
  const wish = { ...frame, proof: proofs?.get(room) }
  const fault = enter(step, open, wish, { type: 'subscribe', id })
  if (fault !== undefined) fail(step, { ...fault, id, room })
}

/** All rooms of a connection at once; a room that is refused does not keep the others from being resumed. */
export function resume(
  step: SessionStep,
  open: Open,
  { id, rooms }: Extract<ClientFrame, { type: 'resume' }>,
  proofs?: Proofs,
): void {
  const group: Resume = { id, answers: new Map(), waiting: new Set() }
  const wishes = new Map(rooms.map((wish) => [wish.room, wish]))
  for (const wish of wishes.values()) {
    const proven = { ...wish, proof: proofs?.get(wish.room) }
    const fault = enter(step, open, proven, { type: 'resume', resume: group })
    if (fault === undefined) group.waiting.add(wish.room)
    else group.answers.set(wish.room, { room: wish.room, error: errorOf(fault) })
  }
  if (group.waiting.size === 0) finish(step, group)
}

/** Subscribes, or says why not; nothing has changed then. */
function enter(step: SessionStep, open: Open, wish: Wish, asker: RoomAsker): Fault | undefined {
  const { state, effects } = step
  const { room, proof } = wish
  const permission = permit(step, open.identity, { room, action: 'join', proof })
  if (!permission.allow) return permission.fault
  const since = readSince(wish.since)
  if (since === 'bad') return { code: 'BAD_POSITION', message: 'the epoch is not one that a server gave' }
  const filter = readFilter(wish.filter)
  if (typeof filter === 'string') return { code: 'BAD_FILTER', message: filter }
  const before = state.rooms.get(room)
  if (before === undefined && state.subscribed >= state.limits.maxSubscriptions) {
    return { code: 'TOO_MANY_SUBSCRIPTIONS', message: `at most ${state.limits.maxSubscriptions} rooms per connection` }
  }
  if (before?.asker !== undefined && before.asker !== null) supersede(step, room, before.asker)
  if (before === undefined) state.subscribed += 1
  const [joined, attends] = [before?.joined ?? false, attendAgain(step, room, before)]
  const provenUntilMs = provenBy(step, proof, before)
  const presence = wish.presence === true
  state.rooms.set(room, { joined, filter, presence, attends, asker, retryAtMs: null, provenUntilMs })
  effects.push({ type: 'subscribe', room, since, filter })
  return undefined
}

/** A token that came with this request, or the one of before. */
function provenBy({ state }: SessionStep, proof: Proof | undefined, before: Subscription | undefined): number | null {
  const untilMs = typeof proof === 'number' ? proof : (before?.provenUntilMs ?? null)
  if (untilMs !== null) state.tokensEndAtMs = Math.min(state.tokensEndAtMs, untilMs)
  return untilMs
}

function readSince(since: Wish['since']): Since | null | 'bad' {
  if (since === undefined) return null
  const epoch = parseEpoch(since.epoch)
  return epoch === undefined ? 'bad' : { epoch, seq: since.seq }
}

function readFilter(input: Wish['filter']): Filter | null | string {
  if (input === undefined) return null
  const parsed = parseFilter(input)
  if (!parsed.ok) return parsed.reason
  return parsed.filter.clauses.length === 0 ? null : parsed.filter
}

/** Every request is answered, also one that another replaced before its answer. */
function supersede(step: SessionStep, room: string, asker: RoomAsker): void {
  refuse(step, room, asker, { code: 'NOT_SUBSCRIBED', message: 'replaced before it was answered' })
}

function refuse(step: SessionStep, room: string, asker: RoomAsker, fault: Fault): void {
  if (asker.type === 'subscribe') fail(step, { ...fault, id: asker.id, room })
  else if (asker.type === 'resume') settle(step, asker.resume, { room, error: errorOf(fault) })
  else if (asker.type === 'answered') asker.resume.answers.set(room, { room, error: errorOf(fault) })
}

function errorOf({ code, message, retryAfterMs }: Fault): NonNullable<RoomAnswer['error']> {
  return { code, message, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) }
}

function settle(step: SessionStep, group: Resume, answer: RoomAnswer): void {
  if (!group.waiting.delete(answer.room)) return
  group.answers.set(answer.room, answer)
  if (group.waiting.size === 0) finish(step, group)
}

function finish(step: SessionStep, group: Resume): void {
  send(step, { type: 'ok', id: group.id, rooms: [...group.answers.values()] })
  for (const [room, { error }] of group.answers) {
    const subscription = error === undefined ? step.state.rooms.get(room) : undefined
    const asker = subscription?.asker
    // Whoever asked for the room again meanwhile has an answer of its own to wait for.
    if (subscription === undefined || asker?.type !== 'answered' || asker.resume !== group) continue
    release(step, room, subscription)
  }
}

/** The answer is out. */
function release(step: SessionStep, room: string, subscription: Subscription): void {
  subscription.asker = null
  step.effects.push({ type: 'release', room })
  attend(step, room, subscription)
}

export function unsubscribe(step: SessionStep, { id, room }: { readonly id: RequestId; readonly room: string }): void {
  const { state, effects } = step
  const subscription = state.rooms.get(room)
  if (subscription === undefined)
    return fail(step, { code: 'NOT_SUBSCRIBED', message: 'the room is not subscribed', id, room })
  state.rooms.delete(room)
  if (!subscription.joined) state.subscribed -= 1
  if (subscription.asker !== null) supersede(step, room, subscription.asker)
  effects.push({ type: 'unsubscribe', room })
  send(step, { type: 'ok', id, room })
}

export function answered(step: SessionStep, input: Extract<SessionInput, { type: 'answered' }>): void {
  const { room, position, recovered, missed, reason } = input
  const subscription = step.state.rooms.get(room)
  const asker = subscription?.asker ?? null
  if (subscription === undefined || asker === null) return
  const why = reason === undefined ? {} : { reason }
  const presence = presenceOf(step, room, subscription)
  switch (asker.type) {
    case 'subscribe':
      send(step, { type: 'ok', id: asker.id, room, position, recovered, missed, ...why, ...presence })
      return release(step, room, subscription)
    case 'resume':
      subscription.asker = { type: 'answered', resume: asker.resume }
      return settle(step, asker.resume, { room, position, recovered, missed, ...why, ...presence })
    case 'join':
      send(step, { type: 'position', room, position, recovered, ...why })
      return release(step, room, subscription)
    case 'answered':
  }
}

export function refused(step: SessionStep, { room, retryAfterMs }: Extract<SessionInput, { type: 'refused' }>): void {
  const { state, clock } = step
  const subscription = state.rooms.get(room)
  const asker = subscription?.asker ?? null
  if (subscription === undefined || asker === null) return
  subscription.asker = null
  if (asker.type === 'join') {
    subscription.retryAtMs = clock.now + retryAfterMs
    state.retryAtMs = Math.min(state.retryAtMs, subscription.retryAtMs)
    return
  }
  // Also a room that the server joined: to join it again at its head would hide what the client asked to be given.
  state.rooms.delete(room)
  if (!subscription.joined) state.subscribed -= 1
  if (subscription.attends !== null) step.effects.push({ type: 'attend', room, member: false, watch: false })
  refuse(step, room, asker, { code: 'OVERLOADED', message: 'the room cannot be read now, retry later', retryAfterMs })
}

/** Nobody asks again for a room that the server joined: the server does. */
export function retryOwnRooms({ state, clock, effects }: SessionStep): void {
  if (clock.now < state.retryAtMs) return
  state.retryAtMs = Infinity
  for (const [room, subscription] of state.rooms) {
    if (subscription.retryAtMs === null) continue
    if (clock.now < subscription.retryAtMs) {
      state.retryAtMs = Math.min(state.retryAtMs, subscription.retryAtMs)
      continue
    }
    subscription.retryAtMs = null
    subscription.asker = join
    effects.push({ type: 'subscribe', room, since: null, filter: subscription.filter })
  }
}

/** Rooms that are open by a token only end with it. */
export function endTokens(step: SessionStep, open: Open): void {
  const { state, clock } = step
  if (clock.now < state.tokensEndAtMs) return
  state.tokensEndAtMs = Infinity
  for (const [room, subscription] of state.rooms) {
    const { provenUntilMs } = subscription
    if (provenUntilMs === null) continue
    if (clock.now < provenUntilMs) {
      state.tokensEndAtMs = Math.min(state.tokensEndAtMs, provenUntilMs)
      continue
    }
    subscription.provenUntilMs = null
    if (!mayJoin(step, open.identity, room).allow) end(step, room, refusal('ROOM_TOKEN_EXPIRED'))
    else if (subscription.asker === null) attend(step, room, subscription)
  }
}

import type { Since } from './feed-state.ts'
import { parseFilter } from './filter.ts'
import type { Filter } from './filter.ts'
import type { ClientFrame, RequestId } from './frames.ts'
import { decide } from './policy.ts'
import { parseEpoch } from './position.ts'
import { fail, send } from './session-state.ts'
import type {
  Fault,
  Open,
  Resume,
  RoomAnswer,
  RoomAsker,
  SessionIdentity,
  SessionInput,
  SessionStep,
} from './session-state.ts'
import { refusalText } from './session-text.ts'

type Wish = Extract<ClientFrame, { type: 'resume' }>['rooms'][number]

export function userRoom({ userId }: SessionIdentity): string {
  return `user:${userId}`
}

/** The rooms that every connection of this identity is put into. */
export function ownRooms(identity: SessionIdentity): string[] {
  const { tenantId } = identity
  return [userRoom(identity), ...(tenantId === undefined ? [] : [`tenant:${tenantId}`]), 'public:all']
}

/** None of a room that was joined and waits for its answer differs from another. */
const join: RoomAsker = { type: 'join' }

export function joinOwnRooms({ state, effects }: SessionStep, identity: SessionIdentity): void {
  for (const room of ownRooms(identity)) {
    state.rooms.set(room, { joined: true, filter: null, asker: join, retryAtMs: null })
    effects.push({ type: 'subscribe', room, since: null, filter: null })
  }
}

export function subscribe(step: SessionStep, open: Open, frame: Extract<ClientFrame, { type: 'subscribe' }>): void {
  const { id, room } = frame
  const fault = enter(step, open, frame, { type: 'subscribe', id })
  if (fault !== undefined) fail(step, { ...fault, id, room })
}

/** All rooms of a connection at once; a room that is refused does not keep the others from being resumed. */
export function resume(step: SessionStep, open: Open, { id, rooms }: Extract<ClientFrame, { type: 'resume' }>): void {
  const group: Resume = { id, answers: new Map(), waiting: new Set() }
  const wishes = new Map(rooms.map((wish) => [wish.room, wish]))
  for (const wish of wishes.values()) {
    const fault = enter(step, open, wish, { type: 'resume', resume: group })
    if (fault === undefined) group.waiting.add(wish.room)
    else group.answers.set(wish.room, { room: wish.room, error: errorOf(fault) })
  }
  if (group.waiting.size === 0) finish(step, group)
}

/** Subscribes, or says why not; nothing has changed then. */
function enter(step: SessionStep, open: Open, wish: Wish, asker: RoomAsker): Fault | undefined {
  const { state, effects } = step
  const { room } = wish
  const decision = decide(open.identity, room, 'join')
  if (!decision.allow) return { code: decision.code, message: refusalText[decision.code] }
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
  state.rooms.set(room, { joined: before?.joined ?? false, filter, asker, retryAtMs: null })
  effects.push({ type: 'subscribe', room, since, filter })
  return undefined
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
    subscription.asker = null
    step.effects.push({ type: 'release', room })
  }
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
  switch (asker.type) {
    case 'subscribe':
      subscription.asker = null
      send(step, { type: 'ok', id: asker.id, room, position, recovered, missed, ...why })
      return void step.effects.push({ type: 'release', room })
    case 'resume':
      subscription.asker = { type: 'answered', resume: asker.resume }
      return settle(step, asker.resume, { room, position, recovered, missed, ...why })
    case 'join':
      subscription.asker = null
      send(step, { type: 'position', room, position, recovered, ...why })
      return void step.effects.push({ type: 'release', room })
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

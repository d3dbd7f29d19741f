import type { ConnectionChange, ConnectionMessage, ConnectionRecord } from './connection-entry.ts'
import { laneOf, slotOf } from './slot.ts'

export interface UserConnectionsOptions {
  readonly shape: { readonly slots: number; readonly lanes: number }
  /** Connections that a user may have over the whole fleet. */
  readonly limit: number
  /** Time that a connection has to end once another took its place, ms. */
  readonly graceMs: number
}

/** What one edge knows of the connections of its users; changed in place by `stepUserConnections` only. */
export interface UserConnections {
  readonly options: UserConnectionsOptions
  /** Those that the workers of their users' rooms know of, or are to know of. */
  readonly told: Map<string, Told>
  /** Those whose place was taken, and since when. */
  readonly replaced: Map<string, number>
}
interface Told {
  readonly room: string
  /** The connection that it named as the one to replace; `''`: none. */
  readonly replaces: string
  taken: boolean
  /** It was told of more than once. */
  again: boolean
}

export type UserConnectionsInput =
  | { readonly type: 'open'; readonly connection: string; readonly room: string; readonly replaces: string }
  /** It could not be told of: too much waits already. */
  | { readonly type: 'untold'; readonly connection: string }
  | { readonly type: 'closed'; readonly connection: string }
  /** What came of it: a record of the outbox. */
  | ConnectionRecord
  /** Continuity of a slot was lost. */
  | { readonly type: 'reset'; readonly slot: number }
  /** Answers of a lane were lost, or this edge has a new boot. */
  | { readonly type: 'resync'; readonly lane: number }
  /** Time has passed. */
  | { readonly type: 'tick' }

export type UserConnectionsEffect =
  /** To be sent to the worker; answered by `untold` where that cannot be. */
  | { readonly type: 'tell'; readonly message: ConnectionMessage }
  | { readonly type: 'registered'; readonly connection: string; readonly outcome: 'taken' | 'refused' | 'unknown' }
  /** Its place was taken: it is not counted any more, and serves on until its client leaves it or its grace is over. */
  | { readonly type: 'replaced'; readonly connection: string }
  /** Its grace is over. Asked for at every tick until it is closed. */
  | { readonly type: 'close'; readonly connection: string }

export function createUserConnections(options: UserConnectionsOptions): UserConnections {
  return { options, told: new Map(), replaced: new Map() }
}

/**
 * What an edge tells the workers of users' rooms of its connections, and its connections of what came of it (docs/spec.md UC). The
 * workers decide (connections.ts).
 */
export function stepUserConnections(
  state: UserConnections,
  input: UserConnectionsInput,
  nowMs: number,
): readonly UserConnectionsEffect[] {
  const effects: UserConnectionsEffect[] = []
  const { shape, graceMs } = state.options
  switch (input.type) {
    case 'open': {
      const { connection, room, replaces } = input
      const told = { room, replaces, taken: false, again: false }
      state.told.set(connection, told)
      tell(state, connection, { ...told, change: 'open' }, effects)
      break
    }
    case 'untold':
      untold(state, input.connection, effects)
      break
    case 'closed':
      closed(state, input.connection, effects)
      break
    case 'connection':
      take(state, input, nowMs, effects)
      break
    case 'reset':
      tellAgain(state, (room) => slotOf(room, shape.slots) === input.slot, effects)
      break
    case 'resync':
      tellAgain(state, (room) => laneOf(slotOf(room, shape.slots), shape.lanes) === input.lane, effects)
      break
    case 'tick':
      for (const [connection, sinceMs] of state.replaced)
        if (nowMs - sinceMs >= graceMs) effects.push({ type: 'close', connection })
  }
  return effects
}

function tell(
  { options: { limit } }: UserConnections,
  connection: string,
  { room, replaces, change }: { readonly room: string; readonly replaces: string; readonly change: ConnectionChange },
  effects: UserConnectionsEffect[],
): void {
  effects.push({ type: 'tell', message: { type: 'connection', room, connection, change, replaces, limit } })
}

/**
 * The worker may have heard of it before, and nobody of what it said: then it must hear that it is gone. Or its answer came since: then
 * the connection is open.
 */
function untold(state: UserConnections, connection: string, effects: UserConnectionsEffect[]): void {
  const told = state.told.get(connection)
  if (told === undefined) return
  if (told.taken) return tell(state, connection, { ...told, change: 'kept' }, effects)
  effects.push({ type: 'registered', connection, outcome: 'unknown' })
  if (told.again) closed(state, connection, effects)
  else state.told.delete(connection)
}

function closed(state: UserConnections, connection: string, effects: UserConnectionsEffect[]): void {
  state.replaced.delete(connection)
  const told = state.told.get(connection)
  if (told === undefined) return
  state.told.delete(connection)
  tell(state, connection, { room: told.room, replaces: '', change: 'closed' }, effects)
}

function take(
  state: UserConnections,
  { room, connection, outcome }: ConnectionRecord,
  nowMs: number,
  effects: UserConnectionsEffect[],
): void {
  const told = state.told.get(connection)
  if (told === undefined) {
    // It was told of more than once, and has ended or lost its place since: it must not keep one.
    if (outcome === 'taken') tell(state, connection, { room, replaces: '', change: 'closed' }, effects)
    return
  }
  const { taken } = told
  if (outcome === 'taken') {
    told.taken = true
    if (!taken) effects.push({ type: 'registered', connection, outcome })
    return
  }
  // It was told of more than once, and what was lost meanwhile took its place: it is open all the same.
  if (outcome === 'refused' && taken) return tell(state, connection, { ...told, change: 'kept' }, effects)
  // What was told again may be under way, and its answer be lost: then nobody would hear that it counts.
  if (told.again) tell(state, connection, { room, replaces: '', change: 'closed' }, effects)
  state.told.delete(connection)
  if (outcome === 'refused') effects.push({ type: 'registered', connection, outcome })
  else {
    state.replaced.set(connection, nowMs)
    effects.push({ type: 'replaced', connection })
  }
}

/**
 * The worker may know nothing of those that are there, or its answers were lost. Who waits for one is closed in time; it had its place by
 * its ticket the first time, and must not take it from one that came after it.
 */
function tellAgain(
  state: UserConnections,
  concerns: (room: string) => boolean,
  effects: UserConnectionsEffect[],
): void {
  for (const [connection, told] of state.told) {
    if (!concerns(told.room)) continue
    told.again = true
    const again = told.taken
      ? { ...told, change: 'kept' as const }
      : { room: told.room, replaces: '', change: 'open' as const }
    tell(state, connection, again, effects)
  }
}

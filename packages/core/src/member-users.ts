/** What counts of a connection for what others see of its user. */
export interface Shown {
  readonly user: string
  readonly sinceMs: number
  readonly state: string
  /** When that was set; 0: never. */
  readonly stateMs: number
  readonly gone: boolean
}
/**
 * A user in a room, over all connections: kept up to date, as one may have thousands of them and each change would look at all. Changed by
 * `noteConnection` and `dropConnection` only.
 */
export interface RoomUser {
  readonly connections: Map<string, Shown>
  /** Since when there was a connection: later ones go on with the time of those before. */
  sinceMs: number
  /** Connections that have not ended. */
  open: number
  /** What was said last, and on how many connections; null: it is to be looked for. */
  last: Last | null
}
interface Last {
  readonly state: string
  readonly stateMs: number
  count: number
}
export type RoomUsers = Map<string, RoomUser>

/** A connection of a user is there, or shows something else. */
export function noteConnection(users: RoomUsers, connection: string, shown: Shown): void {
  let own = users.get(shown.user)
  if (own === undefined) {
    own = { connections: new Map(), sinceMs: Infinity, open: 0, last: null }
    users.set(shown.user, own)
  }
  forget(own, connection)
  own.connections.set(connection, shown)
  own.sinceMs = Math.min(own.sinceMs, shown.sinceMs)
  if (!shown.gone) own.open += 1
  if (own.last !== null) own.last = withOne(own.last, shown)
}

export function dropConnection(users: RoomUsers, connection: string, user: string): void {
  const own = users.get(user)
  if (own === undefined) return
  forget(own, connection)
  if (own.connections.size === 0) users.delete(user)
}

/** What others see of the user: what was said last on any of its connections. */
export function lastShown(own: RoomUser): Pick<Shown, 'state' | 'stateMs'> {
  let { last } = own
  if (last === null) for (const shown of own.connections.values()) last = withOne(last, shown)
  own.last = last
  return last ?? { state: '', stateMs: 0 }
}

function forget(own: RoomUser, connection: string): void {
  const before = own.connections.get(connection)
  if (before === undefined) return
  own.connections.delete(connection)
  if (!before.gone) own.open -= 1
  const { last } = own
  if (last === null || last.stateMs !== before.stateMs || last.state !== before.state) return
  last.count -= 1
  if (last.count === 0) own.last = null
}

/** Of one millisecond: the same at every owner. */
function withOne(last: Last | null, { state, stateMs }: Shown): Last {
  if (last === null || stateMs > last.stateMs || (stateMs === last.stateMs && state > last.state))
    return { state, stateMs, count: 1 }
  if (stateMs === last.stateMs && state === last.state) last.count += 1
  return last
}

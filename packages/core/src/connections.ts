import type { Interest, InterestChange } from './interest.ts'
import type { ConnectionMessage, ConnectionOutcome } from './connection-entry.ts'
import { detached } from './entry.ts'

/**
 * A connection that counts: the boot of its edge, the one that it named as the one to replace (`''`: none), and the incarnation of
 * the slot in which it was counted.
 */
export interface Counted {
  readonly boot: string
  readonly after: string
  readonly inc: number
}
/** The connections of users, as the worker of their rooms knows them: room → connection → where it is. */
export type Connections = Map<string, Map<string, Counted>>

export interface ConnectionStep {
  /** What the store is to keep of it. */
  readonly rows: readonly InterestChange[]
  /** Which boot is told what of which connection. */
  readonly told: readonly { readonly boot: string; readonly connection: string; readonly outcome: ConnectionOutcome }[]
}

/**
 * Of what the store kept, one row. Those of another incarnation than the slot has (`now`) are to be removed: edges were told of the loss
 * and tell of all that they have again, and who ended meanwhile is not among those.
 */
export function knowConnection(all: Connections, row: Interest, now: number): InterestChange | undefined {
  const { room, boot, connection = '', after = '', inc = 0 } = row
  if (inc !== now) return { ...row, on: false }
  ofRoom(all, room).set(connection, { boot, after, inc })
  return undefined
}

/**
 * One message of the edge `boot`, judged against all connections that the user has wherever they are. It may come again:
 * a connection that is counted is taken again. Who takes the place of another is counted in its stead, also above the limit.
 */
export function takeConnection(
  all: Connections,
  message: ConnectionMessage,
  { boot, inc }: { readonly boot: string; readonly inc: number },
): ConnectionStep {
  const { room, connection, change, replaces, limit } = message
  const rows: InterestChange[] = []
  if (change === 'closed') {
    remove(all, room, connection, rows)
    return { rows, told: [] }
  }
  const own = all.get(room)
  const before = own?.get(connection)
  const place = before === undefined ? placeOf(own, { ticket: replaces, isNew: change === 'open' }) : undefined
  if (change === 'open' && before === undefined && place === undefined && (own?.size ?? 0) >= limit)
    return { rows, told: [{ boot, connection, outcome: 'refused' }] }
  const told: { boot: string; connection: string; outcome: ConnectionOutcome }[] = []
  if (place !== undefined) {
    remove(all, room, place.connection, rows)
    told.push({ boot: place.boot, connection: place.connection, outcome: 'replaced' })
  }
  if (before?.boot !== boot) {
    remove(all, room, connection, rows)
    add(all, { room, boot, connection, after: before?.after ?? replaces, inc }, rows)
  }
  told.push({ boot, connection, outcome: 'taken' })
  return { rows, told }
}

/** Those of edges that are gone. */
export function dropConnections(all: Connections, isGone: (boot: string) => boolean): InterestChange[] {
  const rows: InterestChange[] = []
  for (const [room, own] of all)
    for (const [connection, { boot }] of own) if (isGone(boot)) remove(all, room, connection, rows)
  return rows
}

/**
 * The connection that a ticket names. A client that never heard of the connection it made with a ticket names the one before that
 * again, and means the one that has its place. Of a connection that is there already that is not true any more: another may have its place.
 */
function placeOf(
  own: ReadonlyMap<string, Counted> | undefined,
  { ticket, isNew }: { readonly ticket: string; readonly isNew: boolean },
): { readonly boot: string; readonly connection: string } | undefined {
  if (own === undefined || ticket === '') return undefined
  const named = own.get(ticket)
  if (named !== undefined) return { boot: named.boot, connection: ticket }
  if (!isNew) return undefined
  for (const [connection, { boot, after }] of own) if (after === ticket) return { boot, connection }
  return undefined
}

function ofRoom(all: Connections, room: string): Map<string, Counted> {
  let own = all.get(room)
  if (own === undefined) all.set(room, (own = new Map<string, Counted>()))
  return own
}

function add(
  all: Connections,
  who: Counted & { readonly room: string; readonly connection: string },
  rows: InterestChange[],
): void {
  // What was cut out of an entry would keep all of it.
  const [room, connection] = [detached(who.room), detached(who.connection)]
  const counted = { boot: who.boot, after: detached(who.after), inc: who.inc }
  ofRoom(all, room).set(connection, counted)
  rows.push({ room, connection, ...counted, on: true })
}

function remove(all: Connections, name: string, id: string, rows: InterestChange[]): void {
  const own = all.get(name)
  const counted = own?.get(id)
  if (own === undefined || counted === undefined) return
  own.delete(id)
  if (own.size === 0) all.delete(name)
  rows.push({ room: detached(name), connection: detached(id), ...counted, on: false })
}

import { askFields, askMessage } from './ask-entry.ts'
import type { AskMessage } from './ask-entry.ts'

/**
 * What edges tell of the members of rooms, what they ask about them, and what a room's worker tells (docs/spec.md PS).
 *
 * A message travels as an ephemeral event of a room that nobody can have: a worker of the version before, which would put an entry with a
 * message of an unknown kind aside with all that is in it, finds nobody who is interested and drops it.
 */
export interface MemberMessage {
  readonly type: 'member'
  readonly room: string
  readonly connection: string
  readonly user: string
  /**
   * `in`: is a member, with this state. `gone`: its connection ended without leaving: it stays a member for the time of grace.
   * `out`: has left.
   */
  readonly change: MemberChange
  /** JSON of what the user shows of itself; `''`: nothing was set on this connection. */
  readonly state: string
}
export type MemberChange = 'in' | 'gone' | 'out'

/** Asks for all members of a room. Answered by a `presence` record with this nonce. */
export interface QueryMessage {
  readonly type: 'query'
  readonly room: string
  readonly nonce: string
}

/** A user in a room, over all of its connections. */
export interface PresentUser {
  readonly user: string
  /** Since when it has been there without a break longer than the grace, ms since 1970. */
  readonly sinceMs: number
  /** JSON, or `''`. */
  readonly state: string
  readonly connections: number
}

/**
 * Members of a room, of one commit. `all`: everybody who is there, null when they are too many to be listed; absent when it is a
 * change. `in`: came, or shows something else now. `out`: left, and when they were last there, ms since 1970.
 */
export interface PresenceRecord {
  readonly type: 'presence'
  readonly room: string
  /** Of the query that it answers; `''`: it is told to all who are interested. */
  readonly nonce: string
  readonly count: number
  readonly all?: readonly PresentUser[] | null
  readonly in: readonly PresentUser[]
  readonly out: readonly { readonly user: string; readonly lastMs: number }[]
}

const memberRoom = '!member'
const queryRoom = '!query'
const changes: readonly MemberChange[] = ['in', 'gone', 'out']

/** After the kind of an ephemeral event: room, options, tail. */
export function memberFields(message: MemberMessage | QueryMessage | AskMessage): readonly [string, string, string] {
  if (message.type === 'ask') return askFields(message)
  if (message.type === 'query') return [queryRoom, JSON.stringify([message.room, message.nonce]), '']
  const { room, connection, user, change, state } = message
  return [memberRoom, JSON.stringify([room, connection, user, change]), state]
}

/** Undefined when it is an ephemeral event, or nothing that this version knows. */
export function memberMessage(
  kind: string,
  options: string,
  state: string,
): MemberMessage | QueryMessage | AskMessage | undefined {
  if (!kind.startsWith('!')) return undefined
  const fields = textsIn(options)
  if (kind === queryRoom) {
    const [room, nonce] = fields
    return room === undefined || nonce === undefined ? undefined : { type: 'query', room, nonce }
  }
  if (kind !== memberRoom) return askMessage(kind, fields)
  const [room, connection, user, changeText] = fields
  const change = changes.find((each) => each === changeText)
  if (room === undefined || connection === undefined || user === undefined || change === undefined) return undefined
  return { type: 'member', room, connection, user, change, state }
}

function textsIn(json: string): readonly string[] {
  try {
    const value: unknown = JSON.parse(json)
    return Array.isArray(value) && value.every((each) => typeof each === 'string') ? value : []
  } catch {
    return []
  }
}

type Row = readonly [user: string, sinceMs: number, connections: number, state: string]
const rowOf = ({ user, sinceMs, connections, state }: PresentUser): Row => [user, sinceMs, connections, state]
const userOf = ([user, sinceMs, connections, state]: Row): PresentUser => ({ user, sinceMs, connections, state })

/** Fields after the kind of the record. */
export function presenceFields({ room, nonce, count, all, ...changed }: PresenceRecord): readonly string[] {
  const body = {
    n: count,
    ...(all === undefined ? {} : { all: all === null ? null : all.map(rowOf) }),
    ...(changed.in.length === 0 ? {} : { in: changed.in.map(rowOf) }),
    ...(changed.out.length === 0 ? {} : { out: changed.out.map(({ user, lastMs }) => [user, lastMs]) }),
  }
  return [room, nonce, JSON.stringify(body)]
}

/** Undefined when it says what this version does not know. */
export function presenceRecord(fields: readonly string[]): PresenceRecord | undefined {
  const [room = '', nonce = '', text = ''] = fields
  try {
    const body = JSON.parse(text) as { n: number; all?: Row[] | null; in?: Row[]; out?: [string, number][] }
    return {
      ...{ type: 'presence', room, nonce, count: body.n },
      ...(body.all === undefined ? {} : { all: body.all === null ? null : body.all.map(userOf) }),
      in: (body.in ?? []).map(userOf),
      out: (body.out ?? []).map(([user, lastMs]) => ({ user, lastMs })),
    }
  } catch {
    return undefined
  }
}

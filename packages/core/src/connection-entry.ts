/**
 * What an edge tells of a user's connections, so that the worker of the user's room knows all of them (docs/spec.md UC).
 * How it travels is in entry.ts.
 */
export interface ConnectionMessage {
  readonly type: 'connection'
  /** The user's room. */
  readonly room: string
  /** The connection's id: never used twice, whatever its edge's boot is called by then. */
  readonly connection: string
  /**
   * `open`: is to be counted, and answered by a `connection` record. `kept`: is open already, and is counted whatever the limit
   * says. `closed`: is not to be counted any more.
   */
  readonly change: ConnectionChange
  /** The connection of the same user whose place it takes; `''`: none. */
  readonly replaces: string
  /** Connections that the user may have. */
  readonly limit: number
}
export type ConnectionChange = 'open' | 'kept' | 'closed'

/** `replaced`: another connection has taken its place, and it is not counted any more. */
export interface ConnectionRecord {
  readonly type: 'connection'
  readonly room: string
  readonly connection: string
  readonly outcome: ConnectionOutcome
}
export type ConnectionOutcome = 'taken' | 'refused' | 'replaced'

const changes: readonly ConnectionChange[] = ['open', 'kept', 'closed']
const outcomes: readonly ConnectionOutcome[] = ['taken', 'refused', 'replaced']

/** After the kind of the message. */
export function connectionFields(message: ConnectionMessage): readonly (string | number)[] {
  const { room, connection, change, replaces, limit } = message
  return [room, connection, change, replaces, limit]
}

/** Undefined when the fields are not those of a message. */
export function connectionMessage(fields: readonly string[]): ConnectionMessage | undefined {
  if (fields.length !== 5) return undefined
  const [room = '', connection = '', changeText, replaces = '', limitText] = fields
  const change = changes.find((each) => each === changeText)
  const limit = Number(limitText)
  if (change === undefined || !Number.isSafeInteger(limit) || limit < 1) return undefined
  return { type: 'connection', room, connection, change, replaces, limit }
}

/** Undefined when it says what this version does not know. */
export function connectionRecord(fields: readonly string[]): ConnectionRecord | undefined {
  const [room = '', connection = '', text] = fields
  const outcome = outcomes.find((each) => each === text)
  return outcome === undefined ? undefined : { type: 'connection', room, connection, outcome }
}

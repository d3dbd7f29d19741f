/**
 * What ingest asks of all that one slot knows, and what the slot's worker answers (docs/spec.md QU). It travels as messages about members do
 * (member-entry.ts).
 */
export interface AskMessage {
  readonly type: 'ask'
  /** Any name of the slot. */
  readonly room: string
  /** Comes back in the answer. */
  readonly nonce: string
  /** `rooms`: those of the slot that a user is a member of. */
  readonly what: AskedFor
  /** The user's id. */
  readonly of: string
}
export type AskedFor = 'rooms'

/** A room that a user is a member of. */
export interface MemberRoom {
  readonly room: string
  /** Since when without a break longer than the grace, ms since 1970. */
  readonly sinceMs: number
  /** Open ones; 0 within the grace after the last. */
  readonly connections: number
}
/** `whole`: there are no more than these. */
export interface AnswerRecord {
  readonly type: 'answer'
  readonly room: string
  readonly nonce: string
  readonly whole: boolean
  readonly rooms: readonly MemberRoom[]
}

const askRoom = '!ask'
const asked: readonly AskedFor[] = ['rooms']

/** After the kind of an ephemeral event: room, options, tail. */
export function askFields({ room, nonce, what, of }: AskMessage): readonly [string, string, string] {
  return [askRoom, JSON.stringify([room, nonce, what, of]), '']
}

/** Undefined when it asks nothing, or what this version does not know. */
export function askMessage(kind: string, fields: readonly string[]): AskMessage | undefined {
  const [room, nonce, whatText, of] = fields
  const what = asked.find((each) => each === whatText)
  if (kind !== askRoom || room === undefined || nonce === undefined || what === undefined || of === undefined)
    return undefined
  return { type: 'ask', room, nonce, what, of }
}

type Row = readonly [room: string, sinceMs: number, connections: number]

/** Fields after the kind of the record. */
export function answerFields({ room, nonce, whole, rooms }: AnswerRecord): readonly string[] {
  const rows = rooms.map((each): Row => [each.room, each.sinceMs, each.connections])
  return [room, nonce, JSON.stringify({ whole, rooms: rows })]
}

/** Undefined when it says what this version does not know. */
export function answerRecord([room = '', nonce = '', text = '']: readonly string[]): AnswerRecord | undefined {
  try {
    const { whole, rooms } = JSON.parse(text) as { whole: boolean; rooms: readonly Row[] }
    const read = rooms.map(([name, sinceMs, connections]): MemberRoom => ({ room: name, sinceMs, connections }))
    return { type: 'answer', room, nonce, whole, rooms: read }
  } catch {
    return undefined
  }
}

/**
 * What an edge asks of a user's rate, and what the worker of the user's room answers (docs/spec.md RL8). It travels as messages about
 * locks do (lock-entry.ts).
 */
export interface RateMessage {
  readonly type: 'rate'
  /** The user's room: it says which worker counts. */
  readonly room: string
  /** Comes back in the answer. */
  readonly nonce: string
  /** Whose events are counted, with the tenant: users of two tenants may have one room. */
  readonly user: string
  /** The class of the events. */
  readonly name: string
  readonly limit: number
  readonly periodMs: number
  /** Events that the edge would like to let pass. */
  readonly wanted: number
}

/** A lease of `granted` events, or none and when to ask again. */
export interface RateRecord {
  readonly type: 'rate'
  readonly room: string
  readonly nonce: string
  readonly granted: number
  readonly retryAfterMs: number
}

const rateRoom = '!rate'

/** After the kind of an ephemeral event: room, options, tail. */
export function rateFields({ room, nonce, user, name, limit, periodMs, wanted }: RateMessage): readonly string[] {
  return [rateRoom, JSON.stringify([room, nonce, user, name, limit, periodMs, wanted]), '']
}

/** Undefined when it is not about rates, or of a form that this version does not know. */
export function rateMessage(kind: string, options: string): RateMessage | undefined {
  if (kind !== rateRoom) return undefined
  try {
    const [room, nonce, user, name, ...counts] = JSON.parse(options) as readonly unknown[]
    if (typeof room !== 'string' || typeof nonce !== 'string') return undefined
    if (typeof user !== 'string' || typeof name !== 'string') return undefined
    if (counts.length !== 3 || !counts.every(isCount)) return undefined
    const [limit = 0, periodMs = 0, wanted = 0] = counts
    return { type: 'rate', room, nonce, user, name, limit, periodMs, wanted }
  } catch {
    return undefined
  }
}

/** Fields after the kind of the record. */
export function rateRecordFields({ room, nonce, granted, retryAfterMs }: RateRecord): readonly string[] {
  return [room, nonce, String(granted), String(retryAfterMs)]
}

/** Undefined when it says what this version does not know. */
export function rateRecord(fields: readonly string[]): RateRecord | undefined {
  const [room = '', nonce = '', grantedText, retryText] = fields
  const [granted, retryAfterMs] = [Number(grantedText), Number(retryText)]
  // An answer either grants something or says when to ask again.
  const isAnswer = granted === 0 ? isCount(retryAfterMs) : isCount(granted) && retryAfterMs === 0
  return isAnswer ? { type: 'rate', room, nonce, granted, retryAfterMs } : undefined
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 1

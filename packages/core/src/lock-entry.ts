/**
 * What edges ask of the locks of a room, and what its worker answers (docs/spec.md LK). It travels as messages about members do
 * (member-entry.ts).
 */
export interface LockMessage {
  readonly type: 'lock'
  readonly room: string
  /** Comes back in the answer. */
  readonly nonce: string
  readonly change: LockChange
  /** Which lock of the room. */
  readonly name: string
  readonly user: string
  /** Tells holders of the same user apart: who asks again with the same one has it, and renews it. */
  readonly holder: string
  readonly ttlMs: number
}
export type LockChange = 'lock' | 'unlock' | 'list'

/** A lock that somebody holds, for `leftMs` more unless it is renewed. */
export interface HeldLock {
  readonly name: string
  readonly user: string
  /** Decimal digits. */
  readonly fence: string
  readonly leftMs: number
}
/**
 * `held`: the asker has it, by this number. `taken`: somebody else has. `released`; `none`: the asker did not have it. `wait`: nobody is given
 * one for now. `full`: the room has as many as it may. `list`: all of the room.
 */
export interface LockRecord {
  readonly type: 'lock'
  readonly room: string
  readonly nonce: string
  readonly outcome: LockOutcome
  readonly locks: readonly HeldLock[]
  /** Of `wait` and `taken`: when to ask again, ms. */
  readonly retryAfterMs: number
}
export type LockOutcome = 'held' | 'taken' | 'released' | 'none' | 'wait' | 'full' | 'list'

const lockRoom = '!lock'
const changes: readonly LockChange[] = ['lock', 'unlock', 'list']
const outcomes: readonly LockOutcome[] = ['held', 'taken', 'released', 'none', 'wait', 'full', 'list']

/** After the kind of an ephemeral event: room, options, tail. */
export function lockFields({ room, nonce, change, name, user, holder, ttlMs }: LockMessage): readonly string[] {
  return [lockRoom, JSON.stringify([room, nonce, change, name, user, holder, ttlMs]), '']
}

/** Undefined when it is not about locks, or of a form that this version does not know. */
export function lockMessage(kind: string, options: string): LockMessage | undefined {
  if (kind !== lockRoom) return undefined
  try {
    const [room, nonce, changeText, name, user, holder, ttlMs] = JSON.parse(options) as readonly unknown[]
    const change = changes.find((each) => each === changeText)
    if (change === undefined || typeof ttlMs !== 'number' || !(ttlMs > 0)) return undefined
    const texts = [room, nonce, name, user, holder]
    if (!texts.every((each) => typeof each === 'string')) return undefined
    const [roomText = '', nonceText = '', nameText = '', userText = '', holderText = ''] = texts
    return {
      ...{ type: 'lock', room: roomText, nonce: nonceText, change, name: nameText },
      ...{ user: userText, holder: holderText, ttlMs },
    }
  } catch {
    return undefined
  }
}

type Row = readonly [name: string, user: string, fence: string, leftMs: number]

/** Fields after the kind of the record. */
export function lockRecordFields({ room, nonce, outcome, locks, retryAfterMs }: LockRecord): readonly string[] {
  const rows = locks.map(({ name, user, fence, leftMs }): Row => [name, user, fence, leftMs])
  return [room, nonce, outcome, String(retryAfterMs), JSON.stringify(rows)]
}

/** Undefined when it says what this version does not know. */
export function lockRecord(fields: readonly string[]): LockRecord | undefined {
  const [room = '', nonce = '', text, retryAfterMs, rows = ''] = fields
  const outcome = outcomes.find((each) => each === text)
  if (outcome === undefined) return undefined
  try {
    const locks = (JSON.parse(rows) as Row[]).map(([name, user, fence, leftMs]) => ({ name, user, fence, leftMs }))
    return { type: 'lock', room, nonce, outcome, locks, retryAfterMs: Number(retryAfterMs) }
  } catch {
    return undefined
  }
}

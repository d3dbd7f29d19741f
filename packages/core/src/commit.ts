import { RS } from './entry.ts'
import type { InterestChange } from './interest.ts'
import type { Replaced } from './plan.ts'

/**
 * The commit: the one atomic write in which a worker turns a batch of inputs into outputs (docs/spec.md CO, the design
 * in ARCHITECTURE.md). This file has its data; the decisions are in slot-state.ts and lane.ts, the write itself in the
 * stores.
 *
 * A slot's stored value is one packed text, `epoch|owner|n|token|inc|run|cursor|marks`. The first four fields are what
 * a commit is fenced by, so a store compares a prefix and never decodes the rest.
 */
export interface SlotValue {
  /** Fencing token: grows with each change of owner. */
  readonly epoch: number
  /** `id#boot` of the worker that owns the slot. */
  readonly owner: string
  /** Number of the last commit. */
  readonly n: number
  /** Names the content of that commit; only its worker makes it. */
  readonly token: string
  /** The epoch at which continuity was last lost. */
  readonly inc: number
  /** The server state that the owner vouched for. */
  readonly run: string
  /** Id of the last input entry consumed, `'0-0'` before the first. */
  readonly cursor: string
  /** Per producer boot: its generation and the last k taken. */
  readonly marks: ReadonlyMap<string, Mark>
}
export interface Mark {
  readonly generation: number
  readonly k: number
}

/** `edge-1#k3x9`: member id and boot. Neither part may contain a delimiter of the packed value. */
export const bootPattern = /^[A-Za-z0-9._-]{1,64}#[A-Za-z0-9]{1,32}$/

export function slotPrefix(value: Pick<SlotValue, 'epoch' | 'owner' | 'n' | 'token'>): string {
  return `${value.epoch}|${value.owner}|${value.n}|${value.token}|`
}

export function formatMarks(marks: ReadonlyMap<string, Mark>): string {
  const parts: string[] = []
  for (const [boot, mark] of marks) parts.push(`${boot}=${mark.generation}.${mark.k}`)
  return parts.join(',')
}

export function formatSlotValue(value: SlotValue): string {
  return `${slotPrefix(value)}${value.inc}|${value.run}|${value.cursor}|${formatMarks(value.marks)}`
}

export function parseSlotValue(text: string): SlotValue {
  const [epoch, owner = '', n, token = '', inc, run = '', cursor = '0-0', packed = ''] = text.split('|')
  const marks = new Map<string, Mark>()
  for (const part of packed === '' ? [] : packed.split(',')) {
    const equals = part.indexOf('=')
    const dot = part.indexOf('.', equals)
    marks.set(part.slice(0, equals), {
      generation: Number(part.slice(equals + 1, dot)),
      k: Number(part.slice(dot + 1)),
    })
  }
  return { epoch: Number(epoch), owner, n: Number(n), token, inc: Number(inc), run, cursor, marks }
}

/**
 * Append to a room's log at the explicit id `<lastSeq>-0`. Entries whose id is below `keepFromSeq` may be trimmed; 0 when
 * there is too little to trim for the effort.
 */
export interface LogAppend {
  readonly room: string
  readonly lastSeq: number
  readonly body: string
  readonly keepFromSeq: number
}
/**
 * One boot's part of an outbox entry: its records (joined by RS, `''` for none), then the bodies of those logs of the
 * commit (indexes). A body goes to the store once, however many boots it is for.
 */
export interface OutAppend {
  readonly records: string
  readonly logs: readonly number[]
}
/**
 * One slot's part of a commit, complete and ready to be written. It is applied only when the slot's stored value begins
 * with `expect`; then it leaves `value` there. Written again it changes nothing that a reader can see: logs have
 * explicit ids, outbox records are deduplicated by (epoch, seq) and k.
 */
export interface SlotCommit {
  readonly slot: number
  /** `slotPrefix` of the value this commit follows. */
  readonly expect: string
  /** The whole new value; begins with the prefix of this commit's own (epoch, owner, n, token). */
  readonly value: string
  readonly logs: readonly LogAppend[]
  /** What every boot (`edge#boot`) is told. */
  readonly outs: ReadonlyMap<string, OutAppend>
  readonly interest: readonly InterestChange[]
}

/** The text of an outbox entry, for a store that puts it together itself. */
export function outText(out: OutAppend, logs: readonly LogAppend[]): string {
  const parts = out.records === '' ? [] : [out.records]
  for (const i of out.logs) {
    const body = logs[i]?.body
    if (body !== undefined) parts.push(body)
  }
  return parts.join(RS)
}

/**
 * What the store found for one slot of a commit.
 * - `ok`: written now, or found written before (its reply had been lost).
 * - `fenced`: another owner has a higher epoch, or the same one. The slot is lost.
 * - `unclaimed`: the stored epoch is lower, or there is no value: my claim was lost.
 * - `regressed`: epoch and owner are mine, but n is lower: the server went back in time.
 * - `conflict`: the same n under another token, or the room's log has another entry where one of this commit belongs. A
 *   bug, or a foreign hand: the slot is dropped loudly.
 */
export type SlotStatus = 'ok' | 'fenced' | 'unclaimed' | 'regressed' | 'conflict'

/**
 * Unless every status is `ok`, nothing was written; but of a commit that met another entry in a log, entries of other logs
 * may stand, as after one that was cut short.
 */
export interface CommitReply {
  /** Identity of the server state (`run_id:master_replid`) that took the call. */
  readonly run: string
  /** One per slot, in the order of the commits given. */
  readonly statuses: readonly SlotStatus[]
  /** Boots whose outbox does not exist: their interest is to be dropped. */
  readonly missing: readonly string[]
}

/**
 * A claim writes `epoch`, `owner`, `n + 1` and (but see `holdsAfter`) the current run, and keeps cursor and marks. It is taken only when
 * `epoch` is higher than the stored one (or it is this very claim, repeated).
 */
export interface Claim {
  readonly slot: number
  readonly epoch: number
  readonly owner: string
  /** The newest epoch that control saw confirmed for the slot: a stored epoch below it means that a claim was lost. */
  readonly confirmed: number
  /** Where one of these runs is the server's, a stored epoch up to the one given proves nothing either. */
  readonly replaced?: Replaced
  /**
   * The prefix of the stored value, when the claimer holds every commit after it and will re-apply them. Then `inc`
   * becomes that of its commits whatever `run` says, and `run` is left as it is: the claimer vouches when they are
   * written. Absent for everybody else. It is said of the server of that `run`: another one refuses the claim, for there
   * others may have written after the prefix what this one lacks.
   */
  readonly holdsAfter?: { readonly prefix: string; readonly inc: number; readonly run: string }
  /** Live boots that are told a `reset` when `inc` changes. */
  readonly boots: readonly string[]
}
export type ClaimReply =
  | {
      readonly ok: true
      readonly run: string
      readonly value: string
      /** `slotPrefix` of the value that the claim replaced; absent when there was none, or when the claim was a repetition. */
      readonly before?: string
    }
  | { readonly ok: false; readonly run: string; readonly value: string | null }

/** The stored values of some slots and the server state they were read from. */
export interface SlotValues {
  readonly run: string
  readonly values: ReadonlyMap<number, string | null>
}

import type { LogAppend, SlotCommit, SlotStatus } from './commit.ts'
import type { Interest } from './interest.ts'
import { outText, parseSlotValue } from './commit.ts'
import { formatInterest } from './interest.ts'
import { roomIdleMs } from './limits.ts'
import { appendNumbered } from './store-streams.ts'
import type { Stream } from './store-streams.ts'

/** What the model of the store (store-model.ts) keeps per lane, and how a commit is judged and written. */

/** One entry of a room's log: its id is `<lastSeq>-0`. */
export interface LogLine {
  readonly lastSeq: number
  readonly body: string
}
interface RoomLog {
  lines: LogLine[]
  expiresAtMs: number
}
/** Everything that is on one primary's lane, in Redis's terms. */
export interface LaneData {
  readonly slots: Map<number, string>
  readonly inputs: Map<number, Stream>
  readonly outboxes: Map<string, Stream>
  readonly logs: Map<string, RoomLog>
  readonly interest: Map<number, Map<string, Interest>>
  readonly dead: { readonly id: string; readonly body: string; readonly reason: string }[]
}
export function entryOf<K, V>(map: Map<K, V>, key: K, create: () => V): V {
  let value = map.get(key)
  if (value === undefined) map.set(key, (value = create()))
  return value
}

/** `match`: the commit follows what is stored. `ok`: it was written before. */
export function judge(text: string | undefined, commit: { expect: string; value: string }): SlotStatus | 'match' {
  if (text?.startsWith(commit.expect) === true) return 'match'
  const mine = parseSlotValue(commit.value)
  if (text === undefined) return 'unclaimed'
  const stored = parseSlotValue(text)
  if (stored.epoch < mine.epoch) return 'unclaimed'
  if (stored.epoch > mine.epoch || stored.owner !== mine.owner) return 'fenced'
  if (stored.n > mine.n) return 'ok'
  if (stored.n === mine.n) return stored.token === mine.token ? 'ok' : 'conflict'
  return stored.n === mine.n - 1 ? 'conflict' : 'regressed'
}

/** Whether another entry than this one is where it belongs, or behind it. */
export function isTaken(data: LaneData, { room, lastSeq, body }: LogAppend): boolean {
  const lines = data.logs.get(room)?.lines ?? []
  if (lastSeq > (lines.at(-1)?.lastSeq ?? 0)) return false
  return lines.findLast((line) => line.lastSeq === lastSeq)?.body !== body
}

interface WriteContext {
  readonly missing: Set<string>
  readonly nowMs: number
  /** Entries of an outbox at the most. */
  readonly maxOut: number
}

export function write(data: LaneData, commit: SlotCommit, context: WriteContext): void {
  for (const { room, lastSeq, body, keepFromSeq } of commit.logs) {
    const log = entryOf(data.logs, room, () => ({ lines: [], expiresAtMs: context.nowMs + roomIdleMs }))
    // What stands at or below the last one was written before (isTaken).
    if (lastSeq > (log.lines.at(-1)?.lastSeq ?? 0)) log.lines.push({ lastSeq, body })
    if ((log.lines[0]?.lastSeq ?? 0) < keepFromSeq) log.lines = log.lines.filter((line) => line.lastSeq >= keepFromSeq)
  }
  for (const [boot, out] of commit.outs) {
    const outbox = data.outboxes.get(boot)
    if (outbox === undefined) {
      context.missing.add(boot)
      continue
    }
    appendNumbered(outbox, outText(out, commit.logs))
    if (outbox.entries.length > context.maxOut) outbox.entries.splice(0, outbox.entries.length - context.maxOut)
  }
  const interest = entryOf(data.interest, commit.slot, () => new Map())
  for (const { on, ...who } of commit.interest) {
    if (on) interest.set(formatInterest(who), who)
    else interest.delete(formatInterest(who))
  }
  data.slots.set(commit.slot, commit.value)
}

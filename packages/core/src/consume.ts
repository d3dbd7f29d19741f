import type { InterestChange, LogAppend, OutAppend } from './commit.ts'
import { formatMarks } from './commit.ts'
import { detached, encodeAck, encodeLog, encodeOut, encodeResult, RS } from './entry.ts'
import type { ConnectionMessage } from './connection-entry.ts'
import type { EphemeralMessage, InputEntry, InputRecord, InterestMessage, PublishRecord } from './entry.ts'
import { formatEpoch } from './position.ts'
import { takeConnection } from './connections.ts'
import type { Retained } from './retained.ts'
import { closeEntry, orderMessage } from './room-state.ts'
import type { RoomState } from './room-state.ts'
import { interested, tip } from './slot-state.ts'
import type { SlotState } from './slot-state.ts'

/** What consuming needs to know of the world. */
export interface ConsumeContext {
  readonly now: number
  /** The clock by which publish keys are forgotten (lane-state.ts); `now` when it is left out. */
  readonly keysNow?: number
  /** Wall clock, ms since 1970; goes into log entries for the policy's age. */
  readonly wallMs: number
  readonly token: string
  /** `yes`: registered. `no`: not, by a list read after the question. `ask`: not known yet, so the entry waits. */
  alive(boot: string): 'yes' | 'no' | 'ask'
  /** Messages and bytes that may still go into this commit; consumption stops when either is used up. */
  readonly budget: { messages: number; bytes: number }
}

/** Entries that could not be decoded, to be put aside. */
export interface Poison {
  readonly id: string
  readonly body: string
}

interface Draft {
  readonly logs: Map<string, LogDraft>
  readonly outs: Map<string, OutDraft>
  readonly interest: InterestChange[]
  bytes: number
}
interface LogDraft {
  readonly room: RoomState
  readonly epoch: string
  readonly first: number
  readonly messages: string[]
}
interface OutDraft {
  readonly records: string[]
  readonly logs: number[]
}

/** Takes entries from `state.pending` in order into one commit. Undefined when there is nothing to commit. */
export function consume(state: SlotState, context: ConsumeContext): { commit: Retained | undefined; poison: Poison[] } {
  const draft: Draft = { logs: new Map(), outs: new Map(), interest: state.dropped, bytes: 0 }
  const poison: Poison[] = []
  let taken = 0
  let cursor = state.cursor
  for (const pending of state.pending) {
    if (context.budget.messages <= 0 || context.budget.bytes <= 0) break
    if (pending.entry === undefined) poison.push({ id: pending.id, body: pending.body })
    else if (!takeEntry(state, draft, pending.entry, context)) break
    taken += 1
    cursor = pending.id
    state.pendingBytes -= pending.body.length
    context.budget.bytes -= pending.body.length
  }
  const digest = state.digestDue && writeDigest(state, draft)
  if (taken === 0 && draft.interest.length === 0 && !digest) return { commit: undefined, poison }
  if (taken > 0) state.pending = state.pending.slice(taken)
  state.dropped = []
  state.cursor = cursor
  const commit = closeDraft(state, draft, context)
  state.chain.push(commit)
  return { commit, poison }
}

/** One text for a boot, to keep with commits, marks and interest: the one that was read holds on to its entry. */
function bootOf(state: SlotState, boot: string): string {
  let own = state.boots.get(boot)
  if (own === undefined) {
    own = detached(boot)
    state.boots.set(own, own)
  }
  return own
}

/** False when the entry must wait: for a room to load, or for the list of members. */
function takeEntry(state: SlotState, draft: Draft, entry: InputEntry, context: ConsumeContext): boolean {
  const boot = bootOf(state, entry.boot)
  const mark = state.marks.get(boot)
  if (mark === undefined || entry.k === 0) {
    const alive = context.alive(boot)
    if (alive === 'ask') return false
    if (alive === 'no') {
      if (entry.k > 0) say(draft, boot, rewind(state, entry.generation, 1))
      return true
    }
  }
  const verdict = entry.k === 0 ? { type: 'take' as const } : judge(mark, entry)
  if (verdict.type === 'rewind') say(draft, boot, rewind(state, entry.generation, verdict.from))
  if (verdict.type === 'repeat') {
    say(
      draft,
      boot,
      encodeOut({ type: 'ack', slot: state.slot, generation: entry.generation, k: verdict.k, results: [] }),
    )
  }
  if (verdict.type !== 'take') return true
  // Rooms are asked for when an entry is read, so every room is there when none is under way.
  if (state.loading.size > 0 && !entry.messages.every(isReady(state))) return false
  takeMessages(state, draft, { entry, boot }, context)
  return true
}

const isReady = (state: SlotState) => (message: InputRecord) => !needsRoom(message) || state.rooms.has(message.room)

/** Whether the state of its room must be there before it is taken. */
export function needsRoom({ type }: InputRecord): boolean {
  return type === 'publish' || type === 'interest'
}

function takeMessages(
  state: SlotState,
  draft: Draft,
  { entry, boot }: { readonly entry: InputEntry; readonly boot: string },
  context: ConsumeContext,
): void {
  const results: string[] = []
  for (const message of entry.messages) {
    context.budget.messages -= 1
    if (message.type === 'publish') results.push(takePublish(state, draft, message, context))
    else if (message.type === 'interest') takeInterest(state, draft, message, boot)
    else if (message.type === 'connection') countConnection(state, draft, message, boot)
    else takeEphemeral(state, draft, message)
  }
  if (entry.k === 0) return
  state.marks.set(boot, { generation: entry.generation, k: entry.k })
  state.marksText = ''
  say(draft, boot, encodeAck(state.slot, entry, results))
}

type Verdict = { type: 'take' } | { type: 'drop' } | { type: 'repeat'; k: number } | { type: 'rewind'; from: number }

/** Takes `k = last + 1` only (architecture 3.3); a new generation begins with 1. */
function judge(mark: { generation: number; k: number } | undefined, entry: InputEntry): Verdict {
  const last = mark === undefined || entry.generation > mark.generation ? 0 : mark.k
  if (mark !== undefined && entry.generation < mark.generation) return { type: 'drop' }
  if (entry.k === last + 1) return { type: 'take' }
  return entry.k <= last ? { type: 'repeat', k: last } : { type: 'rewind', from: last + 1 }
}

function rewind(state: SlotState, generation: number, from: number): string {
  return encodeOut({ type: 'rewind', slot: state.slot, generation, from })
}

function outOf(draft: Draft, boot: string): OutDraft {
  let out = draft.outs.get(boot)
  if (out === undefined) draft.outs.set(boot, (out = { records: [], logs: [] }))
  return out
}

function say(draft: Draft, boot: string, record: string): void {
  const { records } = outOf(draft, boot)
  // A gap is found once per entry behind it; one answer is enough.
  if (records.at(-1) !== record) records.push(record)
  draft.bytes += record.length
}

/** Returns the result for the acknowledgement. */
function takePublish(state: SlotState, draft: Draft, message: PublishRecord, context: ConsumeContext): string {
  const room = state.rooms.get(message.room)
  if (room === undefined) throw new Error(`room ${message.room} is not loaded`)
  const ordered = orderMessage(room, state.keys, message, context.keysNow ?? context.now)
  if (ordered.type === 'full') {
    // It is in use: dropped and loaded again, all it has would count as new, and it would be full for ever.
    room.touchedAt = context.now
    return encodeResult({ ok: false, code: 'OVERLOADED', retryAfterMs: 1_000 })
  }
  if (ordered.type === 'repeat') return encodeResult({ ok: true, epoch: epochOf(state, room), seq: ordered.seq })
  let log = draft.logs.get(message.room)
  if (log === undefined) {
    // A room comes to life with the commit that holds its first message; commit numbers only grow.
    if (room.tag === 0) {
      room.tag = tip(state).n + 1
      room.epochText = ''
    }
    log = { room, epoch: epochOf(state, room), first: ordered.seq, messages: [] }
    draft.logs.set(room.name, log)
  }
  log.messages.push(message.text)
  return encodeResult({ ok: true, epoch: log.epoch, seq: ordered.seq })
}

/** A slot's `inc` never changes while its rooms are loaded. */
function epochOf(state: SlotState, room: RoomState): string {
  if (room.epochText === '') room.epochText = formatEpoch({ inc: state.inc, tag: room.tag })
  return room.epochText
}

/**
 * Where the room stood before this commit: its events come last in the entries of all who are interested by then, so for
 * everybody live delivery begins with the first of them.
 */
function headBefore(draft: Draft, room: RoomState): number {
  const log = draft.logs.get(room.name)
  return log === undefined ? room.head : log.first - 1
}

function takeInterest(state: SlotState, draft: Draft, message: InterestMessage, boot: string): void {
  const room = state.rooms.get(message.room)
  if (room === undefined) throw new Error(`room ${message.room} is not loaded`)
  const boots = interested(state, room.name)
  if (message.on) boots.add(boot)
  else boots.delete(boot)
  if (boots.size === 0) state.interest.delete(room.name)
  draft.interest.push({ room: room.name, boot, on: message.on })
  if (!message.on) return
  const answer = {
    room: message.room,
    epoch: epochOf(state, room),
    head: headBefore(draft, room),
    nonce: message.nonce,
  }
  say(draft, boot, encodeOut({ type: 'interest', ...answer }))
}

function countConnection(state: SlotState, draft: Draft, message: ConnectionMessage, boot: string): void {
  const { rows, told } = takeConnection(state.connections, message, { boot, inc: state.inc })
  draft.interest.push(...rows)
  const { room } = message
  for (const { boot: to, connection, outcome } of told)
    say(draft, to, encodeOut({ type: 'connection', room, connection, outcome }))
}

function takeEphemeral(state: SlotState, draft: Draft, message: EphemeralMessage): void {
  const boots = state.interest.get(message.room)
  if (boots === undefined) return
  const record = encodeOut({
    type: 'ephemeral',
    room: message.room,
    event: { options: message.options, tail: message.tail },
  })
  for (const boot of boots) say(draft, boot, record)
}

function writeDigest(state: SlotState, draft: Draft): boolean {
  state.digestDue = false
  let said = false
  for (const name of state.active) {
    const room = state.rooms.get(name)
    const boots = state.interest.get(name)
    if (room === undefined || boots === undefined) continue
    const digest = { room: name, epoch: epochOf(state, room), head: headBefore(draft, room) }
    const record = encodeOut({ type: 'head', ...digest })
    for (const boot of boots) say(draft, boot, record)
    said = true
  }
  state.active.clear()
  return said
}

function closeDraft(state: SlotState, draft: Draft, context: ConsumeContext): Retained {
  const logs: LogAppend[] = []
  // These numbers are the same for all, and too large to be turned into text in no time.
  const [inc, timeMs] = [String(state.inc), String(context.wallMs)]
  for (const [name, { room, first, messages }] of draft.logs) {
    const boots = state.interest.get(name)
    if (boots !== undefined) {
      for (const boot of boots) outOf(draft, boot).logs.push(logs.length)
      state.active.add(name)
    }
    const keepFromSeq = closeEntry(room, context.now, context.keysNow)
    const body = encodeLog(name, { inc, tag: room.tag, first, timeMs }, messages)
    draft.bytes += body.length
    logs.push({ room: name, lastSeq: room.head, body, keepFromSeq })
  }
  const outs = new Map<string, OutAppend>()
  for (const [boot, out] of draft.outs) outs.set(boot, { records: out.records.join(RS), logs: out.logs })
  if (state.marksText === '') state.marksText = formatMarks(state.marks)
  return {
    n: tip(state).n + 1,
    token: context.token,
    cursor: state.cursor,
    marks: state.marksText,
    logs,
    outs,
    interest: draft.interest,
    bytes: draft.bytes + state.marksText.length,
    composedAt: context.now,
    okAt: undefined,
  }
}

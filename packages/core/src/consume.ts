import { isOutdated } from './boots.ts'
import type { LogAppend, OutAppend } from './commit.ts'
import type { InterestChange } from './interest.ts'
import { formatMarks } from './commit.ts'
import { detached, encodeAck, encodeLog, encodeOut, encodeResult, RS, US } from './entry.ts'
import type { ConnectionMessage } from './connection-entry.ts'
import type { MemberMessage, QueryMessage } from './member-entry.ts'
import { markOpen, takeLock } from './locks.ts'
import type { LockMessage } from './lock-entry.ts'
import { hasChanges, listMembers, takeChanges, takeMember } from './members.ts'
import type { EphemeralMessage, InputEntry, InputRecord, InterestMessage, PublishRecord } from './entry.ts'
import { toldByWorker, userMessage, wants } from './outgoing.ts'
import type { Outgoing } from './outgoing.ts'
import { formatEpoch } from './position.ts'
import { takeConnection } from './connections.ts'
import type { Retained } from './retained.ts'
import { leaseRate } from './rate-leases.ts'
import { closeEntry, orderMessage } from './room-state.ts'
import type { RoomState } from './room-state.ts'
import { noteDropped, noteInterest, tellDue, tellOfMembers } from './slot-outgoing.ts'
import type { TellContext } from './slot-outgoing.ts'
import { answerTo } from './slot-answers.ts'
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
  /** Whether the newest list has it. */
  isListed(boot: string): boolean
  /** Messages and bytes that may still go into this commit; consumption stops when either is used up. */
  readonly budget: { messages: number; bytes: number }
  /** What is to be told of the slot; nothing when it is left out. */
  readonly outgoing?: SlotOutgoing | undefined
}
/** What the policy asks for, and the slot's log of it, which is loaded. */
export interface SlotOutgoing {
  readonly policy: Outgoing
  readonly log: string
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
  const telling = tellingOf(state, draft, context)
  if (telling !== undefined) {
    noteDropped(state, [...state.dropped], telling)
    tellDue(state, telling)
  }
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
  const hasTold = draft.logs.size > 0 || hasChanges(state.members)
  if (taken === 0 && draft.interest.length === 0 && !hasTold && !digest) return { commit: undefined, poison }
  if (taken > 0) state.pending = state.pending.slice(taken)
  state.dropped = []
  state.cursor = cursor
  draft.interest.push(...markOpen(state.locks, state.inc))
  if (telling !== undefined) tellOfMembers(state.members, telling)
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
  const isListed = context.isListed(boot)
  for (const message of entry.messages) {
    context.budget.messages -= 1
    if (isOutdated(state, message, { boot, isListed })) continue
    if (message.type === 'publish') results.push(takePublish(state, draft, message, context))
    else if (message.type === 'interest') {
      takeInterest(state, draft, message, boot)
      const telling = tellingOf(state, draft, context)
      if (telling !== undefined) noteInterest(state, message.room, telling)
    } else if (message.type === 'connection') countConnection(state, draft, message, boot)
    else if (message.type === 'member') keepMember(state, draft, message, { ...context, boot, inc: state.inc })
    else if (message.type === 'lock') giveLock(state, draft, message, { boot, now: context.now })
    else if (message.type === 'rate') say(draft, boot, encodeOut(leaseRate(state.rates, message, context.now)))
    else if (message.type === 'query') answerQuery(state, draft, message, boot)
    else if (message.type === 'ask') say(draft, boot, encodeOut(answerTo(state, message)))
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
  const log = logOf(state, draft, room)
  log.messages.push(message.text)
  tellOfMessage(message, { epoch: log.epoch, seq: ordered.seq }, tellingOf(state, draft, context))
  return encodeResult({ ok: true, epoch: log.epoch, seq: ordered.seq })
}

/** What the commit appends to the log of a room, whose head is the seq of the message to be added. */
function logOf(state: SlotState, draft: Draft, room: RoomState): LogDraft {
  let log = draft.logs.get(room.name)
  if (log === undefined) {
    // A room comes to life with the commit that holds its first message; commit numbers only grow.
    if (room.tag === 0) {
      room.tag = tip(state).n + 1
      room.epochText = ''
    }
    log = { room, epoch: epochOf(state, room), first: room.head, messages: [] }
    draft.logs.set(room.name, log)
  }
  return log
}

/** Undefined where the policy asks for no events. */
function tellingOf(state: SlotState, draft: Draft, context: ConsumeContext): TellContext | undefined {
  const { outgoing, now, budget } = context
  if (outgoing === undefined) return undefined
  const room = state.rooms.get(outgoing.log)
  if (room === undefined) throw new Error(`the log of events ${outgoing.log} is not loaded`)
  const tell = (tail: string): void => {
    const text = toldByWorker(tail)
    room.head += 1
    room.openChars += text.length
    budget.bytes -= text.length
    logOf(state, draft, room).messages.push(text)
  }
  return { outgoing: outgoing.policy, now, tell, rows: draft.interest }
}

function tellOfMessage(
  { room, text }: PublishRecord,
  at: { readonly epoch: string; readonly seq: number },
  telling: TellContext | undefined,
): void {
  if (telling === undefined || !wants(telling.outgoing, 'user.message', room)) return
  const tail = userMessage(room, at, text.slice(text.lastIndexOf(US) + 1))
  if (tail !== undefined) telling.tell(tail)
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

function keepMember(
  state: SlotState,
  draft: Draft,
  message: MemberMessage,
  from: Parameters<typeof takeMember>[2],
): void {
  draft.interest.push(...takeMember(state.members, message, from))
}

function giveLock(
  state: SlotState,
  draft: Draft,
  message: LockMessage,
  { boot, now }: { readonly boot: string; readonly now: number },
): void {
  const { rows, answer } = takeLock(state.locks, message, { inc: state.inc, now })
  draft.interest.push(...rows)
  say(draft, boot, encodeOut({ type: 'lock', room: message.room, nonce: message.nonce, ...answer }))
}

function answerQuery(state: SlotState, draft: Draft, { room, nonce }: QueryMessage, boot: string): void {
  say(draft, boot, encodeOut({ type: 'presence', room, nonce, ...listMembers(state.members, room), in: [], out: [] }))
}

/** Comes last, so that who asked in this commit is told of what came after its question. */
function tellMembers(state: SlotState, draft: Draft, wallMs: number): void {
  if (!hasChanges(state.members)) return
  for (const record of takeChanges(state.members, wallMs)) {
    const text = encodeOut(record)
    for (const boot of state.interest.get(record.room) ?? []) say(draft, boot, text)
  }
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
  tellMembers(state, draft, context.wallMs)
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

import { answerFields, answerRecord } from './ask-entry.ts'
import type { AnswerRecord } from './ask-entry.ts'
import { connectionFields, connectionMessage, connectionRecord } from './connection-entry.ts'
import type { ConnectionMessage, ConnectionRecord } from './connection-entry.ts'
import { hiddenFields, hiddenMessage } from './hidden-entry.ts'
import type { HiddenMessage } from './hidden-entry.ts'
import { lockRecord, lockRecordFields } from './lock-entry.ts'
import type { LockRecord } from './lock-entry.ts'
import { presenceFields, presenceRecord } from './member-entry.ts'
import type { PresenceRecord } from './member-entry.ts'
import { rateRecord, rateRecordFields } from './rate-entry.ts'
import type { RateRecord } from './rate-entry.ts'

/**
 * What travels through Redis Streams: input entries (producer → worker), outbox entries (worker → edge) and log
 * entries (a room's history). All are text: records separated by U+001E, fields by U+001F (before the U+001E of an input
 * entry too, so that it is written by one join). Neither character can
 * occur in a field: names are validated, and JSON text escapes control characters. So no decoder walks the payload,
 * and the bytes that a producer encoded are the bytes that a subscriber reads.
 */
export const RS = '\u001e'
export const US = '\u001f'
/** First field of every input and log entry. N and N−1 must be able to read each other. */
export const ENTRY_VERSION = '1'

/**
 * A durable event on its way in. `tail` is the part of the client's frame that does not depend on the position:
 * `"event":"x","data":{…},"meta":{…}` without braces. `options` is `''` or JSON (event-options.ts).
 */
export interface PublishMessage {
  readonly type: 'publish'
  readonly room: string
  /** With sender and room it names the message: the same three are one message (promise 3). */
  readonly key: string
  /** User id, or `key:<name>` of an ingest key. */
  readonly sender: string
  readonly options: string
  readonly tail: string
}
/** An event without seq, log, acknowledgement or retry. */
export interface EphemeralMessage {
  readonly type: 'ephemeral'
  readonly room: string
  readonly options: string
  readonly tail: string
}
/** An edge declares (`on`) or withdraws that it has subscribers of the room. Answered by an `interest` record. */
export interface InterestMessage {
  readonly type: 'interest'
  readonly room: string
  readonly on: boolean
  /** Comes back in the answer, so that an edge knows which of its declarations is answered. */
  readonly nonce: string
}
export type StateMessage = ConnectionMessage | HiddenMessage
export type InputMessage = PublishMessage | EphemeralMessage | InterestMessage | StateMessage

/**
 * A publish as its worker reads it. `text` is the message as the room's log and its subscribers' outboxes get it: the
 * worker cuts it out of the entry and never looks inside.
 */
export interface PublishRecord {
  readonly type: 'publish'
  readonly room: string
  /** `sender key options tail`, separated by U+001F. */
  readonly text: string
  /** The first so many characters, sender and key, name the message in its room (promise 3). */
  readonly keyEnd: number
}
export type InputRecord = PublishRecord | EphemeralMessage | InterestMessage | StateMessage

/** One entry of an input stream. `k` is contiguous per (boot, generation, slot); 0 marks an ephemeral entry. */
export interface InputEntry {
  /** `id#boot` of the producer. */
  readonly boot: string
  readonly generation: number
  readonly k: number
  readonly messages: readonly InputRecord[]
}

/** Between two messages of an input entry; the header and every message are fields joined by U+001F. */
const BETWEEN = US + RS

/** One join for all of it: texts added up piece by piece would be copied once more, and kept in pieces meanwhile. */
export function encodeInput(head: Omit<InputEntry, 'messages'>, messages: readonly InputMessage[]): string {
  const fields: (string | number)[] = [ENTRY_VERSION, head.boot, head.generation, head.k]
  for (const message of messages) {
    switch (message.type) {
      case 'publish':
        fields.push(`${RS}P`, message.room, message.sender, message.key, message.options, message.tail)
        break
      case 'ephemeral':
        fields.push(`${RS}E`, message.room, message.options, message.tail)
        break
      case 'interest':
        fields.push(`${RS}I`, message.room, message.on ? '+' : '-', message.nonce)
        break
      case 'connection':
        fields.push(`${RS}C`, ...connectionFields(message))
        break
      default:
        fields.push(`${RS}E`, ...hiddenFields(message))
    }
  }
  return fields.join(US)
}

/** Characters that a message takes in an entry, separators included. */
export function lengthOf(message: InputMessage): number {
  switch (message.type) {
    case 'publish': {
      const { room, sender, key, options, tail } = message
      return room.length + sender.length + key.length + options.length + tail.length + 8
    }
    case 'ephemeral':
      return message.room.length + message.options.length + message.tail.length + 6
    case 'interest':
      return message.room.length + message.nonce.length + 7
    case 'connection':
      return connectionFields(message).join(US).length + 4
    default:
      return hiddenFields(message).join(US).length + 4
  }
}

function decodePublish(record: string): PublishRecord | undefined {
  const room = record.indexOf(US, 2)
  const sender = record.indexOf(US, room + 1)
  const key = record.indexOf(US, sender + 1)
  const options = record.indexOf(US, key + 1)
  if (room < 0 || sender < 0 || key < 0 || options < 0 || record.includes(US, options + 1)) return undefined
  return { type: 'publish', room: record.slice(2, room), text: record.slice(room + 1), keyEnd: key - room - 1 }
}

/**
 * A copy that is a piece of memory of its own. What is cut out of an entry holds on to all of it, so whatever is kept for
 * longer than the entry is copied, as a room's name when it is loaded.
 */
export function detached(text: string): string {
  return text.split('').join('')
}

/** What a publish record was written from. */
export function publishOf({ room, text }: PublishRecord): PublishMessage {
  const [sender = '', key = '', options = '', tail = ''] = text.split(US)
  return { type: 'publish', room, key, sender, options, tail }
}

function decodeMessage(record: string): InputRecord | undefined {
  if (record.startsWith(`P${US}`)) return decodePublish(record)
  const [kind, room = '', ...rest] = record.split(US)
  if (kind === 'E' && rest.length === 2) {
    const [options = '', tail = ''] = rest
    return hiddenMessage(room, options, tail) ?? { type: 'ephemeral', room, options, tail }
  }
  if (kind === 'C') return connectionMessage([room, ...rest])
  if (kind === 'I' && rest.length === 2) return { type: 'interest', room, on: rest[0] === '+', nonce: rest[1] ?? '' }
  return undefined
}

/** Undefined when the entry is not of a form this version knows: a poison message for the dead-letter stream. */
export function decodeInput(body: string): InputEntry | undefined {
  const [header = '', ...records] = body.split(BETWEEN)
  const [version, boot, generation, k, ...more] = header.split(US)
  if (version !== ENTRY_VERSION || boot === undefined || boot === '' || more.length > 0) return undefined
  const messages: InputRecord[] = []
  const entry = { boot, generation: Number(generation), k: Number(k), messages }
  if (!Number.isSafeInteger(entry.generation) || !Number.isSafeInteger(entry.k) || entry.k < 0) return undefined
  for (const record of records) {
    const message = decodeMessage(record)
    if (message === undefined) return undefined
    messages.push(message)
  }
  return entry
}

/** An event as subscribers get it, still without its seq. */
export interface OutEvent {
  readonly options: string
  readonly tail: string
}
/** What a producer is told of one publish: its position, or a refusal. */
export type PublishResult =
  | { readonly ok: true; readonly epoch: string; readonly seq: number }
  | { readonly ok: false; readonly code: string; readonly retryAfterMs: number }

/**
 * One record of an outbox entry.
 * - `events`: durable events `first … first + events.length − 1` of the room; `epoch` is `<inc>.<tag>`. It is
 *   the text of the log entry of the same commit, so the store needs that only once.
 * - `ack`: everything up to `k` of that generation is committed. `results` are those of entry `k`, one per publish in
 *   its order; empty when the worker recognised the entry as a repetition (its results are no longer known).
 * - `interest`: live delivery of the room begins after `head`.
 * - `rewind`: the worker misses `from`; resend from there (generation as the worker knows it).
 * - `reset`: continuity of the slot was lost at `inc`; declare all interest in it again.
 * - `head`: the periodic digest of a room.
 * - `connection`: what became of a connection of this edge.
 * - `presence`: members of a room. `lock`: what became of a question about its locks. `answer`: what a slot knows.
 * - `rate`: events that the edge may let a user publish.
 */
export type OutRecord =
  | { readonly type: 'boot' }
  | {
      readonly type: 'events'
      readonly room: string
      readonly epoch: string
      readonly first: number
      /** When it was committed, by the worker's clock, ms since 1970: for people's figures only. */
      readonly timeMs?: number
      readonly events: readonly OutEvent[]
    }
  | { readonly type: 'ephemeral'; readonly room: string; readonly event: OutEvent }
  | {
      readonly type: 'ack'
      readonly slot: number
      readonly generation: number
      readonly k: number
      readonly results: readonly PublishResult[]
    }
  | {
      readonly type: 'interest'
      readonly room: string
      readonly epoch: string
      readonly head: number
      readonly nonce: string
    }
  | { readonly type: 'rewind'; readonly slot: number; readonly generation: number; readonly from: number }
  | { readonly type: 'reset'; readonly slot: number; readonly inc: number }
  | { readonly type: 'head'; readonly room: string; readonly epoch: string; readonly head: number }
  | ConnectionRecord
  | PresenceRecord
  | LockRecord
  | RateRecord
  | AnswerRecord

export function encodeResult(result: PublishResult): string {
  return result.ok ? `${result.epoch}:${result.seq}` : `!${result.code}:${result.retryAfterMs}`
}

/** `results` as {@link encodeResult} writes them. */
export function encodeAck(
  slot: number,
  entry: Pick<InputEntry, 'generation' | 'k'>,
  results: readonly string[],
): string {
  return [`a${US}${slot}${US}${entry.generation}${US}${entry.k}`, ...results].join(US)
}

export function encodeOut(record: Exclude<OutRecord, { type: 'events' }>): string {
  switch (record.type) {
    case 'boot':
      return 'b'
    case 'ephemeral':
      return `e${US}${record.room}${US}${record.event.options}${US}${record.event.tail}`
    case 'ack':
      return encodeAck(record.slot, record, record.results.map(encodeResult))
    case 'interest':
      return `i${US}${record.room}${US}${record.epoch}${US}${record.head}${US}${record.nonce}`
    case 'rewind':
      return `w${US}${record.slot}${US}${record.generation}${US}${record.from}`
    case 'reset':
      return `z${US}${record.slot}${US}${record.inc}`
    case 'head':
      return `d${US}${record.room}${US}${record.epoch}${US}${record.head}`
    case 'connection':
      return `c${US}${record.room}${US}${record.connection}${US}${record.outcome}`
    case 'presence':
      return ['p', ...presenceFields(record)].join(US)
    case 'lock':
      return ['l', ...lockRecordFields(record)].join(US)
    case 'rate':
      return ['r', ...rateRecordFields(record)].join(US)
    case 'answer':
      return ['q', ...answerFields(record)].join(US)
  }
}

function decodeResult(text: string): PublishResult {
  const at = text.lastIndexOf(':')
  const value = Number(text.slice(at + 1))
  if (text.startsWith('!')) return { ok: false, code: text.slice(1, at), retryAfterMs: value }
  return { ok: true, epoch: text.slice(0, at), seq: value }
}

type Decode = (fields: readonly string[]) => OutRecord | undefined
const field = (fields: readonly string[], i: number): string => fields[i] ?? ''
const number = (fields: readonly string[], i: number): number => Number(fields[i])

const decoders: Readonly<Record<string, Decode>> = {
  b: () => ({ type: 'boot' }),
  e: (f) => ({ type: 'ephemeral', room: field(f, 1), event: { options: field(f, 2), tail: field(f, 3) } }),
  a: (f) => ({
    type: 'ack',
    slot: number(f, 1),
    generation: number(f, 2),
    k: number(f, 3),
    results: f.slice(4).map(decodeResult),
  }),
  i: (f) => ({ type: 'interest', room: field(f, 1), epoch: field(f, 2), head: number(f, 3), nonce: field(f, 4) }),
  w: (f) => ({ type: 'rewind', slot: number(f, 1), generation: number(f, 2), from: number(f, 3) }),
  z: (f) => ({ type: 'reset', slot: number(f, 1), inc: number(f, 2) }),
  c: (f) => connectionRecord(f.slice(1)),
  p: (f) => presenceRecord(f.slice(1)),
  l: (f) => lockRecord(f.slice(1)),
  r: (f) => rateRecord(f.slice(1)),
  q: (f) => answerRecord(f.slice(1)),
  d: (f) => ({ type: 'head', room: field(f, 1), epoch: field(f, 2), head: number(f, 3) }),
}

const eventsBegin = `${ENTRY_VERSION}${US}`

/** A log entry as its subscribers' edges need it: senders and keys are passed over. */
function decodeEvents(text: string): OutRecord {
  let at = eventsBegin.length
  const skip = (): void => {
    const end = text.indexOf(US, at)
    at = end < 0 ? text.length + 1 : end + 1
  }
  const next = (): string => {
    const from = at
    skip()
    return text.slice(from, at - 1)
  }
  const room = next()
  const epoch = `${next()}.${next()}`
  const first = Number(next())
  const timeMs = Number(next())
  const events: OutEvent[] = []
  while (at < text.length) {
    skip()
    skip()
    events.push({ options: next(), tail: next() })
  }
  return { type: 'events', room, epoch, first, timeMs, events }
}

/** Records of a kind this version does not know are left out: a newer worker may say more than an older edge knows. */
export function decodeOut(body: string): OutRecord[] {
  const records: OutRecord[] = []
  for (const text of body.split(RS)) {
    if (text.startsWith(eventsBegin)) {
      records.push(decodeEvents(text))
      continue
    }
    const fields = text.split(US)
    const decode = decoders[field(fields, 0)]
    const record = decode?.(fields)
    if (record !== undefined) records.push(record)
  }
  return records
}

/** A message as a room's log keeps it. */
export interface LogMessage {
  readonly sender: string
  readonly key: string
  readonly options: string
  readonly tail: string
}
/** One entry of a room's log: messages `first … first + messages.length − 1` of the life `tag`; id `<last>-0`. */
export interface LogEntry {
  /** The slot's incarnation when it was written: a reader that knows an older one has a loss of continuity to tell first. */
  readonly inc: number
  readonly tag: number
  readonly first: number
  /** Wall clock of the committing worker, ms since 1970: for the policy's age only, never for order. */
  readonly timeMs: number
  readonly messages: readonly LogMessage[]
}

/** A message as a log entry carries it. */
export function encodeLogMessage({ sender, key, options, tail }: LogMessage): string {
  return `${sender}${US}${key}${US}${options}${US}${tail}`
}

/**
 * `messages` as {@link encodeLogMessage} and {@link PublishRecord} write them. A joined text is one piece of memory: one
 * that is added up would hold on to the entry that its parts came from, as long as the worker keeps it (10 s of commits).
 */
export function encodeLog(room: string, head: LogHead, messages: readonly string[]): string {
  const header = `${ENTRY_VERSION}${US}${room}${US}${head.inc}${US}${head.tag}${US}${head.first}${US}${head.timeMs}`
  return [header, ...messages].join(US)
}
/** Numbers, or their texts. */
type LogHead = { readonly [K in 'inc' | 'tag' | 'first' | 'timeMs']: number | string }

/** Undefined when the entry is not of a form this version knows. */
export function decodeLog(body: string): LogEntry | undefined {
  const f = body.split(US)
  if (f[0] !== ENTRY_VERSION || f.length < 10 || (f.length - 6) % 4 !== 0) return undefined
  const messages: LogMessage[] = []
  for (let i = 6; i < f.length; i += 4) {
    messages.push({ sender: field(f, i), key: field(f, i + 1), options: field(f, i + 2), tail: field(f, i + 3) })
  }
  const entry = { inc: number(f, 2), tag: number(f, 3), first: number(f, 4), timeMs: number(f, 5), messages }
  return [entry.inc, entry.tag, entry.first, entry.timeMs].every((value) => Number.isFinite(value)) ? entry : undefined
}

import { hash, randomUUID } from 'node:crypto'
import { writeOptions } from '@flotilla/core/event-options'
import { maxConflatedDataBytes, maxDataBytes, maxMatchChars } from '@flotilla/core/limits'
import { parseRoomName, validEventName, validKey } from '@flotilla/core/room-name'
import { dataText, matchWithout } from '@flotilla/core/sensitive'
import type { Policy } from '@flotilla/core/policy'
import type { ErrorCode } from '@flotilla/core/codes'
import type { EventFrame } from '@flotilla/core/frames'
import type { Endpoint, PublishOutcome } from '@flotilla/node/endpoint-port'
import { describeIssues, eventRequest } from './schema.ts'
import type { EventRequest } from './schema.ts'

/** One room's part of a publish that named it. */
export type RoomResult =
  | { readonly room: string; readonly position?: { readonly epoch: string; readonly seq: number } }
  | { readonly room: string; readonly error: { readonly code: string; readonly retryAfterMs: number } }

/** `code` is one of core's error codes or what a worker refused with. */
export type EventAnswer =
  | { readonly ok: true; readonly id: string; readonly results: readonly RoomResult[] }
  | {
      readonly ok: false
      readonly code: string
      readonly detail: string
      readonly id?: string
      readonly retryAfterMs?: number
      readonly results?: readonly RoomResult[]
    }

/** An event that was checked, ready to be published. */
export interface CheckedEvent {
  readonly rooms: readonly string[]
  readonly id: string
  readonly options: string
  readonly tail: string
  readonly ephemeral: boolean
}
/** 128 bits and more. */
const copyIdChars = 22
export type Refusal = Extract<EventAnswer, { ok: false }>

export function refusal(code: ErrorCode, detail: string): Refusal {
  return { ok: false, code, detail }
}

/** Judges a request's body; `fallbackId` names the event when the body does not (the `Idempotency-Key` header). */
export function checkEvent(
  body: unknown,
  context: {
    readonly keyName: string
    readonly nowMs: number
    readonly fallbackId: string | undefined
    readonly policy: Pick<Policy, 'sensitive' | 'types'>
  },
): { readonly ok: true; readonly event: CheckedEvent } | Refusal {
  const parsed = eventRequest.safeParse(body)
  if (!parsed.success) return refusal('VALIDATION_ERROR', describeIssues(parsed.error))
  const request = parsed.data
  const rooms = roomsOf(request)
  const wrong = roomFault(rooms, request, context.policy)
  if (wrong !== undefined) return wrong
  if (!validEventName(request.event)) return refusal('VALIDATION_ERROR', 'event: has a character that is not allowed')
  const id = request.id ?? context.fallbackId ?? randomUUID()
  if (!validKey(id)) return refusal('VALIDATION_ERROR', 'id: 1 to 128 printable characters')
  const wrongOption = optionsFault(request)
  if (wrongOption !== undefined) return refusal('VALIDATION_ERROR', wrongOption)
  const data = dataText(request.data, context.policy.sensitive)
  const maxBytes = request.conflate === undefined ? maxDataBytes : maxConflatedDataBytes
  if (Buffer.byteLength(data) > maxBytes) return refusal('PAYLOAD_TOO_LARGE', `data is larger than ${maxBytes} bytes`)
  if (request.filter !== undefined && JSON.stringify(request.filter).length > maxMatchChars) {
    return refusal('VALIDATION_ERROR', `filter: more than ${maxMatchChars} characters of JSON`)
  }
  const meta = {
    userId: `key:${context.keyName}`,
    timestamp: new Date(context.nowMs).toISOString(),
    ...(rooms.length > 1 ? { id: copyId(context.keyName, id) } : {}),
  }
  const tail = eventTail(request.event, data, meta)
  const options = optionsOf(request, context)
  return { ok: true, event: { rooms, id, options, tail, ephemeral: request.ephemeral ?? false } }
}

/**
 * By this who hears several rooms of an event tells that they brought one. The same for a post that is repeated, and not the id itself:
 * that may be a signature, or a name that is nobody's business.
 */
function copyId(keyName: string, id: string): string {
  return hash('sha256', `${keyName}\n${id}`, 'base64url').slice(0, copyIdChars)
}

/** The part of an event frame that is the same in every room. `data` is JSON. */
export function eventTail(event: string, data: string, meta: Omit<EventFrame['meta'], 'connectionId'>): string {
  return `"event":${JSON.stringify(event)},"data":${data},"meta":${JSON.stringify(meta)}`
}

interface Publication {
  readonly event: CheckedEvent
  readonly keyName: string
  /** Of the request, where it is a part of a trace. */
  readonly traceparent?: string | undefined
}

/** Publishes to every room; calls `settled` once, after the commits, or with what is known at the deadline. */
export function publishEvent(
  endpoint: Endpoint,
  { event, keyName, traceparent }: Publication,
  settled: (answer: EventAnswer) => void,
): void {
  const { rooms, id, options, tail } = event
  if (event.ephemeral) {
    for (const room of rooms) endpoint.ephemeral(room, { options, tail })
    return settled({ ok: true, id, results: rooms.map((room) => ({ room })) })
  }
  const sender = `key:${keyName}`
  const outcomes: PublishOutcome[] = []
  let left = rooms.length
  rooms.forEach((room, i) => {
    endpoint.publish({ room, key: id, sender, options, tail, traceparent }, (outcome) => {
      outcomes[i] = outcome
      left -= 1
      if (left === 0) settled(answerOf(id, rooms, outcomes))
    })
  })
}

/** Atomic per room: as soon as one room may have it, only a retry under the same id is right for the others. */
function answerOf(id: string, rooms: readonly string[], outcomes: readonly PublishOutcome[]): EventAnswer {
  const results = rooms.map((room, i) => resultOf(room, outcomes[i]))
  const failed = outcomes.filter((outcome) => outcome.type !== 'committed')
  if (failed.length === 0) return { ok: true, id, results }
  const retryAfterMs = Math.max(...failed.map((outcome) => outcome.retryAfterMs))
  const [first] = failed
  const same =
    failed.length === outcomes.length && failed.every((o) => o.type === 'refused' && codeOf(o) === codeOf(first))
  const code = same ? codeOf(first) : 'UNKNOWN'
  const detail = same
    ? code === 'OVERLOADED'
      ? 'nothing was appended, retry later'
      : 'refused by the room'
    : 'not known to be committed in every room: retry with the same id, and it stays one event'
  return { ok: false, code, detail, id, retryAfterMs, results }
}

function codeOf(outcome: PublishOutcome | undefined): string {
  return outcome?.type === 'refused' ? outcome.code : 'UNKNOWN'
}

function resultOf(room: string, outcome: PublishOutcome | undefined): RoomResult {
  if (outcome?.type === 'committed') return { room, position: { epoch: outcome.epoch, seq: outcome.seq } }
  return { room, error: { code: codeOf(outcome), retryAfterMs: outcome?.retryAfterMs ?? 0 } }
}

function roomsOf(request: EventRequest): readonly string[] {
  const { room, rooms, user, users, tenant, role } = request
  if (room !== undefined) return [room]
  if (rooms !== undefined) return [...new Set(rooms)]
  if (user !== undefined) return [`user:${user}`]
  if (users !== undefined) return [...new Set(users)].map((each) => `user:${each}`)
  if (tenant !== undefined) return [role === undefined ? `tenant:${tenant}` : `role:${tenant}:${role}`]
  return ['public:all']
}

function roomFault(
  rooms: readonly string[],
  request: EventRequest,
  { types }: Pick<Policy, 'types'>,
): Refusal | undefined {
  if (!rooms.every((room) => isRoom(room, request)))
    return refusal('INVALID_ROOM', 'a room is of the form type:id or type:tenant:id')
  // As one of the others it could be open to everybody of the tenant.
  if (request.role === undefined || types.has('role')) return undefined
  return refusal('UNKNOWN_ROOM_TYPE', 'role: the policy says nothing of the type "role"')
}

/** An id with a colon in it would name a room of another form than the one meant. */
function isRoom(room: string, request: EventRequest): boolean {
  const name = parseRoomName(room)
  if (!name.ok) return false
  if (request.room !== undefined || request.rooms !== undefined) return true
  return (name.tenant === undefined) === (request.role === undefined)
}

function optionsFault({ ephemeral = false, conflate, ttl }: EventRequest): string | undefined {
  if (ttl !== undefined && ephemeral) return 'ttl: an ephemeral event is not kept'
  if (conflate === undefined) return undefined
  if (!ephemeral) return 'conflate: every durable event is kept'
  return validKey(conflate) ? undefined : 'conflate: 1 to 64 printable characters'
}

function optionsOf(
  { except, filter, conflate, ttl }: EventRequest,
  { keyName, nowMs, policy }: Parameters<typeof checkEvent>[1],
): string {
  return writeOptions({
    ...{ except, match: filter === undefined ? undefined : matchWithout(filter, policy.sensitive) },
    conflate: conflate === undefined ? undefined : `key:${keyName} ${conflate}`,
    until: ttl === undefined ? undefined : nowMs + ttl,
  })
}

import { z } from 'zod'
import {
  maxConflateChars,
  maxExcept,
  maxHistoryEvents,
  maxLockTtlMs,
  maxMethodChars,
  maxTtlMs,
  minLockTtlMs,
  minTtlMs,
} from './limits.ts'

/**
 * The native protocol: JSON text frames over WebSocket. docs/protocol.md describes it for people.
 * History, one line per version:
 * - 1: auth, subscribe, unsubscribe, publish, resume, ping; connected, ok, error, position, event, pong. Later, for clients
 *   that know it (others ignore the frame, as any that they do not know): drain, unsubscribed, history. Later: echo, except, match
 *   of publish; presence, of subscribe and as a frame both ways; lock, unlock, locks; id of meta;
 *   conflate and ttl of publish, event of error; token of subscribe and resume, call, result, reason of error, data of connected;
 *   auth without token.
 */
export const PROTOCOL_VERSION = 1

const requestId = z.union([z.number().int().nonnegative(), z.string().min(1).max(64)])
const room = z.string().min(1).max(200)
const position = z.strictObject({ epoch: z.string().min(1).max(64), seq: z.number().int().nonnegative() })
/** A signed token for this room. */
const roomToken = z.string().min(1).max(8_192).optional()
const lockName = z.string().min(1).max(128)
/** `offline`: there, and not to be taken for it. */
const status = z.enum(['online', 'away', 'busy', 'offline'])
// Judged by filter.ts, whose reasons are better than a schema's.
const filter = z.record(z.string(), z.unknown())

/** The frames a client may send. Unknown keys are refused: a misspelt option must not be silently ignored. */
export const clientFrame = z.discriminatedUnion('type', [
  // Without a token: an anonymous connection.
  z.strictObject({ type: z.literal('auth'), id: requestId.optional(), token: z.string().min(1).max(8192).optional() }),
  z.strictObject({
    type: z.literal('subscribe'),
    id: requestId,
    room,
    since: position.optional(),
    filter: filter.optional(),
    /** To be told of the members. */
    presence: z.boolean().optional(),
    token: roomToken,
  }),
  z.strictObject({ type: z.literal('unsubscribe'), id: requestId, room }),
  z.strictObject({
    type: z.literal('publish'),
    id: requestId,
    room,
    event: z.string().min(1).max(128),
    data: z.unknown(),
    key: z.string().min(1).max(128).optional(),
    ephemeral: z.boolean().optional(),
    /** false: not to the connection that publishes. */
    echo: z.boolean().optional(),
    /** Users and connections that do not get it. */
    except: z.array(z.string().min(1).max(200)).max(maxExcept).optional(),
    /** Attributes that filters are judged by, besides the data. */
    match: z.record(z.string(), z.unknown()).optional(),
    /** Ephemeral events: of those of this connection with this key that wait only the newest goes on. */
    conflate: z.string().min(1).max(maxConflateChars).optional(),
    /** Durable events: it is served for so long, ms. */
    ttl: z.number().int().min(minTtlMs).max(maxTtlMs).optional(),
  }),
  z.strictObject({
    type: z.literal('resume'),
    id: requestId,
    rooms: z
      .array(
        z.strictObject({
          room,
          since: position.optional(),
          filter: filter.optional(),
          presence: z.boolean().optional(),
          token: roomToken,
        }),
      )
      .max(1000),
  }),
  /** What the user shows of itself in all of the connection's rooms; `data` is up to the application. */
  z.strictObject({
    type: z.literal('presence'),
    id: requestId,
    status,
    data: z.record(z.string(), z.unknown()).optional(),
  }),
  z.strictObject({
    type: z.literal('history'),
    id: requestId,
    room,
    before: z.number().int().min(1).optional(),
    after: z.number().int().nonnegative().optional(),
    limit: z.number().int().min(1).max(maxHistoryEvents).optional(),
  }),
  /** Takes, or renews, a lock of the room; `holder` is the client's own word, by which it is known again. */
  z.strictObject({
    type: z.literal('lock'),
    id: requestId,
    room,
    name: lockName.optional(),
    holder: lockName,
    ttlMs: z.number().int().min(minLockTtlMs).max(maxLockTtlMs).optional(),
  }),
  z.strictObject({ type: z.literal('unlock'), id: requestId, room, name: lockName.optional(), holder: lockName }),
  z.strictObject({ type: z.literal('locks'), id: requestId, room }),
  /** Calls a service: which one, the part of `method` before its first dot says. */
  z.strictObject({
    type: z.literal('call'),
    id: requestId,
    method: z.string().min(1).max(maxMethodChars),
    params: z.unknown(),
  }),
  z.strictObject({ type: z.literal('ping'), id: requestId.optional() }),
])
export type ClientFrame = z.infer<typeof clientFrame>
export type RequestId = z.infer<typeof requestId>

/** A lock that somebody has for so long. `fence` is a whole number below 2⁶³ in digits, which grows whenever a lock of the room changes hands: pass it on to what the lock protects. */
const lock = z.object({
  name: z.string(),
  userId: z.string(),
  fence: z.string(),
  leftMs: z.number().int().nonnegative(),
})
/** Somebody in a room. `since` without a break of more than the grace. */
const member = z.object({
  userId: z.string(),
  since: z.string(),
  status,
  data: z.record(z.string(), z.unknown()).optional(),
})
const members = z.array(member).readonly()
const meta = z.object({
  userId: z.string(),
  timestamp: z.string(),
  connectionId: z.string().optional(),
  /** Of an event that was sent to several rooms: the same in all of them, unique with the user id. */
  id: z.string().optional(),
})
/** Why continuity was lost. */
export const lossReason = z.enum(['expired', 'trimmed', 'epoch', 'ahead'])
export type LossReason = z.infer<typeof lossReason>

/**
 * The frames a server sends. Clients ignore keys they do not know. `ok` of a `resume` carries one entry per room in
 * `rooms`; `position` tells of lost continuity (`recovered: false`, with the reason) or only moves the position along.
 */
export const serverFrame = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('connected'),
    protocol: z.number().int(),
    userId: z.string(),
    connectionId: z.string(),
    tenantId: z.string().optional(),
    rooms: z.array(z.string()),
    timestamp: z.string(),
    /** How long a position can be resumed at the least, by the default policy. */
    resumeWindow: z.object({ events: z.number().int(), ms: z.number().int() }),
    pingIntervalMs: z.number().int(),
    /** What the service that decides about connections has the client told. */
    data: z.unknown().optional(),
  }),
  z.object({
    type: z.literal('ok'),
    id: requestId.optional(),
    room: z.string().optional(),
    position: position.optional(),
    recovered: z.boolean().optional(),
    missed: z.number().int().optional(),
    reason: lossReason.optional(),
    /** Whether the connection is told of the members, when it asked for that. */
    presence: z.boolean().optional(),
    lock: lock.optional(),
    locks: z.array(lock).optional(),
    rooms: z
      .array(
        z.object({
          room: z.string(),
          position: position.optional(),
          recovered: z.boolean().optional(),
          missed: z.number().int().optional(),
          reason: lossReason.optional(),
          presence: z.boolean().optional(),
          error: z.object({ code: z.string(), message: z.string(), retryAfterMs: z.number().optional() }).optional(),
        }),
      )
      .optional(),
  }),
  z.object({
    type: z.literal('error'),
    id: requestId.optional(),
    code: z.string(),
    message: z.string(),
    room: z.string().optional(),
    /** Of a publish: the name of its event. */
    event: z.string().optional(),
    /** Of a call: the service's own word for why. */
    reason: z.string().optional(),
    retryAfterMs: z.number().optional(),
  }),
  /** What a service answered to a call. */
  z.object({ type: z.literal('result'), id: requestId, data: z.unknown() }),
  /** The server has ended a subscription: the policy, or what the user may, has changed. */
  z.object({ type: z.literal('unsubscribed'), room: z.string(), code: z.string(), message: z.string() }),
  z.object({
    type: z.literal('position'),
    room: z.string(),
    position,
    recovered: z.boolean(),
    reason: lossReason.optional(),
  }),
  z.object({
    type: z.literal('event'),
    room: z.string(),
    /** Absent on ephemeral events. */
    seq: z.number().int().positive().optional(),
    event: z.string(),
    data: z.unknown(),
    meta,
  }),
  /** A page of what the room keeps. `first` and `last` are what it goes over, shown or not; null when there is nothing. */
  z.object({
    type: z.literal('history'),
    id: requestId,
    room: z.string(),
    epoch: z.string().optional(),
    first: z.number().int().positive().nullable(),
    last: z.number().int().positive().nullable(),
    events: z
      .array(z.object({ seq: z.number().int().positive(), event: z.string(), data: z.unknown(), meta }))
      .readonly(),
  }),
  /** Members of a room: with `members` everybody (null: too many to be listed), else what has changed. `count`: of users. */
  z.object({
    type: z.literal('presence'),
    room: z.string(),
    count: z.number().int().nonnegative(),
    members: members.nullable().optional(),
    joined: members.optional(),
    changed: members.optional(),
    left: z
      .array(z.object({ userId: z.string(), lastSeen: z.string() }))
      .readonly()
      .optional(),
  }),
  z.object({ type: z.literal('pong'), id: requestId.optional(), timestamp: z.string() }),
  /**
   * The edge is going away and still serves: the client opens another connection at some moment within `afterMs`, resumes
   * its rooms there, and only then closes this one. Who does not is closed with 1012 later.
   */
  z.object({ type: z.literal('drain'), afterMs: z.number().int().nonnegative() }),
])
export type ServerFrame = z.infer<typeof serverFrame>
export type EventFrame = Extract<ServerFrame, { type: 'event' }>

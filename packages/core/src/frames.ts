import { z } from 'zod'

/**
 * The native protocol: JSON text frames over WebSocket. docs/protocol.md describes it for people.
 * History, one line per version:
 * - 1: auth, subscribe, unsubscribe, publish, resume, ping; connected, ok, error, position, event, pong. Later, for clients
 *   that know it (others ignore the frame, as any that they do not know): drain.
 */
export const PROTOCOL_VERSION = 1

const requestId = z.union([z.number().int().nonnegative(), z.string().min(1).max(64)])
const room = z.string().min(1).max(200)
const position = z.strictObject({ epoch: z.string().min(1).max(64), seq: z.number().int().nonnegative() })
// Judged by filter.ts, whose reasons are better than a schema's.
const filter = z.record(z.string(), z.unknown())

/** The frames a client may send. Unknown keys are refused: a misspelt option must not be silently ignored. */
export const clientFrame = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('auth'), id: requestId.optional(), token: z.string().min(1).max(8192) }),
  z.strictObject({
    type: z.literal('subscribe'),
    id: requestId,
    room,
    since: position.optional(),
    filter: filter.optional(),
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
  }),
  z.strictObject({
    type: z.literal('resume'),
    id: requestId,
    rooms: z.array(z.strictObject({ room, since: position.optional(), filter: filter.optional() })).max(1000),
  }),
  z.strictObject({ type: z.literal('ping'), id: requestId.optional() }),
])
export type ClientFrame = z.infer<typeof clientFrame>
export type RequestId = z.infer<typeof requestId>

const meta = z.object({ userId: z.string(), timestamp: z.string(), connectionId: z.string().optional() })
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
  }),
  z.object({
    type: z.literal('ok'),
    id: requestId.optional(),
    room: z.string().optional(),
    position: position.optional(),
    recovered: z.boolean().optional(),
    missed: z.number().int().optional(),
    reason: lossReason.optional(),
    rooms: z
      .array(
        z.object({
          room: z.string(),
          position: position.optional(),
          recovered: z.boolean().optional(),
          missed: z.number().int().optional(),
          reason: lossReason.optional(),
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
    retryAfterMs: z.number().optional(),
  }),
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
  z.object({ type: z.literal('pong'), id: requestId.optional(), timestamp: z.string() }),
  /**
   * The edge is going away and still serves: the client opens another connection at some moment within `afterMs`, resumes
   * its rooms there, and only then closes this one. Who does not is closed with 1012 later.
   */
  z.object({ type: z.literal('drain'), afterMs: z.number().int().nonnegative() }),
])
export type ServerFrame = z.infer<typeof serverFrame>
export type EventFrame = Extract<ServerFrame, { type: 'event' }>

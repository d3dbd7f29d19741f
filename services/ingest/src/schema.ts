import { maxConflateChars, maxExcept, maxTtlMs, minTtlMs } from '@flotilla/core/limits'
import { maxEventChars, maxKeyChars, maxRoomChars } from '@flotilla/core/room-name'
import { z } from 'zod'

/** Rooms or users one event may name. */
export const maxTargets = 100
/** Events of one batch. */
export const maxBatchEvents = 500
/** Events one page of a room's history may have. */
export const maxHistoryPage = 1_000

const room = z.string().min(1).max(maxRoomChars)
const id = z
  .string()
  .min(1)
  .max(maxRoomChars - 'tenant:'.length)
const targets = ['room', 'rooms', 'user', 'users', 'tenant', 'all'] as const

/** Body of `POST /v1/events`. Unknown keys are refused: a misspelt option must not be silently ignored. */
export const eventRequest = z
  .strictObject({
    room: room.optional().describe('The room, `type:id` or `type:tenant:id`.'),
    rooms: z.array(room).min(1).max(maxTargets).optional().describe('Several rooms; atomic per room.'),
    user: id.optional().describe('A user: the room `user:<id>`.'),
    users: z.array(id).min(1).max(maxTargets).optional().describe('Several users.'),
    tenant: id.optional().describe('A tenant: the room `tenant:<id>`.'),
    role: id.optional().describe('With `tenant`: who has this role there, the room `role:<tenant>:<role>`.'),
    all: z.literal(true).optional().describe('Everybody: the room `public:all`.'),
    event: z.string().min(1).max(maxEventChars).describe('Name of the event.'),
    data: z.unknown().optional().describe('Any JSON; null when absent.'),
    id: z
      .string()
      .min(1)
      .max(maxKeyChars)
      .optional()
      .describe('Names the event: repeated under the same id by the same key it is one event. Generated when absent.'),
    except: z
      .array(z.string().min(1).max(maxRoomChars))
      .max(maxExcept)
      .optional()
      .describe('User ids that do not get it.'),
    filter: z
      .record(z.string(), z.unknown())
      .optional()
      .describe("Attributes that subscribers' filters are judged by, besides the data."),
    ephemeral: z.boolean().optional().describe('Not logged, not numbered, may be dropped.'),
    conflate: z
      .string()
      .min(1)
      .max(maxConflateChars)
      .optional()
      .describe('Ephemeral events: of those of a key of ingest with this text that wait only the newest goes on.'),
    ttl: z
      .number()
      .int()
      .min(minTtlMs)
      .max(maxTtlMs)
      .optional()
      .describe(
        'Durable events: how long it is served, ms. After that nobody gets it any more, its number is passed over.',
      ),
  })
  .refine((body) => targets.filter((target) => body[target] !== undefined).length === 1, {
    error: `exactly one of ${targets.join(', ')} is needed`,
  })
  .refine((body) => body.role === undefined || body.tenant !== undefined, {
    path: ['role'],
    error: 'a tenant is needed',
  })
  .meta({ oneOf: targets.map((target) => ({ required: [target] })), dependentRequired: { role: ['tenant'] } })
export type EventRequest = z.infer<typeof eventRequest>

/** Body of `POST /v1/events/batch` as documented; at runtime each event is judged by itself. */
export const batchRequest = z.strictObject({ events: z.array(eventRequest).min(1).max(maxBatchEvents) })
export const batchEnvelope = z.strictObject({ events: z.array(z.unknown()).min(1).max(maxBatchEvents) })

const digits = z.string().regex(/^\d{1,15}$/)
/** Query of `GET /v1/rooms/:room/history`. */
export const historyQuery = z
  .strictObject({
    after: digits.transform(Number).optional(),
    before: digits.transform(Number).pipe(z.number().int().min(1)).optional(),
    limit: digits.transform(Number).pipe(z.number().int().min(1).max(maxHistoryPage)).default(100),
  })
  .refine(({ after, before }) => after === undefined || before === undefined, { error: 'after or before, not both' })

const position = z.object({ epoch: z.string(), seq: z.number().int().positive() })
/** What became of one room; `position` is absent for ephemeral events. */
const roomResult = z.object({
  room: z.string(),
  position: position.optional(),
  error: z.object({ code: z.string(), retryAfterMs: z.number() }).optional(),
})
/** Answer of `POST /v1/events` after the commit. */
export const eventAccepted = z.object({ id: z.string(), results: z.array(roomResult) })
/** Problem+json (RFC 9457) with the fleet's code. */
export const problemAnswer = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number().int(),
  detail: z.string(),
  code: z.string(),
  id: z.string().optional().describe('The id to retry with.'),
  retryAfterMs: z.number().optional(),
  results: z.array(roomResult).optional(),
})
/** Answer of `POST /v1/events/batch`: one item per event, in order. */
export const batchAnswer = z.object({
  results: z.array(z.union([eventAccepted.extend({ status: z.literal(202) }), problemAnswer])),
})
/** Answer of `GET /v1/rooms/:room/history`. */
export const historyAnswer = z.object({
  room: z.string(),
  events: z.array(
    z.object({
      seq: z.number().int().positive(),
      event: z.string(),
      data: z.unknown(),
      meta: z.record(z.string(), z.unknown()),
    }),
  ),
  epoch: z.string().optional().describe("The last event's: with its seq it is a position."),
  first: z.number().int().nullable(),
  last: z.number().int().nullable(),
})

/** The first fault, for people. */
export function describeIssues(error: z.ZodError): string {
  const [issue] = error.issues
  const path = issue?.path.join('.') ?? ''
  return `${path === '' ? '' : `${path}: `}${issue?.message ?? 'not of the documented form'}`
}

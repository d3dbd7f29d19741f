import { viewOf } from '@flotilla/node/member-view'
import { hasPresence } from '@flotilla/core/policy'
import { parseRoomName } from '@flotilla/core/room-name'
import type { PolicySource } from '@flotilla/node/policy'
import type { RequestHandler, Response } from 'express'
import { z } from 'zod'
import { sendProblem } from './answers.ts'
import type { Audit } from './audit.ts'
import { allows } from './key-scopes.ts'
import type { IngestKey } from './keys.ts'
import { refusal } from './publish.ts'
import type { Refusal } from './publish.ts'
import type { Questions } from './questions.ts'
import { describeIssues } from './schema.ts'

/** Users that one request may ask about. */
const maxUsers = 100
const busyRetryMs = 1_000

const userId = z.string().min(1).max(200)
/** Query of `GET /v1/rooms/:room/presence`. */
const presenceQuery = z.strictObject({
  user: z
    .union([userId, z.array(userId).min(1).max(maxUsers)])
    .transform((user) => new Set([user].flat()))
    .optional(),
})

/** Answer of `GET /v1/rooms/:room/presence`. */
export const presenceAnswer = z.object({
  room: z.string(),
  count: z.number().int().describe('Users in the room, whether they are listed or not.'),
  members: z
    .array(
      z.object({
        userId: z.string(),
        since: z.string(),
        status: z.enum(['online', 'away', 'busy', 'offline']),
        data: z.record(z.string(), z.unknown()).optional(),
        connections: z.number().int().describe('Open ones; 0 within the time of grace after the last.'),
      }),
    )
    .nullable()
    .describe('Null: more than 5,000.'),
})

export interface PresenceRouteOptions {
  readonly questions: Pick<Questions, 'ask'>
  readonly policy: PolicySource
  readonly audit: Audit
  keyOf(res: Response): IngestKey
}

export function getPresence({ questions, policy, audit, keyOf }: PresenceRouteOptions): RequestHandler {
  return async (req, res) => {
    const room = String(req.params['room'])
    const key = keyOf(res)
    const refuse = (why: Refusal): void => {
      audit.refused({ req, res, route: 'getPresence', key, targets: [room], outcomes: { [why.code]: 1 } })
      sendProblem(res, why)
    }
    if (!parseRoomName(room).ok) return refuse(refusal('INVALID_ROOM', 'A room is type:id or type:tenant:id.'))
    if (!allows(key.scopes, 'history', room)) return refuse(refusal('FORBIDDEN', 'The key does not allow this.'))
    const query = presenceQuery.safeParse(req.query)
    if (!query.success) return refuse(refusal('VALIDATION_ERROR', describeIssues(query.error)))
    if (!hasPresence(policy.current, room))
      return refuse(refusal('NOT_FOUND', 'The policy keeps no members of this room.'))
    const record = await questions.ask({ type: 'query', room })
    if (record?.type !== 'presence')
      return sendProblem(res, {
        ...refusal('OVERLOADED', 'The members cannot be read now.'),
        retryAfterMs: busyRetryMs,
      })
    const { user } = query.data
    const listed = record.all?.filter((each) => user?.has(each.user) ?? true) ?? null
    const members = listed?.map((each) => ({ ...viewOf(each), connections: each.connections })) ?? null
    res.setHeader('Cache-Control', 'no-store')
    res.json({ room, count: record.count, members })
  }
}

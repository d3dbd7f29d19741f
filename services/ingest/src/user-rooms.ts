import { randomUUID } from 'node:crypto'
import type { EventOptions } from '@flotilla/core/event-options'
import { isKnown } from '@flotilla/core/policy'
import type { RoomControl } from '@flotilla/core/room-control'
import { maxRoomChars, parseRoomName } from '@flotilla/core/room-name'
import type { Endpoint } from '@flotilla/node/endpoint-port'
import type { PolicySource } from '@flotilla/node/policy'
import type { Request, RequestHandler, Response } from 'express'
import { z } from 'zod'
import { eventReply, sendProblem, sendReply } from './answers.ts'
import type { Audit } from './audit.ts'
import { mayDeny } from './key-scopes.ts'
import type { IngestKey } from './keys.ts'
import { readEvent } from './post-body.ts'
import { eventTail, publishEvent, refusal } from './publish.ts'
import type { CheckedEvent, Refusal } from './publish.ts'
import type { RouteName } from './routes.ts'
import { describeIssues } from './schema.ts'

/** Body of `POST /v1/users/:user/rooms`. */
export const userRoomRequest = z.strictObject({
  room: z.string().min(1).max(maxRoomChars).describe('The room, `type:id` or `type:tenant:id`.'),
})

export interface UserRoomDeps {
  readonly endpoint: Endpoint
  readonly policy: PolicySource
  readonly audit: Audit
  /** What the authenticator found. */
  keyOf(res: Response): IngestKey
}
type UserRoomRoute = Extract<RouteName, 'postUserRoom' | 'deleteUserRoom'>
interface Asked {
  readonly route: UserRoomRoute
  readonly req: Request
  readonly res: Response
  readonly user: string
}

/** Puts a user into a room, and takes it out, on every device: by an event in the user's own room that says so to the edges. */
export function userRoomHandlers(deps: UserRoomDeps): Readonly<Record<UserRoomRoute, RequestHandler>> {
  return {
    postUserRoom: (req, res) => {
      const asked: Asked = { route: 'postUserRoom', req, res, user: String(req.params['user']) }
      const read = readEvent(req.body)
      if (!read.ok) return refuse(deps, asked, read)
      const parsed = userRoomRequest.safeParse(read.value)
      if (!parsed.success) return refuse(deps, asked, refusal('VALIDATION_ERROR', describeIssues(parsed.error)))
      tell(deps, asked, { type: 'join', room: parsed.data.room })
    },
    deleteUserRoom: (req, res) => {
      const asked: Asked = { route: 'deleteUserRoom', req, res, user: String(req.params['user']) }
      tell(deps, asked, { type: 'leave', room: String(req.params['room']) })
    },
  }
}

function tell(deps: UserRoomDeps, asked: Asked, control: RoomControl): void {
  const { route, req, res, user } = asked
  const key = deps.keyOf(res)
  const fault = faultOf(deps, asked, control)
  if (fault !== undefined) return refuse(deps, asked, fault, [targetOf(asked, control)])
  publishEvent(deps.endpoint, { event: eventOf(user, control, key), keyName: key.name }, (answer) => {
    const outcomes = { [answer.ok ? 'OK' : answer.code]: 1 }
    deps.audit.membership({ req, res, route, key, targets: [targetOf(asked, control)], outcomes })
    sendReply(res, eventReply(answer))
  })
}

function faultOf(deps: UserRoomDeps, { res, user }: Asked, { type, room }: RoomControl): Refusal | undefined {
  // Whoever may keep a user out may say where it is.
  if (!mayDeny(deps.keyOf(res).scopes, { kind: 'user', id: user }))
    return refusal('FORBIDDEN', 'The key does not allow this.')
  const own = parseRoomName(`user:${user}`)
  if (!own.ok || own.tenant !== undefined) return refusal('VALIDATION_ERROR', 'user: not the id of a user')
  if (!parseRoomName(room).ok) return refusal('INVALID_ROOM', 'A room is type:id or type:tenant:id.')
  if (type === 'join' && !isKnown(deps.policy.current, room))
    return refusal('INVALID_ROOM', 'The policy has no rooms of this type and form.')
  if (room === own.name) return refusal('INVALID_ROOM', 'By its own room a user is told of the others.')
  return undefined
}

function eventOf(user: string, control: RoomControl, { name }: IngestKey): CheckedEvent {
  const options: EventOptions = { control }
  const meta = { userId: `key:${name}`, timestamp: new Date().toISOString() }
  return {
    rooms: [`user:${user}`],
    id: randomUUID(),
    options: JSON.stringify(options),
    tail: eventTail(`room.${control.type}`, JSON.stringify({ room: control.room }), meta),
    ephemeral: false,
  }
}

const targetOf = ({ user }: Asked, { type, room }: RoomControl): string => `${type} user:${user} ${room}`

function refuse({ audit, keyOf }: UserRoomDeps, asked: Asked, why: Refusal, targets: readonly string[] = []): void {
  const { route, req, res } = asked
  audit.refused({ req, res, route, key: keyOf(res), targets, outcomes: { [why.code]: 1 } })
  sendProblem(res, why)
}

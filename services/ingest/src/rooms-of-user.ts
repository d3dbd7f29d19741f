import type { AnswerRecord, MemberRoom } from '@flotilla/core/ask-entry'
import { eventLogs } from '@flotilla/core/outgoing'
import { historyOf } from '@flotilla/core/policy'
import { controlOf } from '@flotilla/core/room-control'
import { parseRoomName } from '@flotilla/core/room-name'
import type { Endpoint } from '@flotilla/node/endpoint-port'
import type { PolicySource } from '@flotilla/node/policy'
import { StoreError } from '@flotilla/node/store/port'
import type { Store } from '@flotilla/node/store/port'
import type { RequestHandler, Response } from 'express'
import { z } from 'zod'
import { sendProblem } from './answers.ts'
import type { Audit } from './audit.ts'
import { mayDeny } from './key-scopes.ts'
import type { IngestKey } from './keys.ts'
import { refusal } from './publish.ts'
import type { Refusal } from './publish.ts'
import type { Questions } from './questions.ts'

/** Requests that may be under way: each asks every slot. */
const maxUnderWay = 4
const busyRetryMs = 1_000
/** Log entries per read. */
const entriesPerRead = 64

/** Answer of `GET /v1/users/:user/rooms`. */
export const userRoomsAnswer = z.object({
  user: z.string(),
  rooms: z
    .array(
      z.object({
        room: z.string(),
        since: z.string(),
        connections: z.number().int().describe('Open ones; 0 within the time of grace after the last.'),
      }),
    )
    .describe('Rooms that it is in on any device, of those whose members the policy keeps.'),
  complete: z.boolean().describe('False: it is in more rooms than are listed.'),
  put: z
    .array(z.object({ room: z.string(), since: z.string() }))
    .describe(
      'Rooms that a service put it into and did not take it out of, as far as the history of `user:<id>` goes.',
    ),
})

export interface RoomsOfUserDeps {
  readonly questions: Pick<Questions, 'ask'>
  readonly endpoint: Pick<Endpoint, 'tail'>
  readonly policy: PolicySource
  readonly audit: Audit
  readonly store: Pick<Store, 'shape'>
  keyOf(res: Response): IngestKey
}

export function getUserRooms(deps: RoomsOfUserDeps): RequestHandler {
  const slots = eventLogs(deps.store.shape.slots)
  let underWay = 0
  return async (req, res) => {
    const user = String(req.params['user'])
    const key = deps.keyOf(res)
    const refuse = (why: Refusal): void => {
      const outcomes = { [why.code]: 1 }
      deps.audit.refused({ req, res, route: 'getUserRooms', key, targets: [`user:${user}`], outcomes })
      sendProblem(res, why)
    }
    const busy = { ...refusal('OVERLOADED', 'The rooms cannot be read now.'), retryAfterMs: busyRetryMs }
    // Whoever may say where a user is may know it: rooms of any tenant are among them.
    if (!mayDeny(key.scopes, { kind: 'user', id: user }))
      return refuse(refusal('FORBIDDEN', 'The key does not allow this.'))
    const own = parseRoomName(`user:${user}`)
    if (!own.ok || own.tenant !== undefined) return refuse(refusal('VALIDATION_ERROR', 'user: not the id of a user'))
    if (underWay >= maxUnderWay) return sendProblem(res, busy)
    underWay += 1
    try {
      const [member, put] = await Promise.all([memberRooms(deps, slots, user), roomsPutInto(deps, own.name)])
      if (member === undefined) return sendProblem(res, busy)
      res.setHeader('Cache-Control', 'no-store')
      res.json({ user, ...member, put })
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      sendProblem(res, busy)
    } finally {
      underWay -= 1
    }
  }
}

/** No index of rooms by user is kept: every slot is asked, by a name that it has. Undefined when one does not answer. */
async function memberRooms(
  { questions }: RoomsOfUserDeps,
  slots: readonly string[],
  user: string,
): Promise<{ rooms: readonly object[]; complete: boolean } | undefined> {
  const asked = slots.map((room) => questions.ask({ type: 'ask', room, what: 'rooms', of: user }))
  const answers = (await Promise.all(asked)).filter((each): each is AnswerRecord => each?.type === 'answer')
  if (answers.length < slots.length) return undefined
  const rooms = answers.flatMap((each) => each.rooms).toSorted((a, b) => (a.room < b.room ? -1 : 1))
  return { rooms: rooms.map(viewOf), complete: answers.every(({ whole }) => whole) }
}

const viewOf = ({ room, sinceMs, connections }: MemberRoom): object => {
  return { room, since: new Date(sinceMs).toISOString(), connections }
}

/** What services said of the user's rooms, the newest first: of each room the last word counts. */
async function roomsPutInto({ endpoint, policy }: RoomsOfUserDeps, own: string): Promise<readonly object[]> {
  const { ageMs } = historyOf(policy.current, own)
  const oldestMs = Date.now() - ageMs
  const last = new Map<string, { room: string; since: string } | undefined>()
  for (let before = Infinity; ;) {
    const page = await endpoint.tail(own, before, entriesPerRead)
    for (const { messages, timeMs } of page.filter((entry) => entry.timeMs >= oldestMs))
      for (const { options } of messages.toReversed()) {
        const control = controlOf(options)
        if (control === undefined || last.has(control.room)) continue
        const { type, room } = control
        last.set(room, type === 'join' ? { room, since: new Date(timeMs).toISOString() } : undefined)
      }
    const oldest = page.at(-1)
    if (oldest === undefined || oldest.timeMs < oldestMs) break
    before = oldest.first
  }
  return Array.from(last.values()).flatMap((each) => each ?? [])
}

import { UnreadableLogError } from '@flotilla/core/whole-log'
import type { Log } from '@flotilla/node/log'
import { StoreError } from '@flotilla/node/store/port'
import type { RequestHandler, Response } from 'express'
import { z } from 'zod'
import { sendProblem } from '../answers.ts'
import type { Audit } from '../audit.ts'
import { mayRead } from '../key-scopes.ts'
import type { IngestKey } from '../keys.ts'
import { refusal } from '../publish.ts'
import { describeIssues } from '../schema.ts'
import { decodeCursor, encodeCursor } from './cursor.ts'
import type { Places } from './cursor.ts'
import type { Page } from './page.ts'
import type { OutgoingReader } from './reader.ts'

export const maxStreamPage = 1_000
/** How long a request waits at the most, s. */
export const maxWaitSeconds = 30
/** Requests that wait at the same time: each has a connection to the store for every lane. */
const maxWaiting = 16
const busyRetryMs = 1_000

const streamQuery = z.strictObject({
  after: z.string().min(1).max(12_000).default('oldest'),
  limit: z.coerce.number().int().min(1).max(maxStreamPage).default(100),
  wait: z
    .string()
    .regex(/^\d{1,2}s?$/, 'seconds, as in 20s')
    .transform((text) => Number.parseInt(text, 10))
    .pipe(z.number().max(maxWaitSeconds))
    .default(0),
})

/** An outgoing event as it is read and sent. */
export const outgoingEvent = z.object({
  id: z.string().describe('The same whenever the event is read or sent again, and no other event has it.'),
  time: z.string().describe('When it was committed.'),
  event: z.string(),
  data: z.record(z.string(), z.unknown()),
})
const gap = z.object({
  slot: z.number(),
  reason: z.enum(['trimmed', 'expired', 'lost']),
  missed: z.number().nullable(),
})
export const streamAnswer = z.object({
  events: z.array(outgoingEvent),
  gaps: z.array(gap).describe('What comes after the cursor and is not there any more.'),
  next: z.string().describe('The cursor to go on with.'),
})

export interface StreamDeps {
  readonly reader: OutgoingReader
  readonly slots: number
  readonly audit: Audit
  readonly log: Log
  /** Aborts when nobody is to wait any more. */
  readonly closing: AbortSignal
  /** What the authenticator found. */
  keyOf(res: Response): IngestKey
}

/** `GET /v1/stream`: a page of outgoing events after a cursor; with `wait` it comes when there is any. */
export function streamHandler({ reader, slots, audit, log, closing, keyOf }: StreamDeps): RequestHandler {
  let waiting = 0
  const placesOf = async (after: string): Promise<Places | undefined> => {
    if (after === 'oldest') return reader.starts()
    return after === 'end' ? reader.ends() : decodeCursor(after, slots)
  }
  const answer = (res: Response, page: Page): void => {
    const events = page.events.map(({ text }) => text).join(',')
    const next = encodeCursor(page.places, slots)
    res.setHeader('Cache-Control', 'no-store')
    res.type('application/json')
    res.send(`{"events":[${events}],"gaps":${JSON.stringify(page.gaps)},"next":"${next}"}`)
  }
  return async (req, res) => {
    const key = keyOf(res)
    const refuse = (why: ReturnType<typeof refusal>): void => {
      audit.refused({ req, res, route: 'getStream', key, outcomes: { [why.code]: 1 } })
      sendProblem(res, why)
    }
    if (!mayRead(key.scopes, 'stream')) return refuse(refusal('FORBIDDEN', 'The key does not allow this.'))
    const query = streamQuery.safeParse(req.query)
    if (!query.success) return refuse(refusal('VALIDATION_ERROR', describeIssues(query.error)))
    const { after, limit, wait } = query.data
    const gone = new AbortController()
    const busy = (detail: string): void =>
      sendProblem(res, { ...refusal('OVERLOADED', detail), retryAfterMs: busyRetryMs })
    if (wait > 0 && waiting >= maxWaiting) return busy('Too many requests wait for events.')
    waiting += wait > 0 ? 1 : 0
    res.once('close', () => gone.abort())
    try {
      const places = await placesOf(after)
      if (places === undefined) return refuse(refusal('VALIDATION_ERROR', 'after: is not a cursor of this fleet'))
      const signal = AbortSignal.any([gone.signal, closing])
      const request = { limit, waitMs: closing.aborted ? 0 : wait * 1_000, gatherMs: 0, signal }
      const page = await reader.read({ ...request, places })
      if (!gone.signal.aborted) answer(res, page)
    } catch (error) {
      if (!(error instanceof StoreError) && !(error instanceof UnreadableLogError)) throw error
      log.warn('outgoing events could not be read', { err: error })
      busy('Events cannot be read now.')
    } finally {
      waiting -= wait > 0 ? 1 : 0
    }
  }
}

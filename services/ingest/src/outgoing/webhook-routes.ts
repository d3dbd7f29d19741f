import type { Log } from '@flotilla/node/log'
import { StoreError } from '@flotilla/node/store/port'
import type { Store } from '@flotilla/node/store/port'
import type { Request, RequestHandler, Response } from 'express'
import { z } from 'zod'
import { sendProblem } from '../answers.ts'
import type { Audit } from '../audit.ts'
import { mayRead } from '../key-scopes.ts'
import type { IngestKey } from '../keys.ts'
import { readEvent } from '../post-body.ts'
import { refusal } from '../publish.ts'
import type { Refusal } from '../publish.ts'
import { describeIssues } from '../schema.ts'
import { decodeCursor, encodeCursor } from './cursor.ts'
import type { Places } from './cursor.ts'
import type { OutgoingReader } from './reader.ts'
import type { Webhook } from './webhook-file.ts'
import { keepState, readAside, readState, startAt } from './webhook-place.ts'

/** Of what was put aside, the newest that are shown. */
const maxAsideShown = 10
/** Times that a replay is tried again, as the sender was faster. */
const maxAttempts = 10
const retryAfterMs = 1_000

/** Body of `POST /v1/webhooks/:name/replay`. */
export const replayRequest = z.strictObject({
  from: z
    .string()
    .min(1)
    .max(12_000)
    .describe(
      'A cursor of the stream, after which everything is sent again; `oldest`, `end`, or `here`: where it stands.',
    ),
})
export const replayAnswer = z.object({ name: z.string(), from: z.string() })
const webhookAnswer = z.object({
  name: z.string(),
  url: z.string().describe('Without what may be secret in it: user, password and query.'),
  events: z.array(z.string()).nullable(),
  types: z.array(z.string()).nullable(),
  behind: z
    .number()
    .describe('Events of the fleet that come after what it has got, those that are not for it included.'),
  failures: z.number().describe('Requests that failed since one was taken.'),
  failingSince: z.string().nullable(),
  lastError: z.string().nullable(),
  deliveredAt: z.string().nullable(),
  delivered: z.number().describe('Events that it took since it began.'),
  aside: z.number().describe('Events, and gaps, that were put aside: those that are still kept.'),
  newestAside: z.array(z.record(z.string(), z.unknown())),
})
export const webhooksAnswer = z.object({ webhooks: z.array(webhookAnswer) })

export interface WebhookRouteDeps {
  readonly webhooks: readonly Webhook[]
  readonly store: Pick<Store, 'places' | 'shape'>
  readonly reader: OutgoingReader
  readonly audit: Audit
  readonly log: Log
  /** What the authenticator found. */
  keyOf(res: Response): IngestKey
}
type WebhookRoute = 'getWebhooks' | 'postReplay'

/** How webhooks do, and having one get events again. */
export function webhookHandlers(deps: WebhookRouteDeps): Readonly<Record<WebhookRoute, RequestHandler>> {
  const { webhooks, store, reader, audit } = deps
  const { slots } = store.shape
  const handle = (
    route: WebhookRoute,
    run: (req: Request, res: Response) => Promise<Refusal | undefined>,
  ): RequestHandler => {
    return async (req, res) => {
      const key = deps.keyOf(res)
      try {
        const isAllowed = mayRead(key.scopes, 'webhooks')
        const why = isAllowed ? await run(req, res) : refusal('FORBIDDEN', 'The key does not allow this.')
        if (why === undefined) return
        audit.refused({ req, res, route, key, outcomes: { [why.code]: 1 } })
        sendProblem(res, why)
      } catch (error) {
        if (!(error instanceof StoreError)) throw error
        deps.log.warn('the state of webhooks could not be read or changed', { err: error })
        const code = error.outcome === 'unknown' && route === 'postReplay' ? 'UNKNOWN' : 'OVERLOADED'
        sendProblem(res, { ...refusal(code, 'The state of webhooks cannot be reached now.'), retryAfterMs })
      }
    }
  }
  const cursorOf = async (from: string, now: string): Promise<string | undefined> => {
    if (from === 'here') return now
    if (from === 'oldest') return encodeCursor(await reader.starts(), slots)
    if (from === 'end') return encodeCursor(await reader.ends(), slots)
    return decodeCursor(from, slots) === undefined ? undefined : from
  }

  return {
    getWebhooks: handle('getWebhooks', async (_req, res) => {
      const ends = await reader.ends()
      const shown = await Promise.all(webhooks.map((webhook) => show(webhook, ends, store)))
      res.setHeader('Cache-Control', 'no-store')
      res.json({ webhooks: shown })
      return undefined
    }),
    postReplay: handle('postReplay', async (req, res) => {
      const name = String(req.params['name'])
      if (!webhooks.some((each) => each.name === name)) return refusal('NOT_FOUND', 'There is no such webhook.')
      const read = readEvent(req.body)
      if (!read.ok) return read
      const parsed = replayRequest.safeParse(read.value)
      if (!parsed.success) return refusal('VALIDATION_ERROR', describeIssues(parsed.error))
      const { from } = parsed.data
      for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
        const kept = await readState(store.places, name)
        const cursor = await cursorOf(from, kept?.state.cursor ?? encodeCursor(await reader.ends(), slots))
        if (cursor === undefined) return refusal('VALIDATION_ERROR', 'from: is not a cursor of this fleet')
        const { delivered = 0, deliveredAtMs = null } = kept?.state ?? {}
        const state = { ...startAt(cursor), delivered, deliveredAtMs }
        if (!(await keepState(store.places, name, { version: kept?.version ?? 0, state }))) continue
        audit.replay({ req, res, route: 'postReplay', key: deps.keyOf(res), targets: [name], outcomes: { OK: 1 } })
        res.json({ name, from })
        return undefined
      }
      return { ...refusal('OVERLOADED', 'The webhook is sent to all the time: nothing was changed.'), retryAfterMs }
    }),
  }
}

async function show(
  webhook: Webhook,
  ends: Places,
  { places, shape }: WebhookRouteDeps['store'],
): Promise<z.infer<typeof webhookAnswer>> {
  const { name, url, events = null, types = null } = webhook
  const [kept, aside] = await Promise.all([readState(places, name), readAside(places, name, maxAsideShown)])
  const state = kept?.state ?? startAt(encodeCursor(ends, shape.slots))
  const { origin, pathname } = new URL(url)
  return {
    ...{ name, url: origin + pathname, events, types },
    behind: behindOf(decodeCursor(state.cursor, shape.slots) ?? ends, ends),
    failures: state.failures,
    failingSince: timeOf(state.failingSinceMs),
    lastError: state.lastError,
    deliveredAt: timeOf(state.deliveredAtMs),
    delivered: state.delivered,
    aside: aside.total,
    newestAside: aside.entries.map(({ body }) => JSON.parse(body) as Record<string, unknown>),
  }
}

function behindOf(places: Places, ends: Places): number {
  let behind = 0
  for (const [slot, end] of ends) {
    const at = places.get(slot)
    behind += Math.max(0, end.seq - (at?.tag === end.tag ? at.seq : 0))
  }
  return behind
}

const timeOf = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString())

import { randomUUID } from 'node:crypto'
import { kickKeptMs } from '@flotilla/core/denials'
import type { Denial, Subject } from '@flotilla/core/denials'
import type { Log } from '@flotilla/node/log'
import { StoreError } from '@flotilla/node/store/port'
import type { FleetStore } from '@flotilla/node/store/port'
import type { Request, RequestHandler, Response } from 'express'
import { z } from 'zod'
import { sendProblem } from './answers.ts'
import type { Audit } from './audit.ts'
import { mayDeny } from './key-scopes.ts'
import type { IngestKey } from './keys.ts'
import { readEvent } from './post-body.ts'
import { refusal } from './publish.ts'
import type { Refusal } from './publish.ts'
import type { RouteName } from './routes.ts'
import { describeIssues } from './schema.ts'

/** Characters of what a user is told. */
const maxReasonChars = 200
const maxSeconds = 315_360_000
const retryAfterMs = 1_000

const kinds = ['user', 'tenant', 'connection', 'token'] as const
const id = z.string().min(1).max(200)
/** Who each type may be about. */
const about = {
  kick: ['user', 'tenant', 'connection'],
  ban: ['user', 'tenant'],
  revoke: ['token', 'user', 'tenant'],
} as const satisfies Record<Denial['type'], readonly Subject['kind'][]>

/** Body of `POST /v1/denials`. */
export const denialRequest = z
  .strictObject({
    type: z
      .enum(['kick', 'ban', 'revoke'])
      .describe('`kick` ends open connections; `ban` keeps out besides; `revoke` does so with tokens.'),
    user: id.optional().describe('A user.'),
    tenant: id.optional().describe('A tenant.'),
    connection: id.optional().describe('One connection, by its `connectionId`; of a kick.'),
    token: id.optional().describe('A token, by its `jti`; of a revoke.'),
    issuedBefore: z.iso
      .datetime({ offset: true })
      .optional()
      .describe('Of a revoke of a user or a tenant: tokens issued before; now when it is left out.'),
    seconds: z
      .int()
      .min(1)
      .max(maxSeconds)
      .optional()
      .describe('When it is over; never when it is left out. Not of a kick.'),
    reason: z.string().min(1).max(maxReasonChars).optional().describe('What the user is told.'),
  })
  .refine((body) => kinds.filter((kind) => body[kind] !== undefined).length === 1, {
    error: `exactly one of ${kinds.join(', ')} is needed`,
  })
  .refine((body) => about[body.type].some((kind: Subject['kind']) => body[kind] !== undefined), {
    error: 'a kick is of a user, tenant or connection, a ban of a user or tenant, a revoke of a token, user or tenant',
  })
  .refine(({ type, token, issuedBefore }) => issuedBefore === undefined || (type === 'revoke' && token === undefined), {
    error: 'issuedBefore: of a revoke of a user or a tenant',
  })
  .refine(({ type, seconds }) => type !== 'kick' || seconds === undefined, { error: 'seconds: not of a kick' })

/** A denial as it is answered. */
export const denialAnswer = z.object({
  id: z.string(),
  type: z.enum(['kick', 'ban', 'revoke']),
  subject: z.object({ kind: z.enum(kinds), id: z.string() }),
  issuedBefore: z.string().optional(),
  until: z.string().nullable(),
  at: z.string(),
  by: z.string(),
  reason: z.string().optional(),
})
export const denialsAnswer = z.object({ denials: z.array(denialAnswer) })
export const allowedAnswer = z.object({ id: z.string() })

export interface DenialDeps {
  readonly fleet: Pick<FleetStore, 'deny' | 'allow' | 'denials'>
  readonly audit: Audit
  readonly log: Log
  /** What the authenticator found. */
  keyOf(res: Response): IngestKey
}
type DenialRoute = Extract<RouteName, 'postDenial' | 'getDenials' | 'deleteDenial'>

/** Who is denied the fleet: the list, one more, one less. Each change leaves a line of audit. */
export function denialHandlers(deps: DenialDeps): Readonly<Record<DenialRoute, RequestHandler>> {
  const { fleet, audit } = deps
  const handle = (
    route: DenialRoute,
    run: (req: Request, res: Response, key: IngestKey) => Promise<void>,
  ): RequestHandler => {
    return async (req, res) => {
      const key = deps.keyOf(res)
      try {
        await run(req, res, key)
      } catch (error) {
        if (!(error instanceof StoreError)) throw error
        deps.log.warn('denials could not be read or changed', { err: error })
        const code = error.outcome === 'unknown' && route !== 'getDenials' ? 'UNKNOWN' : 'OVERLOADED'
        sendProblem(res, { ...refusal(code, 'The list of denials cannot be reached now.'), retryAfterMs })
      }
    }
  }
  const refuse = (route: DenialRoute, { req, res, key }: Asked, why: Refusal): void => {
    audit.refused({ req, res, route, key, outcomes: { [why.code]: 1 } })
    sendProblem(res, why)
  }
  const list = async (): Promise<readonly Denial[]> => (await fleet.denials(''))?.denials ?? []

  return {
    getDenials: handle('getDenials', async (req, res, key) => {
      if (!mayDeny(key.scopes, anybody)) return refuse('getDenials', { req, res, key }, notAllowed)
      const denials = await list()
      res.setHeader('Cache-Control', 'no-store')
      res.json({ denials: denials.map(shown) })
    }),
    postDenial: handle('postDenial', async (req, res, key) => {
      const read = readEvent(req.body)
      if (!read.ok) return refuse('postDenial', { req, res, key }, read)
      const parsed = denialRequest.safeParse(read.value)
      if (!parsed.success)
        return refuse('postDenial', { req, res, key }, refusal('VALIDATION_ERROR', describeIssues(parsed.error)))
      const nowMs = Date.now()
      const denial = denialOf(parsed.data, key, nowMs)
      if (!mayDeny(key.scopes, denial.subject)) return refuse('postDenial', { req, res, key }, notAllowed)
      if (!(await fleet.deny(denial, nowMs))) {
        const full = refusal('OVERLOADED', 'There are as many denials as there may be: take some back.')
        return refuse('postDenial', { req, res, key }, { ...full, retryAfterMs })
      }
      const targets = [targetOf(denial)]
      audit.denial({ req, res, route: 'postDenial', key, targets, outcomes: { OK: 1 } })
      res.status(201).json(shown(denial))
    }),
    deleteDenial: handle('deleteDenial', async (req, res, key) => {
      const known = (await list()).find((denial) => denial.id === req.params['id'])
      // Who may not take it back is not told whether there is one.
      if (!mayDeny(key.scopes, known?.subject ?? anybody)) return refuse('deleteDenial', { req, res, key }, notAllowed)
      if (known === undefined || !(await fleet.allow(known.id)))
        return refuse('deleteDenial', { req, res, key }, refusal('NOT_FOUND', 'There is no such denial.'))
      const targets = [`not any more: ${targetOf(known)}`]
      audit.denial({ req, res, route: 'deleteDenial', key, targets, outcomes: { OK: 1 } })
      res.json({ id: known.id })
    }),
  }
}

interface Asked {
  readonly req: Request
  readonly res: Response
  readonly key: IngestKey
}
const notAllowed = refusal('FORBIDDEN', 'The key does not allow this.')
/** Nobody that a key for some tenants may deny. */
const anybody: Subject = { kind: 'user', id: '' }
const targetOf = ({ type, subject }: Denial): string => `${type} ${subject.kind}:${subject.id}`

function denialOf(body: z.infer<typeof denialRequest>, key: IngestKey, nowMs: number): Denial {
  const { type, issuedBefore, seconds, reason } = body
  const kind = kinds.find((each) => body[each] !== undefined) ?? 'user'
  const before = type === 'revoke' && kind !== 'token' ? { issuedBeforeMs: timeOf(issuedBefore, nowMs) } : {}
  const untilMs = type === 'kick' ? nowMs + kickKeptMs : seconds === undefined ? null : nowMs + seconds * 1_000
  return {
    id: randomUUID(),
    ...{ type, subject: { kind, id: body[kind] ?? '' }, ...before, untilMs, atMs: nowMs },
    by: `key:${key.name}`,
    ...(reason === undefined ? {} : { reason }),
  }
}

const timeOf = (text: string | undefined, nowMs: number): number => (text === undefined ? nowMs : Date.parse(text))

function shown({ issuedBeforeMs, untilMs, atMs, ...rest }: Denial): z.infer<typeof denialAnswer> {
  return {
    ...rest,
    ...(issuedBeforeMs === undefined ? {} : { issuedBefore: new Date(issuedBeforeMs).toISOString() }),
    until: untilMs === null ? null : new Date(untilMs).toISOString(),
    at: new Date(atMs).toISOString(),
  }
}

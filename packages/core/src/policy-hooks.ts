import { z } from 'zod'
import { maxCallMs, maxConnectHookMs, maxHookMs } from './limits.ts'
import { duration, toMs } from './policy-time.ts'

/** Where a secret is kept; it is never in the file itself. */
export type SecretPlace = { readonly env: string } | { readonly file: string }

/** A service that is asked by HTTP (docs/hooks.md). */
export interface Hook {
  readonly url: string
  /** The old one and the new one while it is being changed; requests are signed with each. */
  readonly secrets: readonly SecretPlace[]
  readonly timeoutMs: number
  /** Requests of one edge that may be under way; further ones wait. */
  readonly maxInFlight: number
  /** How long a yes, and a no, are remembered, ms. */
  readonly allowMs: number
  readonly denyMs: number
}
export interface Hooks {
  /** Asked about every connection; null: nobody is. */
  readonly connect: Hook | null
  /** By the name that conditions give. */
  readonly rooms: ReadonlyMap<string, Hook>
  /** By the part of a method before its first dot. */
  readonly calls: ReadonlyMap<string, Hook>
}

const maxHooks = 64
const maxSecrets = 2
const maxUrlChars = 2_048
const maxCacheMs = 3_600_000
/** What holds where nothing is said. */
const defaults = { timeoutMs: 2_000, maxInFlight: 64, allowMs: 30_000, denyMs: 5_000 } as const

const hookName = z.string().regex(/^[a-z][a-z0-9_-]{0,31}$/i, {
  error: 'is not a name: a letter, then letters, digits, - and _, at most 32',
})
const secretPlace = z
  .union([z.strictObject({ env: z.string().min(1).max(128) }), z.strictObject({ file: z.string().min(1).max(1_024) })])
  .describe('Where the secret is: a variable of the environment (env) or a file (file).')

const asked = (maxTimeoutMs: number) =>
  z.strictObject({
    url: z
      .url({ protocol: /^https?$/, error: 'is not a URL with http or https' })
      .max(maxUrlChars)
      .refine((url) => !/^https?:..[^/?#]*@/i.test(url), {
        error: 'has a user or a password: requests are signed instead',
      })
      .describe('Where questions are posted to.'),
    secret: z
      .union([secretPlace, z.array(secretPlace).min(1).max(maxSecrets)])
      .describe('What requests are signed with; of two, with each.'),
    timeout: duration(maxTimeoutMs, `at most ${maxTimeoutMs} ms`)
      .refine((value) => toMs(value) > 0, { error: 'no time at all' })
      .optional()
      .describe('Time for an answer, with the time that a question waits for its turn.'),
    maxInFlight: z.number().int().min(1).max(1_000).optional().describe('Requests of one edge at a time.'),
  })
const cache = z
  .strictObject({
    allow: duration(maxCacheMs, 'at most 1h').optional().describe('How long a yes is remembered.'),
    deny: duration(maxCacheMs, 'at most 1h').optional().describe('How long a no is remembered.'),
  })
  .describe('By each edge, for all connections of a user.')
const named = <T extends z.ZodType>(of: T) =>
  z.record(hookName, of).refine((value) => Object.keys(value).length <= maxHooks, { error: `at most ${maxHooks}` })

export const hooks = z
  .strictObject({
    connect: asked(maxConnectHookMs)
      .extend({ cache: cache.optional() })
      .optional()
      .describe('Asked about every user who connects.'),
    rooms: named(asked(maxHookMs).extend({ cache: cache.optional() }))
      .optional()
      .describe('Asked where a condition names one: `hook: members`.'),
    calls: named(asked(maxCallMs))
      .optional()
      .describe('What clients may call, by the part of the method before its first dot.'),
  })
  .describe('Services that are asked: docs/hooks.md.')

type Given = z.infer<ReturnType<typeof asked>> & { readonly cache?: z.infer<typeof cache> | undefined }

export function hooksFrom(given: z.infer<typeof hooks>): Hooks {
  const { connect, rooms = {}, calls = {} } = given
  const all = (some: Readonly<Record<string, Given>>): ReadonlyMap<string, Hook> =>
    new Map(Object.entries(some).map(([name, each]) => [name, hookFrom(each)]))
  return { connect: connect === undefined ? null : hookFrom(connect), rooms: all(rooms), calls: all(calls) }
}

function hookFrom({ url, secret, timeout, maxInFlight, cache: times = {} }: Given): Hook {
  const msOr = (value: string | number | undefined, usual: number): number =>
    value === undefined ? usual : toMs(value)
  return {
    url,
    secrets: [secret].flat(),
    timeoutMs: msOr(timeout, defaults.timeoutMs),
    maxInFlight: maxInFlight ?? defaults.maxInFlight,
    allowMs: msOr(times.allow, defaults.allowMs),
    denyMs: msOr(times.deny, defaults.denyMs),
  }
}

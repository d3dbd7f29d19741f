import { z } from 'zod'
import { parsePattern, parseTemplate, tokensOf } from './template.ts'

/** Sources of one file, rules of one source, and templates of one target. */
export const maxSources = 64
export const maxRules = 256
export const maxTemplates = 100
const maxTemplateChars = 512
const minAckWaitMs = 1_000
/** Well below the two minutes for which the fleet remembers a publish key. */
const maxAckWaitMs = 60_000

/** Reports what `parse` throws as an issue of this very place. */
const parsable =
  (parse: (text: string) => unknown) =>
  (text: string, context: { addIssue(message: string): void }): void => {
    try {
      parse(text)
    } catch (error) {
      context.addIssue(error instanceof Error ? error.message : String(error))
    }
  }

const template = z.string().min(1).max(maxTemplateChars).superRefine(parsable(parseTemplate))
const templates = z.array(template).min(1).max(maxTemplates)

const target = z
  .strictObject({
    room: template.optional().describe('A room, `type:id` or `type:tenant:id`.'),
    rooms: templates.optional().describe('Several; one that is a placeholder for a list stands for every item.'),
    user: template.optional().describe('A user: the room `user:<id>`.'),
    users: templates.optional().describe('Several; one that is a placeholder for a list stands for every item.'),
    tenant: template.optional().describe('A tenant: the room `tenant:<id>`.'),
  })
  .refine(
    (to) => Object.values(to).some((each) => each !== undefined),
    'at least one of room, rooms, user, users, tenant',
  )

const rule = z
  .strictObject({
    subject: z
      .string()
      .min(1)
      .max(maxTemplateChars)
      .superRefine(parsable(parsePattern))
      .describe('Which messages: `agent.{agentId}.>`; `{name}` and `*` are one part, `>` is the rest.'),
    to: target.describe('The rooms it goes to: all that are named.'),
    event: template.default('{subject}').describe('Name of the event.'),
    data: template.default('{payload}').describe('Data of the event: one placeholder, or a text.'),
    match: z
      .record(z.string().min(1), template)
      .optional()
      .describe("Attributes that subscribers' filters are judged by."),
    except: templates.optional().describe('Ids of users that do not get it; one that is absent is nobody.'),
    ephemeral: z.boolean().default(false).describe('Not logged, not numbered, may be dropped.'),
  })
  .superRefine((value, context) => {
    for (const { path, name } of unknownTokens(value)) {
      context.addIssue({ code: 'custom', path: [...path], message: `{${name}} is no part of ${value.subject}` })
    }
  })
export type SourceRule = z.infer<typeof rule>

interface UnknownToken {
  readonly path: readonly (string | number)[]
  readonly name: string
}
type Templated = string | readonly string[] | Readonly<Record<string, unknown>> | boolean | undefined

/** Names that a template uses and the subject does not give. What cannot be parsed has an issue of its own. */
function unknownTokens(value: z.input<typeof rule>): readonly UnknownToken[] {
  let names: readonly string[]
  try {
    ;({ names } = parsePattern(value.subject))
  } catch {
    return []
  }
  const search = (each: unknown, path: readonly (string | number)[]): readonly UnknownToken[] => {
    if (typeof each === 'object' && each !== null) {
      return Object.entries(each as Readonly<Record<string, Templated>>).flatMap(([key, item]) =>
        search(item, [...path, Array.isArray(each) ? Number(key) : key]),
      )
    }
    return typeof each === 'string'
      ? tokensIn(each).flatMap((name) => (names.includes(name) ? [] : [{ path, name }]))
      : []
  }
  const { subject: _, ...rest } = value
  return search(rest, [])
}

function tokensIn(text: string): readonly string[] {
  try {
    return tokensOf(parseTemplate(text))
  } catch {
    return []
  }
}

export const secretPlace = z
  .union([
    z.strictObject({ env: z.string().min(1).describe('Environment variable that has it.') }),
    z.strictObject({ file: z.string().min(1).describe('File that has it; read again for every connection.') }),
  ])
  .describe('Where a secret is: it never stands in this file.')
export type SecretPlace = z.infer<typeof secretPlace>

const common = {
  name: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,31}$/, 'a lower-case name: letters, digits and -, at most 32')
    .describe('Of this source: in metrics, logs, and as `source:<name>` the sender of its events. Must not change.'),
  map: z.array(rule).min(1).max(maxRules).describe('The first rule whose subject fits is taken.'),
  maxInFlight: z.int().min(1).max(10_000).default(1_000).describe('Messages that may be taken and not acknowledged.'),
  ackWaitMs: z
    .int()
    .min(minAckWaitMs)
    .max(maxAckWaitMs)
    .default(10_000)
    .describe('After so long without a sign of life a message that was taken is given out again, ms.'),
  ordered: z
    .boolean()
    .default(true)
    .describe(
      'A room gets its events in the order of the stream, and one process at a time takes them. False: neither.',
    ),
}

const nats = z.strictObject({
  type: z.literal('nats'),
  ...common,
  servers: z.array(z.string().min(1)).min(1).max(maxSources).describe('`nats://host:port` or `tls://host:port`.'),
  user: z.string().min(1).optional(),
  password: secretPlace.optional(),
  token: secretPlace.optional(),
  credentials: secretPlace.optional().describe('Text of a .creds file: a JWT with its seed.'),
  tls: z
    .strictObject({ ca: z.string().optional(), cert: z.string().optional(), key: z.string().optional() })
    .optional()
    .describe('Paths of PEM files.'),
  stream: z.string().regex(/^[^\s.*>/\\]{1,255}$/, 'a name of a stream'),
  durable: z
    .string()
    .regex(/^[^\s.*>/\\]{1,255}$/, 'a name of a consumer')
    .describe('The consumer; created when it does not exist.'),
  filters: z
    .array(z.string().min(1))
    .min(1)
    .max(maxRules)
    .optional()
    .describe('Subjects of a consumer that is created; several need NATS 2.10. All of the stream when absent.'),
  deadLetter: z.string().min(1).optional().describe('Subject of a stream that messages go to that were put aside.'),
})
export type NatsSource = z.infer<typeof nats>

const redis = z.strictObject({
  type: z.literal('redis'),
  ...common,
  url: z.union([z.string().min(1), secretPlace]).describe('`redis://` or `rediss://` URL, or where it is.'),
  stream: z.string().min(1).max(512).describe('Key of the stream; it is the subject that rules see.'),
  group: z.string().min(1).max(255).describe('The consumer group; created when it does not exist, from the beginning.'),
  payloadField: z
    .string()
    .min(1)
    .default('data')
    .describe('Field that has the payload as JSON; the others are headers.'),
  deadLetter: z.string().min(1).optional().describe('Key of a stream that entries go to that were put aside.'),
})
export type RedisSource = z.infer<typeof redis>

/** What `FLOTILLA_SOURCES_FILE` holds, as YAML or JSON. Unknown keys are refused. */
export const sourcesFile = z.strictObject({
  $schema: z.string().optional(),
  sources: z
    .array(z.discriminatedUnion('type', [nats, redis]))
    .min(1)
    .max(maxSources),
})
export type Source = NatsSource | RedisSource

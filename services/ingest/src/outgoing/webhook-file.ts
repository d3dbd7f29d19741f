import { readFileSync } from 'node:fs'
import { outgoingEvents } from '@flotilla/core/outgoing'
import { isRoomType } from '@flotilla/core/room-name'
import { parse as parseYaml } from 'yaml'
import { z } from 'zod'
import { readSecret } from '@flotilla/node/secret'
import { secretPlace } from '../sources/schema.ts'

/** Webhooks of one file, and events of one request. */
const maxWebhooks = 32
export const maxBatch = 1_000
const minTimeoutMs = 100
const maxTimeoutMs = 60_000
const minGiveUpMs = 60_000
/** As long as an event may be kept. */
export const maxGiveUpMs = 86_400_000
/** Secrets of one webhook: the old one and the new one. */
const maxSecrets = 2
const minSecretChars = 16
const maxProblems = 20

/** Without a user and a password, with which no request can be made. */
function isPlain(url: string): boolean {
  const { username, password } = new URL(url)
  return username === '' && password === ''
}

const webhook = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,31}$/, 'a lower-case name: letters, digits and -, at most 32')
    .describe('Of this webhook: in metrics, logs, and of the place that it has reached. Must not change.'),
  url: z
    .url({ protocol: /^https?$/, error: 'a URL with http or https' })
    .refine(isPlain, { error: 'user and password are not sent, requests are signed' })
    .describe('Where events are posted to.'),
  secret: z
    .union([secretPlace, z.array(secretPlace).min(1).max(maxSecrets)])
    .describe('What requests are signed with; of two, with each. Read again for every request.'),
  events: z
    .array(z.enum([...outgoingEvents, 'edge.lost']))
    .min(1)
    .max(outgoingEvents.length + 1)
    .optional()
    .describe('Which of those that the policy asks for; all of them when absent.'),
  types: z
    .array(z.string().refine(isRoomType, { error: 'is not a room type' }))
    .min(1)
    .max(200)
    .optional()
    .describe('Of events of rooms, those of these types only.'),
  batch: z.int().min(1).max(maxBatch).default(100).describe('Events of one request, at the most.'),
  timeoutMs: z.int().min(minTimeoutMs).max(maxTimeoutMs).default(10_000).describe('Time for an answer, ms.'),
  giveUpAfterMs: z
    .int()
    .min(minGiveUpMs)
    .max(maxGiveUpMs)
    .default(maxGiveUpMs)
    .describe('How long the same events are tried, ms; then they are put aside.'),
})
export type Webhook = z.infer<typeof webhook>

/** What `FLOTILLA_WEBHOOKS_FILE` holds, as YAML or JSON. Unknown keys are refused. */
export const webhooksFile = z.strictObject({
  $schema: z.string().optional(),
  webhooks: z.array(webhook).min(1).max(maxWebhooks),
})

/**
 * The webhooks of a file of YAML or JSON; none without a path.
 * @throws Error with every problem and its place, on lines of their own; without any secret.
 */
export function readWebhooks(path: string | null): readonly Webhook[] {
  if (path === null) return []
  let value: unknown
  try {
    // JSON is YAML.
    value = parseYaml(readFileSync(path, 'utf8'), { maxAliasCount: 0 })
  } catch (error) {
    throw new Error(`FLOTILLA_WEBHOOKS_FILE: ${path} cannot be read: ${headOf(error)}`)
  }
  const parsed = webhooksFile.safeParse(value)
  const problems = parsed.success
    ? conflicts(parsed.data.webhooks)
    : parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`)
  if (parsed.success && problems.length === 0) return parsed.data.webhooks
  const lines = problems.slice(0, maxProblems).map((problem) => `\n  ${problem}`)
  throw new Error(`FLOTILLA_WEBHOOKS_FILE: ${path} is wrong:${lines.join('')}`)
}

function conflicts(webhooks: readonly Webhook[]): readonly string[] {
  return webhooks.flatMap((each, i) => {
    const found: string[] = []
    if (webhooks.findIndex(({ name }) => name === each.name) < i)
      found.push(`webhooks.${i}.name: another webhook is named ${each.name}`)
    try {
      secretsOf(each)
    } catch (error) {
      found.push(`webhooks.${i}.secret: ${messageOf(error)}`)
    }
    return found
  })
}

/** @throws Error that names the place, when there is no secret, or a short one. */
export function secretsOf({ secret }: Webhook): readonly string[] {
  return [secret].flat().map((place) => {
    const text = readSecret(place)
    if (text.length < minSecretChars) throw new Error(`a secret has at least ${minSecretChars} characters`)
    return text
  })
}

/** What follows the first line is of the file, and an address there may have something secret in it. */
const headOf = (error: unknown): string => messageOf(error).split('\n', 1)[0] ?? ''
const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

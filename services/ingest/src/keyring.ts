import { LineCounter, parseDocument } from 'yaml'
import { z } from 'zod'
import { parseScopes } from './key-scopes.ts'
import { namePattern } from './keys.ts'
import type { KnownKey } from './keys.ts'
import { createLimit } from './rate.ts'
import type { KeyLimit } from './rate.ts'

/** Keys of one file. Each that is not known is compared with all of them. */
export const maxKeys = 256
/** A keyring is at most this long, characters. */
const maxKeyringChars = 1_048_576
/** Problems of one message. */
const maxProblems = 10
/** Of a signing secret; 32 characters of base64 are 192 bits. */
const minSigningSecretChars = 32

const instant = z.iso.datetime({ offset: true, error: 'a time like 2030-01-31T00:00:00Z is expected' })
const scopeList = z.array(z.string().max(256)).min(1).max(64)
const name = z.string().regex(namePattern, 'letters, digits, ".", "_" and "-", at most 64')
const entry = z.strictObject({
  id: name,
  name,
  hash: z.string().regex(/^sha256:[0-9a-f]{64}$/, '"sha256:" and 64 hexadecimal digits are expected'),
  scopes: scopeList.transform((list, context) => {
    try {
      return parseScopes(list)
    } catch (error) {
      context.addIssue(error instanceof Error ? error.message : String(error))
      return z.NEVER
    }
  }),
  notBefore: instant.optional(),
  expiresAt: instant.optional(),
  rate: z
    .strictObject({ perSecond: z.number().positive().max(1_000_000), burst: z.int().min(1).max(1_000_000) })
    .optional(),
  signingSecret: z.string().min(minSigningSecretChars).max(256).optional(),
})
type Entry = z.infer<typeof entry>
const keyring = z.strictObject({ keys: z.array(entry).min(1).max(maxKeys) })

/**
 * Parses a keyring: YAML, or JSON, which is YAML too. Keys that were in the one before at the same rate keep what is left of it.
 * @throws Error with every problem and where it is. The message has nothing of a hash or a secret.
 */
export function parseKeyring(text: string, before: readonly KnownKey[] = []): readonly KnownKey[] {
  const parsed = keyring.safeParse(parseYaml(text))
  if (!parsed.success) {
    throw new Error(problemsText(parsed.error.issues.map(problemText)))
  }
  const { keys } = parsed.data
  const problems = keys.flatMap((each, i) => contradictions(each, keys.slice(0, i)).map((what) => `keys.${i}: ${what}`))
  if (problems.length > 0) throw new Error(problemsText(problems))
  return keys.map((each) => knownKey(each, before))
}

function parseYaml(text: string): unknown {
  if (text.length > maxKeyringChars) throw new Error(`more than ${maxKeyringChars} characters`)
  const lines = new LineCounter()
  // Its pretty messages quote the lines that are wrong, and these may hold a secret.
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const [error] = document.errors
  if (error !== undefined)
    throw new Error(`line ${lines.linePos(error.pos[0]).line}: neither YAML nor JSON (${error.code})`)
  try {
    return document.toJS()
  } catch {
    throw new Error('neither YAML nor JSON (aliases)')
  }
}

function contradictions(
  { id, hash, notBefore, expiresAt, scopes, signingSecret }: Entry,
  others: readonly Entry[],
): readonly string[] {
  const found: string[] = []
  if (others.some((other) => other.id === id)) found.push(`another key has the id ${id}`)
  if (others.some((other) => other.hash === hash)) found.push('another key has this hash')
  if (notBefore !== undefined && expiresAt !== undefined && Date.parse(notBefore) >= Date.parse(expiresAt)) {
    found.push('expiresAt is not after notBefore')
  }
  // Only bodies are signed, and what an administrator asks for is in the path too.
  if (scopes?.admin.denials === true && signingSecret !== undefined) found.push('a key that signs cannot be an admin')
  if (scopes?.outgoing.has('webhooks') === true && signingSecret !== undefined)
    found.push('a key that signs cannot be for webhooks')
  return found
}

function knownKey({ id, name: keyName, hash, ...rest }: Entry, before: readonly KnownKey[]): KnownKey {
  const limit = rest.rate === undefined ? null : limitOf(rest.rate, before.find(({ key }) => key.id === id)?.key.limit)
  return {
    key: { id, name: keyName, scopes: rest.scopes, limit, signingSecret: rest.signingSecret ?? null },
    digest: Buffer.from(hash.slice('sha256:'.length), 'hex'),
    notBeforeMs: rest.notBefore === undefined ? -Infinity : Date.parse(rest.notBefore),
    expiresAtMs: rest.expiresAt === undefined ? Infinity : Date.parse(rest.expiresAt),
  }
}

function limitOf(rate: NonNullable<Entry['rate']>, before: KeyLimit | null | undefined): KeyLimit {
  const same = before?.perSecond === rate.perSecond && before.burst === rate.burst
  return same ? before : createLimit(rate)
}

function problemText(issue: z.core.$ZodIssue): string {
  const path = issue.path.length === 0 ? '' : `${issue.path.map(String).join('.')}: `
  if (issue.code !== 'unrecognized_keys') return `${path}${issue.message}`
  // Anything may stand where a field's name belongs, a key too.
  const names = issue.keys.map((field) => (/^[A-Za-z]{1,32}$/.test(field) ? field : '[not shown]'))
  return `${path}there is no field ${names.join(', ')}`
}

function problemsText(problems: readonly string[]): string {
  const more = problems.length > maxProblems ? [`and ${problems.length - maxProblems} more`] : []
  return [...problems.slice(0, maxProblems), ...more].join('; ')
}

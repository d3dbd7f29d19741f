import { hash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Scopes } from './key-scopes.ts'
import type { KeyLimit } from './rate.ts'

/** Who a request comes from, and what that one may do. */
export interface IngestKey {
  /** Events carry it as `key:<name>`. Keys of one name are one publisher: one replaces the other. */
  readonly name: string
  /** Tells the keys of a name apart, in the audit. */
  readonly id: string
  readonly scopes: Scopes
  readonly limit: KeyLimit | null
  /** Bodies must be signed with it. */
  readonly signingSecret: string | null
}

/** Who may post. */
export interface IngestKeys {
  /** The key of that secret, or undefined when no key is this one now. Takes the same time for every wrong secret. */
  identify(secret: string): IngestKey | undefined
  /** Whether a key that was identified is still one. */
  holds(key: IngestKey): boolean
}

/** A key and how it is known. */
export interface KnownKey {
  readonly key: IngestKey
  /** SHA-256 of the secret. */
  readonly digest: Buffer
  /** From when and until when it is one, ms since 1970. */
  readonly notBeforeMs: number
  readonly expiresAtMs: number
}

export const namePattern = /^[A-Za-z0-9._-]{1,64}$/
const minSecretChars = 16

/**
 * Parses `FLOTILLA_INGEST_KEYS`: a comma list of `name:key`, or bare keys, which are named `key1`, `key2`, … by place. They may do everything.
 * @throws Error when there is none, or one is malformed, short or a repetition. The message never contains a key.
 * @example parseKeys('crm:0123456789abcdef').identify('0123456789abcdef') // { name: 'crm', … }
 */
export function parseKeys(text: string): IngestKeys {
  const known: KnownKey[] = []
  const parts = text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
  for (const [i, part] of parts.entries()) {
    const colon = part.indexOf(':')
    const name = colon < 0 ? `key${i + 1}` : part.slice(0, colon)
    const secret = part.slice(colon + 1)
    if (!namePattern.test(name)) throw new Error(`FLOTILLA_INGEST_KEYS: the name of key ${i + 1} is not ${namePattern}`)
    if (secret.length < minSecretChars) {
      throw new Error(`FLOTILLA_INGEST_KEYS: key ${name} is shorter than ${minSecretChars} characters`)
    }
    if (known.some(({ key }) => key.name === name)) throw new Error(`FLOTILLA_INGEST_KEYS: two keys are named ${name}`)
    const key = { name, id: name, scopes: null, limit: null, signingSecret: null }
    known.push({ key, digest: digestOf(secret), notBeforeMs: -Infinity, expiresAtMs: Infinity })
  }
  if (known.length === 0) throw new Error('FLOTILLA_INGEST_KEYS is not set: nobody could post an event')
  return keysOf(() => known)
}

/** The keys of a list that may be another one at each call. */
export function keysOf(list: () => readonly KnownKey[]): IngestKeys {
  return {
    identify: (secret) => {
      const digest = digestOf(secret)
      let found: KnownKey | undefined
      // Every key is compared, and digests have one length, so the time taken says nothing about any key.
      for (const known of list()) if (timingSafeEqual(known.digest, digest)) found = known
      return found !== undefined && isInTime(found) ? found.key : undefined
    },
    holds: (key) => {
      for (const known of list()) if (known.key === key) return isInTime(known)
      return false
    },
  }
}

function isInTime({ notBeforeMs, expiresAtMs }: KnownKey): boolean {
  if (expiresAtMs === Infinity && notBeforeMs === -Infinity) return true
  const nowMs = Date.now()
  return nowMs >= notBeforeMs && nowMs < expiresAtMs
}

interface Shown {
  readonly keys: IngestKeys
  readonly authorization: string
  readonly key: IngestKey
}
const shown = new WeakMap<Socket, Shown>()

/**
 * The key that a request carries as its bearer token. What a connection has shown once is not hashed again for each of
 * its requests; how long that takes could tell something about it only to others on the same connection.
 */
export function keyOf(keys: IngestKeys, { headers, socket }: IncomingMessage): IngestKey | undefined {
  const { authorization } = headers
  if (authorization === undefined) return undefined
  const before = shown.get(socket)
  if (before !== undefined && before.authorization === authorization && before.keys === keys && keys.holds(before.key))
    return before.key
  const [scheme = '', secret = ''] = authorization.split(' ')
  const key = scheme.toLowerCase() === 'bearer' ? keys.identify(secret) : undefined
  if (key !== undefined) shown.set(socket, { keys, authorization, key })
  return key
}

/** For the all-in-one when no key is configured. */
export function developmentKey(): string {
  return randomBytes(18).toString('base64url')
}

function digestOf(secret: string): Buffer {
  return hash('sha256', secret, 'buffer')
}

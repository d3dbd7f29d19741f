import { hash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'

/** Who may post: each key has a name, which events carry as `key:<name>`. */
export interface IngestKeys {
  /** The key's name, or undefined when no key is this one. Takes the same time for every wrong key. */
  identify(secret: string): string | undefined
}

const namePattern = /^[A-Za-z0-9._-]{1,64}$/
const minSecretChars = 16

/**
 * Parses `FLOTILLA_INGEST_KEYS`: a comma list of `name:key`, or bare keys, which are named `key1`, `key2`, … by place.
 * @throws Error when there is none, or one is malformed, short or a repetition. The message never contains a key.
 * @example parseKeys('crm:0123456789abcdef').identify('0123456789abcdef') // 'crm'
 */
export function parseKeys(text: string): IngestKeys {
  const keys: { readonly name: string; readonly digest: Buffer }[] = []
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
    if (keys.some((key) => key.name === name)) throw new Error(`FLOTILLA_INGEST_KEYS: two keys are named ${name}`)
    keys.push({ name, digest: digestOf(secret) })
  }
  if (keys.length === 0) throw new Error('FLOTILLA_INGEST_KEYS is not set: nobody could post an event')
  return {
    identify: (secret) => {
      const digest = digestOf(secret)
      let found: string | undefined
      // Every key is compared, and digests have one length, so the time taken says nothing about any key.
      for (const key of keys) if (timingSafeEqual(key.digest, digest)) found = key.name
      return found
    },
  }
}

interface Shown {
  readonly keys: IngestKeys
  readonly authorization: string
  readonly name: string
}
const shown = new WeakMap<Socket, Shown>()

/**
 * Name of the key that a request carries as its bearer token. What a connection has shown once is not hashed again for each of
 * its requests; how long that takes could tell something about it only to others on the same connection.
 */
export function keyNameOf(keys: IngestKeys, { headers, socket }: IncomingMessage): string | undefined {
  const { authorization } = headers
  if (authorization === undefined) return undefined
  const before = shown.get(socket)
  if (before !== undefined && before.authorization === authorization && before.keys === keys) return before.name
  const [scheme = '', secret = ''] = authorization.split(' ')
  const name = scheme.toLowerCase() === 'bearer' ? keys.identify(secret) : undefined
  if (name !== undefined) shown.set(socket, { keys, authorization, name })
  return name
}

/** For the all-in-one when no key is configured. */
export function developmentKey(): string {
  return randomBytes(18).toString('base64url')
}

function digestOf(secret: string): Buffer {
  return hash('sha256', secret, 'buffer')
}

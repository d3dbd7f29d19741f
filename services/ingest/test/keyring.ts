import { createHash } from 'node:crypto'
import { parseKeyring } from '../src/keyring.ts'
import { keysOf } from '../src/keys.ts'
import { secret } from './harness.ts'

export const hashOf = (text: string): string => `sha256:${createHash('sha256').update(text).digest('hex')}`

/** An entry of a keyring for the harness' secret. */
export const entry = { id: 'k1', name: 'crm', hash: hashOf(secret), scopes: ['publish', 'history'] }

/** The text of a keyring, and the keys of it. */
export function ring(...changes: readonly object[]) {
  const text = JSON.stringify({ keys: changes.map((change) => ({ ...entry, ...change })) })
  const known = parseKeyring(text)
  return { text, known, keys: keysOf(() => known), authorization: `Bearer ${secret}` }
}

/**
 * Who a connection is, as far as a verified token says. A fresh object: nothing of the token's own objects is in it.
 */
export interface Identity {
  readonly userId: string
  readonly tenantId?: string
  readonly email?: string
  readonly roles: readonly string[]
  readonly permissions: readonly string[]
  /** When the token ends, ms since 1970. */
  readonly expiresAtMs?: number
  /** `iat`, ms since 1970. */
  readonly issuedAtMs?: number
  /** `jti`, by which a token is revoked. */
  readonly tokenId?: string
}

/** Names of claims. For an id the first one present counts, roles and permissions of all of them are united. */
export interface ClaimNames {
  readonly user: readonly string[]
  readonly tenant: readonly string[]
  readonly email: readonly string[]
  readonly roles: readonly string[]
  readonly permissions: readonly string[]
}

export const defaultClaimNames: ClaimNames = {
  user: ['sub', 'userId', 'externalUserId'],
  tenant: ['tenantId', 'workspaceId', 'tenant'],
  email: ['email'],
  roles: ['role', 'roles'],
  permissions: ['permissions'],
}

/** Characters of an id, of a role or a permission, and of an address. */
export const maxIdLength = 128
const maxEmailLength = 254
/** Roles, and permissions, of one token. */
export const maxGrants = 256

export type Claims = Readonly<Record<string, unknown>>

/** The identity, or null when a claim is not of its form: a token is taken as a whole or not at all. */
export function readIdentity(claims: Claims, names: ClaimNames): Identity | null {
  const userId = readId(first(claims, names.user))
  const tenantId = readId(first(claims, names.tenant))
  const tokenId = readId(first(claims, ['jti']), { colons: true })
  const email = readEmail(first(claims, names.email))
  const roles = readGrants(claims, names.roles)
  const permissions = readGrants(claims, names.permissions)
  if (typeof userId !== 'string' || tenantId === null || tokenId === null || email === null) return null
  if (roles === null || permissions === null) return null
  return {
    userId,
    roles,
    permissions,
    ...(tenantId === undefined ? {} : { tenantId }),
    ...(email === undefined ? {} : { email }),
    ...(tokenId === undefined ? {} : { tokenId }),
  }
}

/** An own property only: a claim must not be found on a prototype. Null counts as absent, as many issuers write it. */
function first(claims: Claims, names: readonly string[]): unknown {
  for (const name of names) {
    const value = Object.hasOwn(claims, name) ? claims[name] : undefined
    if (value !== undefined && value !== null) return value
  }
  return undefined
}

const controlCharacters = /[\p{Cc}\u2028\u2029]/u
const prototypeKeys = new Set(['__proto__', 'constructor', 'prototype'])

const isPlainWord = (value: unknown): value is string =>
  typeof value === 'string' &&
  value.length >= 1 &&
  value.length <= maxIdLength &&
  !controlCharacters.test(value) &&
  value.isWellFormed() &&
  !prototypeKeys.has(value)

/** A colon separates the parts of a room's name, `user:42`: an id has none of its own. Undefined: absent; null: bad. */
function readId(value: unknown, { colons } = { colons: false }): string | null | undefined {
  if (value === undefined) return undefined
  const id = typeof value === 'number' && Number.isSafeInteger(value) ? String(value) : value
  return isPlainWord(id) && (colons || !id.includes(':')) ? id : null
}

function readEmail(value: unknown): string | null | undefined {
  if (value === undefined) return undefined
  if (typeof value !== 'string' || value.length > maxEmailLength || controlCharacters.test(value)) return null
  return value === '' ? undefined : value
}

function readGrants(claims: Claims, names: readonly string[]): readonly string[] | null {
  const grants = new Set<string>()
  for (const name of names) {
    const items = grantItems(first(claims, [name]))
    if (items === null || items.length > maxGrants || !items.every(isPlainWord)) return null
    for (const item of items) grants.add(item)
  }
  return grants.size > maxGrants ? null : [...grants]
}

/** A list, or a text that may hold several with spaces between, as OAuth's `scope` does. Null: neither. */
function grantItems(value: unknown): readonly unknown[] | null {
  if (value === undefined) return []
  if (typeof value === 'string') return value.split(' ').filter((item) => item !== '')
  return Array.isArray(value) ? value : null
}

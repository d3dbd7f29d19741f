import { createSecretKey, randomUUID } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { hasKeyTwice } from '@flotilla/core/json-guard'
import { parseRoomName } from '@flotilla/core/room-name'
import jwt from 'jsonwebtoken'
import { createJwks, matching } from './jwks.ts'
import type { JwksOptions, KeyLookup } from './jwks.ts'
import { defaultClaimNames, readIdentity } from './jwt-identity.ts'
import type { ClaimNames, Claims, Identity } from './jwt-identity.ts'
import { maxKeys, pemKey, secretKey } from './jwt-keys.ts'
import type { Algorithm, VerifyKey } from './jwt-keys.ts'
import type { Log } from './log.ts'

/** Signs and checks tokens where nobody configured a secret. Public, so never for anything that matters. */
export const DEVELOPMENT_SECRET = 'flotilla-development-secret-change-me'

/** Bytes of a token, characters of a key id, and the most that clocks may differ, seconds. */
export const maxTokenBytes = 8_192
export const maxKidLength = 128
export const maxLeewaySeconds = 60

/** Where the keys come from. One kind per verifier: a token must not be able to choose between HMAC and public keys. */
export type KeySource =
  /** HS256; more than one while a secret is being rotated. */
  | { readonly type: 'secret'; readonly secrets: readonly string[] }
  /** RS256, ES256 or EdDSA by the kind of each public key. */
  | { readonly type: 'pem'; readonly keys: readonly { readonly pem: string; readonly kid?: string }[] }
  | ({ readonly type: 'jwks' } & JwksOptions)

export interface VerifierOptions {
  readonly keys: KeySource
  readonly log: Log
  /** Accepted `iss` values; not looked at when left out or empty. */
  readonly issuers?: readonly string[]
  /** Accepted `aud` values, one of which the token must have; not looked at when left out or empty. */
  readonly audiences?: readonly string[]
  /** Whether a token without `exp` is refused; true by default. */
  readonly requireExpiry?: boolean
  /** How far clocks may differ, seconds; 5 by default. */
  readonly leewaySeconds?: number
  readonly claims?: ClaimNames
  /** Ms since 1970. */
  readonly now?: () => number
}

export type RefusalReason = 'missing' | 'malformed' | 'signature' | 'expired' | 'not-yet-valid' | 'claims'

/** `retryable`: the token could not be judged now (the keys cannot be fetched); later it may pass. */
export type Verdict =
  | { readonly ok: true; readonly claims: Identity }
  | { readonly ok: false; readonly reason: RefusalReason; readonly retryable: boolean }

/** What a token for rooms is good for. */
export interface RoomGrant {
  readonly userId: string
  readonly tenantId?: string
  readonly rooms: readonly string[]
  /** Ms since 1970. */
  readonly expiresAtMs: number
}
export type RoomVerdict =
  | { readonly ok: true; readonly grant: RoomGrant }
  | { readonly ok: false; readonly reason: RefusalReason; readonly retryable: boolean }

export interface Verifier {
  /** Never rejects. */
  readonly verify: (token: string | undefined) => Promise<Verdict>
  /**
   * A token for rooms: signed with the same keys, of the type `room+jwt` (so that neither passes for the other, RFC 8725 section 3.11), with the
   * rooms in `room` and always with `exp`. Never rejects.
   */
  readonly verifyRoom: (token: string) => Promise<RoomVerdict>
}

const refuse = (reason: RefusalReason, retryable = false) => ({ ok: false, reason, retryable }) as const

/**
 * Throws at once for keys that are unsafe: a short secret, a PEM key as a secret, a private key, a plain-http JWKS URL.
 *
 * @example
 * const verifier = createVerifier({ keys: { type: 'secret', secrets: [config.jwtSecret] }, log })
 * const verdict = await verifier.verify(token)
 */
export function createVerifier(options: VerifierOptions): Verifier {
  const { leewaySeconds = 5, now = Date.now, claims: names = defaultClaimNames } = options
  if (!(leewaySeconds >= 0 && leewaySeconds <= maxLeewaySeconds)) {
    throw new TypeError(`the leeway is 0 to ${maxLeewaySeconds} seconds`)
  }
  const keys = createKeys(options.keys, options.log)

  async function signed(
    token: string | undefined,
    type: RegExp,
  ): Promise<{ readonly claims: Claims } | ReturnType<typeof refuse>> {
    if (token === undefined || token === '') return refuse('missing')
    const parts = splitToken(token)
    const header = parts === null ? null : readHeader(parts.header, type)
    const claims = parts === null ? null : readObject(parts.payload)
    if (header === null || claims === null) return refuse('malformed')
    const alg = keys.algorithms.find((candidate) => candidate === header.alg)
    if (alg === undefined) return refuse('signature')
    const lookup = await keys.find(alg, header.kid)
    if (lookup.type !== 'found') return refuse('signature', lookup.type === 'unavailable')
    return (await signedByOne(token, lookup.keys)) ? { claims } : refuse('signature')
  }
  function judge(claims: Claims): Verdict {
    const nowSeconds = now() / 1_000
    const { exp, nbf, iat } = claims
    if (!isTime(exp) && (exp !== undefined || options.requireExpiry !== false)) return refuse('claims')
    // A token of the future was made by a clock that is not to be trusted with exp either.
    const begins = [nbf, iat].filter((time) => time !== undefined)
    if (!begins.every(isTime)) return refuse('claims')
    if (isTime(exp) && nowSeconds >= exp + leewaySeconds) return refuse('expired')
    if (begins.some((begin) => nowSeconds < begin - leewaySeconds)) return refuse('not-yet-valid')
    if (!isAccepted(claims['iss'], options.issuers) || !isAudience(claims['aud'], options.audiences))
      return refuse('claims')
    const identity = readIdentity(claims, names)
    if (identity === null) return refuse('claims')
    const times = {
      ...(isTime(exp) ? { expiresAtMs: (exp + leewaySeconds) * 1_000 } : {}),
      ...(isTime(iat) ? { issuedAtMs: iat * 1_000 } : {}),
    }
    return { ok: true, claims: { ...identity, ...times } }
  }
  return {
    verify: async (token) => {
      const read = await signed(token, connectionType)
      return 'ok' in read ? read : judge(read.claims)
    },
    verifyRoom: async (token) => {
      const read = await signed(token, roomType)
      if ('ok' in read) return read
      const verdict = judge(read.claims)
      if (!verdict.ok) return verdict
      const { userId, tenantId, expiresAtMs } = verdict.claims
      const rooms = readRooms(read.claims)
      if (rooms === null || expiresAtMs === undefined) return refuse('claims')
      return { ok: true, grant: { userId, rooms, expiresAtMs, ...(tenantId === undefined ? {} : { tenantId }) } }
    },
  }
}

/** `typ` of a connection's token, which may be left out, and of one for rooms, which may not. */
const connectionType = /^(?:application\/)?(?:at\+)?jwt$/i
const roomType = /^(?:application\/)?room\+jwt$/i
/** Rooms of one token. */
const maxTokenRooms = 100

function readRooms({ room }: Claims): readonly string[] | null {
  const rooms: readonly unknown[] = Array.isArray(room) ? room : [room]
  if (rooms.length === 0 || rooms.length > maxTokenRooms) return null
  const names = rooms.filter((each) => typeof each === 'string')
  return names.length === rooms.length && names.every((name) => parseRoomName(name).ok) ? names : null
}

interface Keys {
  readonly algorithms: readonly Algorithm[]
  find(alg: Algorithm, kid: string | undefined): Promise<KeyLookup>
}

function createKeys(source: KeySource, log: Log): Keys {
  switch (source.type) {
    case 'secret':
      return fixedKeys(source.secrets.map(secretKey))
    case 'pem':
      return fixedKeys(source.keys.map(({ pem, kid }) => pemKey(pem, kid ?? null)))
    case 'jwks': {
      const jwks = createJwks(source, log)
      return { algorithms: ['RS256', 'ES256', 'EdDSA'], find: (alg, kid) => jwks.find(alg, kid) }
    }
  }
}

function fixedKeys(keys: readonly VerifyKey[]): Keys {
  if (keys.length === 0 || keys.length > maxKeys) throw new TypeError(`a verifier has 1 to ${maxKeys} keys`)
  return {
    algorithms: [...new Set(keys.map((key) => key.alg))],
    find: async (alg, kid) => {
      const found = matching(keys, alg, kid)
      return found.length === 0 ? { type: 'unknown' } : { type: 'found', keys: found }
    },
  }
}

async function signedByOne(token: string, keys: readonly VerifyKey[]): Promise<boolean> {
  for (const key of keys) if (await key.check(token)) return true
  return false
}

interface Parts {
  readonly header: string
  readonly payload: string
}

/** Three parts of base64url, each the one way to write its bytes, so that a token has no twin that differs in text. */
function splitToken(token: string): Parts | null {
  if (token.length > maxTokenBytes) return null
  const parts = token.split('.')
  const [header, payload, signature] = parts
  if (parts.length !== 3 || header === undefined || payload === undefined || signature === undefined) return null
  return isCanonical(header) && isCanonical(payload) && isCanonical(signature) ? { header, payload } : null
}

const isCanonical = (part: string): boolean =>
  part !== '' && Buffer.from(part, 'base64url').toString('base64url') === part

interface Header {
  readonly alg: string
  readonly kid?: string
}

/** `jku`, `jwk`, `x5u` and `x5c` are not read: a token does not bring its own key. `crit` names what we do not know. */
function readHeader(part: string, type: RegExp): Header | null {
  const header = readObject(part)
  if (header === null || Object.hasOwn(header, 'crit')) return null
  // Left out, it is that of a connection's token.
  const { alg, kid, typ = 'jwt' } = header
  if (typeof alg !== 'string' || typeof typ !== 'string' || !type.test(typ)) return null
  if (kid === undefined) return { alg }
  return typeof kid === 'string' && kid.length <= maxKidLength ? { alg, kid } : null
}

/** A byte order mark is kept, and is not JSON: the decoder would take it away. */
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function readObject(part: string): Claims | null {
  try {
    const text = utf8.decode(Buffer.from(part, 'base64url'))
    const value: unknown = JSON.parse(text)
    return isObject(value) && !hasKeyTwice(text, value) ? value : null
  } catch {
    return null
  }
}

const isObject = (value: unknown): value is Claims =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Seconds since 1970 within what a Date can hold. */
const maxTimeSeconds = 8_640_000_000_000
const isTime = (value: unknown): value is number => typeof value === 'number' && value >= 0 && value <= maxTimeSeconds

const isAccepted = (value: unknown, accepted: readonly string[] = []): boolean =>
  accepted.length === 0 || (typeof value === 'string' && accepted.includes(value))

function isAudience(value: unknown, accepted: readonly string[] = []): boolean {
  if (accepted.length === 0) return true
  const audiences: readonly unknown[] = Array.isArray(value) ? value : [value]
  return audiences.some((audience) => isAccepted(audience, accepted))
}

export interface TokenRequest {
  readonly secret: string
  readonly sub: string
  readonly tenant: string
  readonly roles?: readonly string[]
  readonly permissions?: readonly string[]
  readonly ttlSeconds: number
}

/** A text would be tried as a private key first, with every token: 0.6 ms of the 0.62 that one takes. */
function signingKey(secret: string): KeyObject {
  if (secret === '') throw new TypeError('an empty secret signs for everybody')
  return createSecretKey(secret, 'utf8')
}

/** An HS256 token for development and tests. */
export function signToken({ secret, sub, tenant, roles = [], permissions = [], ttlSeconds }: TokenRequest): string {
  return jwt.sign({ sub, tenantId: tenant, roles, permissions, jti: randomUUID() }, signingKey(secret), {
    algorithm: 'HS256',
    expiresIn: ttlSeconds,
  })
}

/** A token for rooms, HS256, for development and tests. */
export function signRoomToken({
  secret,
  sub,
  rooms,
  ttlSeconds,
}: Pick<TokenRequest, 'secret' | 'sub' | 'ttlSeconds'> & { readonly rooms: readonly string[] }): string {
  return jwt.sign({ sub, room: rooms }, signingKey(secret), {
    algorithm: 'HS256',
    expiresIn: ttlSeconds,
    header: { alg: 'HS256', typ: 'room+jwt' },
  })
}

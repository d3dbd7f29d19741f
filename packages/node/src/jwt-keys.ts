import { createPublicKey, createSecretKey } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { compactVerify, importJWK } from 'jose'
import type { JWK } from 'jose'
import jwt from 'jsonwebtoken'

/** What may sign. A key fixes its one algorithm, so a token cannot choose another (RFC 8725, 3.1). */
export type Algorithm = 'HS256' | 'RS256' | 'ES256' | 'EdDSA'

export interface VerifyKey {
  /** The token must name this key or none; null: whatever it names. */
  readonly kid: string | null
  readonly alg: Algorithm
  /** Whether this key signed the token; nothing but the signature is looked at. */
  check(token: string): Promise<boolean>
}

/** RFC 7518: an HS256 key is at least as long as the hash, an RSA key has at least 2048 bits. */
export const minSecretBytes = 32
const minRsaBits = 2_048
/** Keys of one set; more could make a token without `kid` costly to check. */
export const maxKeys = 32

/** Throws for a secret that is too short, or that is a public key: then everybody could sign. */
export function secretKey(secret: string): VerifyKey {
  if (Buffer.byteLength(secret) < minSecretBytes)
    throw new TypeError(`a JWT secret has ${minSecretBytes} bytes or more`)
  if (secret.includes('-----BEGIN')) throw new TypeError('a PEM key cannot be a JWT secret')
  return { kid: null, alg: 'HS256', check: checkWithJsonwebtoken(createSecretKey(secret, 'utf8'), 'HS256') }
}

/** A public key in PEM form: RSA (RS256), P-256 (ES256) or Ed25519 (EdDSA). Throws for any other. */
export function pemKey(pem: string, kid: string | null): VerifyKey {
  if (pem.includes('PRIVATE KEY')) throw new TypeError('a private key does not belong here, give its public key')
  const key = createPublicKey(pem)
  const alg = algorithmOf(key)
  return { kid, alg, check: alg === 'EdDSA' ? checkWithJose(key, alg) : checkWithJsonwebtoken(key, alg) }
}

function algorithmOf(key: KeyObject): Algorithm {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key
  if (type === 'rsa') {
    if ((details?.modulusLength ?? 0) < minRsaBits) throw new TypeError(`an RSA key has ${minRsaBits} bits or more`)
    return 'RS256'
  }
  if (type === 'ec' && details?.namedCurve === 'prime256v1') return 'ES256'
  if (type === 'ed25519') return 'EdDSA'
  throw new TypeError(`keys of type ${type ?? 'unknown'} are not supported`)
}

/**
 * The usable public keys of a JWK set. Keys for another purpose, of another kind, or too short are left out; a set that
 * is no set throws.
 */
export async function jwkSetKeys(set: unknown): Promise<readonly VerifyKey[]> {
  if (typeof set !== 'object' || set === null || !('keys' in set) || !Array.isArray(set.keys)) {
    throw new TypeError('not a JWK set')
  }
  const keys: readonly unknown[] = set.keys
  const usable = await Promise.all(keys.slice(0, maxKeys).map(jwkKey))
  return usable.filter((key) => key !== null)
}

async function jwkKey(candidate: unknown): Promise<VerifyKey | null> {
  if (typeof candidate !== 'object' || candidate === null) return null
  const jwk: JWK = candidate
  const alg = algorithmOfJwk(jwk)
  if (alg === null || (jwk.alg !== undefined && jwk.alg !== alg)) return null
  // `d` is the private part: such a set was published by mistake, and its key is no secret any more.
  if ((jwk.use !== undefined && jwk.use !== 'sig') || 'd' in jwk) return null
  try {
    const key = await importJWK(jwk, alg)
    if (key instanceof Uint8Array) return null
    return { kid: typeof jwk.kid === 'string' ? jwk.kid : null, alg, check: checkWithJose(key, alg) }
  } catch {
    // One key that cannot be read must not take the others away; its tokens are answered "unknown key".
    return null
  }
}

function algorithmOfJwk({ kty, crv, n }: JWK): Algorithm | null {
  if (kty === 'RSA')
    return typeof n === 'string' && Buffer.from(n, 'base64url').length * 8 >= minRsaBits ? 'RS256' : null
  if (kty === 'EC') return crv === 'P-256' ? 'ES256' : null
  if (kty === 'OKP') return crv === 'Ed25519' ? 'EdDSA' : null
  return null
}

function checkWithJsonwebtoken(key: KeyObject, alg: 'HS256' | 'RS256' | 'ES256') {
  return async (token: string): Promise<boolean> => {
    try {
      // Times are judged by our own code, alike for every kind of key.
      jwt.verify(token, key, { algorithms: [alg], ignoreExpiration: true, ignoreNotBefore: true })
      return true
    } catch {
      return false
    }
  }
}

function checkWithJose(key: Parameters<typeof compactVerify>[1] & object, alg: Algorithm) {
  return async (token: string): Promise<boolean> => {
    try {
      await compactVerify(token, key, { algorithms: [alg] })
      return true
    } catch {
      return false
    }
  }
}

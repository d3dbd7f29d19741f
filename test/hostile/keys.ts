import { createHmac, generateKeyPairSync, sign } from 'node:crypto'
import type { KeyObject } from 'node:crypto'

/** Keys of an issuer, and those of somebody who would like to be one. */
export const secret = 'the-secret-of-the-attack-suite-0123456789'
export const issuer = 'https://id.example'
export const audience = 'fleet'

interface Pair {
  readonly publicKey: KeyObject
  readonly privateKey: KeyObject
}
const rsaPair = (modulusLength = 2_048): Pair => generateKeyPairSync('rsa', { modulusLength })
const ecPair = (): Pair => generateKeyPairSync('ec', { namedCurve: 'P-256' })
const edPair = (): Pair => generateKeyPairSync('ed25519')
export const own = { rsa: rsaPair(), ec: ecPair(), ed: edPair() }
export const foreign = { rsa: rsaPair(), ec: ecPair(), ed: edPair() }
/** In the set once, and taken out. */
export const retired = ecPair()
/** In the set, and too short to be used. */
export const weak = rsaPair(1_024)
/** In the set with its private part. */
export const leaked = ecPair()

export const pemOf = ({ publicKey }: Pair): string => publicKey.export({ type: 'spki', format: 'pem' }).toString()
export const jwkOf = ({ publicKey }: Pair, kid: string): object => ({
  ...publicKey.export({ format: 'jwk' }),
  kid,
  use: 'sig',
})

/** What the issuer publishes now. */
export const publishedKeys = JSON.stringify({
  keys: [
    jwkOf(own.rsa, 'rsa'),
    jwkOf(own.ec, 'ec'),
    jwkOf(own.ed, 'ed'),
    jwkOf(weak, 'weak'),
    { ...leaked.privateKey.export({ format: 'jwk' }), kid: 'leaked' },
  ],
})

export type Signer = (input: string) => Buffer
export const hmac =
  (key: string | Buffer, hash = 'sha256'): Signer =>
  (input) =>
    createHmac(hash, key).update(input).digest()
export const rsaSigner =
  ({ privateKey }: Pair, hash = 'sha256'): Signer =>
  (input) =>
    sign(hash, Buffer.from(input), privateKey)
export const ecSigner =
  ({ privateKey }: Pair): Signer =>
  (input) =>
    sign('sha256', Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' })
export const edSigner =
  ({ privateKey }: Pair): Signer =>
  (input) =>
    sign(null, Buffer.from(input), privateKey)

export const base64url = (value: unknown): string => {
  if (Buffer.isBuffer(value)) return value.toString('base64url')
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
}

export const nowSeconds = (): number => Math.floor(Date.now() / 1_000)
/** Claims that are accepted. */
export const goodClaims = (): Record<string, unknown> => ({
  ...{ sub: 'alice', tenantId: 'acme', iss: issuer, aud: audience },
  ...{ iat: nowSeconds() - 1, exp: nowSeconds() + 3_600 },
})

/** A token with any header and payload: objects, JSON text that no serialiser would write, or bytes. */
export function forge(header: unknown, payload: unknown, signer: Signer): string {
  const input = `${base64url(header)}.${base64url(payload)}`
  return `${input}.${base64url(signer(input))}`
}

/** How each algorithm's tokens are made as they should be. */
export const ways = {
  HS256: { header: { alg: 'HS256', typ: 'JWT' }, signer: hmac(secret) },
  RS256: { header: { alg: 'RS256', kid: 'rsa' }, signer: rsaSigner(own.rsa) },
  ES256: { header: { alg: 'ES256', kid: 'ec' }, signer: ecSigner(own.ec) },
  EdDSA: { header: { alg: 'EdDSA', kid: 'ed' }, signer: edSigner(own.ed) },
} as const
export type Alg = keyof typeof ways
export const algs: readonly Alg[] = ['HS256', 'RS256', 'ES256', 'EdDSA']

/** Well signed, by each algorithm: what is wrong is in the header or the payload. */
export function wellSigned(payload: unknown, header: Readonly<Record<string, unknown>> = {}): string[] {
  return algs.map((alg) => forge({ ...ways[alg].header, ...header }, payload, ways[alg].signer))
}

import { randomBytes } from 'node:crypto'
import {
  algs,
  base64url,
  ecSigner,
  edSigner,
  forge,
  foreign,
  goodClaims,
  hmac,
  jwkOf,
  leaked,
  own,
  pemOf,
  retired,
  rsaSigner,
  secret,
  ways,
  weak,
} from './keys.ts'
import type { Signer } from './keys.ts'
import { constants, sign } from 'node:crypto'

/** A way to get in without being let in. Each of its tokens is given to every verifier. */
export interface Attack {
  readonly name: string
  readonly tokens: () => readonly string[]
}

const nothing: Signer = () => Buffer.alloc(0)
const zeros =
  (length: number): Signer =>
  () =>
    Buffer.alloc(length)
/** With this header, signed by this: for what is one token. */
const one = (header: object | string, signer: Signer) => () => [forge(header, goodClaims(), signer)]
const bareHeaders = (header: object) => () =>
  ['', 'AA', base64url(randomBytes(32))].map((end) => `${base64url(header)}.${base64url(goodClaims())}.${end}`)

const none: readonly Attack[] = ['none', 'None', 'NONE', 'nOnE', 'none ', ''].map((alg) => ({
  name: `alg ${JSON.stringify(alg)}, with no signature or any`,
  tokens: bareHeaders({ alg, typ: 'JWT' }),
}))

const algorithms: readonly Attack[] = [
  ...none,
  { name: 'no alg at all', tokens: bareHeaders({ typ: 'JWT' }) },
  { name: 'alg null', tokens: one({ alg: null }, hmac(secret)) },
  { name: 'alg a list', tokens: one({ alg: ['HS256'] }, hmac(secret)) },
  { name: 'alg in small letters', tokens: one({ alg: 'hs256' }, hmac(secret)) },
  { name: 'alg with a Cyrillic Н', tokens: one({ alg: '\u041dS256' }, hmac(secret)) },
  { name: 'alg named twice', tokens: one('{"alg":"none","alg":"HS256"}', hmac(secret)) },
  { name: 'a stronger HMAC than was configured', tokens: one({ alg: 'HS512' }, hmac(secret, 'sha512')) },
  {
    name: 'a stronger RSA than was configured',
    tokens: one({ alg: 'RS512', kid: 'rsa' }, rsaSigner(own.rsa, 'sha512')),
  },
  { name: 'RS256 made with SHA-1', tokens: one(ways.RS256.header, rsaSigner(own.rsa, 'sha1')) },
  {
    name: 'RS256 made as PS256',
    tokens: () => ['RS256', 'PS256'].map((alg) => forge({ alg, kid: 'rsa' }, goodClaims(), pss)),
  },
  { name: 'HMAC under RS256', tokens: one(ways.RS256.header, hmac(secret)) },
  { name: 'RSA under ES256', tokens: one(ways.ES256.header, rsaSigner(own.rsa)) },
  { name: 'ECDSA under EdDSA', tokens: one(ways.EdDSA.header, ecSigner(own.ec)) },
]
const pss: Signer = (input) =>
  sign('sha256', Buffer.from(input), { key: own.rsa.privateKey, padding: constants.RSA_PKCS1_PSS_PADDING })

const publicRsa = own.rsa.publicKey
const asSecrets: readonly (readonly [string, () => readonly (string | Buffer)[]])[] = [
  ['the public RSA key as PEM', () => [pemOf(own.rsa), pemOf(own.rsa).trim(), pemOf(own.rsa).replaceAll('\n', '\r\n')]],
  ['the public RSA key as PKCS 1', () => [publicRsa.export({ type: 'pkcs1', format: 'pem' }).toString()]],
  ['the public RSA key as DER', () => [publicRsa.export({ type: 'spki', format: 'der' })]],
  [
    'the public RSA key as JWK',
    () => [JSON.stringify(publicRsa.export({ format: 'jwk' })), JSON.stringify(jwkOf(own.rsa, 'rsa'))],
  ],
  ['the modulus of the RSA key', () => [Buffer.from(publicRsa.export({ format: 'jwk' }).n ?? '', 'base64url')]],
  ['the public P-256 key as PEM', () => [pemOf(own.ec)]],
  [
    'the public Ed25519 key, as PEM and raw',
    () => [pemOf(own.ed), Buffer.from(own.ed.publicKey.export({ format: 'jwk' }).x ?? '', 'base64url')],
  ],
  ['nothing', () => ['', Buffer.alloc(1), Buffer.alloc(32)]],
  ['a guess', () => ['secret', 'changeme', 'your-256-bit-secret']],
  ['a part of the secret', () => [secret.slice(0, -1), `${secret}\n`, secret.toUpperCase()]],
]
const keyConfusion: readonly Attack[] = asSecrets.map(([what, keys]) => ({
  name: `HMAC with ${what} as the secret`,
  tokens: () =>
    keys().flatMap((key) => [undefined, 'rsa'].map((kid) => forge({ alg: 'HS256', kid }, goodClaims(), hmac(key)))),
}))

const signedByForeign = (header: object) => () => [
  forge({ ...ways.RS256.header, ...header }, goodClaims(), rsaSigner(foreign.rsa)),
  forge({ ...ways.ES256.header, ...header }, goodClaims(), ecSigner(foreign.ec)),
  forge({ ...ways.EdDSA.header, ...header }, goodClaims(), edSigner(foreign.ed)),
]
const asJwk = foreign.rsa.publicKey.export({ format: 'jwk' })
const brought: readonly Attack[] = [
  { name: 'a key of somebody else', tokens: signedByForeign({}) },
  { name: 'a key of somebody else without kid', tokens: signedByForeign({ kid: undefined }) },
  {
    name: 'jwk: the key comes along',
    tokens: () => [
      ...one({ alg: 'RS256', jwk: asJwk }, rsaSigner(foreign.rsa))(),
      ...signedByForeign({ jwk: asJwk })(),
    ],
  },
  {
    name: 'jwk: a secret comes along',
    tokens: one({ alg: 'HS256', jwk: { kty: 'oct', k: base64url('x'.repeat(32)) } }, hmac('x'.repeat(32))),
  },
  { name: 'jku: a set of keys elsewhere', tokens: signedByForeign({ jku: 'http://127.0.0.1:9/jwks.json' }) },
  {
    name: 'jku: that begins as the issuer does',
    tokens: signedByForeign({ jku: 'https://id.example@evil.example/jwks.json' }),
  },
  { name: 'x5u: a certificate elsewhere', tokens: signedByForeign({ x5u: 'http://127.0.0.1:9/x.pem' }) },
  {
    name: 'x5c: the certificate comes along',
    tokens: signedByForeign({ x5c: [base64url(foreign.rsa.publicKey.export({ type: 'spki', format: 'der' }))] }),
  },
  {
    name: 'a key that was rotated out',
    tokens: () => ['retired', undefined].map((kid) => forge({ alg: 'ES256', kid }, goodClaims(), ecSigner(retired))),
  },
  {
    name: 'a key of 1024 bits that is in the set',
    tokens: () => ['weak', undefined].map((kid) => forge({ alg: 'RS256', kid }, goodClaims(), rsaSigner(weak))),
  },
  {
    name: 'a key whose private part is in the set',
    tokens: () => ['leaked', undefined].map((kid) => forge({ alg: 'ES256', kid }, goodClaims(), ecSigner(leaked))),
  },
]

const kids: readonly (readonly [string, unknown, string | Buffer])[] = [
  ['a path to an empty file', '../../../../../dev/null', ''],
  ['a path to a known file', '/etc/hostname', 'localhost'],
  ['SQL that selects a key', "x' UNION SELECT 'key' --", 'key'],
  ['a command', '| cat /etc/passwd', ''],
  ['a NUL', 'rsa\u0000', ''],
  ['an address', 'http://127.0.0.1:9/key', ''],
  ['__proto__', '__proto__', ''],
  ['very long', 'k'.repeat(5_000), secret],
  ['a number', 0, secret],
  ['an object', { toString: 'rsa' }, secret],
  ['a list', ['rsa'], secret],
]
const keyIds: readonly Attack[] = [
  ...kids.map(([what, kid, key]) => ({
    name: `kid: ${what}`,
    tokens: () => [forge({ alg: 'HS256', kid }, goodClaims(), hmac(key)), ...signedByForeign({ kid })()],
  })),
  { name: 'kid: of a key of another kind', tokens: one({ alg: 'RS256', kid: 'ec' }, rsaSigner(own.rsa)) },
  {
    name: 'kid: that nobody has',
    tokens: () =>
      [
        one({ alg: 'RS256', kid: 'other' }, rsaSigner(own.rsa))(),
        one({ alg: 'ES256', kid: 'EC' }, ecSigner(own.ec))(),
      ].flat(),
  },
  { name: 'kid: with a Cyrillic с', tokens: one({ alg: 'ES256', kid: 'e\u0441' }, ecSigner(own.ec)) },
  { name: 'kid: named twice', tokens: one('{"alg":"RS256","kid":"other","kid":"rsa"}', rsaSigner(own.rsa)) },
]

const all = (change: (parts: readonly [string, string, string], alg: (typeof algs)[number]) => string) => () =>
  algs.map((alg) => {
    const [header = '', payload = '', signature = ''] = forge(ways[alg].header, goodClaims(), ways[alg].signer).split(
      '.',
    )
    return change([header, payload, signature], alg)
  })
const bytesOf = (text: string): Buffer => Buffer.from(text, 'base64url')
/** The order of P-256. */
const order = Buffer.from('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551', 'hex')
const oneOf = (length: number): Buffer => Buffer.concat([Buffer.alloc(length - 1), Buffer.from([1])])
const ecWith = (r: Buffer, s: Buffer) => one(ways.ES256.header, () => Buffer.concat([r, s]))

const signatures: readonly Attack[] = [
  { name: 'no signature', tokens: all(([header, payload]) => `${header}.${payload}.`) },
  { name: 'the signature left off with its dot', tokens: all(([header, payload]) => `${header}.${payload}`) },
  {
    name: 'a signature without its last byte',
    tokens: all(([h, p, s]) => `${h}.${p}.${base64url(bytesOf(s).subarray(0, -1))}`),
  },
  {
    name: 'half a signature',
    tokens: all(([h, p, s]) => `${h}.${p}.${base64url(bytesOf(s).subarray(0, bytesOf(s).length / 2))}`),
  },
  {
    name: 'a signature and a byte more',
    tokens: all(([h, p, s]) => `${h}.${p}.${base64url(Buffer.concat([bytesOf(s), Buffer.alloc(1)]))}`),
  },
  {
    name: 'a signature with one bit changed',
    tokens: all(([h, p, s]) => `${h}.${p}.${base64url(flipped(bytesOf(s)))}`),
  },
  {
    name: 'the signature of another payload',
    tokens: all(([h, , s]) => `${h}.${base64url({ ...goodClaims(), sub: 'root' })}.${s}`),
  },
  {
    name: 'the signature of another header',
    tokens: all(([, p, s], alg) => `${base64url({ ...ways[alg].header, x: 1 })}.${p}.${s}`),
  },
  {
    name: 'the payload of one token, the signature of a later one',
    tokens: all(
      ([h, p], alg) =>
        `${h}.${p}.${forge(ways[alg].header, { ...goodClaims(), n: 1 }, ways[alg].signer).split('.')[2] ?? ''}`,
    ),
  },
  {
    name: 'a signature of zeros',
    tokens: () =>
      algs.map((alg) =>
        forge(ways[alg].header, goodClaims(), zeros(alg === 'RS256' ? 256 : alg === 'HS256' ? 32 : 64)),
      ),
  },
  {
    name: 'an RSA signature of 0 and of 1',
    tokens: () => [Buffer.alloc(256), oneOf(256)].map((bytes) => forge(ways.RS256.header, goodClaims(), () => bytes)),
  },
  { name: 'ECDSA: r = s = 0 (the psychic signature)', tokens: ecWith(Buffer.alloc(32), Buffer.alloc(32)) },
  { name: 'ECDSA: r = 0', tokens: ecWith(Buffer.alloc(32), oneOf(32)) },
  { name: 'ECDSA: s = 0', tokens: ecWith(oneOf(32), Buffer.alloc(32)) },
  { name: 'ECDSA: r = s = n', tokens: ecWith(order, order) },
  { name: 'ECDSA: r = s = 1', tokens: ecWith(oneOf(32), oneOf(32)) },
  {
    name: 'ECDSA: a signature in DER',
    tokens: one(ways.ES256.header, (input) => sign('sha256', Buffer.from(input), own.ec.privateKey)),
  },
  {
    name: 'EdDSA: a point of small order',
    tokens: one(ways.EdDSA.header, () => Buffer.concat([Buffer.from([1]), Buffer.alloc(63)])),
  },
  {
    name: 'a signature of nothing',
    tokens: () => algs.map((alg) => forge(ways[alg].header, goodClaims(), () => ways[alg].signer(''))),
  },
  {
    name: 'a signature that is empty',
    tokens: () => algs.map((alg) => forge(ways[alg].header, goodClaims(), nothing)),
  },
]

function flipped(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes)
  copy[7] = (copy[7] ?? 0) ^ 0x10
  return copy
}

/** s and its mirror image n − s sign the same: whoever sees a token can write it in another way. */
export function mirrored(token: string): string {
  const [header = '', payload = '', signature = ''] = token.split('.')
  const bytes = bytesOf(signature)
  const s = BigInt(`0x${order.toString('hex')}`) - BigInt(`0x${bytes.subarray(32).toString('hex')}`)
  return `${header}.${payload}.${base64url(Buffer.concat([bytes.subarray(0, 32), Buffer.from(s.toString(16).padStart(64, '0'), 'hex')]))}`
}

export const attacksOnSignatures: Readonly<Record<string, readonly Attack[]>> = {
  'The algorithm': algorithms,
  'One key taken for another': keyConfusion,
  'Keys that a token brings': brought,
  'Key ids': keyIds,
  'The signature': signatures,
}

import { deflateRawSync } from 'node:zlib'
import type { Attack } from './attacks-on-signatures.ts'
import { audience, base64url, forge, goodClaims, hmac, issuer, nowSeconds, secret, ways, wellSigned } from './keys.ts'

/** Well signed by every algorithm, with these claims changed. */
const claims = (name: string, change: () => Readonly<Record<string, unknown>>): Attack => ({
  name,
  tokens: () => wellSigned({ ...goodClaims(), ...change() }),
})
const fixed = (name: string, change: Readonly<Record<string, unknown>>): Attack => claims(name, () => change)
/** The payload as this text; what is in `{ }` is put before the other claims. */
const text = (name: string, write: (members: string) => string): Attack => ({
  name,
  tokens: () => wellSigned(write(JSON.stringify(goodClaims()).slice(1, -1))),
})
const header = (name: string, change: Readonly<Record<string, unknown>>): Attack => ({
  name,
  tokens: () => wellSigned(goodClaims(), change),
})
/** Good tokens, written in another way. */
const form = (name: string, ...changes: readonly ((token: string) => string)[]): Attack => ({
  name,
  tokens: () => wellSigned(goodClaims()).flatMap((token) => changes.map((change) => change(token))),
})
const part = (token: string, i: number): string => token.split('.')[i] ?? ''

const headers: readonly Attack[] = [
  header('crit: exp', { crit: ['exp'] }),
  header('crit: empty', { crit: [] }),
  header('crit: not a list', { crit: 'exp' }),
  header('b64: false, with crit', { b64: false, crit: ['b64'] }),
  {
    name: 'b64: false, the payload as it is',
    tokens: () => {
      const input = `${base64url({ alg: 'HS256', b64: false })}.${JSON.stringify(goodClaims())}`
      return [`${input}.${base64url(hmac(secret)(input))}`]
    },
  },
  {
    name: 'zip: a deflated payload',
    tokens: () => wellSigned(deflateRawSync(JSON.stringify(goodClaims())), { zip: 'DEF' }),
  },
  {
    name: 'cty: a token in a token',
    tokens: () => wellSigned(goodClaims()).flatMap((token) => wellSigned(token, { cty: 'JWT' })),
  },
  header('typ: of a security event', { typ: 'secevent+jwt' }),
  header('typ: of a logout', { typ: 'logout+jwt' }),
  header('typ: of a proof of possession', { typ: 'dpop+jwt' }),
  header('typ: JWE', { typ: 'JWE' }),
  header('typ: a list', { typ: ['JWT'] }),
  header('typ: in wide letters', { typ: '\uff2a\uff37\uff34' }),
  header('typ: of a token and more', { typ: 'JWT; x' }),
]

const forms: readonly Attack[] = [
  form('a detached payload', (token) => `${part(token, 0)}..${part(token, 2)}`),
  form(
    'a JWE of five parts',
    (token) => `${token}.${part(token, 1)}.${part(token, 2)}`,
    () => `${base64url({ alg: 'dir', enc: 'A256GCM' })}..AAAA.AAAA.AAAA`,
  ),
  form(
    'a dot at the end or the beginning',
    (token) => `${token}.`,
    (token) => `.${token}`,
    (token) => `${token}..`,
  ),
  form('a fourth part', (token) => `${token}.e30`),
  form(
    'white space within',
    (token) => token.replace('.', ' .'),
    (token) => token.replace('.', '.\t'),
  ),
  form(
    'white space before',
    (token) => ` ${token}`,
    (token) => `\u00a0${token}`,
  ),
  form(
    'a line break at the end',
    (token) => `${token}\n`,
    (token) => `${token}\r\n\r\n`,
  ),
  form('a NUL at the end', (token) => `${token}\u0000`),
  form(
    'padding',
    (token) => `${token}=`,
    (token) => `${token}==`,
    (token) => token.replace('.', '=.'),
  ),
  form('the last character with bits that are not used', twin),
  form('base64 of the other alphabet', (token) => `${token.slice(0, -4)}+/+/`),
  form('wide dots', (token) => token.replaceAll('.', '\uff0e')),
  form('dots as %2e', (token) => token.replaceAll('.', '%2e')),
  form(
    'the scheme before it',
    (token) => `Bearer ${token}`,
    (token) => `bearer,${token}`,
  ),
  form(
    'two tokens',
    (token) => `${token},${token}`,
    (token) => `${token} ${token}`,
  ),
  form('as JSON', (token) =>
    JSON.stringify({ protected: part(token, 0), payload: part(token, 1), signature: part(token, 2) }),
  ),
  form('encoded once more', (token) => base64url(token)),
  { name: 'more than 8 KiB', tokens: () => wellSigned({ ...goodClaims(), pad: 'x'.repeat(7_000) }) },
]

function twin(token: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  return token.slice(0, -1) + (alphabet[alphabet.indexOf(token.at(-1) ?? '') ^ 1] ?? '')
}

const payloads: readonly Attack[] = [
  ...[
    ['a list', '[]'],
    ['null', 'null'],
    ['a text', '"alice"'],
    ['a number', '1'],
    ['nothing', '{}'],
  ].map(([what = '', payload = '']) => ({
    name: `the payload is ${what}`,
    tokens: () => wellSigned(payload),
  })),
  text('a claim named twice', (members) => `{"sub":"root",${members}}`),
  text('a claim named twice, once with escapes', (members) => `{"s\\u0075b":"root",${members}}`),
  text('exp named twice', (members) => `{${members},"exp":${nowSeconds() + 9_999}}`),
  text('a comma too many', (members) => `{${members},}`),
  text('a comment', (members) => `{${members}/* */}`),
  text('more after it', (members) => `{${members}}{}`),
  text('a byte order mark', (members) => `\ufeff{${members}}`),
  {
    name: 'no UTF-8',
    tokens: () =>
      wellSigned(
        Buffer.concat([
          Buffer.from('{"sub":"'),
          Buffer.from([0xff]),
          Buffer.from(`",${JSON.stringify(goodClaims()).slice(1)}`),
        ]),
      ),
  },
]

const times: readonly Attack[] = [
  fixed('no exp', { exp: undefined }),
  claims('expired', () => ({ exp: nowSeconds() - 3_600 })),
  claims('expired a little longer ago than clocks may differ', () => ({ exp: nowSeconds() - 6 })),
  claims('expired by a fraction', () => ({ exp: nowSeconds() - 6.5 })),
  claims('exp a text', () => ({ exp: String(nowSeconds() + 60) })),
  claims('exp a list', () => ({ exp: [nowSeconds() + 60] })),
  claims('exp an object', () => ({ exp: { valueOf: nowSeconds() + 60 } })),
  fixed('exp true', { exp: true }),
  fixed('exp null', { exp: null }),
  fixed('exp 0', { exp: 0 }),
  fixed('exp negative', { exp: -1 }),
  fixed('exp huge', { exp: 1e300 }),
  text('exp infinite', (members) => `{${members.replace(/"exp":\d+/, '"exp":1e999')}}`),
  claims('nbf in the future', () => ({ nbf: nowSeconds() + 3_600 })),
  fixed('nbf a text', { nbf: '0' }),
  text('nbf infinite', (members) => `{${members},"nbf":1e999}`),
  claims('iat in the future', () => ({ iat: nowSeconds() + 3_600 })),
  fixed('iat a text', { iat: 'yesterday' }),
]

const parties: readonly Attack[] = [
  ...(
    [
      ['none', undefined],
      ['of another', 'https://evil.example'],
      ['that begins as it should', `${issuer}.evil.example`],
      ['that ends as it should', `https://evil.example/?${issuer}`],
      ['with a slash more', `${issuer}/`],
      ['in capitals', issuer.toUpperCase()],
      ['a list', [issuer]],
      ['with a Cyrillic і', issuer.replace('id', '\u0456d')],
      ['null', null],
    ] as const
  ).map(([what, iss]) => fixed(`iss: ${what}`, { iss })),
  ...(
    [
      ['none', undefined],
      ['of another', 'other'],
      ['a part', audience.slice(0, -1)],
      ['that begins as it should', `${audience}-admin`],
      ['a list of others', ['other', `${audience} `]],
      ['an empty list', []],
      ['a list in a list', [[audience]]],
      ['an object', { [audience]: true }],
      ['several in one text', `other ${audience}`],
      ['with a Cyrillic е', audience.replaceAll('e', '\u0435')],
    ] as const
  ).map(([what, aud]) => fixed(`aud: ${what}`, { aud })),
]

const ids: readonly (readonly [string, unknown])[] = [
  ['empty', ''],
  ['an object', { id: 'alice' }],
  ['a list', ['alice']],
  ['true', true],
  ['a fraction', 1.5],
  ['with a colon', 'acme:alice'],
  ['with U+001F', 'alice\u001fbob'],
  ['with U+001E', 'alice\u001ebob'],
  ['with NUL', 'alice\u0000'],
  ['with a line break', 'alice\r\nX-User: bob'],
  ['with U+2028', 'alice\u2028'],
  ['half of a character', 'alice\ud800'],
  ['__proto__', '__proto__'],
  ['too long', 'a'.repeat(129)],
]
const identities: readonly Attack[] = [
  fixed('no sub', { sub: undefined }),
  ...ids.map(([what, id]) => fixed(`sub: ${what}`, { sub: id })),
  ...ids.map(([what, id]) => fixed(`tenantId: ${what}`, { tenantId: id })),
  text('sub in a prototype', (members) => `{${members.replace('"sub":"alice",', '')},"__proto__":{"sub":"root"}}`),
  text(
    'sub in a constructor',
    (members) => `{${members.replace('"sub":"alice",', '')},"constructor":{"prototype":{"sub":"root"}}}`,
  ),
  fixed('roles: an object', { roles: { admin: true } }),
  fixed('roles: a list in a list', { roles: [['admin']] }),
  fixed('roles: __proto__', { roles: ['__proto__'] }),
  fixed('roles: hundreds', { roles: Array.from({ length: 257 }, (_, i) => `r${i}`) }),
  fixed('permissions: a number', { permissions: 1 }),
  fixed('jti: an object', { jti: {} }),
  fixed('email: a list', { email: ['a@b.example'] }),
]

/** A token of another kind under its own header; the control is `wellSigned(goodClaims())`. */
export const attacksOnClaims: Readonly<Record<string, readonly Attack[]>> = {
  'The header': headers,
  'The form': forms,
  'The payload': payloads,
  Times: times,
  'Who gave it to whom': parties,
  'Who it names': identities,
}
/** Each algorithm's good token, which must get in: else nothing above shows anything. */
export const controls = (): readonly (readonly [string, string])[] =>
  (Object.keys(ways) as (keyof typeof ways)[]).map((alg) => [
    alg,
    forge(ways[alg].header, goodClaims(), ways[alg].signer),
  ])

import { createHmac, generateKeyPairSync, sign } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { DEVELOPMENT_SECRET, createVerifier, maxKidLength, signRoomToken, signToken } from './jwt.ts'
import type { KeySource, RefusalReason, VerifierOptions } from './jwt.ts'
import { createLog } from './log.ts'

const log = createLog({ service: 'test', level: 'silent' })
const nowSeconds = 1_800_000_000
const secret = 'a-secret-for-tests-of-32-bytes-or-more'
const good = { sub: 'alice', tenantId: 'acme', exp: nowSeconds + 60 }

const rsa = generateKeyPairSync('rsa', { modulusLength: 2_048 })
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const ed = generateKeyPairSync('ed25519')
const pem = (key: KeyObject): string => key.export({ type: 'spki', format: 'pem' }).toString()

const encode = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
type Signer = (input: string) => Buffer
const hs =
  (key: string): Signer =>
  (input) =>
    createHmac('sha256', key).update(input).digest()
const rs: Signer = (input) => sign('sha256', Buffer.from(input), rsa.privateKey)
const es: Signer = (input) => sign('sha256', Buffer.from(input), { key: ec.privateKey, dsaEncoding: 'ieee-p1363' })
const edSign: Signer = (input) => sign(null, Buffer.from(input), ed.privateKey)

/** A token with any header and payload, objects or JSON text, as an attacker or another library may write it. */
function forge(header: unknown, payload: unknown, signer: Signer): string {
  const input = `${encode(header)}.${encode(payload)}`
  return `${input}.${signer(input).toString('base64url')}`
}
const hsToken = (payload: unknown, header: Record<string, unknown> = {}): string =>
  forge({ alg: 'HS256', typ: 'JWT', ...header }, payload, hs(secret))

const hsKeys: KeySource = { type: 'secret', secrets: [secret] }
const pemKeys: KeySource = { type: 'pem', keys: [rsa, ec, ed].map(({ publicKey }) => ({ pem: pem(publicKey) })) }
const verifierOf = (options: Partial<VerifierOptions> = {}) =>
  createVerifier({ keys: hsKeys, log, now: () => nowSeconds * 1_000, ...options })

async function refusal(
  token: string | undefined,
  options: Partial<VerifierOptions> = {},
): Promise<RefusalReason | 'accepted'> {
  const verdict = await verifierOf(options).verify(token)
  if (!verdict.ok) expect(verdict.retryable).toBe(false)
  return verdict.ok ? 'accepted' : verdict.reason
}
describe('tokens that are accepted', () => {
  test('[JW1] a token of the fleet gives the whole identity', async () => {
    const token = signToken({
      secret,
      sub: 'alice',
      tenant: 'acme',
      roles: ['ADMIN'],
      permissions: ['kick'],
      ttlSeconds: 60,
    })
    const verdict = await createVerifier({ keys: hsKeys, log }).verify(token)
    expect(verdict).toEqual({
      ok: true,
      claims: {
        userId: 'alice',
        tenantId: 'acme',
        roles: ['ADMIN'],
        permissions: ['kick'],
        expiresAtMs: expect.any(Number),
        issuedAtMs: expect.any(Number),
        tokenId: expect.any(String),
      },
    })
  })

  test.each([
    ['RS256', rs],
    ['ES256', es],
    ['EdDSA', edSign],
  ] as const)('[JW1] %s by its public key', async (alg, signer) => {
    expect(await refusal(forge({ alg }, good, signer), { keys: pemKeys })).toBe('accepted')
    expect(
      await refusal(
        forge({ alg }, { ...good, sub: 'b' }, () => signer('other')),
        { keys: pemKeys },
      ),
    ).toBe('signature')
  })

  test('[JW1] the development secret is long enough to be used', async () => {
    const token = signToken({ secret: DEVELOPMENT_SECRET, sub: 'a', tenant: 't', ttlSeconds: 60 })
    const verdict = await createVerifier({ keys: { type: 'secret', secrets: [DEVELOPMENT_SECRET] }, log }).verify(token)
    expect(verdict.ok).toBe(true)
  })

  test('[JW13] while a secret is rotated both are good; a PEM key is chosen by its kid', async () => {
    const old = 'an-old-secret-for-tests-of-32-bytes'
    const token = forge({ alg: 'HS256' }, good, hs(old))
    expect(await refusal(token)).toBe('signature')
    expect(await refusal(token, { keys: { type: 'secret', secrets: [secret, old] } })).toBe('accepted')
    const keys: KeySource = { type: 'pem', keys: [{ kid: 'a', pem: pem(rsa.publicKey) }] }
    expect(await refusal(forge({ alg: 'RS256', kid: 'a' }, good, rs), { keys })).toBe('accepted')
    expect(await refusal(forge({ alg: 'RS256', kid: 'b' }, good, rs), { keys })).toBe('signature')
  })
})

describe('attacks on the signature', () => {
  test.each(['none', 'None', 'nOnE', 'NONE', 'HS384', 'RS256', 'hs256', '', '__proto__'])(
    '[JW1] alg %j is refused',
    async (alg) => {
      const token = forge({ alg }, good, hs(secret))
      expect(await refusal(token)).toBe('signature')
      expect(await refusal(`${encode({ alg })}.${encode(good)}.`)).toBe('malformed')
    },
  )

  test('[JW1] HMAC with the public key as the secret is refused', async () => {
    for (const key of [pem(rsa.publicKey), pem(rsa.publicKey).trim()]) {
      expect(await refusal(forge({ alg: 'HS256' }, good, hs(key)), { keys: pemKeys })).toBe('signature')
    }
  })

  test('[JW1] a key of one kind does not check another algorithm', async () => {
    const keys: KeySource = { type: 'pem', keys: [{ pem: pem(ec.publicKey) }] }
    expect(await refusal(forge({ alg: 'RS256' }, good, rs), { keys })).toBe('signature')
    expect(await refusal(forge({ alg: 'EdDSA' }, good, edSign), { keys })).toBe('signature')
    expect(
      await refusal(
        forge({ alg: 'ES256' }, good, () => Buffer.alloc(64)),
        { keys },
      ),
    ).toBe('signature')
  })

  test('[JW1] a changed payload, a stripped, an empty and a cut signature are refused', async () => {
    const [header = '', payload = '', signature = ''] = hsToken(good).split('.')
    expect(await refusal(`${header}.${encode({ ...good, sub: 'bob' })}.${signature}`)).toBe('signature')
    expect(await refusal(`${header}.${payload}`)).toBe('malformed')
    expect(await refusal(`${header}.${payload}.`)).toBe('malformed')
    expect(await refusal(`${header}.${payload}.${signature.slice(0, 40)}`)).not.toBe('accepted')
    expect(await refusal(`${header}.${payload}.${encode('x')}`)).toBe('signature')
  })

  test('[JW3] an embedded or linked key is not used', async () => {
    const jwk = rsa.publicKey.export({ format: 'jwk' })
    const other: KeySource = {
      type: 'pem',
      keys: [{ pem: pem(generateKeyPairSync('rsa', { modulusLength: 2_048 }).publicKey) }],
    }
    for (const header of [
      { jwk },
      { jku: 'https://evil.example/jwks' },
      { x5u: 'https://evil.example/x' },
      { x5c: ['AAAA'] },
    ]) {
      expect(await refusal(forge({ alg: 'RS256', ...header }, good, rs), { keys: other })).toBe('signature')
    }
  })

  test.each(['../../../../dev/null', "' OR 1=1 --", '/etc/passwd\u0000', '__proto__', 'constructor'])(
    '[JW3] kid %j leads nowhere',
    async (kid) => {
      const keys: KeySource = { type: 'pem', keys: [{ kid: 'a', pem: pem(rsa.publicKey) }] }
      expect(await refusal(forge({ alg: 'RS256', kid }, good, rs), { keys })).toBe('signature')
      expect(await refusal(forge({ alg: 'HS256', kid }, good, hs('')))).toBe('signature')
    },
  )
})

describe('attacks on the form', () => {
  test('[JW2] nothing, and what is no token', async () => {
    expect(await refusal(undefined)).toBe('missing')
    expect(await refusal('')).toBe('missing')
    for (const token of [
      'a',
      'a.b',
      'a.b.c',
      '..',
      'a.b.c.d',
      `${hsToken(good)}.x`,
      ` ${hsToken(good)}`,
      `${hsToken(good)}\n`,
    ]) {
      expect(await refusal(token)).toBe('malformed')
    }
  })

  test('[JW2] 8 KiB is the limit, and a token of 1 MB costs nothing', async () => {
    const padded = (n: number): string => hsToken({ ...good, pad: 'x'.repeat(n) })
    let n = 5_900
    while (padded(n + 1).length <= 8_192) n += 1
    expect(await refusal(padded(n))).toBe('accepted')
    expect(await refusal(padded(n + 3))).toBe('malformed')
    expect(await refusal('x'.repeat(1_048_576))).toBe('malformed')
    expect(await refusal('.'.repeat(1_048_576))).toBe('malformed')
  })

  test('[JW2] a twin of a token that differs in base64 only is refused', async () => {
    const token = hsToken(good)
    expect(await refusal(`${token}=`)).toBe('malformed')
    const last = token.at(-1) ?? ''
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    // 32 bytes leave 2 bits of the last character unused: its neighbour decodes to the same bytes.
    const twin = alphabet[alphabet.indexOf(last) ^ 1] ?? ''
    expect(await refusal(token.slice(0, -1) + twin)).toBe('malformed')
  })

  test.each([
    ['crit', { crit: ['exp'] }],
    ['empty crit', { crit: [] }],
    ['b64', { crit: ['b64'], b64: false }],
    ['kid too long', { kid: 'k'.repeat(maxKidLength + 1) }],
    ['kid a number', { kid: 1 }],
    ['kid an object', { kid: {} }],
    ['foreign typ', { typ: 'secevent+jwt' }],
    ['typ a list', { typ: ['JWT'] }],
    ['alg a list', { alg: ['HS256'] }],
  ])('[JW2] a header with %s is malformed', async (_name, header) => {
    expect(await refusal(hsToken(good, header))).toBe('malformed')
  })

  test('[JW2] a kid of the full length and the known types are taken', async () => {
    for (const header of [{ kid: 'k'.repeat(maxKidLength) }, { typ: 'jwt' }, { typ: 'at+jwt' }]) {
      expect(await refusal(hsToken(good, header))).toBe('accepted')
    }
  })

  test.each(['[]', 'null', '"text"', '1', '{', '', Buffer.from([0xff, 0xfe]).toString('latin1')])(
    '[JW2] the payload %j is refused',
    async (payload) => {
      expect(await refusal(hsToken(payload))).toBe('malformed')
      expect(await refusal(forge(payload, good, hs(secret)))).toBe('malformed')
    },
  )
})

describe('names that stand twice', () => {
  test.each([
    ['alg', '{"alg":"none","alg":"HS256"}', good],
    ['kid', '{"alg":"HS256","kid":"a","kid":"b"}', good],
    ['sub', '{"alg":"HS256"}', `{"sub":"root",${JSON.stringify(good).slice(1)}`],
    ['sub, once escaped', '{"alg":"HS256"}', `{"s\\u0075b":"root",${JSON.stringify(good).slice(1)}`],
  ])('[JW2] %s: malformed, as two readers could read two things', async (_name, header, payload) => {
    expect(await refusal(forge(header, payload, hs(secret)))).toBe('malformed')
  })

  test('[JW2] a byte order mark is not JSON', async () => {
    expect(await refusal(hsToken(`\ufeff${JSON.stringify(good)}`))).toBe('malformed')
    expect(await refusal(hsToken(JSON.stringify(good)))).toBe('accepted')
  })
})

describe('unsafe keys', () => {
  const keysOf = (keys: KeySource) => () => createVerifier({ keys, log })
  const privatePem = rsa.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()

  test('[JW8] are refused at the start', () => {
    expect(keysOf({ type: 'secret', secrets: [] })).toThrow('1 to 32 keys')
    expect(keysOf({ type: 'secret', secrets: ['x'.repeat(31)] })).toThrow('32 bytes')
    expect(keysOf({ type: 'secret', secrets: [pem(rsa.publicKey)] })).toThrow('cannot be a JWT secret')
    expect(keysOf({ type: 'pem', keys: [{ pem: privatePem }] })).toThrow('private key')
    expect(keysOf({ type: 'pem', keys: [{ pem: 'nonsense' }] })).toThrow()
    expect(
      keysOf({ type: 'pem', keys: [{ pem: pem(generateKeyPairSync('rsa', { modulusLength: 1_024 }).publicKey) }] }),
    ).toThrow('2048')
    expect(
      keysOf({ type: 'pem', keys: [{ pem: pem(generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey) }] }),
    ).toThrow('not supported')
    for (const url of [
      'http://id.example/jwks',
      'ftp://localhost/jwks',
      'http://127.evil.example/',
      'http://localhost.evil.example/',
      'file:///jwks',
    ]) {
      expect(keysOf({ type: 'jwks', url })).toThrow('https')
    }
    for (const url of [
      'https://id.example/jwks',
      'http://localhost:1/jwks',
      'http://127.0.0.1/jwks',
      'http://[::1]/jwks',
    ]) {
      expect(keysOf({ type: 'jwks', url })).not.toThrow()
    }
  })
})

describe('tokens for rooms', () => {
  const room = 'project:acme:7'
  const roomClaims = { ...good, room }
  const roomToken = (payload: unknown, header: Record<string, unknown> = {}): string =>
    hsToken(payload, { typ: 'room+jwt', ...header })

  test('[RT6] name the user and its rooms, and neither kind passes for the other', async () => {
    const grant = { userId: 'alice', tenantId: 'acme', rooms: [room], expiresAtMs: (good.exp + 5) * 1_000 }
    expect(await verifierOf().verifyRoom(roomToken(roomClaims))).toEqual({ ok: true, grant })
    expect(await refusal(roomToken(roomClaims))).toBe('malformed')
    const made = signRoomToken({ secret, sub: 'alice', rooms: [room, 'chat:acme:1'], ttlSeconds: 60 })
    const now = verifierOf({ now: Date.now })
    expect(await now.verifyRoom(made)).toMatchObject({ ok: true, grant: { rooms: [room, 'chat:acme:1'] } })
  })

  test.each([
    ['the type of a connection', hsToken(roomClaims)],
    ['no type', hsToken(roomClaims, { typ: undefined })],
    ['another type', roomToken(roomClaims, { typ: 'rooms+jwt' })],
    ['no end', roomToken({ ...roomClaims, exp: undefined })],
    ['an end that is over', roomToken({ ...roomClaims, exp: nowSeconds - 60 })],
    ['no user', roomToken({ ...roomClaims, sub: undefined })],
    ['no room', roomToken(good)],
    ['no rooms', roomToken({ ...good, room: [] })],
    ['what is no room', roomToken({ ...good, room: ['project'] })],
    ['a number among them', roomToken({ ...good, room: [room, 7] })],
    ['too many rooms', roomToken({ ...good, room: Array.from({ length: 101 }, () => room) })],
    ['another key', forge({ alg: 'HS256', typ: 'room+jwt' }, roomClaims, hs(`${secret}x`))],
    ['no signature', forge({ alg: 'none', typ: 'room+jwt' }, roomClaims, () => Buffer.alloc(0))],
    ['nothing', ''],
  ])('[RT6] with %s are refused', async (_what, token) => {
    const anyEnd = verifierOf({ requireExpiry: false })
    expect(await anyEnd.verifyRoom(token)).toMatchObject({ ok: false, retryable: false })
  })
})

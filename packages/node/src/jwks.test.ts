import { generateKeyPairSync, sign } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { Server, ServerResponse } from 'node:http'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createVerifier } from './jwt.ts'
import type { Verdict, Verifier } from './jwt.ts'
import type { JwksOptions } from './jwks.ts'
import { createLog } from './log.ts'

interface Key {
  readonly kid: string
  readonly alg: string
  readonly publicKey: KeyObject
  readonly privateKey: KeyObject
}
const ecKey = (kid: string): Key => ({ kid, alg: 'ES256', ...generateKeyPairSync('ec', { namedCurve: 'P-256' }) })
const rsaKey = (kid: string): Key => ({ kid, alg: 'RS256', ...generateKeyPairSync('rsa', { modulusLength: 2_048 }) })
const edKey = (kid: string): Key => ({ kid, alg: 'EdDSA', ...generateKeyPairSync('ed25519') })
const jwkOf = ({ kid, publicKey }: Key): Record<string, unknown> => ({
  ...publicKey.export({ format: 'jwk' }),
  kid,
  use: 'sig',
})

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
function tokenOf({ kid, alg, privateKey }: Key, header: Record<string, unknown> = {}): string {
  const input = `${encode({ alg, kid, ...header })}.${encode({ sub: 'alice', exp: Date.now() / 1_000 + 60 })}`
  const key = { key: privateKey, dsaEncoding: 'ieee-p1363' } as const
  return `${input}.${sign(alg === 'EdDSA' ? null : 'sha256', Buffer.from(input), key).toString('base64url')}`
}

const setOf = (...keys: Key[]): string => JSON.stringify({ keys: keys.map(jwkOf) })
const unknownKey = { ok: false, reason: 'signature', retryable: false } as const
const notNow = { ok: false, reason: 'signature', retryable: true } as const
const accepted = expect.objectContaining({ ok: true })

describe('JWKS', () => {
  let server: Server
  let fetches = 0
  let nowMs = 0
  let answer: (res: ServerResponse) => void = () => {}
  const serve = (body: string, status = 200): void => {
    answer = (res) => res.writeHead(status, { 'content-type': 'application/json' }).end(body)
  }
  const [a, b] = [ecKey('a'), ecKey('b')]

  beforeEach(async () => {
    fetches = 0
    nowMs = 0
    server = createServer((req, res) => {
      if (req.url === '/jwks') fetches += 1
      if (req.url === '/elsewhere') res.end(setOf(a))
      else answer(res)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    serve(setOf(a))
  })
  afterEach(() => {
    server.closeAllConnections()
    server.close()
  })

  function verifier(options: Partial<JwksOptions> = {}): Verifier {
    const address = server.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const url = `http://127.0.0.1:${port}/jwks`
    const log = createLog({ service: 'test', level: 'silent' })
    return createVerifier({ keys: { type: 'jwks', url, clock: () => nowMs, ...options }, log })
  }

  test('[JW9] keys are fetched once for many tokens, RSA, P-256 and Ed25519', async () => {
    const keys = [rsaKey('r'), ecKey('e'), edKey('d')]
    serve(setOf(...keys))
    const { verify } = verifier()
    const verdicts = await Promise.all([...keys, ...keys].map((key) => verify(tokenOf(key))))
    expect(verdicts).toEqual(Array(6).fill(accepted))
    expect(fetches).toBe(1)
  })

  test('[JW9] a token without kid is checked with every key of its algorithm', async () => {
    serve(setOf(b, a))
    expect(await verifier().verify(tokenOf(a, { kid: undefined }))).toEqual(accepted)
  })

  test('[JW9] a rotation is followed by the first token with the new kid; the old key goes', async () => {
    const { verify } = verifier({ cooldownMs: 30_000 })
    expect(await verify(tokenOf(a))).toEqual(accepted)
    serve(setOf(b))
    nowMs = 30_000
    expect(await verify(tokenOf(b))).toEqual(accepted)
    expect(fetches).toBe(2)
    nowMs = 60_000
    expect(await verify(tokenOf(a))).toEqual(unknownKey)
  })

  test('[JW9] old keys are fetched again in the background, without a wait', async () => {
    const { verify } = verifier({ maxAgeMs: 60_000 })
    await verify(tokenOf(a))
    nowMs = 60_001
    const asked = once(server, 'request')
    answer = () => {}
    expect(await verify(tokenOf(a))).toEqual(accepted)
    await asked
    expect(fetches).toBe(2)
  })

  test('[JW10] a flood of unknown kids causes one fetch per cooldown', async () => {
    const { verify } = verifier({ cooldownMs: 30_000 })
    const flood = (): Promise<Verdict[]> =>
      Promise.all(Array.from({ length: 500 }, (_, i) => verify(tokenOf(b, { kid: `unknown-${i}` }))))
    expect(new Set((await flood()).map((verdict) => verdict.ok))).toEqual(new Set([false]))
    expect(fetches).toBe(1)
    // Within the cooldown nobody knows whether the key is a new one: the client may come again.
    expect(await verify(tokenOf(b))).toEqual(notNow)
    await flood()
    expect(fetches).toBe(1)
    nowMs = 30_000
    await flood()
    expect(fetches).toBe(2)
    expect(await verify(tokenOf(a))).toEqual(accepted)
  })

  test('[JW10] a flood while the endpoint is down knocks once a second at the most', async () => {
    const { verify } = verifier()
    serve('', 503)
    const flood = (): Promise<Verdict[]> => Promise.all(Array.from({ length: 100 }, () => verify(tokenOf(a))))
    expect(await flood()).toEqual(Array(100).fill(notNow))
    await flood()
    nowMs = 999
    await flood()
    expect(fetches).toBe(1)
    serve(setOf(a))
    nowMs = 30_000
    expect(await flood()).toEqual(Array(100).fill(accepted))
    expect(fetches).toBe(2)
  })

  test('[JW11] while the endpoint is down the keys at hand are used, up to the cap', async () => {
    const { verify } = verifier({ maxAgeMs: 60_000, maxStaleMs: 3_600_000 })
    await verify(tokenOf(a))
    server.closeAllConnections()
    server.close()
    nowMs = 60_001
    expect(await verify(tokenOf(a))).toEqual(accepted)
    expect(await verify(tokenOf(b))).toEqual(notNow)
    nowMs = 3_600_000
    expect(await verify(tokenOf(a))).toEqual(accepted)
    nowMs = 3_600_001
    expect(await verify(tokenOf(a))).toEqual(notNow)
  })

  test.each([
    ['no JSON', 'oops'],
    ['no set', '{"keys":1}'],
    ['an empty set', '{"keys":[]}'],
    ['a list', '[]'],
    ['too large', JSON.stringify({ keys: [], pad: 'x'.repeat(300_000) })],
  ])('[JW12] an answer that is %s does not replace good keys', async (_name, body) => {
    const { verify } = verifier({ cooldownMs: 1_000 })
    await verify(tokenOf(a))
    serve(body)
    nowMs = 1_000
    expect(await verify(tokenOf(b))).toEqual(notNow)
    expect(await verify(tokenOf(a))).toEqual(accepted)
    expect(fetches).toBe(2)
  })

  test('[JW12] a redirect is not followed, a hanging endpoint is given up, an abort ends the wait', async () => {
    answer = (res) => res.writeHead(302, { location: '/elsewhere' }).end()
    expect(await verifier().verify(tokenOf(a))).toEqual(notNow)
    answer = () => {}
    expect(await verifier({ timeoutMs: 20 }).verify(tokenOf(a))).toEqual(notNow)
    const stop = new AbortController()
    const asked = once(server, 'request')
    const verdict = verifier({ signal: stop.signal }).verify(tokenOf(a))
    await asked
    stop.abort()
    expect(await verdict).toEqual(notNow)
  })

  test('[JW12] keys that cannot or must not be used are left out, the others stay', async () => {
    const small = { kid: 's', alg: 'RS256', ...generateKeyPairSync('rsa', { modulusLength: 1_024 }) }
    const leaked = ecKey('leaked')
    const bad = [
      null,
      1,
      {},
      { kty: 'EC', crv: 'P-256', x: '!', y: '!', kid: 'broken' },
      { kty: 'oct', k: 'c2VjcmV0', kid: 'oct' },
      jwkOf(small),
      { ...leaked.privateKey.export({ format: 'jwk' }), kid: 'leaked' },
      { ...jwkOf(b), use: 'enc' },
      { ...jwkOf(b), alg: 'ES384' },
    ]
    serve(JSON.stringify({ keys: [...bad, jwkOf(a)] }))
    const { verify } = verifier({ cooldownMs: 0 })
    expect(await verify(tokenOf(a))).toEqual(accepted)
    for (const key of [b, leaked, small]) expect(await verify(tokenOf(key))).toEqual(unknownKey)
  })

  test('[JW1] an algorithm of secrets is refused without a fetch', async () => {
    const { verify } = verifier()
    for (const alg of ['HS256', 'none', 'RS512']) expect(await verify(tokenOf(a, { alg }))).toEqual(unknownKey)
    expect(fetches).toBe(0)
  })
})

import { createHmac } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { createVerifier } from './jwt.ts'
import type { VerifierOptions } from './jwt.ts'
import type { Identity } from './jwt-identity.ts'
import { createLog } from './log.ts'

const log = createLog({ service: 'test', level: 'silent' })
const nowSeconds = 1_800_000_000
const secret = 'a-secret-for-tests-of-32-bytes-or-more'
const good = { sub: 'alice', tenantId: 'acme', exp: nowSeconds + 60 }

/** Well signed, with any payload: an object, or JSON text that no serialiser would write. */
function hsToken(payload: unknown): string {
  const encode = (text: string): string => Buffer.from(text).toString('base64url')
  const input = `${encode('{"alg":"HS256"}')}.${encode(typeof payload === 'string' ? payload : JSON.stringify(payload))}`
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
}

type Options = Partial<VerifierOptions>
const verifierOf = (options: Options = {}) =>
  createVerifier({ keys: { type: 'secret', secrets: [secret] }, log, now: () => nowSeconds * 1_000, ...options })

async function claims(payload: unknown, options: Options = {}): Promise<Identity | string> {
  const verdict = await verifierOf(options).verify(hsToken(payload))
  return verdict.ok ? verdict.claims : verdict.reason
}
async function refusal(token: string, options: Options = {}): Promise<string> {
  const verdict = await verifierOf(options).verify(token)
  return verdict.ok ? 'accepted' : verdict.reason
}

describe('attacks on the claims', () => {
  test.each([
    ['no exp', { exp: undefined }, 'claims'],
    ['exp a text', { exp: String(nowSeconds + 60) }, 'claims'],
    ['exp huge', { exp: 1e300 }, 'claims'],
    ['exp negative', { exp: -1 }, 'claims'],
    ['exp null', { exp: null }, 'claims'],
    ['long expired', { exp: nowSeconds - 60 }, 'expired'],
    ['expired by the leeway', { exp: nowSeconds - 5 }, 'expired'],
    ['expired within the leeway', { exp: nowSeconds - 4 }, 'accepted'],
    ['nbf beyond the leeway', { nbf: nowSeconds + 6 }, 'not-yet-valid'],
    ['nbf within the leeway', { nbf: nowSeconds + 5 }, 'accepted'],
    ['nbf a text', { nbf: 'later' }, 'claims'],
    ['iat beyond the leeway', { iat: nowSeconds + 6 }, 'not-yet-valid'],
    ['iat within the leeway', { iat: nowSeconds + 5 }, 'accepted'],
    ['iat a text', { iat: 'now' }, 'claims'],
  ])('[JW4] %s', async (_name, times, expected) => {
    expect(await refusal(hsToken({ ...good, ...times }))).toBe(expected)
  })

  test('[JW4] exp may be left out if so configured, but never be wrong', async () => {
    const options = { requireExpiry: false }
    expect(await claims({ sub: 'a' }, options)).toEqual({ userId: 'a', roles: [], permissions: [] })
    expect(await refusal(hsToken({ sub: 'a', exp: 'never' }), options)).toBe('claims')
    expect(await refusal(hsToken({ sub: 'a', exp: nowSeconds - 60 }), options)).toBe('expired')
  })

  test('[JW4] the leeway is 60 s at the most', () => {
    expect(() => verifierOf({ leewaySeconds: 60 })).not.toThrow()
    expect(() => verifierOf({ leewaySeconds: 61 })).toThrow('leeway')
    expect(() => verifierOf({ leewaySeconds: Number.NaN })).toThrow('leeway')
  })

  test.each([
    ['none', {}, 'claims'],
    ['wrong iss', { iss: 'https://evil', aud: 'fleet' }, 'claims'],
    ['iss a list', { iss: ['https://id'], aud: 'fleet' }, 'claims'],
    ['wrong aud', { iss: 'https://id', aud: 'other' }, 'claims'],
    ['aud an object', { iss: 'https://id', aud: { fleet: true } }, 'claims'],
    ['both right', { iss: 'https://id', aud: 'fleet' }, 'accepted'],
    ['one aud of a list', { iss: 'https://id', aud: ['other', 'fleet'] }, 'accepted'],
  ])('[JW5] iss and aud: %s', async (_name, claim, expected) => {
    expect(await refusal(hsToken({ ...good, ...claim }), { issuers: ['https://id'], audiences: ['fleet'] })).toBe(
      expected,
    )
  })

  test.each([
    ['absent', undefined],
    ['empty', ''],
    ['a list', ['alice']],
    ['an object', { id: 1 }],
    ['true', true],
    ['a fraction', 1.5],
    ['too long', 'x'.repeat(129)],
    ['with a colon', 'a:b'],
    ['with a line break', 'a\nb'],
    ['with DEL', 'a\u007f'],
    ['with U+2028', 'a\u2028'],
    ['a lone surrogate', 'a\ud800'],
    ['a prototype key', '__proto__'],
    ['beyond 2⁵³', 1e21],
  ])('[JW6] a sub that is %s is refused', async (_name, sub) => {
    expect(await refusal(hsToken({ ...good, sub }))).toBe('claims')
    if (sub !== undefined) expect(await refusal(hsToken({ ...good, tenantId: sub }))).toBe('claims')
  })

  test('[JW6] ids may be whole numbers and have 128 characters', async () => {
    expect(await claims({ ...good, sub: 42, tenantId: 'x'.repeat(128) })).toMatchObject({
      userId: '42',
      tenantId: 'x'.repeat(128),
    })
  })

  test('[JW6] the names of claims are tried in order, and can be others (CN4)', async () => {
    const exp = good.exp
    expect(await claims({ exp, userId: 'u', workspaceId: 'w' })).toMatchObject({ userId: 'u', tenantId: 'w' })
    expect(await claims({ exp, externalUserId: 'e', tenant: 't' })).toMatchObject({ userId: 'e', tenantId: 't' })
    expect(await claims({ exp, sub: 's', userId: 'u', tenantId: null })).not.toHaveProperty('tenantId')
    const names = { user: ['uid'], tenant: ['org'], email: ['mail'], roles: ['groups'], permissions: ['scope'] }
    const mapped = await claims(
      { exp, uid: 'u', org: 'o', mail: 'u@o.example', groups: ['g'], scope: 'a b  c' },
      { claims: names },
    )
    expect(mapped).toMatchObject({
      userId: 'u',
      tenantId: 'o',
      email: 'u@o.example',
      roles: ['g'],
      permissions: ['a', 'b', 'c'],
    })
    expect(await claims({ exp, sub: 's' }, { claims: names })).toBe('claims')
  })

  test('[JW6] role and roles are united, bounded and of words', async () => {
    expect(await claims({ ...good, role: 'ADMIN', roles: ['ADMIN', 'MANAGER'] })).toMatchObject({
      roles: ['ADMIN', 'MANAGER'],
    })
    for (const roles of [
      [1],
      [['a']],
      [''],
      ['x'.repeat(129)],
      ['__proto__'],
      {},
      1,
      Array.from({ length: 257 }, (_, i) => `r${i}`),
    ]) {
      expect(await claims({ ...good, roles })).toBe('claims')
      expect(await claims({ ...good, permissions: roles })).toBe('claims')
    }
  })

  test('[JW6] an address or a token id that is none is refused', async () => {
    expect(await claims({ ...good, email: 'a@b.example', jti: 'urn:uuid:1' })).toMatchObject({
      email: 'a@b.example',
      tokenId: 'urn:uuid:1',
    })
    expect(await claims({ ...good, email: ['a@b.example'] })).toBe('claims')
    expect(await claims({ ...good, email: `${'x'.repeat(255)}@b` })).toBe('claims')
    expect(await claims({ ...good, jti: { a: 1 } })).toBe('claims')
  })

  test('[JW7] prototype keys in a token carry nothing', async () => {
    const evil = `{"exp":${good.exp},"__proto__":{"sub":"root","roles":["ADMIN"]},"constructor":{"prototype":{"admin":true}}`
    expect(await claims(`${evil}}`)).toBe('claims')
    const identity = await claims(`${evil},"sub":"alice"}`)
    expect(identity).toEqual({ userId: 'alice', roles: [], permissions: [], expiresAtMs: (good.exp + 5) * 1_000 })
    expect(Object.getPrototypeOf(identity)).toBe(Object.prototype)
    expect('admin' in {}).toBe(false)
    expect(
      await claims(
        { exp: good.exp, sub: 'a' },
        { claims: { user: ['toString'], tenant: [], email: [], roles: [], permissions: [] } },
      ),
    ).toBe('claims')
  })
})

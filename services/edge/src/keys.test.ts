import { createHmac } from 'node:crypto'
import { parseConfig } from '@flotilla/node/config'
import { createVerifier } from '@flotilla/node/jwt'
import { createLog } from '@flotilla/node/log'
import { expect, test } from 'vitest'
import { edgeConfig } from './config.ts'
import { verifierOptions } from './keys.ts'

const secret = 's'.repeat(32)
const log = createLog({ service: 'test', level: 'silent' })

/** Whom an edge with these settings takes a token with these claims for. */
async function identityBy(env: Record<string, string>, claims: object): Promise<object> {
  const config = parseConfig(edgeConfig, { FLOTILLA_JWT_SECRET: secret, ...env })
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const input = `${encode({ alg: 'HS256' })}.${encode({ exp: Math.floor(Date.now() / 1_000) + 60, ...claims })}`
  const token = `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
  return createVerifier({ ...verifierOptions(config), log }).verify(token)
}

const named = {
  FLOTILLA_JWT_USER_CLAIMS: 'uid, sub',
  FLOTILLA_JWT_TENANT_CLAIMS: 'https://acme.example/org',
  FLOTILLA_JWT_EMAIL_CLAIMS: 'mail',
  FLOTILLA_JWT_ROLE_CLAIMS: 'groups,teams',
  FLOTILLA_JWT_PERMISSION_CLAIMS: 'scope',
}

test('[JW14] the names of claims are settings: of an id the first that is there counts, grants are united (CN4)', async () => {
  const claims = {
    ...{ sub: 's', uid: 'u', 'https://acme.example/org': 'o', mail: 'u@o.example' },
    ...{ groups: ['g'], teams: ['t'], scope: 'a b', tenantId: 'other', role: 'ADMIN', permissions: ['c'] },
  }
  expect(await identityBy(named, claims)).toMatchObject({
    claims: { userId: 'u', tenantId: 'o', email: 'u@o.example', roles: ['g', 't'], permissions: ['a', 'b'] },
  })
  expect(await identityBy(named, { sub: 's' })).toMatchObject({ claims: { userId: 's' } })
  expect(await identityBy({}, claims)).toMatchObject({
    claims: { userId: 's', tenantId: 'other', roles: ['ADMIN'], permissions: ['c'] },
  })
  expect(await identityBy({ FLOTILLA_JWT_USER_CLAIMS: 'uid' }, { sub: 's' })).toMatchObject({ ok: false })
})

test.each(Object.keys(named))('[JW14] %s without a name stops the start, and says so', (name) => {
  expect(() => parseConfig(edgeConfig, { [name]: ' , ' })).toThrow(
    `${name}: " , " is not accepted; expected comma-separated list, 1–16 items of ≤ 256 characters`,
  )
})

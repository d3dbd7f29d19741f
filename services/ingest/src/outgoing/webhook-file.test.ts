import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { signedHeader } from '@flotilla/node/signed-header'
import { verifiedSignature } from '../signature.ts'
import { retryAfterOf } from './post.ts'
import { readWebhooks, secretsOf, webhooksFile } from './webhook-file.ts'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'webhooks-'))
  process.env['TEST_HOOK_SECRET'] = '0123456789abcdef'
})
afterEach(() => rmSync(folder, { recursive: true }))

function read(text: string) {
  const path = join(folder, 'webhooks.yaml')
  writeFileSync(path, text)
  return readWebhooks(path)
}
const secret = { env: 'TEST_HOOK_SECRET' }
const good = { name: 'crm', url: 'https://crm.example/events', secret }
const withHook = (...hooks: readonly object[]): string => JSON.stringify({ webhooks: hooks })

describe('the file of webhooks', () => {
  it('[WH10] webhooks.schema.json is what the code takes; after a wanted change run this test with -u', async () => {
    const schema = { title: 'Flotilla webhooks', ...z.toJSONSchema(webhooksFile, { io: 'input', reused: 'ref' }) }
    await expect(`${JSON.stringify(schema, null, 2)}\n`).toMatchFileSnapshot('../../webhooks.schema.json')
  })

  it('[WH10] what is left out has its usual value', () => {
    expect(readWebhooks(null)).toEqual([])
    expect(read(withHook(good))).toEqual([{ ...good, batch: 100, timeoutMs: 10_000, giveUpAfterMs: 86_400_000 }])
  })

  it.each([
    ['no webhook', withHook(), 'webhooks: Too small'],
    ['another key', withHook({ ...good, method: 'PUT' }), 'webhooks.0: Unrecognized key: "method"'],
    ['a name of another form', withHook({ ...good, name: 'CRM' }), 'webhooks.0.name: a lower-case name'],
    ['two of a name', withHook(good, good), 'webhooks.1.name: another webhook is named crm'],
    ['no address of HTTP', withHook({ ...good, url: 'ftp://crm.example' }), 'webhooks.0.url: a URL with http or https'],
    [
      'a password in the address',
      withHook({ ...good, url: 'https://u:hidden@crm.example' }),
      'webhooks.0.url: user and',
    ],
    ['a user in the address', withHook({ ...good, url: 'https://hidden@crm.example' }), 'webhooks.0.url: user and'],
    ['a line that is no YAML', 'webhooks:\n  - url: https://crm.example?token=hidden: [x', 'cannot be read'],
    ['an unknown event', withHook({ ...good, events: ['room.opened'] }), 'webhooks.0.events.0: Invalid option'],
    ['a variable that is not set', withHook({ ...good, secret: { env: 'NOT_THERE' } }), 'NOT_THERE is not set'],
    ['a secret in the file', withHook({ ...good, secret: 'plainly-visible-secret' }), 'webhooks.0.secret: '],
    ['no YAML', '{', 'cannot be read'],
  ])('[WH10] %s stops the start, and the place is told', (_, text, problem) => {
    expect(() => read(text)).toThrow(problem)
    expect(() => read(text)).toThrow(/^FLOTILLA_WEBHOOKS_FILE: /)
    expect(() => read(text)).not.toThrow(/hidden/)
  })

  it('[WH10] a secret that is short is refused, and no secret is told', () => {
    process.env['TEST_HOOK_SECRET'] = 'too-short'
    expect(() => read(withHook(good))).toThrow('webhooks.0.secret: a secret has at least 16 characters')
    expect(() => read(withHook(good))).not.toThrow(/too-short/)
    expect(() => readWebhooks(join(folder, 'none.yaml'))).toThrow('cannot be read')
  })
})

describe('a request', () => {
  it('[WH2] of two secrets either verifies it, until its time is over', () => {
    const path = join(folder, 'secret')
    writeFileSync(path, 'another-secret-of-16\n')
    const [hook] = read(withHook({ ...good, secret: [secret, { file: path }] }))
    const secrets = hook === undefined ? [] : secretsOf(hook)
    expect(secrets).toEqual(['0123456789abcdef', 'another-secret-of-16'])
    const nowMs = 1_700_000_000_500
    const header = signedHeader(secrets, '{"a":1}', nowMs)
    expect(header).toMatch(/^t=1700000000,v1=[0-9a-f]{64},v1=[0-9a-f]{64}$/)
    const verifies = (by: string, body = '{"a":1}', atMs = nowMs): boolean =>
      verifiedSignature(by, { header, body: Buffer.from(body), nowMs: atMs }) !== undefined
    expect(secrets.map((each) => verifies(each))).toEqual([true, true])
    expect([verifies('0123456789abcdeg'), verifies('0123456789abcdef', '{"a":2}')]).toEqual([false, false])
    expect(verifies('0123456789abcdef', '{"a":1}', nowMs + 60_000)).toBe(false)
  })

  it('[WH5] Retry-After is seconds or a date, an hour at the most; what is neither is nothing', () => {
    const nowMs = Date.parse('2026-01-01T00:00:00Z')
    const of = (header: string | null): number => retryAfterOf(header, nowMs)
    expect([of('7'), of('0'), of('999999999')]).toEqual([7_000, 0, 3_600_000])
    expect([of('Thu, 01 Jan 2026 00:00:30 GMT'), of('Wed, 31 Dec 2025 00:00:00 GMT')]).toEqual([30_000, 0])
    expect([of(null), of('soon'), of('-5')].every((ms) => ms === 0)).toBe(true)
  })
})

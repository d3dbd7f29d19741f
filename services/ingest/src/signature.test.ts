import { createHmac } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { harness } from '../test/harness.ts'
import { ring } from '../test/keyring.ts'
import { signatureWindowMs, verifiedSignature } from './signature.ts'
import { dedupeMs } from '@flotilla/core/limits'

const signingSecret = 'signing-secret-signing-secret-signing'
const hmac = (seconds: number, body: string, by = signingSecret) =>
  createHmac('sha256', by).update(`${seconds}.${body}`).digest('hex')
const signed = (body: string, seconds = Math.floor(Date.now() / 1_000), by = signingSecret) => ({
  'flotilla-signature': `t=${seconds},v1=${hmac(seconds, body, by)}`,
})
const event = JSON.stringify({ room: 'public:a', event: 'e' })
const keys = () => ring({ signingSecret }).keys

describe('a key with a signing secret', () => {
  it('[IN40] takes bodies that are signed with it, chunked ones and batches too', async () => {
    const { call, rooms } = await harness({ keys: keys() })
    expect((await call('postEvent', { raw: event, headers: signed(event) })).status).toBe(202)
    const batch = JSON.stringify({ events: [{ room: 'public:b', event: 'e' }] })
    expect((await call('postBatch', { raw: batch, headers: signed(batch) })).status).toBe(200)
    const cloud = JSON.stringify({ specversion: '1.0', id: '1', source: '/s', type: 't', flotillaroom: 'public:c' })
    const headers = { ...signed(cloud), 'content-type': 'application/cloudevents+json' }
    expect((await call('postEvent', { raw: cloud, headers })).status).toBe(202)
    expect([...rooms.keys()]).toEqual(['public:a', 'public:b', 'public:c'])
    expect((await call('getHistory')).status).toBe(200)
  })

  const now = () => Math.floor(Date.now() / 1_000)
  it.each([
    ['no signature', () => ({})],
    ['another secret', () => signed(event, now(), 'x'.repeat(32))],
    ['another body', () => signed(`${event} `)],
    [
      'another time than the signed one',
      () => ({ 'flotilla-signature': signed(event)['flotilla-signature'].replace(/t=\d+/, `t=${now() + 1}`) }),
    ],
    ['a time too long ago', () => signed(event, now() - 60)],
    ['a time too far ahead', () => signed(event, now() + 60)],
    ['no time', () => ({ 'flotilla-signature': `v1=${hmac(now(), event)}` })],
    ['another version', () => ({ 'flotilla-signature': signed(event)['flotilla-signature'].replace('v1=', 'v0=') })],
    [
      'a signature that is cut short',
      () => ({ 'flotilla-signature': signed(event)['flotilla-signature'].slice(0, -1) }),
    ],
  ])('[IN40] %s is refused', async (_name, headers) => {
    const { call, rooms } = await harness({ keys: keys() })
    const answer = await call('postEvent', { raw: event, headers: headers() })
    expect(answer).toMatchObject({ status: 401, code: 'UNAUTHORIZED' })
    expect(answer.headers.get('www-authenticate')).toContain('Bearer')
    expect(rooms.size).toBe(0)
  })

  it('[IN40] while a secret is replaced a body may carry the signatures of both', () => {
    const body = Buffer.from('{}')
    const both = `t=100, v1=${hmac(100, '{}', 'x')}, v1=${hmac(100, '{}')}`
    expect(verifiedSignature(signingSecret, { header: both, body, nowMs: 100_000 })).toBe(hmac(100, '{}'))
    const five = `t=100,${Array.from({ length: 5 }, () => `v1=${hmac(100, '{}')}`).join(',')}`
    expect(verifiedSignature(signingSecret, { header: five, body, nowMs: 100_000 })).toBeUndefined()
  })

  it('[IN41] the window, back and ahead, is shorter than publish keys are remembered for', () => {
    const at = (nowMs: number) =>
      verifiedSignature(signingSecret, { header: `t=1000,v1=${hmac(1_000, '')}`, body: Buffer.alloc(0), nowMs })
    expect([at(1_000_000 - signatureWindowMs), at(1_000_000 + signatureWindowMs)]).toEqual([
      hmac(1_000, ''),
      hmac(1_000, ''),
    ])
    expect([at(999_999 - signatureWindowMs), at(1_000_001 + signatureWindowMs)]).toEqual([undefined, undefined])
    expect(2 * signatureWindowMs).toBeLessThan(dedupeMs)
  })

  it('[IN41] a signed request that is sent again is the same event: its signature names what has no id', async () => {
    const { call, rooms } = await harness({ keys: keys() })
    const headers = signed(event)
    const first = await call('postEvent', { raw: event, headers })
    expect((await call('postEvent', { raw: event, headers })).answer).toEqual(first.answer)
    const batch = JSON.stringify({
      events: [
        { room: 'public:b', event: 'e' },
        { room: 'public:b', event: 'e' },
      ],
    })
    const signedBatch = signed(batch)
    for (let i = 0; i < 2; i += 1) await call('postBatch', { raw: batch, headers: signedBatch })
    expect([...rooms.values()].map((list) => list.length)).toEqual([1, 2])
  })

  it('[IN41] what the signature does not cover cannot say what is published, or name it', async () => {
    const { call, rooms } = await harness({ keys: keys() })
    const named = { ...signed(event), 'Idempotency-Key': 'k' }
    expect(await call('postEvent', { raw: event, headers: named })).toMatchObject({
      status: 400,
      code: 'VALIDATION_ERROR',
    })
    const binary = {
      'ce-specversion': '1.0',
      'ce-id': '1',
      'ce-source': '/s',
      'ce-type': 't',
      'ce-flotillaroom': 'public:a',
    }
    const headers = { ...binary, ...signed(event), 'content-type': 'application/json' }
    expect(await call('postEvent', { raw: event, headers })).toMatchObject({ status: 400, code: 'VALIDATION_ERROR' })
    expect(rooms.size).toBe(0)
  })
})

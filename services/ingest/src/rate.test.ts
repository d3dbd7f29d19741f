import { describe, expect, it } from 'vitest'
import { harness } from '../test/harness.ts'
import { hashOf, ring } from '../test/keyring.ts'

const event = { room: 'public:a', event: 'e' }
const batch = (events: number) => ({ events: Array.from({ length: events }, () => event) })

describe('the rate of a key', () => {
  it('[IN33] above it the answer is 429 with the time to wait, and nothing is published (LM1)', async () => {
    const { keys } = ring({ rate: { perSecond: 0.25, burst: 2 } })
    const { post, rooms, audit } = await harness({ keys })
    expect([(await post(event)).status, (await post(event)).status]).toEqual([202, 202])
    const refused = await post(event, { 'Idempotency-Key': 'k' })
    expect(refused).toMatchObject({ status: 429, code: 'RATE_LIMITED' })
    const { retryAfterMs } = refused.answer as { readonly retryAfterMs: number }
    expect(retryAfterMs).toBeGreaterThan(0)
    expect(retryAfterMs).toBeLessThanOrEqual(4_000)
    expect(refused.headers.get('retry-after')).toBe(String(Math.ceil(retryAfterMs / 1_000)))
    expect(refused.headers.get('ratelimit')).toBe(`"events";r=0;t=${Math.ceil(retryAfterMs / 1_000)}`)
    expect(rooms.get('public:a')).toHaveLength(2)
    expect(audit.join('')).toContain('RATE_LIMITED')
    await expect
      .poll(async () => (await post(event, { 'Idempotency-Key': 'k' })).status, { timeout: 10_000, interval: 100 })
      .toBe(202)
  })

  it('[IN33] a batch is counted by its events, and is posted whole or not at all', async () => {
    const { keys } = ring({ rate: { perSecond: 0.01, burst: 5 } })
    const { call, rooms } = await harness({ keys })
    expect((await call('postBatch', { body: batch(3) })).status).toBe(200)
    expect(await call('postBatch', { body: batch(3) })).toMatchObject({ status: 429, code: 'RATE_LIMITED' })
    const cloud = Array.from({ length: 3 }, (_, i) => ({
      specversion: '1.0',
      id: `${i}`,
      source: '/s',
      type: 't',
      flotillaroom: 'public:a',
    }))
    const headers = { 'content-type': 'application/cloudevents-batch+json' }
    expect(await call('postEvent', { body: cloud, headers })).toMatchObject({ status: 429, code: 'RATE_LIMITED' })
    expect(rooms.get('public:a')).toHaveLength(3)
    expect((await call('postBatch', { body: batch(2) })).status).toBe(200)
    expect(rooms.get('public:a')).toHaveLength(5)
  })

  it('[IN34] the answers to its posts say what is left, and when it has come back (OP7)', async () => {
    const { keys } = ring({ rate: { perSecond: 0.01, burst: 3 } })
    const { post, call } = await harness({ keys })
    const said = ({ headers }: { readonly headers: Headers }) => [
      headers.get('ratelimit-policy'),
      headers.get('ratelimit'),
    ]
    expect(said(await post(event))).toEqual(['"events";q=3;qu="events";w=300', '"events";r=2;t=100'])
    expect(said(await post({ ...event, event: '' }))[1]).toMatch(/^"events";r=1;t=(199|200)$/)
    expect(said(await call('postBatch', { body: batch(1) }))[1]).toMatch(/^"events";r=0;t=(29\d|300)$/)
    const free = await harness()
    expect(said(await free.post(event))).toEqual([null, null])
  })

  it('[IN33] keys have rates of their own', async () => {
    const other = 'other-secret-other-secret'
    const hash = hashOf(other)
    const rate = { perSecond: 0.01, burst: 1 }
    const { keys } = ring({ rate }, { id: 'k2', hash, rate })
    const { post } = await harness({ keys })
    const authorization = `Bearer ${other}`
    const statuses = [await post(event), await post(event), await post(event, { authorization })].map(
      ({ status }) => status,
    )
    expect(statuses).toEqual([202, 429, 202])
  })
})

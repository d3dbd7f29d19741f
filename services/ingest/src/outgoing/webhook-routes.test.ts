import { expect, it } from 'vitest'
import { StoreError } from '@flotilla/node/store/port'
import { writeEvents } from '../../test/event-logs.ts'
import { harness } from '../../test/harness.ts'
import { ring } from '../../test/keyring.ts'
import { decodeCursor } from './cursor.ts'
import { keepState, putAside, readState, startAt } from './webhook-place.ts'
import type { Webhook } from './webhook-file.ts'

const webhook: Webhook = {
  ...{ name: 'crm', url: 'https://user:pass@crm.example/events?token=hidden', secret: { env: 'NONE' } },
  ...{ batch: 10, timeoutMs: 1_000, giveUpAfterMs: 60_000 },
}

it('[WH11] the state of a webhook is shown, without what may be secret in its address', async () => {
  const { call, store } = await harness({ webhooks: [webhook] })
  const { write } = writeEvents(store)
  await write(0, ['public:a', 'public:b'])
  await write(2, ['public:c'])
  const fresh = (await call('getWebhooks')).answer
  expect(fresh).toMatchObject({ webhooks: [{ name: 'crm', url: 'https://crm.example/events', behind: 0, aside: 0 }] })
  expect(JSON.stringify(fresh)).not.toMatch(/hidden|pass|NONE/)
  await call('postReplay', { room: 'crm', body: { from: 'oldest' } })
  const kept = await readState(store.places, 'crm')
  const state = { ...(kept?.state ?? startAt('')), failures: 3, failingSinceMs: 0, lastError: 'failed: 500' }
  await keepState(store.places, 'crm', { version: 1, state })
  await putAside(store.places, 'crm', { reason: 'trimmed' })
  expect((await call('getWebhooks')).answer).toMatchObject({
    webhooks: [
      {
        ...{ behind: 3, failures: 3, failingSince: '1970-01-01T00:00:00.000Z', lastError: 'failed: 500' },
        ...{ aside: 1, newestAside: [{ reason: 'trimmed' }], deliveredAt: null, delivered: 0 },
      },
    ],
  })
})

it('[WH8] a replay begins where it is told to, forgets failures, and leaves a line of audit', async () => {
  const { call, store, audit } = await harness({ webhooks: [webhook] })
  const { write } = writeEvents(store)
  await write(1, ['public:a', 'public:b'])
  const page = (await call('getStream', { query: '?limit=1' })).answer as { readonly next: string }
  const placeOf = async () => {
    const { cursor = '', failures } = (await readState(store.places, 'crm'))?.state ?? {}
    return [decodeCursor(cursor, 4)?.get(1)?.seq, failures]
  }
  const replay = async (from: string) => {
    const { status } = await call('postReplay', { room: 'crm', body: { from } })
    return [status, ...(await placeOf())]
  }
  expect(await replay('oldest')).toEqual([200, 0, 0])
  expect(await replay(page.next)).toEqual([200, 1, 0])
  expect(await replay('here')).toEqual([200, 1, 0])
  expect(await replay('end')).toEqual([200, 2, 0])
  expect(audit.map((line) => JSON.parse(line) as object)).toMatchObject(
    Array.from({ length: 4 }, () => ({ audit: 'replay', who: 'key:crm', targets: ['crm'], outcomes: { OK: 1 } })),
  )
})

it.each([
  ['crm', { from: 'x' }, 400],
  ['crm', {}, 400],
  ['crm', { from: 'oldest', to: 'end' }, 400],
  ['other', { from: 'oldest' }, 404],
])('[WH8] a replay of %s with %j is answered %d', async (room, body, status) => {
  const { call, store } = await harness({ webhooks: [webhook] })
  expect(await call('postReplay', { room, body })).toMatchObject({ status })
  expect(await readState(store.places, 'crm')).toBeNull()
})

it('[WH8] where others change the place all the time, or the store is away, that is told', async () => {
  const { call, store } = await harness({ webhooks: [webhook] })
  const replay = async () => (await call('postReplay', { room: 'crm', body: { from: 'oldest' } })).code
  Object.assign(store.places, { keep: () => Promise.resolve(false) })
  expect(await replay()).toBe('OVERLOADED')
  Object.assign(store.places, { keep: () => Promise.reject(new StoreError('unknown', 'no answer')) })
  expect(await replay()).toBe('UNKNOWN')
  Object.assign(store.places, { read: () => Promise.reject(new StoreError('refused', 'no answer')) })
  expect(await call('getWebhooks')).toMatchObject({ status: 503, code: 'OVERLOADED' })
})

it('[WH11] it needs the scope webhooks', async () => {
  const asks = async (...scopes: string[]) => {
    const { keys, authorization } = ring({ scopes })
    const { call } = await harness({ keys, webhooks: [webhook] })
    const headers = { authorization }
    const replay = await call('postReplay', { room: 'crm', body: { from: 'end' }, headers })
    return [(await call('getWebhooks', { headers })).status, replay.status]
  }
  expect(await asks('webhooks')).toEqual([200, 200])
  expect(() => ring({ scopes: ['webhooks'], signingSecret: 'x'.repeat(32) })).toThrow(
    'a key that signs cannot be for webhooks',
  )
  expect(await asks('stream', 'admin', 'publish', 'history')).toEqual([403, 403])
})

import { describe, expect, it } from 'vitest'
import { StoreError } from '@flotilla/node/store/port'
import { harness } from '../test/harness.ts'
import { ring } from '../test/keyring.ts'

const keyed = (...scopes: string[]) => ring({ scopes })
interface Shown {
  readonly id: string
  readonly [field: string]: unknown
}

describe('denials', () => {
  it('[IN45] a kick, a ban, a revoke are kept for all edges, listed, and taken back', async () => {
    const { call, fleet } = await harness()
    const before = Date.now()
    const kick = await call('postDenial', { body: { type: 'kick', connection: 'edge-1.a.7', reason: 'spam' } })
    expect(kick).toMatchObject({
      status: 201,
      answer: { type: 'kick', subject: { kind: 'connection', id: 'edge-1.a.7' } },
    })
    await call('postDenial', { body: { type: 'ban', tenant: 'acme', seconds: 60 } })
    await call('postDenial', { body: { type: 'revoke', user: '42' } })
    await call('postDenial', { body: { type: 'revoke', token: 't1' } })
    const known = (await fleet.denials(''))?.denials ?? []
    expect(known).toMatchObject([
      { type: 'kick', reason: 'spam', by: 'key:crm' },
      { type: 'ban', subject: { kind: 'tenant', id: 'acme' } },
      { type: 'revoke', subject: { kind: 'user', id: '42' }, untilMs: null },
      { type: 'revoke', subject: { kind: 'token', id: 't1' }, untilMs: null },
    ])
    const lasts = known.map(({ atMs, untilMs }) => (untilMs === null ? null : untilMs - atMs))
    expect(lasts).toEqual([60_000, 60_000, null, null])
    const bounds = known.map(({ issuedBeforeMs }) => issuedBeforeMs)
    expect(bounds).toEqual([undefined, undefined, expect.any(Number), undefined])
    expect(bounds[2]).toBeGreaterThanOrEqual(before)
    const ids = known.map(({ id }) => id)
    const { denials } = (await call('getDenials')).answer as { denials: Shown[] }
    expect(denials.map(({ id }) => id)).toEqual(ids)
    expect(denials.map(({ until }) => typeof until)).toEqual(['string', 'string', 'object', 'object'])
    const [, room = ''] = ids
    expect(await call('deleteDenial', { room })).toMatchObject({ status: 200 })
    expect(await call('deleteDenial', { room })).toMatchObject({ status: 404, code: 'NOT_FOUND' })
    expect((await fleet.denials(''))?.denials).toHaveLength(3)
  })

  it.each([
    [{ type: 'ban' }],
    [{ type: 'ban', user: 'a', tenant: 'b' }],
    [{ type: 'ban', connection: 'c' }],
    [{ type: 'ban', token: 't' }],
    [{ type: 'kick', token: 't' }],
    [{ type: 'kick', user: 'a', seconds: 5 }],
    [{ type: 'revoke', connection: 'c' }],
    [{ type: 'revoke', token: 't', issuedBefore: '2026-01-01T00:00:00Z' }],
    [{ type: 'ban', user: 'a', issuedBefore: '2026-01-01T00:00:00Z' }],
    [{ type: 'revoke', user: 'a', issuedBefore: 'yesterday' }],
    [{ type: 'ban', user: 'a', seconds: 0 }],
    [{ type: 'ban', user: '' }],
    [{ type: 'ban', user: 'a', reason: 'x'.repeat(201) }],
    [{ type: 'ban', usr: 'a' }],
    [[]],
  ])('[IN46] %j is refused, and nobody is denied', async (body) => {
    const { call, fleet } = await harness()
    expect(await call('postDenial', { body })).toMatchObject({ status: 400, code: 'VALIDATION_ERROR' })
    expect((await fleet.denials(''))?.denials).toEqual([])
  })

  it('[IN47] it needs the scope admin; with tenants a key may deny these, and nobody else', async () => {
    const ban = (body: object, keys: ReturnType<typeof keyed>) => async () => {
      const { call } = await harness({ keys: keys.keys })
      const headers = { authorization: keys.authorization }
      const { status } = await call('postDenial', { body: { type: 'ban', ...body }, headers })
      const listed = await call('getDenials', { headers })
      const removed = await call('deleteDenial', { room: 'x', headers })
      return [status, listed.status, removed.status]
    }
    expect(await ban({ user: '42' }, keyed('publish', 'history'))()).toEqual([403, 403, 403])
    expect(await ban({ user: '42' }, keyed('admin'))()).toEqual([201, 200, 404])
    expect(await ban({ user: '42' }, keyed('admin', 'tenant:acme'))()).toEqual([403, 403, 403])
    expect(await ban({ tenant: 'other' }, keyed('admin', 'tenant:acme'))()).toEqual([403, 403, 403])
    expect(await ban({ tenant: 'acme' }, keyed('admin', 'tenant:acme'))()).toEqual([201, 403, 403])
    const { keys, authorization } = keyed('admin')
    const { post } = await harness({ keys })
    expect((await post({ room: 'public:a', event: 'e' }, { authorization })).status).toBe(403)
    expect(() => ring({ scopes: ['admin'], signingSecret: 'x'.repeat(32) })).toThrow(
      'a key that signs cannot be an admin',
    )
  })

  it('[IN48] each change, and each refusal, leaves a line of audit (EV7)', async () => {
    const { call, audit } = await harness()
    const { answer } = await call('postDenial', { body: { type: 'ban', user: '42', reason: 'not in the line' } })
    await call('deleteDenial', { room: (answer as Shown).id })
    await call('postDenial', { body: { type: 'ban' } })
    expect(audit.map((line) => JSON.parse(line) as Record<string, unknown>)).toMatchObject([
      { audit: 'denial', who: 'key:crm', route: 'postDenial', targets: ['ban user:42'], outcomes: { OK: 1 } },
      { audit: 'denial', route: 'deleteDenial', targets: ['not any more: ban user:42'], outcomes: { OK: 1 } },
      { audit: 'refused', route: 'postDenial', outcomes: { VALIDATION_ERROR: 1 } },
    ])
    expect(audit.join('')).not.toContain('not in the line')
  })

  it('[IN49] a store that cannot be reached is told: nothing was done, or that is not known', async () => {
    const { call, fleet } = await harness()
    const fail = (outcome: 'refused' | 'unknown') => () => Promise.reject(new StoreError(outcome, 'no answer'))
    Object.assign(fleet, { deny: fail('unknown') })
    expect(await call('postDenial', { body: { type: 'ban', user: '42' } })).toMatchObject({
      status: 503,
      code: 'UNKNOWN',
    })
    Object.assign(fleet, { deny: fail('refused') })
    expect(await call('postDenial', { body: { type: 'ban', user: '42' } })).toMatchObject({ code: 'OVERLOADED' })
    Object.assign(fleet, { deny: () => Promise.resolve(false) })
    expect(await call('postDenial', { body: { type: 'ban', user: '42' } })).toMatchObject({ code: 'OVERLOADED' })
    Object.assign(fleet, { denials: fail('unknown') })
    expect(await call('getDenials')).toMatchObject({ status: 503, code: 'OVERLOADED' })
  })

  it('[HI1] history goes back from before a seq too', async () => {
    const { call, post } = await harness()
    for (let n = 1; n <= 5; n += 1) await post({ room: 'public:a', event: 'e', data: n })
    const page = async (query: string) => (await call('getHistory', { query })).answer
    expect(await page('?before=4&limit=2')).toMatchObject({ first: 2, last: 3 })
    expect(await call('getHistory', { query: '?before=4&after=1' })).toMatchObject({ status: 400 })
    expect(await call('getHistory', { query: '?before=0' })).toMatchObject({ status: 400 })
  })
})

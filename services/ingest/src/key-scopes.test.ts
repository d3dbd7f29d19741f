import { describe, expect, it } from 'vitest'
import { harness } from '../test/harness.ts'
import { allows, parseScopes } from './key-scopes.ts'
import { ring } from '../test/keyring.ts'

const rooms = [
  'public:all',
  'public:a',
  'deal:acme:7',
  'deal:other:7',
  'deal:7',
  'tenant:acme',
  'tenant:other',
  'user:acme',
]

describe('scopes', () => {
  it.each([
    [['publish'], rooms],
    [
      ['history', 'publish:deal'],
      ['deal:acme:7', 'deal:other:7', 'deal:7'],
    ],
    [
      ['publish:public:all', 'publish:user'],
      ['public:all', 'user:acme'],
    ],
    [
      ['publish', 'tenant:acme'],
      ['deal:acme:7', 'tenant:acme'],
    ],
    [
      ['publish', 'tenant:acme', 'tenant:other'],
      ['deal:acme:7', 'deal:other:7', 'tenant:acme', 'tenant:other'],
    ],
    [
      ['publish:deal', 'tenant:acme', 'publish:public:a'],
      ['public:a', 'deal:acme:7'],
    ],
    [['history'], []],
  ])('[IN38] with %j a key may publish to %j', (scopes, expected) => {
    const parsed = parseScopes(scopes)
    expect(rooms.filter((room) => allows(parsed, 'publish', room))).toEqual(expected)
  })

  it.each([
    ['publish:'],
    ['tenant'],
    ['tenant:'],
    ['tenant:a:b'],
    ['publish:Deal'],
    ['publish:deal:'],
    ['delete'],
    ['history:*'],
    ['tenant:acme'],
  ])('[IN38] %j is refused', (scope) => {
    expect(() => parseScopes([scope])).toThrow(/is no scope|neither publish, history, admin/)
  })

  it('[IN38] what is outside of a key’s scopes is FORBIDDEN, without telling more, and nothing is published', async () => {
    const { keys, authorization } = ring({ scopes: ['publish:deal', 'history:deal:acme:7', 'tenant:acme'] })
    const { post, call, rooms: posted, outcomes } = await harness({ keys })
    const headers = { authorization }
    expect((await post({ room: 'deal:acme:7', event: 'e' }, headers)).status).toBe(202)
    const refused = await post({ rooms: ['deal:acme:7', 'deal:other:7'], event: 'e', id: 'x' }, headers)
    expect(refused).toMatchObject({
      status: 403,
      code: 'FORBIDDEN',
      answer: { detail: 'The key does not allow this.' },
    })
    expect(posted.get('deal:acme:7')).toHaveLength(1)
    const batch = await call('postBatch', {
      body: {
        events: [
          { all: true, event: 'e' },
          { room: 'deal:acme:8', event: 'e' },
        ],
      },
      headers,
    })
    expect(batch.answer).toMatchObject({ results: [{ status: 403, code: 'FORBIDDEN' }, { status: 202 }] })
    expect([...posted.keys()]).toEqual(['deal:acme:7', 'deal:acme:8'])
    expect((await call('getHistory', { room: 'deal:acme:7', headers })).status).toBe(200)
    for (const room of ['deal:acme:8', 'deal:other:7', 'public:a']) {
      expect(await call('getHistory', { room, headers })).toMatchObject({ status: 403, code: 'FORBIDDEN' })
    }
    outcomes.set('deal:acme:9', { type: 'refused', code: 'FORBIDDEN', retryAfterMs: 0 })
    expect((await post({ room: 'deal:acme:9', event: 'e' }, headers)).status).toBe(403)
  })
})

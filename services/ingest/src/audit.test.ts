import { describe, expect, it } from 'vitest'
import { harness, secret } from '../test/harness.ts'
import { ring } from '../test/keyring.ts'

interface Line {
  readonly audit: string
  readonly requestId: string
  readonly outcomes: object
  readonly skipped?: number
}
const parse = (line: string) => JSON.parse(line) as Line
const event = { room: 'public:a', event: 'e', data: 'the-data' }

describe('the audit', () => {
  it('[IN42] a post to everybody or to a tenant leaves a line, any other that is taken none (EV7)', async () => {
    const { post, call, audit, outcomes } = await harness()
    await post(event)
    await post({ user: 'alice', event: 'e' })
    await call('getHistory')
    await post({ room: 'tenant:a:b', event: 'e' })
    expect(audit).toEqual([])
    const { headers } = await post({ all: true, event: 'e', data: 'the-data' })
    await post({ tenant: 'acme', event: 'e' })
    await post({ room: 'public:all', event: 'e', ephemeral: true })
    outcomes.set('public:all', { type: 'unknown', retryAfterMs: 1 })
    await post({ all: true, event: 'e' })
    await call('postBatch', { body: { events: [event, { tenant: 'acme', event: 'e' }, { rooms: ['x'], event: 'e' }] } })
    const lines = audit.map(parse)
    const line = {
      audit: 'broadcast',
      level: 'info',
      service: 'ingest',
      msg: 'audit',
      who: 'key:crm',
      keyId: 'crm',
      from: '127.0.0.1',
    }
    expect(lines).toMatchObject([
      { ...line, route: 'postEvent', targets: ['public:all'], outcomes: { OK: 1 } },
      { ...line, targets: ['tenant:acme'], outcomes: { OK: 1 } },
      { ...line, targets: ['public:all'], outcomes: { OK: 1 } },
      { ...line, targets: ['public:all'], outcomes: { UNKNOWN: 1 } },
      { ...line, route: 'postBatch', targets: ['tenant:acme'], outcomes: { OK: 2, INVALID_ROOM: 1 } },
    ])
    expect(Object.keys(lines[0] ?? {}).toSorted()).toEqual(
      [
        'audit',
        'from',
        'keyId',
        'level',
        'msg',
        'outcomes',
        'requestId',
        'route',
        'service',
        'targets',
        'time',
        'who',
      ].toSorted(),
    )
    expect(headers.get('x-request-id')).toBe(lines[0]?.requestId)
    expect(audit.join('')).not.toMatch(new RegExp(`the-data|${secret}`))
  })

  it('[IN42] a refusal leaves a line with its code: of strangers, of bodies that were not read, of rooms (LM4)', async () => {
    const { keys } = ring({ id: 'k7', scopes: ['publish:public'] })
    const { post, call, audit, outcomes } = await harness({ keys })
    await post(event, { authorization: 'Bearer wrong' })
    await call('getHistory', { headers: { authorization: '' } })
    await call('postEvent', { raw: 'x'.repeat(1_048_577) })
    await call('postBatch', { raw: '{}', headers: { 'content-encoding': 'x' } })
    await post({ rooms: ['deal:acme:7', 'public:a'], event: 'e', data: 'the-data' })
    await call('getHistory', { room: 'deal:acme:7' })
    await call('postEvent', { raw: '{' })
    await call('postBatch', { body: { events: [event, { all: true, event: 'e' }, {}, { user: 'a', event: 'e' }] } })
    outcomes.set('public:a', { type: 'refused', code: 'FORBIDDEN', retryAfterMs: 0 })
    await post(event)
    outcomes.set('public:a', { type: 'refused', code: 'OVERLOADED', retryAfterMs: 0 })
    await post(event)
    const known = { who: 'key:crm', keyId: 'k7' }
    expect(audit.map(parse)).toMatchObject([
      { audit: 'refused', who: null, keyId: null, route: 'postEvent', targets: [], outcomes: { UNAUTHORIZED: 1 } },
      { audit: 'refused', who: null, route: 'getHistory', outcomes: { UNAUTHORIZED: 1 } },
      { ...known, outcomes: { PAYLOAD_TOO_LARGE: 1 } },
      { ...known, route: 'postBatch', outcomes: { VALIDATION_ERROR: 1 } },
      { ...known, targets: ['deal:acme:7', 'public:a'], outcomes: { FORBIDDEN: 1 } },
      { ...known, route: 'getHistory', targets: ['deal:acme:7'], outcomes: { FORBIDDEN: 1 } },
      { ...known, outcomes: { VALIDATION_ERROR: 1 } },
      { audit: 'broadcast', targets: ['public:all', 'user:a'], outcomes: { OK: 2, VALIDATION_ERROR: 1, FORBIDDEN: 1 } },
      { ...known, targets: ['public:a'], outcomes: { FORBIDDEN: 1 } },
    ])
    expect(audit.join('')).not.toMatch(new RegExp(`the-data|${secret}|wrong`))
  })

  it('[IN43] strangers cannot fill the log: what is left out is counted on the next line', async () => {
    const { call, audit } = await harness()
    const wrong = { authorization: 'Bearer wrong' }
    for (let sent = 0; sent < 600; sent += 50)
      await Promise.all(Array.from({ length: 50 }, () => call('getHistory', { headers: wrong })))
    const skipped = () => audit.map(parse).reduce((sum, line) => sum + (line.skipped ?? 0), 0)
    expect(audit.length).toBeLessThan(600)
    expect(audit.length).toBeGreaterThanOrEqual(200)
    let more = 0
    await expect
      .poll(
        async () => (
          (more += 1),
          await call('getHistory', { headers: wrong }),
          audit.length + skipped() === 600 + more
        ),
      )
      .toBe(true)
  })

  it('[IN44] the answer says what its line calls it: what the caller does, where that can be printed', async () => {
    const { post, audit } = await harness()
    const ids = []
    for (const id of ['req-1', 'a b', 'x'.repeat(129)]) {
      const { headers } = await post({ all: true, event: 'e' }, { 'x-request-id': id })
      ids.push(headers.get('x-request-id'))
    }
    expect(ids).toEqual(audit.map((line) => parse(line).requestId))
    expect(ids[0]).toBe('req-1')
    expect(ids.slice(1)).toEqual([expect.stringMatching(/^[0-9a-f-]{36}$/), expect.stringMatching(/^[0-9a-f-]{36}$/)])
    expect((await post(event, { 'x-request-id': 'req-2' })).headers.get('x-request-id')).toBeNull()
  })
})

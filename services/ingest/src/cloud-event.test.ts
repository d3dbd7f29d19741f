import { describe, expect, it } from 'vitest'
import { harness } from '../test/harness.ts'
import { maxBatchEvents } from './schema.ts'

const event = { specversion: '1.0', id: '1', source: '/crm', type: 'deal.won', flotillaroom: 'deal:acme:7' }
const structured = { 'content-type': 'application/cloudevents+json' }
const batched = { 'content-type': 'application/cloudevents-batch+json; charset=UTF-8' }
const json = { 'content-type': 'application/json' }
/** The headers of binary mode for these attributes. */
const ce = (attributes: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(attributes).map(([name, value]) => [`ce-${name}`, value]))

describe('CloudEvents', () => {
  it('[IN22] in structured mode: the type is the name of the event, the data its data, and nothing else is passed on (OP7)', async () => {
    const { post, rooms } = await harness()
    const extras = {
      time: '2026-01-31T10:00:00Z',
      dataschema: 'urn:x',
      partitionkey: 'p',
      sequence: 4,
      datacontenttype: 'text/json',
    }
    const { status, answer } = await post({ ...event, ...extras, subject: 'x', data: { id: 7 } }, structured)
    expect([status, answer]).toMatchObject([202, { results: [{ room: 'deal:acme:7', position: { seq: 1 } }] }])
    const [stored] = rooms.get('deal:acme:7') ?? []
    const frame = JSON.parse(`{${stored?.tail}}`) as { meta: object }
    expect(frame).toMatchObject({ event: 'deal.won', data: { id: 7 } })
    expect(Object.keys(frame.meta)).toEqual(['userId', 'timestamp'])
    expect(stored?.options).toBe('')
  })

  it('[IN22] in binary mode: the attributes are headers, the body is the data', async () => {
    const { call, rooms } = await harness()
    const headers = { ...ce(event), ...json }
    expect(await call('postEvent', { raw: '{"id":7}', headers })).toMatchObject({
      status: 202,
      answer: { id: '/crm 1' },
    })
    const other = { ...ce({ ...event, id: '2' }), 'content-type': 'application/vnd.deal+json; charset="utf-8"' }
    expect(await call('postEvent', { raw: '[1]', headers: other })).toMatchObject({ status: 202 })
    const without = ce({ ...event, id: '3', flotillaroom: 'public:none' })
    expect(await call('postEvent', { raw: new Uint8Array(0), headers: without })).toMatchObject({ status: 202 })
    expect(rooms.get('deal:acme:7')?.map(({ tail }) => tail.split('"meta"')[0])).toEqual([
      '"event":"deal.won","data":{"id":7},',
      '"event":"deal.won","data":[1],',
    ])
    expect(rooms.get('public:none')?.[0]?.tail).toContain('"data":null')
  })

  it.each(['postEvent', 'postBatch'] as const)(
    '[IN27] in batched mode (%s) every event is judged by itself',
    async (name) => {
      const { call, rooms } = await harness()
      const events = [event, { ...event, id: '2', source: 'no uri' }, 'none', { ...event, id: '3' }, event]
      const { status, answer } = await call(name, { body: events, headers: batched })
      expect(status).toBe(200)
      expect(answer).toMatchObject({
        results: [
          { status: 202, id: '/crm 1', results: [{ position: { seq: 1 } }] },
          { status: 400, code: 'VALIDATION_ERROR', detail: expect.stringContaining('source') },
          { status: 400, code: 'VALIDATION_ERROR' },
          { status: 202, results: [{ position: { seq: 2 } }] },
          { status: 202, results: [{ position: { seq: 1 } }] },
        ],
      })
      expect(rooms.get('deal:acme:7')).toHaveLength(2)
    },
  )

  it('[IN27] a batch has 0 to 500 events', async () => {
    const { call, rooms } = await harness()
    expect(await call('postEvent', { body: [], headers: batched })).toMatchObject({
      status: 200,
      answer: { results: [] },
    })
    const many = Array.from({ length: maxBatchEvents + 1 }, (_, i) => ({ ...event, id: `${i}` }))
    for (const body of [many, event]) {
      expect(await call('postEvent', { body, headers: batched })).toMatchObject({
        status: 400,
        code: 'VALIDATION_ERROR',
      })
    }
    expect(rooms.size).toBe(0)
    expect(await call('postEvent', { body: many.slice(1), headers: batched })).toMatchObject({ status: 200 })
    expect(rooms.get('deal:acme:7')).toHaveLength(maxBatchEvents)
  })

  it.each([
    [{ flotillaroom: 'public:a' }, 'public:a'],
    [{ flotillauser: 'alice' }, 'user:alice'],
    [{ flotillatenant: 'acme' }, 'tenant:acme'],
    [{ flotillatenant: 'acme', flotillarole: 'ADMIN' }, 'role:acme:ADMIN'],
    [{ flotillaall: true }, 'public:all'],
    [{ flotillaall: 'true' }, 'public:all'],
    [{ subject: 'deal:acme:8' }, 'deal:acme:8'],
    [{ subject: 'deal:acme:8', flotillauser: 'alice', flotillaroom: null }, 'user:alice'],
  ])('[IN23] the target of %j is %s', async (target, room) => {
    const { post, rooms } = await harness()
    expect(await post({ ...event, flotillaroom: undefined, ...target }, structured)).toMatchObject({ status: 202 })
    expect([...rooms.keys()]).toEqual([room])
  })

  it.each([
    ['no target', {}, 'VALIDATION_ERROR', 'a target is needed'],
    ['two targets', { flotillauser: 'a', flotillaall: true }, 'VALIDATION_ERROR', 'flotillauser and flotillaall'],
    ['a subject that is no room', { subject: 'deals/7' }, 'INVALID_ROOM', 'subject: '],
    ['a room that cannot be', { flotillaroom: 'nocolon' }, 'INVALID_ROOM', 'type:id'],
    ['a user that names a tenant', { flotillauser: 'a:b' }, 'INVALID_ROOM', 'type:id'],
    ['a target that is misspelt', { flotillarom: 'public:a' }, 'VALIDATION_ERROR', 'flotillarom: '],
    ['a role of no tenant', { flotillarole: 'ADMIN' }, 'VALIDATION_ERROR', 'a target is needed'],
    [
      'a role beside a user',
      { flotillauser: 'a', flotillarole: 'b' },
      'VALIDATION_ERROR',
      'a flotillatenant is needed',
    ],
    ['all: false', { flotillaall: false }, 'VALIDATION_ERROR', 'flotillaall: '],
  ])('[IN23] %s is refused', async (_name, target, code, detail) => {
    const { post, rooms } = await harness()
    const answer = await post({ ...event, flotillaroom: undefined, ...target }, structured)
    expect(answer).toMatchObject({ status: 400, code, answer: { detail: expect.stringContaining(detail) } })
    expect(rooms.size).toBe(0)
  })

  it('[IN24] source and id are the publish key, in every mode; both name the event', async () => {
    const { post, call, rooms } = await harness()
    await post(event, structured)
    await call('postEvent', { raw: 'null', headers: { ...ce(event), ...json } })
    await call('postEvent', { body: [event], headers: batched })
    expect(rooms.get('deal:acme:7')?.map(({ key }) => key)).toEqual(['/crm 1'])
    await post({ ...event, source: '/shop' }, structured)
    await post({ ...event, id: '2' }, structured)
    expect(rooms.get('deal:acme:7')?.map(({ key }) => key)).toEqual(['/crm 1', '/shop 1', '/crm 2'])
  })

  it('[IN24] a key that is too long, or cannot be printed, is hashed', async () => {
    const { post, rooms } = await harness()
    const long = { ...event, id: 'x'.repeat(124) }
    expect((await post(long, structured)).answer).toMatchObject({ id: expect.stringMatching(/^ce:[\w-]{43}$/) })
    await post(long, structured)
    await post({ ...event, id: `${'x'.repeat(123)}y` }, structured)
    await post({ ...event, id: `a\u2028b` }, structured)
    await post({ ...event, id: 'x'.repeat(123) }, structured)
    const keys = rooms.get('deal:acme:7')?.map(({ key }) => key) ?? []
    expect(new Set(keys).size).toBe(4)
    expect(keys.map((key) => key.startsWith('ce:'))).toEqual([true, true, true, false])
  })
})

describe('what is no CloudEvent of ours', () => {
  it.each([
    ['text as data', { ...ce(event), 'content-type': 'text/plain' }, 'x'],
    ['data in another charset', { ...ce(event), 'content-type': 'application/json; charset=latin1' }, '1'],
    ['another event format', { 'content-type': 'application/cloudevents+avro' }, 'x'],
    ['another batch format', { 'content-type': 'application/cloudevents-batch+protobuf' }, 'x'],
    ['bytes', structured, JSON.stringify({ ...event, data_base64: 'eA==' })],
    [
      'a datacontenttype that is not JSON',
      structured,
      JSON.stringify({ ...event, datacontenttype: 'text/xml', data: 'x' }),
    ],
  ])('[IN25] %s is an UNSUPPORTED_MEDIA_TYPE', async (_name, headers, raw) => {
    const { call, rooms } = await harness()
    expect(await call('postEvent', { raw, headers })).toMatchObject({ status: 415, code: 'UNSUPPORTED_MEDIA_TYPE' })
    expect(rooms.size).toBe(0)
  })

  it('[IN25] one event is no batch', async () => {
    const { call, rooms } = await harness()
    for (const headers of [structured, { ...ce(event), ...json }]) {
      const answer = await call('postBatch', { body: event, headers })
      expect(answer).toMatchObject({ status: 415, code: 'UNSUPPORTED_MEDIA_TYPE' })
    }
    expect(rooms.size).toBe(0)
  })

  it.each([
    ['specversion', { specversion: '0.3' }],
    ['specversion', { specversion: undefined }],
    ['id', { id: undefined }],
    ['id', { id: '' }],
    ['id', { id: 1 }],
    ['id', { id: 'a\u0000' }],
    ['id', { id: 'x'.repeat(1_025) }],
    ['source', { source: undefined }],
    ['source', { source: 'has space' }],
    ['type', { type: undefined }],
    ['type', { type: 'x'.repeat(129) }],
    ['time', { time: 'yesterday' }],
    ['dataschema', { dataschema: 'no uri' }],
    ['subject', { subject: '' }],
    ['comexample', { comexample: { a: 1 } }],
    ['lower-case', { comExample: '1' }],
  ])('[IN26] a fault of %s is named', async (name, fault) => {
    const { post, rooms } = await harness()
    const answer = await post({ ...event, ...fault }, structured)
    expect(answer).toMatchObject({
      status: 400,
      code: 'VALIDATION_ERROR',
      answer: { detail: expect.stringContaining(name) },
    })
    expect(rooms.size).toBe(0)
  })

  it.each(['[]', '"x"', 'null', '{'])('[IN26] %s is no event', async (raw) => {
    const { call } = await harness()
    expect(await call('postEvent', { raw, headers: structured })).toMatchObject({
      status: 400,
      code: 'VALIDATION_ERROR',
    })
  })

  it('[IN26] the values of headers are percent-encoded UTF-8, quoted or not', async () => {
    const { call, rooms } = await harness()
    const send = (id: string) => call('postEvent', { raw: '1', headers: { ...json, ...ce({ ...event, id }) } })
    for (const id of ['Euro%20%E2%82%AC%20%F0%9F%98%80', '"Euro %E2%82%AC %F0%9F%98%80"', '%45uro']) await send(id)
    expect(rooms.get('deal:acme:7')?.map(({ key }) => key)).toEqual(['/crm Euro € 😀', '/crm Euro'])
    for (const id of ['%C0%A0', '%', '%zz']) {
      expect(await send(id)).toMatchObject({ status: 400, answer: { detail: expect.stringContaining('ce-id') } })
    }
  })

  it.each(['data', 'data_base64', 'datacontenttype'])('[IN26] %s is no header', async (name) => {
    const { call, rooms } = await harness()
    const headers = { ...json, ...ce({ ...event, [name]: 'application/json' }) }
    expect(await call('postEvent', { raw: '1', headers })).toMatchObject({ status: 400, code: 'VALIDATION_ERROR' })
    expect(rooms.size).toBe(0)
  })

  it('[IN26] a half of the headers is no event of our own form', async () => {
    const { call, rooms } = await harness()
    for (const headers of [{ 'ce-id': '1' }, { 'ce-specversion': '1.0' }]) {
      const raw = JSON.stringify({ room: 'public:a', event: 'e' })
      const answer = await call('postEvent', { raw, headers: { ...json, ...headers } })
      expect(answer).toMatchObject({ status: 400, code: 'VALIDATION_ERROR' })
    }
    expect(rooms.size).toBe(0)
  })
})

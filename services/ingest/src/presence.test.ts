import type { StateMessage } from '@flotilla/core/entry'
import type { PresenceRecord } from '@flotilla/core/member-entry'
import { expect, it } from 'vitest'
import { harness } from '../test/harness.ts'
import { parseKeys } from './keys.ts'
import { createQuestions } from './questions.ts'

const room = 'chat:acme:1'
const ann = { user: 'ann', sinceMs: 0, state: '{"status":"busy","data":{"page":"/"}}', connections: 2 }
const bob = { user: 'bob', sinceMs: 1_000, state: '', connections: 0 }
const record = (more: Partial<PresenceRecord> = {}): PresenceRecord => ({
  ...{ type: 'presence', room, nonce: '1', count: 2, all: [ann, bob], in: [], out: [] },
  ...more,
})
const answers = (more?: Partial<PresenceRecord>) => ({ ask: () => Promise.resolve(record(more)) })

it('[IN50] who is in a room is told with what each shows, or of some users only (RM4)', async () => {
  const { call } = await harness(answers())
  const annThere = {
    userId: 'ann',
    since: '1970-01-01T00:00:00.000Z',
    status: 'busy',
    data: { page: '/' },
    connections: 2,
  }
  const bobThere = { userId: 'bob', since: '1970-01-01T00:00:01.000Z', status: 'online', connections: 0 }
  expect((await call('getPresence', { room })).answer).toEqual({ room, count: 2, members: [annThere, bobThere] })
  const some = await call('getPresence', { room, query: '?user=bob&user=cat' })
  expect(some.answer).toEqual({ room, count: 2, members: [bobThere] })
  const many = await harness(answers({ count: 9_000, all: null }))
  expect((await many.call('getPresence', { room })).answer).toEqual({ room, count: 9_000, members: null })
})

it('[IN51] a room without presence, a wrong name, key or query, and a worker that does not answer are told apart', async () => {
  const { call } = await harness({ ...answers(), keys: parseKeys('crm:0123456789abcdef') })
  expect(await call('getPresence', { room: 'deal:acme:7' })).toMatchObject({ status: 404, code: 'NOT_FOUND' })
  expect(await call('getPresence', { room: 'nocolon' })).toMatchObject({ status: 400, code: 'INVALID_ROOM' })
  expect(await call('getPresence', { room, query: '?limit=1' })).toMatchObject({
    status: 400,
    code: 'VALIDATION_ERROR',
  })
  expect(await call('getPresence', { room, headers: { authorization: '' } })).toMatchObject({ status: 401 })
  const silent = await harness()
  expect(await silent.call('getPresence', { room })).toMatchObject({ status: 503, code: 'OVERLOADED' })
})

it('[IN50] each question is asked by a number of its own, and answered by the record that has it', async () => {
  const told: StateMessage[] = []
  const reader = createQuestions(() => ({ tell: (message) => told.push(message) > 0 }))
  const [first, second] = [reader.ask({ type: 'query', room }), reader.ask({ type: 'query', room })]
  expect(told).toEqual([
    { type: 'query', room, nonce: '1' },
    { type: 'query', room, nonce: '2' },
  ])
  reader.onRecords([{ type: 'boot' }, record({ nonce: '2', count: 7 }), record({ nonce: '' }), record({ nonce: '1' })])
  expect(await first).toMatchObject({ count: 2 })
  expect(await second).toMatchObject({ count: 7 })
})

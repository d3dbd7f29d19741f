import type { MemberRoom } from '@flotilla/core/ask-entry'
import { eventLogs } from '@flotilla/core/outgoing'
import { slotOf } from '@flotilla/core/slot'
import { StoreError } from '@flotilla/node/store/port'
import { expect, it } from 'vitest'
import { harness } from '../test/harness.ts'
import { ring } from '../test/keyring.ts'
import type { Question, Questions } from './questions.ts'

const user = '42'
/** Slots of the harness that answer: each with the rooms of the user that are in it. */
function slotsWith(rooms: readonly string[], whole = true): { asked: Question[]; ask: Questions['ask'] } {
  const asked: Question[] = []
  const ask: Questions['ask'] = async (question) => {
    asked.push(question)
    const here = rooms.filter((room) => slotOf(room, 4) === slotOf(question.room, 4))
    const found = here.map((room): MemberRoom => ({ room, sinceMs: 0, connections: 1 }))
    return { type: 'answer', room: question.room, nonce: '', whole, rooms: found }
  }
  return { asked, ask }
}
const rooms = ['chat:acme:4', 'chat:acme:1', 'document:acme:2', 'chat:acme:3']

it('[QU4] the rooms of a user are asked of every slot by a name of its own, and told together (RM4)', async () => {
  const { asked, ask } = slotsWith(rooms)
  const { call } = await harness({ ask })
  const { status, answer } = await call('getUserRooms', { user })
  const listed = rooms.toSorted().map((room) => ({ room, since: '1970-01-01T00:00:00.000Z', connections: 1 }))
  expect([status, answer]).toEqual([200, { user, rooms: listed, complete: true, put: [] }])
  expect(asked).toEqual(eventLogs(4).map((room) => ({ type: 'ask', room, what: 'rooms', of: user })))
  const more = await harness({ ask: slotsWith(rooms, false).ask })
  expect((await more.call('getUserRooms', { user })).answer).toMatchObject({ complete: false })
})

it('[QU5] besides, the rooms that services put it into are told, by the last word on each (RM4)', async () => {
  const { call } = await harness({ ask: slotsWith([]).ask })
  for (const room of ['chat:acme:1', 'chat:acme:2', 'chat:acme:3']) await call('postUserRoom', { user, body: { room } })
  await call('postEvent', { body: { user, event: 'room.leave', data: { room: 'chat:acme:3' } } })
  await call('deleteUserRoom', { user, room: 'chat:acme:1' })
  await call('deleteUserRoom', { user, room: 'chat:acme:2' })
  await call('postUserRoom', { user, body: { room: 'chat:acme:2' } })
  const { answer } = await call('getUserRooms', { user })
  const put = ['chat:acme:2', 'chat:acme:3'].map((room) => ({ room, since: expect.any(String) as string }))
  expect(answer).toMatchObject({ rooms: [], put })
})

it('[QU5] what a service said longer ago than the history of the user’s own room goes back is not told', async () => {
  const { call, rooms: kept } = await harness({ ask: slotsWith([]).ask })
  await call('postUserRoom', { user, body: { room: 'chat:acme:1' } })
  const said = kept.get('user:42') ?? []
  expect((await call('getUserRooms', { user })).answer).toMatchObject({ put: [{ room: 'chat:acme:1' }] })
  for (const each of said) each.timeMs -= 30 * 86_400_000
  expect((await call('getUserRooms', { user })).answer).toMatchObject({ put: [] })
})

it('[QU6] when one slot does not answer, or the store does not, nothing is told', async () => {
  const { ask } = slotsWith(rooms)
  const [silent] = eventLogs(4)
  const some = await harness({ ask: async (question) => (question.room === silent ? undefined : ask(question)) })
  expect(await some.call('getUserRooms', { user })).toMatchObject({ status: 503, code: 'OVERLOADED' })
  const away = await harness({ ask })
  away.fault.error = new StoreError('refused', 'away')
  expect(await away.call('getUserRooms', { user })).toMatchObject({ status: 503, code: 'OVERLOADED' })
})

it('[QU6] four such requests are answered at a time', async () => {
  const waiting: (() => void)[] = []
  const { ask } = slotsWith([])
  const slow: Questions['ask'] = async (question) => {
    await new Promise<void>((resolve) => waiting.push(resolve))
    return ask(question)
  }
  const { call } = await harness({ ask: slow })
  const first = Array.from({ length: 4 }, () => call('getUserRooms', { user }))
  await expect.poll(() => waiting.length).toBe(16)
  expect(await call('getUserRooms', { user })).toMatchObject({ status: 503, code: 'OVERLOADED' })
  for (const go of waiting.splice(0)) go()
  expect((await Promise.all(first)).map(({ status }) => status)).toEqual([200, 200, 200, 200])
  const last = call('getUserRooms', { user })
  await expect.poll(() => waiting.length).toBe(4)
  for (const go of waiting.splice(0)) go()
  expect((await last).status).toBe(200)
})

it('[QU7] it needs the scope admin, of a key for all tenants, and the id of a user', async () => {
  const tried = async (...scopes: string[]): Promise<number> => {
    const { keys, authorization } = ring({ scopes })
    const { call } = await harness({ keys, ask: slotsWith([]).ask })
    return (await call('getUserRooms', { user, headers: { authorization } })).status
  }
  expect(await tried('admin')).toBe(200)
  expect([await tried('publish', 'history'), await tried('admin', 'tenant:acme')]).toEqual([403, 403])
  const { call, audit } = await harness()
  expect(await call('getUserRooms', { user: 'acme:42' })).toMatchObject({ status: 400, code: 'VALIDATION_ERROR' })
  expect(await call('getUserRooms', { user, headers: { authorization: '' } })).toMatchObject({ status: 401 })
  expect(audit.map((line) => JSON.parse(line) as object)).toMatchObject([
    { audit: 'refused', route: 'getUserRooms', targets: ['user:acme:42'], outcomes: { VALIDATION_ERROR: 1 } },
    { audit: 'refused', route: 'getUserRooms' },
  ])
})

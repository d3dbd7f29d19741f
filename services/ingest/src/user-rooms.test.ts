import { expect, it } from 'vitest'
import { harness } from '../test/harness.ts'
import { ring } from '../test/keyring.ts'

const [user, room] = ['42', 'conversation:acme:9']

it('[UR1] to put a user into a room, or take it out, is an event of the user’s own room (RM10)', async () => {
  const { call, rooms } = await harness()
  const joined = await call('postUserRoom', { user, body: { room } })
  expect(joined).toMatchObject({
    status: 202,
    answer: { id: expect.any(String), results: [{ room: 'user:42', position: { epoch: '1.1', seq: 1 } }] },
  })
  expect(await call('deleteUserRoom', { user, room })).toMatchObject({ status: 202 })
  const kept = (rooms.get('user:42') ?? []).map(({ options, tail, sender }) => {
    return [sender, JSON.parse(options), JSON.parse(`{${tail}}`)] as unknown
  })
  const meta = { userId: 'key:crm', timestamp: expect.any(String) }
  expect(kept).toEqual([
    ['key:crm', { control: { type: 'join', room } }, { event: 'room.join', data: { room }, meta }],
    ['key:crm', { control: { type: 'leave', room } }, { event: 'room.leave', data: { room }, meta }],
  ])
})

it('[UR1] said again it is another event; an outcome that is not known is told', async () => {
  const { call, rooms, outcomes } = await harness()
  for (let n = 0; n < 2; n += 1) await call('postUserRoom', { user, body: { room } })
  expect(rooms.get('user:42')).toHaveLength(2)
  outcomes.set('user:42', { type: 'unknown', retryAfterMs: 500 })
  expect(await call('postUserRoom', { user, body: { room } })).toMatchObject({ status: 503, code: 'UNKNOWN' })
  outcomes.set('user:42', { type: 'refused', code: 'OVERLOADED', retryAfterMs: 500 })
  expect(await call('deleteUserRoom', { user, room })).toMatchObject({ status: 503, code: 'OVERLOADED' })
})

it.each([
  [{ user, body: {} }, 'VALIDATION_ERROR'],
  [{ user, body: { room, rooms: [] } }, 'VALIDATION_ERROR'],
  [{ user, raw: '{' }, 'VALIDATION_ERROR'],
  [{ user, raw: '{"__proto__":1}' }, 'UNSAFE_JSON'],
  [{ user: 'acme:42', body: { room } }, 'VALIDATION_ERROR'],
  [{ user, body: { room: 'lobby' } }, 'INVALID_ROOM'],
  [{ user, body: { room: 'conversation:9' } }, 'INVALID_ROOM'],
  [{ user, body: { room: 'user:42' } }, 'INVALID_ROOM'],
])('[UR2] %j is refused, and nothing is published', async (asked, code) => {
  const { call, rooms } = await harness()
  expect(await call('postUserRoom', asked)).toMatchObject({ status: 400, code })
  expect(rooms.size).toBe(0)
})

it('[UR2] a user is taken out of whatever has the form of a room, but of its own', async () => {
  const { call } = await harness()
  expect(await call('deleteUserRoom', { user, room: 'lobby' })).toMatchObject({ code: 'INVALID_ROOM' })
  expect(await call('deleteUserRoom', { user, room: 'user:42' })).toMatchObject({ code: 'INVALID_ROOM' })
  // Its type may have left the policy since.
  expect(await call('deleteUserRoom', { user, room: 'conversation:9' })).toMatchObject({ status: 202 })
})

it('[UR2] it needs the scope admin, of a key for all tenants', async () => {
  const tried = async (...scopes: string[]): Promise<number[]> => {
    const { keys, authorization } = ring({ scopes })
    const { call } = await harness({ keys })
    const headers = { authorization }
    const [joined, left] = [
      await call('postUserRoom', { user, body: { room }, headers }),
      await call('deleteUserRoom', { user, room, headers }),
    ]
    return [joined.status, left.status]
  }
  expect(await tried('admin')).toEqual([202, 202])
  expect(await tried('publish', 'history')).toEqual([403, 403])
  expect(await tried('admin', 'tenant:acme')).toEqual([403, 403])
  const { call } = await harness()
  expect(await call('deleteUserRoom', { user, room, headers: { authorization: 'Bearer x' } })).toMatchObject({
    status: 401,
  })
})

it('[UR3] each change, and each refusal, leaves a line of audit (EV7)', async () => {
  const { call, audit } = await harness()
  await call('postUserRoom', { user, body: { room } })
  await call('deleteUserRoom', { user, room })
  await call('postUserRoom', { user, body: { room: 'lobby' } })
  expect(audit.map((line) => JSON.parse(line) as Record<string, unknown>)).toMatchObject([
    {
      audit: 'membership',
      who: 'key:crm',
      route: 'postUserRoom',
      targets: [`join user:42 ${room}`],
      outcomes: { OK: 1 },
    },
    { audit: 'membership', route: 'deleteUserRoom', targets: [`leave user:42 ${room}`], outcomes: { OK: 1 } },
    { audit: 'refused', route: 'postUserRoom', targets: ['join user:42 lobby'], outcomes: { INVALID_ROOM: 1 } },
  ])
})

it('[UR4] no post of an event says so, whatever it is called', async () => {
  const { post, rooms } = await harness()
  await post({ user: '42', event: 'room.join', data: { room }, filter: { control: { type: 'join', room } } })
  expect(await post({ user: '42', event: 'room.join', control: { type: 'join', room } })).toMatchObject({ status: 400 })
  const [{ options } = { options: '' }] = rooms.get('user:42') ?? []
  expect(Object.keys(JSON.parse(options) as object)).toEqual(['match'])
})

it('[SR1] an event that is sent to several rooms has one id in all of them, unless it is sent to one (RM7)', async () => {
  const { post, rooms } = await harness()
  await post({ rooms: ['public:a', 'public:b', 'public:a'], event: 'e', id: 'x1' })
  await post({ users: ['7', '8'], event: 'e' })
  await post({ rooms: ['public:c'], event: 'e', id: 'x2' })
  const idIn = (name: string): unknown => {
    const [{ tail } = { tail: '' }] = rooms.get(name) ?? []
    return (JSON.parse(`{${tail}}`) as { meta: { id?: string } }).meta.id
  }
  expect(idIn('public:a')).toMatch(/^[\w-]{22}$/)
  expect([idIn('public:b'), idIn('public:c')]).toEqual([idIn('public:a'), undefined])
  expect(idIn('user:8')).toBe(idIn('user:7'))
  // A post that is repeated, when some of its rooms have it, has the same one; another has another.
  await post({ rooms: ['public:d', 'public:a'], event: 'e', id: 'x1' })
  await post({ rooms: ['public:e', 'public:a'], event: 'e', id: 'x2' })
  expect(idIn('public:d')).toBe(idIn('public:a'))
  expect(new Set(['public:a', 'public:e', 'user:7'].map(idIn)).size).toBe(3)
})

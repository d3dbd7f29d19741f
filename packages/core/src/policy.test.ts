import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decide, type RoomAction } from './policy.ts'

const ada = { userId: '42', tenantId: 'acme' }
const loner = { userId: '7' }
const actions: readonly RoomAction[] = ['join', 'publish']
const allow = { allow: true, history: { count: 1_000, ageMs: 120_000 } }
const forbidden = { allow: false, code: 'FORBIDDEN' }

test.each(actions)('[PY1] every authenticated user may %s a public room', (action) => {
  expect(decide(ada, 'public:lobby', action)).toEqual(allow)
  expect(decide(loner, 'public:lobby', action)).toEqual(allow)
})

test.each(actions)('[PY2] %s of user:{id} and tenant:{id} is for their own', (action) => {
  expect(decide(ada, 'user:42', action)).toEqual(allow)
  expect(decide(ada, 'user:43', action)).toEqual(forbidden)
  expect(decide(ada, 'tenant:acme', action)).toEqual(allow)
  expect(decide(ada, 'tenant:other', action)).toEqual(forbidden)
  expect(decide(loner, 'tenant:undefined', action)).toEqual(forbidden)
})

test.each(actions)('[PY3] %s of type:{tenant}:{id} is for members of the tenant', (action) => {
  expect(decide(ada, 'deal:acme:7', action)).toEqual(allow)
  expect(decide(ada, 'deal:other:7', action)).toEqual(forbidden)
  expect(decide(ada, 'public:other:7', action)).toEqual(forbidden)
  expect(decide(loner, 'deal:acme:7', action)).toEqual(forbidden)
  expect(decide(loner, 'deal:undefined:7', action)).toEqual(forbidden)
})

test('[PY4] an id with a colon opens nobody’s private room to a tenant', () => {
  expect(decide(ada, 'user:acme:42', 'join')).toEqual(forbidden)
  expect(decide(ada, 'user:acme:43', 'join')).toEqual(forbidden)
  expect(decide(ada, 'tenant:acme:x', 'join')).toEqual(forbidden)
  expect(decide({ userId: 'acme:43' }, 'user:acme:43', 'join')).toEqual(forbidden)
})

test('[PY5] a two-part name of another type is UNKNOWN_ROOM_TYPE, a bad name INVALID_ROOM', () => {
  expect(decide(ada, 'deal:7', 'join')).toEqual({ allow: false, code: 'UNKNOWN_ROOM_TYPE' })
  // A table looked up by name must not find what every object has.
  expect(decide(ada, 'constructor:7', 'join')).toEqual({ allow: false, code: 'UNKNOWN_ROOM_TYPE' })
  expect(decide(ada, 'lobby', 'publish')).toEqual({ allow: false, code: 'INVALID_ROOM' })
  expect(decide(ada, 'a:b:c:d', 'publish')).toEqual({ allow: false, code: 'INVALID_ROOM' })
})

test('[PY6] nobody gets into a room of another tenant or user, and every refusal there is the same', () => {
  const word = fc.stringMatching(/^[a-z0-9]{1,6}$/)
  const type = fc.constantFrom('deal', 'public', 'user', 'tenant', 'chat')
  fc.assert(
    fc.property(word, word, word, fc.record({ tenant: word, id: word, type }), (userId, tenantId, other, room) => {
      fc.pre(room.tenant !== tenantId && other !== userId && other !== tenantId)
      for (const action of actions) {
        expect(decide({ userId, tenantId }, `${room.type}:${room.tenant}:${room.id}`, action)).toEqual(forbidden)
        expect(decide({ userId, tenantId }, `user:${other}`, action)).toEqual(forbidden)
        expect(decide({ userId, tenantId }, `tenant:${other}`, action)).toEqual(forbidden)
      }
    }),
  )
})

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { defaultPolicy } from './policy-default.ts'
import { parsePolicy } from './policy-file.ts'
import type { PolicyFile } from './policy-file.ts'
import { decide, explain, historyOf, roomsAtConnect } from './policy.ts'
import type { Decision, Identity, Policy, RoomAction } from './policy.ts'

const ada: Identity = { userId: '42', tenantId: 'acme' }
const loner: Identity = { userId: '7' }
const actions: readonly RoomAction[] = ['join', 'publish']
const allow = { allow: true }
const forbidden = { allow: false, code: 'FORBIDDEN' }

const judge = (identity: Identity, room: string, action: RoomAction, policy = defaultPolicy): Decision =>
  decide(policy, { identity, room, action })

function policyOf(file: Omit<PolicyFile, 'version'>): Policy {
  const parsed = parsePolicy({ version: 1, ...file })
  if (!parsed.ok) throw new Error(parsed.problems.join('\n'))
  return parsed.policy
}

test.each(actions)('[PY1] every authenticated user may %s a public room', (action) => {
  expect(judge(ada, 'public:lobby', action)).toEqual(allow)
  expect(judge(loner, 'public:lobby', action)).toEqual(allow)
})

test('[PY1] public:all is for everybody to hear, and for those with the permission to speak (EV2)', () => {
  expect(judge(loner, 'public:all', 'join')).toEqual(allow)
  expect(judge(loner, 'public:all', 'publish')).toEqual(forbidden)
  expect(judge({ ...loner, permissions: ['x', 'all.publish'] }, 'public:all', 'publish')).toEqual(allow)
})

test('[PY2] user:{id}, tenant:{id} and workspace:{id} are for their own (RM3)', () => {
  for (const action of actions) {
    expect(judge(ada, 'user:42', action)).toEqual(allow)
    expect(judge(ada, 'user:43', action)).toEqual(forbidden)
    expect(judge({ ...ada, permissions: ['tenant.publish'] }, 'tenant:other', action)).toEqual(forbidden)
    expect(judge(loner, 'tenant:undefined', action)).toEqual(forbidden)
  }
  for (const type of ['tenant', 'workspace']) {
    expect(judge(ada, `${type}:acme`, 'join')).toEqual(allow)
    expect(judge(ada, `${type}:acme`, 'publish')).toEqual(forbidden)
    expect(judge({ ...ada, permissions: ['tenant.publish'] }, `${type}:acme`, 'publish')).toEqual(allow)
  }
})

test.each(actions)('[PY3] %s of type:{tenant}:{id} is for members of the tenant', (action) => {
  expect(judge(ada, 'deal:acme:7', action)).toEqual(allow)
  expect(judge(ada, 'anything:acme:7', action)).toEqual(allow)
  expect(judge(ada, 'deal:other:7', action)).toEqual(forbidden)
  expect(judge(ada, 'public:other:7', action)).toEqual(forbidden)
  expect(judge(loner, 'deal:acme:7', action)).toEqual(forbidden)
  expect(judge(loner, 'deal:undefined:7', action)).toEqual(forbidden)
})

test('[PY4] an id with a colon opens nobody’s private room to a tenant', () => {
  expect(judge(ada, 'user:acme:42', 'join')).toEqual(forbidden)
  expect(judge(ada, 'user:acme:43', 'join')).toEqual(forbidden)
  expect(judge(ada, 'tenant:acme:x', 'join')).toEqual(forbidden)
  expect(judge({ userId: 'acme:43' }, 'user:acme:43', 'join')).toEqual(forbidden)
})

test('[PY5] a two-part name of an unknown type is UNKNOWN_ROOM_TYPE, a bad name INVALID_ROOM (RM1)', () => {
  expect(judge(ada, 'lobby:7', 'join')).toEqual({ allow: false, code: 'UNKNOWN_ROOM_TYPE' })
  // A table looked up by name must not find what every object has.
  expect(judge(ada, 'constructor:7', 'join')).toEqual({ allow: false, code: 'UNKNOWN_ROOM_TYPE' })
  expect(judge(ada, 'deal:7', 'join')).toEqual(forbidden)
  expect(judge(ada, 'lobby', 'publish')).toEqual({ allow: false, code: 'INVALID_ROOM' })
  expect(judge(ada, 'a:b:c:d', 'publish')).toEqual({ allow: false, code: 'INVALID_ROOM' })
})

test('[PY6] nobody gets into a room of another tenant or user, and every refusal there is the same (RM2)', () => {
  const word = fc.stringMatching(/^[a-z0-9]{1,6}$/)
  const type = fc.constantFrom('deal', 'public', 'user', 'tenant', 'chat', 'workspace', 'other')
  const permissions = fc.subarray(['tenant.publish', 'all.publish', 'x'])
  const room = fc.record({ tenant: word, id: word, type })
  fc.assert(
    fc.property(fc.record({ userId: word, tenantId: word, permissions }), word, room, (identity, other, named) => {
      const { userId, tenantId } = identity
      fc.pre(named.tenant !== tenantId && other !== userId && other !== tenantId)
      for (const action of actions) {
        expect(judge(identity, `${named.type}:${named.tenant}:${named.id}`, action)).toEqual(forbidden)
        expect(judge(identity, `user:${other}`, action)).toEqual(forbidden)
        expect(judge(identity, `tenant:${other}`, action)).toEqual(forbidden)
      }
    }),
  )
})

test('[PY7] one condition is enough, and of a condition all parts have to hold (RM3)', () => {
  const policy = policyOf({
    types: {
      deal: { join: [{ role: ['ADMIN', 'MANAGER'], permission: 'deals.read' }, { permission: 'deals.all' }] },
    },
  })
  const may = (roles: string[], permissions: string[]): boolean =>
    judge({ ...ada, roles, permissions }, 'deal:acme:7', 'join', policy).allow
  expect([may([], []), may(['ADMIN'], []), may([], ['deals.read'])]).toEqual([false, false, false])
  expect([may(['ADMIN'], ['deals.read']), may(['MANAGER', 'x'], ['deals.read']), may([], ['deals.all'])]).toEqual([
    true,
    true,
    true,
  ])
  expect(judge({ ...ada, roles: ['ADMIN'] }, 'deal:acme:7', 'publish', policy)).toEqual(forbidden)
})

test('[PY8] rooms of other tenants open to a condition that says so, and names a role or a permission', () => {
  const policy = policyOf({ types: { deal: { join: [{ tenant: 'any', role: 'SUPPORT' }] } } })
  expect(judge({ ...ada, roles: ['SUPPORT'] }, 'deal:other:7', 'join', policy)).toEqual(allow)
  expect(judge(ada, 'deal:acme:7', 'join', policy)).toEqual(forbidden)
  expect(parsePolicy({ version: 1, types: { deal: { join: [{ tenant: 'any' }] } } })).toMatchObject({ ok: false })
})

test('[PY9] clients publish the events that are listed, by name or by how they begin', () => {
  const policy = policyOf({ types: { deal: { join: 'everyone', publish: 'everyone', events: ['message', 'deal.*'] } } })
  const publish = (event: string, room = 'deal:acme:7'): Decision =>
    decide(policy, { identity: ada, room, action: 'publish', event })
  expect([publish('message'), publish('deal.won'), publish('deal.')]).toEqual([allow, allow, allow])
  expect([publish('Message'), publish('deal'), publish('*')]).toEqual(
    Array.from({ length: 3 }, () => ({ allow: false, code: 'UNKNOWN_EVENT' })),
  )
  // Who may not publish at all is not told which events there are.
  expect(publish('nothing', 'deal:other:7')).toEqual(forbidden)
})

test('[PY10] a room by its whole name comes before its type, and types that are not named are others or unknown', () => {
  const policy = policyOf({
    history: { events: 50 },
    types: { deal: { join: 'everyone', history: { events: 9, age: '1h' } } },
    rooms: { 'deal:acme:7': { join: 'nobody', history: { age: 30_000 } } },
  })
  expect(judge(ada, 'deal:acme:7', 'join', policy)).toEqual(forbidden)
  expect(judge(ada, 'deal:acme:8', 'join', policy)).toEqual(allow)
  expect(judge(ada, 'chat:acme:8', 'join', policy)).toEqual({ allow: false, code: 'UNKNOWN_ROOM_TYPE' })
  expect(historyOf(policy, 'deal:acme:7')).toEqual({ events: 50, ageMs: 30_000 })
  expect(historyOf(policy, 'deal:acme:8')).toEqual({ events: 9, ageMs: 3_600_000 })
  expect(historyOf(policy, 'chat:acme:8')).toEqual({ events: 50, ageMs: 120_000 })
  expect(historyOf(policy, 'no room')).toEqual({ events: 50, ageMs: 120_000 })
})

test('[PY11] a connection is put into the rooms that the policy names, as far as it may join them', () => {
  expect(roomsAtConnect(defaultPolicy, ada)).toEqual(['user:42', 'tenant:acme', 'public:all'])
  expect(roomsAtConnect(defaultPolicy, loner)).toEqual(['user:7', 'public:all'])
  const policy = policyOf({
    connect: ['user:{user}', 'feed:{tenant}:{user}', 'deal:acme:1'],
    types: { feed: { join: 'everyone' }, deal: { join: [{ role: 'ADMIN' }] } },
  })
  expect(roomsAtConnect(policy, ada)).toEqual(['feed:acme:42'])
  expect(roomsAtConnect(policy, { ...ada, roles: ['ADMIN'] })).toEqual(['feed:acme:42', 'deal:acme:1'])
  // An id that looks like a pattern of a replacement is an id.
  expect(roomsAtConnect(policy, { userId: '$&', tenantId: 'acme' })).toEqual(['feed:acme:$&'])
  expect(roomsAtConnect(defaultPolicy, { userId: '{tenant}', tenantId: 'acme' })[0]).toBe('user:{tenant}')
})

test('[PY13] who has a role in a tenant is in the room of it, and nobody else may join that (EV2)', () => {
  const admin = { ...ada, roles: ['ADMIN', 'SALES', 'no:room', 'ADMIN'] }
  expect(roomsAtConnect(defaultPolicy, admin)).toEqual([
    ...['user:42', 'tenant:acme', 'role:acme:ADMIN', 'role:acme:SALES', 'public:all'],
  ])
  expect(roomsAtConnect(defaultPolicy, { ...loner, roles: ['ADMIN'] })).toEqual(['user:7', 'public:all'])
  const refused = { allow: false, code: 'FORBIDDEN' }
  expect(judge(admin, 'role:acme:SALES', 'join')).toEqual(allow)
  expect(judge(admin, 'role:other:SALES', 'join')).toEqual(refused)
  expect(judge(admin, 'role:acme:GUEST', 'join')).toEqual(refused)
  expect(judge(ada, 'role:acme:ADMIN', 'join')).toEqual(refused)
  expect(judge(admin, 'role:acme:ADMIN', 'publish')).toEqual(refused)
  expect(judge({ userId: 'ADMIN', tenantId: 'acme' }, 'role:acme:ADMIN', 'join')).toEqual(refused)
  // The token may name any number of roles.
  const roles = Array.from({ length: 100 }, (_, i) => `r${i}`)
  expect(roomsAtConnect(defaultPolicy, { ...ada, roles })).toHaveLength(3 + 32)
})

test('[PY12] a decision is explained by the part of the policy that it comes from, and by what is missing', () => {
  const policy = policyOf({
    types: { deal: { join: [{ role: 'ADMIN' }, { permission: ['a', 'b'] }], publish: 'everyone', events: ['won'] } },
    others: { form: 'id', join: [{ id: 'user' }] },
  })
  const why = (room: string, action: RoomAction, event?: string): readonly string[] =>
    explain(policy, { identity: { ...ada, roles: ['ADMIN'] }, room, action, ...(event === undefined ? {} : { event }) })
  expect(why('deal:acme:7', 'join')).toEqual([
    'types.deal.join[0]: holds',
    'types.deal.join[1]: none of the permissions a, b',
  ])
  expect(why('deal:other:7', 'publish')).toEqual(['types.deal.publish[0]: the room is of another tenant'])
  expect(why('deal:acme:7', 'publish', 'lost')).toEqual([
    'types.deal.publish[0]: holds',
    'types.deal.events does not list "lost"',
  ])
  expect(why('deal:7', 'join')).toEqual(['types.deal.form is "tenant": the name has another number of parts'])
  expect(why('x:7', 'join')).toEqual(['others.join[0]: the room is not named after this user'])
  expect(why('x:7', 'publish')).toEqual(['others.publish is nobody'])
  expect(why('x', 'join')).toEqual(['"x" is not a room\'s name: type:id or type:tenant:id'])
  expect(explain(policyOf({}), { identity: ada, room: 'x:7', action: 'join' })).toEqual([
    'the type x is not in "types", and there is no "others"',
  ])
})

const nobody: Identity = { userId: 'anonymous-1', roles: ['anonymous'], anonymous: true }

test('[PY14] without a token a condition holds only if it names the role anonymous, whatever else it asks (CN4)', () => {
  const policy = policyOf({
    types: {
      open: { form: 'any', join: 'everyone', publish: [{}] },
      fair: { form: 'any', join: [{ role: ['ADMIN', 'anonymous'] }], publish: [{ role: 'ADMIN' }] },
      user: { form: 'id', join: [{ id: 'user' }, { token: true }], publish: [{ id: 'user', role: 'anonymous' }] },
      stall: { join: [{ tenant: 'any', role: 'anonymous' }] },
      team: { form: 'id', join: [{ id: 'role' }] },
    },
  })
  const may = (room: string, action: RoomAction): boolean =>
    decide(policy, { identity: nobody, room, action, hasToken: true }).allow
  expect(actions.map((action) => may('open:1', action))).toEqual([false, false])
  expect(actions.map((action) => may('fair:1', action))).toEqual([true, false])
  expect(actions.map((action) => may(`user:${nobody.userId}`, action))).toEqual([false, true])
  expect(may('user:other', 'publish')).toBe(false)
  expect([may('stall:acme:1', 'join'), may('fair:acme:1', 'join')]).toEqual([true, false])
  expect(may('team:anonymous', 'join')).toBe(false)
  // A role of that name in a token is one like any other.
  expect(judge({ ...loner, roles: ['anonymous'] }, 'open:1', 'join', policy)).toEqual(allow)
  expect(explain(policy, { identity: nobody, room: 'open:1', action: 'join' })).toEqual([
    'types.open.join[0]: the connection is anonymous, and the condition does not name that role',
  ])
})

test('[PY15] by default anonymous connections hear public rooms, and nothing else', () => {
  expect(roomsAtConnect(defaultPolicy, nobody)).toEqual(['public:all'])
  const rooms = [
    'public:lobby',
    'public:all',
    'public:acme:lobby',
    `user:${nobody.userId}`,
    'tenant:acme',
    'deal:acme:7',
  ]
  expect(rooms.filter((room) => judge(nobody, room, 'join').allow)).toEqual(['public:lobby', 'public:all'])
  expect(rooms.filter((room) => judge({ ...nobody, permissions: ['all.publish'] }, room, 'publish').allow)).toEqual([])
})

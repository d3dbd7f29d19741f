import { expect, test } from 'vitest'
import { defaultPolicyFile } from './policy-default.ts'
import { maxPolicyTypes, parsePolicy } from './policy-file.ts'

const problems = (file: unknown): readonly string[] => {
  const parsed = parsePolicy(file)
  return parsed.ok ? [] : parsed.problems
}
const inType = (deal: unknown): readonly string[] => problems({ version: 1, types: { deal } })

test('[PF1] a policy that is wrong is refused as a whole, with the place and the reason of each mistake', () => {
  expect(inType({ joins: 'everyone' })).toEqual(['types.deal: Unrecognized key: "joins"'])
  expect(inType({ join: [{ roles: 'ADMIN' }] })).toEqual(['types.deal.join[0]: Unrecognized key: "roles"'])
  expect(inType({ join: [{ role: 'A' }, { role: [] }] })).toEqual([
    'types.deal.join[1].role: Too small: expected array to have >=1 items',
  ])
  expect(inType({ join: 'evryone' })).toEqual([
    'types.deal.join: Invalid option: expected one of "everyone"|"nobody", or Invalid input: expected array, received string',
  ])
  expect(inType({ form: 'both', events: [] })).toEqual([
    'types.deal.form: Invalid option: expected one of "id"|"tenant"|"any"',
    'types.deal.events: Too small: expected array to have >=1 items',
  ])
  expect(inType({ join: [{ tenant: 'any' }] })).toEqual([
    'types.deal.join[0]: tenant: any opens every tenant to everybody; name a role, a permission, a token or a hook besides',
  ])
  expect(problems({ version: 2 })).toEqual(['version: Invalid input: expected 1'])
  expect(problems(null)).toEqual(['the policy: Invalid input: expected object, received null'])
})

test('[PF2] names of types and rooms, and of the rooms at connect, are checked', () => {
  expect(problems({ version: 1, types: { 'Deal:x': {} } })).toEqual([
    'types.Deal:x: is not a room type: lower case letters, digits, - and _',
  ])
  expect(problems({ version: 1, rooms: { lobby: {} } })).toEqual([
    'rooms.lobby: is not a room: type:id or type:tenant:id',
  ])
  const bad = ['lobby', 'user:{id}', '{user}:x', 'user:u{user}', 'a:{tenant}:{user}:x']
  expect(problems({ version: 1, connect: bad })).toEqual(
    bad.map((_, i) => `connect[${i}]: is not a room, with {user}, {tenant} or {role} as a part of its own`),
  )
  expect(problems({ version: 1, connect: ['a:{tenant}:{user}', 'public:all'] })).toEqual([])
  const types = Object.fromEntries(Array.from({ length: maxPolicyTypes + 1 }, (_, i) => [`t${i}`, {}]))
  expect(problems({ version: 1, types })).toEqual([`types: at most ${maxPolicyTypes}`])
})

test.each([
  ['250ms', 250],
  ['90s', 90_000],
  ['5m', 300_000],
  ['24h', 86_400_000],
  [1_500, 1_500],
])('[PF3] a time is written %s', (age, ageMs) => {
  const parsed = parsePolicy({ version: 1, history: { age } })
  expect(parsed.ok && parsed.policy.history).toEqual({ events: 1_000, ageMs })
})

test('[PF3] what a room cannot keep is refused', () => {
  for (const age of ['25h', '1d', '-1s', 86_400_001, 1.5])
    expect(problems({ version: 1, history: { age } })).toHaveLength(1)
  for (const events of [0, 50_001, 1.5]) expect(problems({ version: 1, history: { events } })).toHaveLength(1)
  expect(problems({ version: 1, history: { events: 50_000, age: '24h' } })).toEqual([])
})

test('[PF4] what is left out is closed: nobody joins, nobody publishes, names have a tenant', () => {
  const parsed = parsePolicy({ version: 1, types: { deal: {} } })
  expect(parsed.ok && parsed.policy.types.get('deal')).toMatchObject({
    form: 'tenant',
    join: [],
    publish: [],
    events: null,
  })
  expect(parsed.ok && parsed.policy).toMatchObject({ connect: [], others: null })
})

test('[PF5] the default policy is a policy file like any other', () => {
  expect(problems(defaultPolicyFile)).toEqual([])
})

const hook = { url: 'https://backend.example/members', secret: { env: 'HOOK_SECRET' } }
test.each([
  [{ types: { deal: { join: [{ hook: 'members' }] } } }, 'types.deal.join: there is no "members" in hooks.rooms'],
  [
    { hooks: { rooms: { a: hook, b: hook } }, types: { deal: { join: [{ hook: 'a' }, { hook: 'b' }] } } },
    'types.deal.join: names two hooks: one rule asks one',
  ],
  [
    { hooks: { rooms: { a: hook } }, types: { deal: { presence: [{ hook: 'a' }] } } },
    'types.deal.presence: no hook is asked about presence',
  ],
  [
    { hooks: { connect: { ...hook, url: 'https://user:word@backend.example/' } } },
    'hooks.connect.url: has a user or a password: requests are signed instead',
  ],
  [
    { hooks: { connect: { ...hook, url: 'file:///etc/passwd' } } },
    'hooks.connect.url: is not a URL with http or https',
  ],
  [{ hooks: { connect: { ...hook, timeout: '5s' } } }, 'hooks.connect.timeout: at most 4000 ms'],
])('[HK25] a hook that cannot be is refused with its place (%#)', (file, problem) => {
  expect(parsePolicy({ version: 1, ...file })).toEqual({ ok: false, problems: [problem] })
})

test('[HK25] what is left out has its default', () => {
  const parsed = parsePolicy({ version: 1, hooks: { connect: hook, rooms: { members: { ...hook, timeout: '1s' } } } })
  const usual = { url: hook.url, secrets: [hook.secret], maxInFlight: 64, allowMs: 30_000, denyMs: 5_000 }
  expect(parsed.ok && parsed.policy.hooks).toEqual({
    connect: { ...usual, timeoutMs: 2_000 },
    rooms: new Map([['members', { ...usual, timeoutMs: 1_000 }]]),
    calls: new Map(),
  })
})

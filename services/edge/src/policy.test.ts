import { parsePolicy } from '@flotilla/core/policy-file'
import type { PolicyFile } from '@flotilla/core/policy-file'
import type { Policy, RoomPolicy } from '@flotilla/core/policy'
import { expect, test } from 'vitest'
import { Client, token, until, useReadyEdge } from '../test/fleet.ts'

const here = useReadyEdge()

function policyOf(file: Omit<PolicyFile, 'version'>): Policy {
  const parsed = parsePolicy({ version: 1, ...file })
  if (!parsed.ok) throw new Error(parsed.problems.join('\n'))
  return parsed.policy
}

/** A policy that the test replaces. */
function changing(first: Policy) {
  const listeners: ((policy: Policy) => void)[] = []
  const source = { current: first, onChange: (listener: (policy: Policy) => void) => void listeners.push(listener) }
  const change = (policy: Policy): void => {
    source.current = policy
    for (const listener of listeners) listener(policy)
  }
  return { source, change }
}

async function connected(port: number, roles: readonly string[] = []): Promise<Client> {
  const client = new Client(port, { headers: { authorization: `Bearer ${token('alice', 600, 'acme', roles)}` } })
  await until('connected', () => client.of('connected').length === 1)
  return client
}

test('[EG45] the roles of a token open rooms, and a token without them ends those', async () => {
  const { source } = changing(policyOf({ types: { deal: { join: [{ role: 'ADMIN' }] } } }))
  const edge = await here.fleet.edge({}, source)
  await until('a plan is there', () => edge.ready)
  const [admin, user] = [await connected(edge.port, ['ADMIN']), await connected(edge.port)]
  expect(await user.ask({ type: 'subscribe', room: 'deal:acme:1' })).toMatchObject({ code: 'FORBIDDEN' })
  await admin.subscribe('deal:acme:1')
  await admin.ok({ type: 'auth', token: token('alice', 600) })
  await until('it is told', () => admin.of('unsubscribed').length === 1)
  expect(admin.of('unsubscribed')).toMatchObject([{ room: 'deal:acme:1', code: 'FORBIDDEN' }])
  expect(edge.rooms).toBe(1)
  await until('its interest is withdrawn', () => edge.rooms === 0)
  await Promise.all([admin.end(), user.end()])
})

test('[EG45] a new policy is judged by at once, on every connection, and says how old events are replayed', async () => {
  const types = { deal: { join: 'everyone', publish: 'everyone' } } as const
  const { source, change } = changing(policyOf({ types, history: { age: 60_000 } }))
  const edge = await here.fleet.edge({}, source)
  await until('a plan is there', () => edge.ready)
  const clients = [await connected(edge.port), await connected(edge.port)]
  const [first, second] = clients
  if (first === undefined || second === undefined) throw new Error('two clients were opened')
  for (const client of clients) await client.subscribe('deal:acme:2')
  const { position: before } = await first.publish('deal:acme:2', 1)
  await first.publish('deal:acme:2', 2)
  await until('both are heard', () => second.events('deal:acme:2').length === 2)
  change(policyOf({ types, history: { age: 0 } }))
  await until(
    'the clock has moved on',
    () => Date.now() > Date.parse(second.events('deal:acme:2').at(-1)?.meta.timestamp ?? '') + 5,
  )
  expect(await second.ok({ type: 'subscribe', room: 'deal:acme:2', since: before })).toMatchObject({
    recovered: false,
    reason: 'expired',
  })
  change(policyOf({ connect: ['news:acme:all'], types: { news: { join: 'everyone' } } }))
  for (const client of clients) {
    await until('it is told', () => client.of('unsubscribed').length === 1)
    expect(client.of('unsubscribed')).toMatchObject([{ room: 'deal:acme:2', code: 'UNKNOWN_ROOM_TYPE' }])
    await until('the new room is live', () => client.of('position').some(({ room }) => room === 'news:acme:all'))
    await client.end()
  }
})

test('[EG48] a new policy is judged by in slices of time: others are served meanwhile', async () => {
  const types = { deal: { join: 'everyone' } } as const
  const { source, change } = changing(policyOf({ types }))
  const edge = await here.fleet.edge({}, source)
  await until('a plan is there', () => edge.ready)
  const clients = await Promise.all(Array.from({ length: 4 }, () => connected(edge.port)))
  for (const client of clients) await client.subscribe('deal:acme:1')
  const open = policyOf({ types })
  let looks = 0
  /** Each look takes longer than a slice. */
  const slow = new (class extends Map<string, RoomPolicy> {
    override get(type: string): RoomPolicy | undefined {
      looks += 1
      for (const untilMs = performance.now() + 20; performance.now() < untilMs;);
      return super.get(type)
    }
  })(open.types)
  change({ ...open, types: slow })
  const seen = [looks]
  for (let i = 0; i < clients.length; i += 1) {
    await new Promise((resolve) => setImmediate(resolve))
    seen.push(looks)
  }
  // One connection per turn of the event loop.
  for (const [i, before] of seen.slice(0, -1).entries()) expect(seen[i + 1]).toBeGreaterThan(before)
  for (const client of clients) await client.end()
})

test('[EG46] an event with echo: false comes to the others only, also of the same user; who is excepted is told the position (RM8)', async () => {
  const room = 'public:echo'
  const [first, second, bob] = [
    await Client.open(here.edge.port),
    await Client.open(here.edge.port),
    await Client.open(here.edge.port, 'bob'),
  ]
  const all = [first, second, bob]
  for (const client of all) await client.subscribe(room)
  await first.publish(room, 1, { echo: false })
  await first.publish(room, 2, { except: ['alice'] })
  await first.publish(room, 3, { echo: false, ephemeral: true })
  await first.publish(room, 4)
  await until('the last event', () => all.every((client) => client.events(room).some(({ data }) => data === 4)))
  expect(all.map((client) => client.events(room).map(({ data }) => data))).toEqual([[4], [1, 3, 4], [1, 2, 3, 4]])
  const told = first.of('position').filter((frame) => frame.room === room)
  expect(told.at(-1)).toMatchObject({ position: { seq: 2 }, recovered: true })
  await Promise.all(all.map((client) => client.end()))
})

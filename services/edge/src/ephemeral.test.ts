import { conflateEveryMs } from '@flotilla/core/limits'
import { parsePolicy } from '@flotilla/core/policy-file'
import { fixedPolicy } from '@flotilla/node/policy'
import { expect, test } from 'vitest'
import { Client, token, until, useReadyEdge } from '../test/fleet.ts'

const here = useReadyEdge()
/** Where a policy puts nobody into a room. */
async function connected(port: number): Promise<Client> {
  const client = new Client(port, { headers: { authorization: `Bearer ${token('alice')}` } })
  await until('it is connected', () => client.of('connected').length === 1)
  return client
}
const others = { join: 'everyone', publish: 'everyone', form: 'any' } as const

test('[EC3, EC6] of cursors that move all the time the last place of each is heard, on another edge too, and never an older one after it (EV4, RM8)', async () => {
  const room = 'public:board'
  const far = await here.fleet.edge()
  await until('a plan is there', () => far.ready)
  const [alice, bob, carol] = [
    await Client.open(here.edge.port),
    await Client.open(here.edge.port, 'bob'),
    await Client.open(far.port, 'carol'),
  ]
  const all = [alice, bob, carol]
  for (const client of all) await client.subscribe(room)
  const moves = 300
  const startedAt = performance.now()
  for (let n = 1; n <= moves; n += 1) {
    for (const client of [alice, bob])
      client.send({ type: 'publish', id: n, room, event: 'cursor.move', data: n, ephemeral: true, conflate: 'cursor' })
    if (n % 10 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  const placesOf = (client: Client, userId: string): unknown[] =>
    client.events(room).flatMap(({ data, meta }) => (meta.userId === userId ? [data] : []))
  for (const client of all)
    for (const user of ['alice', 'bob'])
      await until(`the last place of ${user}`, () => placesOf(client, user).at(-1) === moves)
  const batches = Math.ceil((performance.now() - startedAt) / conflateEveryMs) + 1
  for (const client of all)
    for (const user of ['alice', 'bob']) {
      const places = placesOf(client, user).map(Number)
      expect(places).toEqual(places.toSorted((a, b) => a - b))
      expect(places.length).toBeLessThanOrEqual(batches)
    }
  expect(all.flatMap((client) => client.of('error'))).toEqual([])
  await Promise.all(all.map((client) => client.end()))
})

test('[EC4] what a room may have is what the policy of its type says', async () => {
  const parsed = parsePolicy({ version: 1, others, types: { quiet: { ...others, ephemeral: { perSecond: 2 } } } })
  if (!parsed.ok) throw new Error(parsed.problems.join())
  const edge = await here.fleet.edge({}, fixedPolicy(parsed.policy))
  await until('a plan is there', () => edge.ready)
  const client = await connected(edge.port)
  for (const room of ['quiet:a', 'loud:a']) {
    await client.subscribe(room)
    for (let n = 1; n <= 6; n += 1) await client.publish(room, n, { ephemeral: true })
  }
  await until('the loud room is heard', () => client.events('loud:a').length === 6)
  expect(client.events('quiet:a').map(({ data }) => data)).toEqual([1, 2])
  await client.end()
})

test('[TT2, TT3] an event is served while its time lasts; then its number is passed over, in replay and history (RM8)', async () => {
  const room = 'public:short'
  const [alice, bob] = [await Client.open(here.edge.port), await Client.open(here.edge.port, 'bob')]
  await bob.subscribe(room)
  const first = await alice.publish(room, 'stays')
  await alice.publish(room, 'short', { ttl: 1_000 })
  await alice.publish(room, 'stays too')
  await until('bob has all', () => bob.events(room).length === 3)
  await until('its time is over', () => Date.now() > Date.parse(bob.events(room)[1]?.meta.timestamp ?? '') + 1_050)
  const again = await Client.open(here.edge.port, 'carol')
  expect(await again.subscribe(room, { since: first.position })).toMatchObject({ recovered: true, missed: 2 })
  await until('the replay is heard', () => again.events(room).length === 1)
  expect(again.events(room)).toMatchObject([{ seq: 3, data: 'stays too' }])
  const told = again.of('position').filter((frame) => frame.room === room)
  expect(told).toMatchObject([{ position: { seq: 2 }, recovered: true }])
  again.send({ type: 'history', id: 1, room })
  await until('a page', () => again.of('history').length === 1)
  expect(again.of('history')[0]?.events.map(({ seq }) => seq)).toEqual([1, 3])
  await Promise.all([alice, bob, again].map((client) => client.end()))
})

test('[RL3, RL4] connections of a user at an edge share its rate, and stay (LM1)', async () => {
  const parsed = parsePolicy({ version: 1, others, rates: { default: '3/h' } })
  if (!parsed.ok) throw new Error(parsed.problems.join())
  const edge = await here.fleet.edge({}, fixedPolicy(parsed.policy))
  await until('a plan is there', () => edge.ready)
  const clients = [await connected(edge.port), await connected(edge.port)]
  const answers = []
  for (let n = 0; n < 5; n += 1)
    for (const client of clients)
      answers.push(await client.ask({ type: 'publish', room: 'public:r', event: 'e', data: n }))
  expect(answers.filter(({ type }) => type === 'ok')).toHaveLength(3)
  expect(answers.at(-1)).toMatchObject({ code: 'RATE_LIMITED', event: 'e', retryAfterMs: expect.any(Number) })
  for (const client of clients)
    expect(await client.ask({ type: 'subscribe', room: 'public:r' })).toMatchObject({ type: 'ok' })
  await Promise.all(clients.map((client) => client.end()))
})

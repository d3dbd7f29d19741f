import { parsePolicy } from '@flotilla/core/policy-file'
import { fixedPolicy } from '@flotilla/node/policy'
import { expect, test } from 'vitest'
import { Client, token, until, useReadyEdge } from '../test/fleet.ts'

const here = useReadyEdge()
const others = { join: 'everyone', publish: 'everyone', form: 'any' } as const

test('[RL12] of 500 publishes of a user at once on three edges as many as the rate allows are taken, the others are told when to try again (LM1)', async () => {
  const parsed = parsePolicy({ version: 1, others, rates: { broadcast: '50/h' }, classes: { broadcast: ['news'] } })
  if (!parsed.ok) throw new Error(parsed.problems.join())
  const policy = fixedPolicy(parsed.policy)
  const edges = [
    await here.fleet.edge({}, policy),
    await here.fleet.edge({}, policy),
    await here.fleet.edge({}, policy),
  ]
  for (const edge of edges) await until('a plan is there', () => edge.ready)
  const clients = edges.flatMap(({ port }) =>
    [1, 2].map(() => new Client(port, { headers: { authorization: `Bearer ${token('alice')}` } })),
  )
  for (const client of clients) await until('it is connected', () => client.of('connected').length === 1)
  // Every other one is ephemeral: both kinds count.
  for (let n = 0; n < 500; n += 1) {
    const frame = { type: 'publish', id: n, room: 'public:r', event: 'news', data: n, ephemeral: n % 4 < 2 }
    clients[n % clients.length]?.send(frame)
  }
  const oks = () => clients.flatMap((client) => client.of('ok'))
  const errors = () => clients.flatMap((client) => client.of('error'))
  await until('all are answered', () => oks().length + errors().length === 500)
  expect(oks()).toHaveLength(50)
  for (const error of errors()) expect(error).toMatchObject({ code: 'RATE_LIMITED', event: 'news' })
  expect(errors().every(({ retryAfterMs = 0 }) => retryAfterMs > 0)).toBe(true)
  // They stay, and what is of no class is not limited.
  for (const client of clients)
    expect(await client.ask({ type: 'publish', room: 'public:r', event: 'e', data: 1 })).toMatchObject({ type: 'ok' })
  await Promise.all(clients.map((client) => client.end()))
})

import { edgeRoom, eventLogs } from '@flotilla/core/outgoing'
import { parsePolicy } from '@flotilla/core/policy-file'
import { defaultPolicyFile } from '@flotilla/core/policy-default'
import type { Policy } from '@flotilla/core/policy'
import type { PublishOutcome, PublishRequest } from '@flotilla/node/endpoint-port'
import { slotOf } from '@flotilla/core/slot'
import { expect, test } from 'vitest'
import { Client, until, useReadyEdge } from '../test/fleet.ts'
import { maxWaiting, tellOfConnections } from './connection-events.ts'
import type { Edge } from './edge.ts'

const here = useReadyEdge()
const both = ['connection.opened', 'connection.closed'] as const

function policyOf(events?: readonly (typeof both)[number][]): Policy {
  const asked = events === undefined ? {} : { outgoing: { events: [...events] } }
  const parsed = parsePolicy({ ...defaultPolicyFile, ...asked })
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

async function startAsking(first = policyOf(both)) {
  const { source, change } = changing(first)
  const edge = await here.fleet.edge({}, source)
  await until('a plan is there', () => edge.ready)
  return { edge, change }
}

interface Told {
  readonly event: string
  readonly data: { readonly connectionId: string; readonly userId: string; readonly edge: string }
}
/** What was told of a user, oldest first. */
async function toldOf(user: string): Promise<readonly string[]> {
  const { rooms, shape } = here.fleet.store
  const log = eventLogs(shape.slots)[slotOf(`user:${user}`, shape.slots)] ?? ''
  const events = (await rooms.range(log, 0, 1_000)).flatMap(({ messages }) =>
    messages.map(({ tail }) => JSON.parse(`{${tail}}`) as Told),
  )
  return events.flatMap(({ event, data }) => (data.userId === user ? [`${event} ${data.edge}`] : []))
}
const isDeclared = async (boot: string): Promise<boolean> => {
  const { rooms, shape } = here.fleet.store
  const room = edgeRoom(boot)
  return (await rooms.interest(slotOf(room, shape.slots))).some((row) => row.room === room && row.boot === boot)
}
const tells = (user: string, list: readonly string[]): Promise<void> =>
  until(`${user} is told of as ${list.join()}`, async () => (await toldOf(user)).join() === list.join())

const opened = (boot: string): string => `connection.opened ${boot}`
const closed = (boot: string): string => `connection.closed ${boot}`
const open = ({ port }: Edge, user: string): Promise<Client> => Client.open(port, user)

test('[OE8] a connection is told when it is authenticated and when it ends, in this order', async () => {
  const { edge } = await startAsking()
  const client = await open(edge, 'ann')
  await tells('ann', [opened(edge.boot)])
  await client.end()
  await tells('ann', [opened(edge.boot), closed(edge.boot)])
  const stranger = new Client(edge.port, { headers: { authorization: 'Bearer nobody' } })
  await stranger.closedWith()
  expect(await isDeclared(edge.boot)).toBe(true)
  expect(await toldOf('ann')).toHaveLength(2)
})

test('[OE8] nothing is told that the policy does not ask for', async () => {
  const { edge } = await startAsking(policyOf(['connection.closed']))
  await (await open(edge, 'ben')).end()
  await tells('ben', [closed(edge.boot)])
  const client = await Client.open(here.edge.port, 'cleo')
  await client.end()
  expect(await isDeclared(here.edge.boot)).toBe(false)
  expect(await toldOf('cleo')).toEqual([])
})

test('[OE8] a policy that begins to ask is told of all that are open', async () => {
  const { edge, change } = await startAsking(policyOf())
  const client = await open(edge, 'dora')
  expect(await isDeclared(edge.boot)).toBe(false)
  change(policyOf(both))
  await tells('dora', [opened(edge.boot)])
  await until('the edge has declared itself', () => isDeclared(edge.boot))
  change(policyOf())
  await until('it has withdrawn that', async () => !(await isDeclared(edge.boot)))
  await client.end()
  expect(await toldOf('dora')).toEqual([opened(edge.boot)])
})

/** Told by an endpoint whose outcomes are the test's. */
function tellBy(outcomeOf: (request: PublishRequest, count: number) => PublishOutcome | undefined) {
  const published: string[] = []
  let untold = 0
  const events = tellOfConnections({
    shape: { slots: 4, lanes: 2 },
    scope: { signal: new AbortController().signal },
    policy: { current: policyOf(both), onChange: () => undefined },
    metrics: { untold: { inc: () => (untold += 1) } },
    connections: () => [],
    endpoint: () => ({
      boot: 'edge-9#a',
      interest: () => undefined,
      publish: (request, settled) => {
        published.push(request.key)
        const outcome = outcomeOf(request, published.length)
        if (outcome !== undefined) queueMicrotask(() => settled(outcome))
      },
    }),
  })
  events.begin()
  const connection = (id: string) => ({
    id,
    identity: { userId: 'gil', tenantId: 'acme', expiresAtMs: 0, issuedAtMs: undefined, tokenId: undefined },
  })
  return { events, published, connection, untold: () => untold }
}

test('[OE8] what was refused is told again under its key, and what comes after it waits', async () => {
  const committed = { type: 'committed', epoch: '1.1', seq: 1 } as const
  const refused = { type: 'refused', code: 'OVERLOADED', retryAfterMs: 1 } as const
  const { events, published, connection, untold } = tellBy((_, count) => (count < 3 ? refused : committed))
  events.opened(connection('c1'))
  events.closed(connection('c1'))
  await until('both are committed', () => published.length === 4)
  const [open, close] = ['c1:connection.opened:edge-9#a', 'c1:connection.closed:edge-9#a']
  expect(published).toEqual([open, open, open, close])
  expect(untold()).toBe(0)
})

test('[OE8] more than 50,000 do not wait: those above are counted', () => {
  const { events, connection, untold } = tellBy(() => undefined)
  for (let i = 0; i < maxWaiting + 3; i += 1) events.opened(connection(`c${i}`))
  expect(untold()).toBe(3)
})

test('[OE9] an edge that takes another boot tells of its connections anew', async () => {
  const { edge } = await startAsking()
  const client = await open(edge, 'eve')
  const before = edge.boot
  await tells('eve', [opened(before)])
  await here.fleet.store.fleet.remove(before)
  await until('it has another boot', () => edge.boot !== before)
  await tells('eve', [opened(before), opened(edge.boot)])
  await until('the other one is declared', () => isDeclared(edge.boot))
  await client.end()
  await tells('eve', [opened(before), opened(edge.boot), closed(edge.boot)])
})

test('[OE9] an edge that drains tells of everybody before it signs off, and is not lost', async () => {
  const { edge } = await startAsking()
  const { boot } = edge
  await open(edge, 'fay')
  await tells('fay', [opened(boot)])
  await edge.drain()
  expect(await toldOf('fay')).toEqual([opened(boot), closed(boot)])
  expect(await isDeclared(boot)).toBe(false)
})

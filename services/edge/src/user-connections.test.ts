import { closeCodes } from '@flotilla/core/codes'
import type { ConnectionMessage } from '@flotilla/core/connection-entry'
import { slotOf } from '@flotilla/core/slot'
import { createMetrics } from '@flotilla/node/metrics'
import { describe, expect, test } from 'vitest'
import type { Connection } from './connection.ts'
import type { Edge, EdgeOptions } from './edge.ts'
import { edgeMetrics } from './metrics.ts'
import { createUserConnections } from './user-connections.ts'
import { Client, token, until, useReadyEdge } from '../test/fleet.ts'

const here = useReadyEdge()
const limits = (connectionsPerUser: number): EdgeOptions['limits'] => ({
  ...{ maxSubscriptions: 1_000, maxPublishesInFlight: 256, framesPerSecond: 500 },
  connectionsPerUser,
})
const graceMs = 500
const edgesWith = async (perUser: number): Promise<[Edge, Edge]> => [
  await here.fleet.edge({ limits: limits(perUser) }),
  await here.fleet.edge({ limits: limits(perUser) }),
]
const idOf = (client: Client): string => client.of('connected')[0]?.connectionId ?? ''

/** Comes with the ticket of another connection, and resolves once it is in or closed. */
async function come(edge: Edge, sub: string, ticket?: string): Promise<Client> {
  const offered = ticket === undefined ? [] : ['flotilla.v1', 'flotilla.resume', `flotilla.ticket.${ticket}`]
  const client = new Client(edge.port, { headers: { authorization: `Bearer ${token(sub)}` }, protocols: offered })
  await until('in, or closed', () => client.closed !== undefined || client.of('connected').length === 1)
  return client
}
const refusal = async (client: Client): Promise<unknown[]> => {
  const { code } = client.of('error')[0] ?? {}
  return [code, await client.closedWith()]
}
const tooMany = ['TOO_MANY_CONNECTIONS', closeCodes.tooManyConnections.code]

describe('connections per user, over all edges', () => {
  test('[UC12] one more than the limit is refused wherever it comes, and taken once another has ended', async () => {
    const [one, two] = await edgesWith(2)
    const [first, second] = [await come(one, 'ann'), await come(two, 'ann')]
    for (const edge of [one, two]) expect(await refusal(await come(edge, 'ann'))).toEqual(tooMany)
    const other = await come(two, 'ben')
    await first.end()
    let third = await come(two, 'ann')
    // Who ended is not counted any more when its worker has heard so.
    for (let i = 0; third.closed !== undefined && i < 100; i += 1) third = await come(two, 'ann')
    expect(third.closed).toBeUndefined()
    await Promise.all([second, third, other].map((client) => client.end()))
  })

  test('[UC13] of many that come at once to all edges exactly as many as the limit stay', async () => {
    const edges = await edgesWith(5)
    const came = await Promise.all(Array.from({ length: 60 }, (_, i) => come(edges[i % 2] ?? edges[0], 'cyd')))
    const refused = came.filter(({ frames }) => !frames.some(({ type }) => type === 'connected'))
    expect(refused).toHaveLength(55)
    for (const client of refused) expect(await refusal(client)).toEqual(tooMany)
    await Promise.all(came.filter(({ closed }) => closed === undefined).map((client) => client.end()))
  })

  test('[UC14] a ticket takes the place of the connection that it names, which serves on until it is left or its grace is over', async () => {
    const [one, two] = await edgesWith(1)
    const old = await come(one, 'dan')
    const [next, came] = [await come(two, 'dan', idOf(old)), performance.now()]
    expect(next.closed).toBeUndefined()
    expect(old.closed).toBeUndefined()
    await old.ok({ type: 'publish', room: 'public:all', event: 'e', data: 1 })
    expect(await old.closedWith()).toBe(1012)
    expect(performance.now() - came).toBeGreaterThan(graceMs / 2)
    // Its own end gives no other place. A client that never heard of the new one names the old one again.
    expect(await refusal(await come(one, 'dan'))).toEqual(tooMany)
    const again = await come(one, 'dan', idOf(old))
    expect(again.closed).toBeUndefined()
    expect(await next.closedWith()).toBe(1012)
    await again.end()
  })

  test('[UC9] an edge that was declared dead and lives keeps its connections, and they count', async () => {
    const [one, two] = await edgesWith(1)
    const gus = await come(one, 'gus')
    const { boot } = one
    await here.fleet.store.fleet.remove(boot)
    await here.fleet.store.outboxes.remove(boot)
    await until('it has a new boot', () => one.boot !== boot)
    let late = await come(two, 'gus')
    // Until it has told of them, and its worker has taken that, there may be a place.
    for (let i = 0; late.closed === undefined && i < 100; i += 1) {
      await late.end()
      late = await come(two, 'gus')
    }
    expect(await refusal(late)).toEqual(tooMany)
    expect(gus.closed).toBeUndefined()
    await gus.end()
    let next = await come(two, 'gus')
    for (let i = 0; next.closed !== undefined && i < 100; i += 1) next = await come(two, 'gus')
    expect(next.closed).toBeUndefined()
    await next.end()
  })

  test('[UC14] the connection of somebody else, or a name that is none, is no ticket', async () => {
    const [one, two] = await edgesWith(1)
    const [eve, fay] = [await come(one, 'eve'), await come(one, 'fay')]
    for (const ticket of [idOf(fay), 'edge-1.none.1', 'x'.repeat(200)])
      expect(await refusal(await come(two, 'eve', ticket))).toEqual(tooMany)
    expect([eve.closed, fay.closed]).toEqual([undefined, undefined])
    await Promise.all([eve.end(), fay.end()])
  })
})

describe('what an edge knows of its connections', () => {
  const shape = { slots: 8, lanes: 2 }
  const room = 'user:ann'
  const metrics = edgeMetrics(createMetrics({ service: 'test' }), { connections: () => 0, rooms: () => 0 })

  /** Connections whose worker the test plays. */
  function rig({ accepts = true } = {}) {
    const told: ConnectionMessage[] = []
    const heard: string[] = []
    const counted = createUserConnections({
      ...{ shape, limit: 1, graceMs: 1_000, metrics },
      endpoint: () => ({
        connection: (message) => {
          told.push(message)
          return accepts
        },
      }),
    })
    const connection = (id: string): Connection => {
      const steps = {
        id,
        step: (input: { outcome: string }) => heard.push(`${id} ${input.outcome}`),
        close: (name: string) => heard.push(`${id} closed ${name}`),
      }
      // Nothing else is asked of it.
      return steps as unknown as Connection
    }
    const open = (id: string, replaces = ''): Connection => {
      const one = connection(id)
      counted.open(one, { type: 'register', room, replaces })
      return one
    }
    const answer = (id: string, outcome: 'taken' | 'refused' | 'replaced'): void =>
      counted.onRecords([{ type: 'connection', room, connection: id, outcome }])
    const changes = (): string[] => told.splice(0).map((each) => `${each.connection} ${each.change}`)
    return { counted, told, heard, open, answer, changes }
  }

  test('[UC9] after a loss of continuity, lost answers and under a new boot it tells of all, as kept where they were taken', () => {
    const { counted, open, answer, changes, heard } = rig()
    open('c1')
    open('c2')
    answer('c1', 'taken')
    expect(changes()).toEqual(['c1 open', 'c2 open'])
    const slot = slotOf(room, shape.slots)
    counted.onRecords([{ type: 'reset', slot: (slot + 1) % shape.slots, inc: 5 }])
    counted.onResync((slot + 1) % shape.lanes)
    expect(changes()).toEqual([])
    counted.onRecords([{ type: 'reset', slot, inc: 5 }])
    expect(changes()).toEqual(['c1 kept', 'c2 open'])
    counted.onResync(slot % shape.lanes)
    expect(changes()).toEqual(['c1 kept', 'c2 open'])
    for (const id of ['c1', 'c2', 'c2']) answer(id, 'taken')
    expect(heard).toEqual(['c1 taken', 'c2 taken'])
  })

  test('[UC9] what was told again and is counted after it ended, was refused or replaced is sent off', () => {
    const { counted, open, answer, changes } = rig()
    const [c1] = [open('c1'), open('c2'), open('c3')]
    answer('c1', 'taken')
    answer('c2', 'taken')
    answer('c2', 'replaced')
    answer('c3', 'refused')
    counted.closed(c1)
    changes()
    for (const id of ['c1', 'c2', 'c3']) answer(id, 'taken')
    expect(changes()).toEqual(['c1 closed', 'c2 closed', 'c3 closed'])
  })

  test('[UC9] asked again, a connection does not take a place by its ticket again; one that is open stays whatever it is told', () => {
    const { counted, open, answer, told, heard, changes } = rig()
    open('c2', 'c1')
    expect(told).toMatchObject([{ change: 'open', replaces: 'c1' }])
    counted.onResync(slotOf(room, shape.slots) % shape.lanes)
    expect(told.slice(1)).toMatchObject([{ change: 'open', replaces: '' }])
    answer('c2', 'taken')
    changes()
    answer('c2', 'refused')
    expect(changes()).toEqual(['c2 kept'])
    answer('c2', 'taken')
    expect([changes(), heard]).toEqual([[], ['c2 taken']])
  })

  test('[UC9] who ends is told of once, also before an answer; one that was refused or replaced is not', () => {
    const { counted, open, answer, changes, heard } = rig()
    const [asked, refused, replaced] = [open('c1'), open('c2'), open('c3')]
    answer('c2', 'refused')
    answer('c3', 'taken')
    answer('c3', 'replaced')
    changes()
    for (const each of [asked, refused, replaced, asked]) counted.closed(each)
    expect(changes()).toEqual(['c1 closed'])
    expect(heard).toEqual(['c2 refused', 'c3 taken'])
  })

  test('[UC14] whose place was taken is closed when its grace is over', () => {
    const { counted, open, answer, heard } = rig()
    const [left, stays] = [open('c1'), open('c2')]
    for (const id of ['c1', 'c2']) for (const outcome of ['taken', 'replaced'] as const) answer(id, outcome)
    counted.closed(left)
    counted.check(performance.now() + 900)
    expect(heard).toHaveLength(2)
    counted.check(performance.now() + 1_001)
    expect(heard.slice(2)).toEqual(['c2 closed goingAway'])
    expect(stays.id).toBe('c2')
  })

  test('[UC11] where nothing can be told now, who comes is told so', async () => {
    const { open, heard, counted, changes } = rig({ accepts: false })
    const one = open('c1')
    expect(heard).toEqual([])
    await Promise.resolve()
    expect(heard).toEqual(['c1 unknown'])
    changes()
    counted.closed(one)
    expect(changes()).toEqual([])
  })
})

import { once } from 'node:events'
import { connect } from 'node:net'
import { closeCodes } from '@flotilla/core/codes'
import { createMetrics } from '@flotilla/node/metrics'
import { describe, expect, test } from 'vitest'
import type { Connection } from './connection.ts'
import type { Edge, EdgeOptions } from './edge.ts'
import { edgeMetrics } from './metrics.ts'
import { countConnections } from './user-connections.ts'
import { Client, token, until, useReadyEdge } from '../test/fleet.ts'

const here = useReadyEdge()
const limits = (connectionsPerUser: number, connectionsPerTenant = 0): EdgeOptions['limits'] => ({
  ...{ maxSubscriptions: 1_000, maxPublishesInFlight: 256, framesPerSecond: 500 },
  ...{ connectionsPerUser, connectionsPerTenant, idleMs: 0 },
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

  test('[UC13] of many that come at once to all edges exactly as many as the limit stay (CN8)', async () => {
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
    await old.ok({ type: 'publish', room: 'public:lobby', event: 'e', data: 1 })
    expect(await old.closedWith()).toBe(1012)
    expect(performance.now() - came).toBeGreaterThan(graceMs / 2)
    // Its own end gives no other place. A client that never heard of the new one names the old one again.
    expect(await refusal(await come(one, 'dan'))).toEqual(tooMany)
    const again = await come(one, 'dan', idOf(old))
    expect(again.closed).toBeUndefined()
    expect(await next.closedWith()).toBe(1012)
    await again.end()
  })

  // A close frame of a client: final, 8; masked with zeros; 1000.
  test.each([
    ['its socket', Buffer.alloc(0)],
    ['its connection', Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8])],
  ])(
    '[UC14] a client that has closed %s by the time it is looked at takes no place with its ticket',
    async (_, last) => {
      const [one, two] = await edgesWith(1)
      const old = await come(one, 'hal')
      const gone = connect(two.port, '127.0.0.1')
      await once(gone, 'connect')
      const asks = [
        'GET /ws HTTP/1.1',
        'Host: 127.0.0.1',
        'Connection: Upgrade',
        'Upgrade: websocket',
        'Sec-WebSocket-Version: 13',
        'Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==',
        `Sec-WebSocket-Protocol: flotilla.v1, flotilla.resume, flotilla.ticket.${idOf(old)}`,
        `Authorization: Bearer ${token('hal')}`,
      ]
      gone.write(Buffer.concat([Buffer.from(`${asks.join('\r\n')}\r\n\r\n`), last]))
      if (last.length === 0) gone.end()
      // Both have come before this process looks, as after it stood still.
      const until = performance.now() + 50
      while (performance.now() < until);
      await once(gone.resume(), 'close')
      for (let i = 0; i < 20; i += 1) expect(await refusal(await come(two, 'hal'))).toEqual(tooMany)
      expect(old.closed).toBeUndefined()
      await old.end()
    },
  )

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

describe('connections per tenant, over all edges', () => {
  const edges = async (perUser: number, perTenant: number): Promise<Edge[]> => [
    await here.fleet.edge({ limits: limits(perUser, perTenant) }),
    await here.fleet.edge({ limits: limits(perUser, perTenant) }),
  ]
  async function comeFrom(edge: Edge | undefined, sub: string, tenant: string): Promise<Client> {
    const headers = { authorization: `Bearer ${token(sub, 600, tenant)}` }
    const client = new Client(edge?.port ?? 0, { headers })
    await until('in, or closed', () => client.closed !== undefined || client.of('connected').length === 1)
    return client
  }

  test('[UC17] of many users of a tenant that come at once exactly as many connections as the limit stay; other tenants have their own (CN8)', async () => {
    const both = await edges(0, 5)
    const came = await Promise.all(Array.from({ length: 40 }, (_, i) => comeFrom(both[i % 2], `u${i}`, 't1')))
    const isIn = (client: Client): boolean => client.of('connected').length === 1
    expect(came.filter(isIn)).toHaveLength(5)
    for (const client of came) if (!isIn(client)) expect(await refusal(client)).toEqual(tooMany)
    const other = await comeFrom(both[0], 'u1', 't2')
    expect(isIn(other)).toBe(true)
    await Promise.all([...came.filter(isIn), other].map((client) => client.end()))
  })

  test('[UC17] who has no place in the tenant takes none of the user’s either', async () => {
    const both = await edges(1, 1)
    const first = await comeFrom(both[0], 'una', 't3')
    expect(await refusal(await comeFrom(both[1], 'vic', 't3'))).toEqual(tooMany)
    await first.end()
    let next = await comeFrom(both[1], 'vic', 't3')
    // Who ended is not counted any more when its workers have heard so.
    for (let i = 0; next.closed !== undefined && i < 100; i += 1) next = await comeFrom(both[1], 'vic', 't3')
    expect(next.closed).toBeUndefined()
    await next.end()
  })
})

describe('how it is told', () => {
  const metrics = edgeMetrics(createMetrics({ service: 'test' }), {
    ...{ connections: () => 0, rooms: () => 0, limit: 1, subscriptions: () => 0, drains: () => false },
  })

  test('[UC11] where nothing can be told now, who comes is told so, in a turn of its own', async () => {
    const heard: unknown[] = []
    const told: string[] = []
    const counted = countConnections({
      ...{ scope: 'user', shape: { slots: 8, lanes: 2 }, limit: 1, graceMs: 1_000, metrics },
      endpoint: () => ({
        tell: (message) => {
          told.push('change' in message ? message.change : message.type)
          return false
        },
      }),
    })
    const steps = { id: 'c1', step: (input: { outcome: string }) => heard.push(input.outcome) }
    // Nothing else is asked of it.
    const connection = steps as unknown as Connection
    counted.open(connection, { type: 'register', scope: 'user', room: 'user:ann', replaces: '' })
    expect(heard).toEqual([])
    await Promise.resolve()
    expect(heard).toEqual(['unknown'])
    counted.closed(connection)
    expect(told).toEqual(['open'])
  })
})

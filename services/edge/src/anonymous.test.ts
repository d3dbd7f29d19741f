import { createHmac } from 'node:crypto'
import { published } from '@flotilla/node/endpoint'
import { DEVELOPMENT_SECRET } from '@flotilla/node/jwt'
import { expect, test } from 'vitest'
import { Client, token, until, useReadyEdge } from '../test/fleet.ts'
import type { EdgeOptions } from './edge.ts'

const here = useReadyEdge()
const anonymously = { protocols: ['flotilla.v1', 'flotilla.anonymous'] }

async function edgeWith(options: Partial<EdgeOptions>): Promise<number> {
  const edge = await here.fleet.edge(options)
  await until('a plan is there', () => edge.ready)
  return edge.port
}
/** What became of a connection: its user id, or the code that it was closed with. */
async function fateOf(client: Client): Promise<string | number | undefined> {
  await until('it is connected, or closed', () => client.of('connected').length > 0 || client.closed !== undefined)
  const fate = client.of('connected')[0]?.userId ?? client.closed?.code
  await client.end()
  return fate
}
function withoutTenant(sub: string): string {
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const input = `${encode({ alg: 'HS256' })}.${encode({ sub, exp: Math.floor(Date.now() / 1_000) + 60 })}`
  return `${input}.${createHmac('sha256', DEVELOPMENT_SECRET).update(input).digest('base64url')}`
}
const protocolOf = (text: string): string => `flotilla.token.${Buffer.from(text).toString('base64url')}`

test('[EG52] a token is looked for in the places that are set, in their order (CN4)', async () => {
  const port = await edgeWith({ tokenFrom: ['query', 'protocol', 'frame'] })
  const query = `?token=${token('query')}`
  const [protocols, headers] = [['flotilla.v1', protocolOf(token('protocol'))], { authorization: 'Bearer x' }]
  expect(await fateOf(new Client(port, { query, protocols, headers }))).toBe('query')
  expect(await fateOf(new Client(port, { protocols, headers }))).toBe('protocol')
  // What is in a place that is left out is as nothing: the frame may bring it.
  const client = new Client(port, { headers })
  await until('the socket is open', () => client.socket.readyState === 1)
  client.send({ type: 'auth', token: token('frame') })
  expect(await fateOf(client)).toBe('frame')
  // By default the subprotocol comes before the header, and that before the query.
  const both = { authorization: `Bearer ${token('header')}` }
  expect(await fateOf(new Client(here.edge.port, { query, protocols, headers: both }))).toBe('protocol')
  expect(await fateOf(new Client(here.edge.port, { query, headers: both }))).toBe('header')
})

test('[EG52] without the frame among them a handshake without a token is closed at once; a newer token comes in a frame all the same', async () => {
  const port = await edgeWith({ tokenFrom: ['header'] })
  const startedAt = performance.now()
  for (const query of ['', `?token=${token('alice')}`]) {
    const client = new Client(port, { query })
    expect(await client.closedWith()).toBe(4401)
    expect(client.frames).toMatchObject([{ type: 'error', code: 'UNAUTHORIZED' }])
  }
  // Before the 5 s that an auth frame has.
  expect(performance.now() - startedAt).toBeLessThan(4_000)
  const client = await Client.open(port)
  expect(await client.ask({ type: 'auth', token: token('alice', 60) })).toMatchObject({ type: 'ok' })
  await client.end()
  const authorization = `Bearer ${token('alice')}`
  expect((await fetch(`http://127.0.0.1:${port}/fleet`, { headers: { authorization } })).status).toBe(200)
  expect((await fetch(`http://127.0.0.1:${port}/fleet?token=${token('alice')}`)).status).toBe(401)
})

test('[EG53] who asks to be anonymous is taken in where the edge says so, each as a user of its own (CN4)', async () => {
  const port = await edgeWith({ anonymous: true })
  const clients = [new Client(port, anonymously), new Client(port), new Client(port, anonymously)]
  const [first, second] = clients
  if (first === undefined || second === undefined) throw new Error('no clients')
  await until('the socket is open', () => second.socket.readyState === 1)
  expect(await second.ask({ type: 'auth' })).toMatchObject({ type: 'ok' })
  for (const client of clients) {
    await until('it is live in its room', () => client.of('position').length === 1)
    expect(client.of('connected')).toMatchObject([{ rooms: ['public:all'] }])
    expect(client.of('connected')[0]).not.toHaveProperty('tenantId')
    expect(await client.ask({ type: 'subscribe', room: 'deal:acme:7' })).toMatchObject({ code: 'FORBIDDEN' })
    const hello = { type: 'publish', room: 'public:news', event: 'e', data: 1 }
    expect(await client.ask(hello)).toMatchObject({ code: 'FORBIDDEN' })
    expect(await client.ask({ type: 'auth', token: token('alice') })).toMatchObject({ code: 'UNAUTHORIZED' })
  }
  const users = clients.map((client) => client.of('connected')[0]?.userId ?? '')
  expect(new Set(users).size).toBe(3)
  for (const user of users) expect(user).toMatch(/^anonymous-[0-9a-f-]{36}$/)
  expect(first.socket.protocol).toBe('flotilla.v1')
  await first.subscribe('public:news')
  await published(here.fleet.publisher, {
    ...{ room: 'public:news', key: 'k1', sender: 'key:test', options: '' },
    tail: '"event":"e","data":1,"meta":{"userId":"key:test","timestamp":"2026-01-01T00:00:00.000Z"}',
  })
  await until('it hears what is public', () => first.events('public:news').length === 1)
  // Whoever has no tenant either is not told of them.
  const authorization = `Bearer ${withoutTenant('alice')}`
  expect(await (await fetch(`http://127.0.0.1:${port}/fleet`, { headers: { authorization } })).json()).toMatchObject({
    users: [],
  })
  await Promise.all(clients.map((client) => client.end()))
})

test('[EG53] whoever shows a token is taken for nobody else, also when it is not good; elsewhere nobody is anonymous', async () => {
  const port = await edgeWith({ anonymous: true, tokenFrom: ['protocol'] })
  const shows = (text: string): Client => new Client(port, { protocols: [...anonymously.protocols, protocolOf(text)] })
  expect(await fateOf(shows(token('alice')))).toBe('alice')
  expect(await fateOf(shows(token('alice', -60)))).toBe(4401)
  expect(await fateOf(new Client(port, anonymously))).toMatch(/^anonymous-/)
  expect(await fateOf(new Client(port))).toBe(4401)
  expect(await fateOf(new Client(here.edge.port, anonymously))).toBe(4401)
  const client = new Client(here.edge.port)
  await until('the socket is open', () => client.socket.readyState === 1)
  client.send({ type: 'auth', id: 1 })
  expect(await client.closedWith()).toBe(4401)
  expect(client.frames).toMatchObject([{ type: 'error', id: 1, code: 'UNAUTHORIZED' }])
})

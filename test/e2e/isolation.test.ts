import { once } from 'node:events'
import fc from 'fast-check'
import { WebSocket } from 'ws'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { spawnNode } from '../fleet/process.ts'
import { until } from '../fleet/until.ts'
import { freePort } from '@flotilla/node/testing/free-port'
import { forge, hmac, nowSeconds, secret } from '../hostile/keys.ts'
import { frameOf, mayUse, neverUsed, operations, people } from '../hostile/operations.ts'
import type { Operation, RoomOperation } from '../hostile/operations.ts'

const tokenOf = (who: number): string => {
  const { userId, tenantId, permissions } = people[who] ?? {}
  return forge({ alg: 'HS256' }, { sub: userId, tenantId, permissions, exp: nowSeconds() + 3_600 }, hmac(secret))
}
let port = 0
let fleet: ReturnType<typeof spawnNode>

interface Frame {
  readonly type: string
  readonly id?: string
  readonly room?: string
  readonly position?: object
  readonly meta?: { readonly userId: string }
  readonly data?: { readonly room?: string }
}

/** A client that keeps all events that it hears, and its answers as they were written. */
class Client {
  readonly who: number
  readonly events: Frame[] = []
  #waiting: { id: string; resolve(text: string): void; reject(error: Error): void } | undefined
  readonly #socket: WebSocket

  constructor(who: number) {
    this.who = who
    const headers = { authorization: `Bearer ${tokenOf(who)}` }
    this.#socket = new WebSocket(`ws://127.0.0.1:${port}/ws`, { headers, perMessageDeflate: false })
    this.#socket.on('message', (data: Buffer) => {
      const text = data.toString()
      const frame = JSON.parse(text) as Frame
      if (frame.type === 'event') this.events.push(frame)
      else if (frame.id !== undefined && frame.id === this.#waiting?.id) this.#waiting.resolve(text)
    })
    this.#socket.on('close', (code) => this.#waiting?.reject(new Error(`closed with ${code}`)))
    this.#socket.on('error', () => undefined)
  }
  static async open(who: number): Promise<Client> {
    const client = new Client(who)
    await once(client.#socket, 'open')
    return client
  }
  /** The frame has this id. */
  ask(id: string, frame: object): Promise<string> {
    this.#socket.send(JSON.stringify({ ...frame, id }))
    return new Promise((resolve, reject) => {
      this.#waiting = { id, resolve, reject }
    })
  }
  end(): void {
    this.#socket.terminate()
  }
}

beforeAll(async () => {
  port = await freePort()
  const env = {
    ...{ FLOTILLA_JWT_SECRET: secret, FLOTILLA_EDGE_PORT: String(port), FLOTILLA_EDGE_ACCEPTS_PER_SECOND: '100000' },
    ...{ FLOTILLA_INGEST_PORT: String(await freePort()), FLOTILLA_CONTROL_PORT: String(await freePort()) },
    FLOTILLA_EDGE_FRAMES_PER_SECOND: '100000',
  }
  fleet = spawnNode(['scripts/run.mjs'], env)
  await until('the fleet serves', async () => {
    const client = await Client.open(0).catch(() => undefined)
    const answer = await client
      ?.ask('x', { type: 'publish', room: 'public:ready', event: 'e', data: 1 })
      .catch(() => '')
    client?.end()
    return answer?.includes('"ok"')
  })
})
afterAll(() => void fleet.kill('SIGKILL'))

const counts = { operations: 0, heard: 0, refused: 0, twins: 0 }

/** One run: the operations go to an edge, one after the other, as fast as they are answered. */
async function run(list: readonly Operation[]): Promise<string | undefined> {
  const clients = await Promise.all(people.map((_, who) => Client.open(who)))
  const positions = new Map<string, object>()
  const left: Client[] = []
  try {
    for (const [i, operation] of list.entries()) {
      counts.operations += 1
      const fault = await take(operation, { i, clients, positions, left })
      if (fault !== undefined) return fault
    }
    // What is under way to anybody arrives before what everybody is sent now.
    for (const client of clients)
      await client.ask('end', { type: 'publish', room: 'public:all', event: 'end', data: {} })
    await until('the end is heard', () => clients.every(({ events }) => endsIn(events) === people.length))
    return [...left, ...clients].map(heardFault).find((fault) => fault !== undefined)
  } finally {
    for (const client of clients) client.end()
  }
}
const endsIn = (events: readonly Frame[]): number =>
  events.filter(({ room, data }) => room === 'public:all' && data?.room === undefined).length

interface Scene {
  readonly i: number
  readonly clients: Client[]
  readonly positions: Map<string, object>
  /** Connections that were given up, and what they had heard. */
  readonly left: Client[]
}

async function take(operation: Operation, { i, clients, positions, left }: Scene): Promise<string | undefined> {
  const client = clients[operation.who]
  if (client === undefined) return 'nobody'
  if (operation.type === 'reconnect') {
    client.end()
    left.push(client)
    clients[operation.who] = await Client.open(operation.who)
    return undefined
  }
  if (operation.type === 'refresh') {
    const token = operation.as === null ? 'nobody' : tokenOf(operation.as)
    const answer = await client.ask(`o${i}`, { type: 'auth', token })
    const isOk = answer.includes('"type":"ok"')
    return isOk === (operation.as === operation.who)
      ? undefined
      : `a token of ${operation.as} for ${operation.who}: ${answer}`
  }
  return takeInRoom(operation, client, { i, positions })
}

async function takeInRoom(
  operation: RoomOperation & { readonly who: number },
  client: Client,
  { i, positions }: Pick<Scene, 'i' | 'positions'>,
): Promise<string | undefined> {
  const { room } = operation
  const id = `o${i}`
  const answer = await client.ask(id, frameOf(operation, { id, room, position: positions.get(room) }))
  const person = people[operation.who]
  if (person === undefined) return 'nobody'
  if (mayUse(person, room)) {
    const { position } = JSON.parse(answer) as Frame
    if (position !== undefined) positions.set(room, position)
    return undefined
  }
  const isRefused = answer.includes('"type":"error"') || answer.includes('"error":{')
  if (!isRefused) return `${person.userId} was not refused ${operation.type} of ${room}: ${answer}`
  counts.refused += 1
  const other = neverUsed(room)
  if (mayUse(person, other) || !people.some((each) => mayUse(each, room))) return undefined
  if (positions.has(room)) counts.twins += 1
  const twin = await client.ask(id, frameOf(operation, { id, room: other, position: positions.get(room) }))
  const same = (text: string, name: string): string => text.replaceAll(JSON.stringify(name), '"room"')
  return same(twin, other) === same(answer, room)
    ? undefined
    : `${room} is refused otherwise than ${other}: ${answer}, ${twin}`
}

function heardFault({ who, events }: Client): string | undefined {
  const person = people[who]
  if (person === undefined) return 'nobody'
  counts.heard += events.length
  for (const { room = '', meta, data } of events) {
    if (!mayUse(person, room)) return `${person.userId} hears ${room}`
    const publisher = people.find(({ userId }) => userId === meta?.userId)
    if (publisher === undefined || !mayUse(publisher, room)) return `${meta?.userId} was heard in ${room}`
    if (data?.room !== undefined && data.room !== room) return `an event for ${data.room} was heard in ${room}`
  }
  return undefined
}

test('[FZ13] through an edge, over 10,000 random operations of clients of several tenants, nobody hears or learns of a room of another', async () => {
  await fc.assert(
    fc.asyncProperty(operations, async (list) => {
      expect(await run(list)).toBeUndefined()
    }),
    { numRuns: 140 },
  )
  expect(counts.operations).toBeGreaterThan(10_000)
  expect(counts.heard).toBeGreaterThan(3_000)
  expect(counts.refused).toBeGreaterThan(2_000)
  expect(counts.twins).toBeGreaterThan(500)
})

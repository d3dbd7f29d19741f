import { published } from '@flotilla/node/endpoint'
import { describe, expect, test } from 'vitest'
import { Client, startAlone, useReadyEdge, token, until } from '../test/fleet.ts'
import { handshake } from '../test/handshake.ts'

const here = useReadyEdge()
const slowly = { timeoutMs: 60_000, settleMs: 0, perSecond: 1 }
let rooms = 0

const freshRoom = (): string => `public:r${(rooms += 1)}`
/** An event of a service, as ingest publishes it. */
const post = (room: string, data: unknown, options: object = {}) =>
  published(here.fleet.publisher, {
    ...{
      room,
      key: `k${Math.random()}`,
      sender: 'key:test',
      options: Object.keys(options).length === 0 ? '' : JSON.stringify(options),
    },
    tail: `"event":"e","data":${JSON.stringify(data)},"meta":{"userId":"key:test","timestamp":"2026-01-01T00:00:00.000Z"}`,
  })
const seqs = (client: Client, room: string): unknown[] => client.events(room).map((event) => event.seq)

describe('connecting', () => {
  test('[EG20] the token may come in the query, the header, a subprotocol or the first frame; it is never sent back (CN4)', async () => {
    const encoded = Buffer.from(token('alice')).toString('base64url')
    const clients = [
      new Client(here.edge.port, { query: `?token=${token('alice')}` }),
      new Client(here.edge.port, { headers: { authorization: `Bearer ${token('alice')}` } }),
      new Client(here.edge.port, { protocols: ['flotilla.v1', `flotilla.token.${encoded}`] }),
      new Client(here.edge.port),
    ]
    const last = clients.at(-1)
    await until('the socket is open', () => last?.socket.readyState === 1)
    last?.send({ type: 'auth', id: 1, token: token('alice') })
    for (const client of clients) {
      await until('connected', () => client.of('connected').length === 1)
      expect(client.of('connected')[0]).toMatchObject({
        userId: 'alice',
        tenantId: 'acme',
        rooms: ['user:alice', 'tenant:acme', 'public:all'],
      })
    }
    expect(clients.map((client) => client.socket.protocol)).toEqual(['', '', 'flotilla.v1', ''])
    await Promise.all(clients.map((client) => client.end()))
  })

  test('[EG21] a token that is not good closes with 4401 (CN5)', async () => {
    for (const bad of ['x', '', token('alice', -60)]) {
      const client = new Client(here.edge.port, { query: `?token=${bad}` })
      expect(await client.closedWith()).toBe(4401)
      expect(client.frames).toMatchObject([{ type: 'error', code: 'UNAUTHORIZED' }])
    }
  })

  test('[SE7] a token that is accepted within the leeway of clocks holds through it', async () => {
    const [client, startedAt] = [
      new Client(here.edge.port, { query: `?token=${token('alice', -2)}` }),
      performance.now(),
    ]
    await until('connected', () => client.of('connected').length === 1)
    expect(await client.closedWith()).toBe(4401)
    // Times of tokens are whole seconds.
    expect(performance.now() - startedAt).toBeGreaterThan(1_500)
  })

  test('[EG24] a drain tells every client to move, serves those that stay until the grace is over, and takes no new one', async () => {
    const leaving = await here.fleet.edge({ drain: { timeoutMs: 20_000, settleMs: 0, graceMs: 2_000, perSecond: 1 } })
    const [room, moves, stays] = [freshRoom(), await Client.open(leaving.port), await Client.open(leaving.port, 'bob')]
    await stays.ask({ type: 'subscribe', room })
    const drained = leaving.drain()
    expect(leaving.ready).toBe(false)
    await until('both were told', () => [moves, stays].every((client) => client.of('drain').length === 1))
    expect((await handshake(leaving.port, '/ws')).status).toBe(503)
    await post(room, 1)
    await until('what is published meanwhile arrives', () => stays.events(room).length === 1)
    await moves.end()
    expect(await stays.closedWith()).toBe(1012)
    await drained
    await expect(handshake(leaving.port, '/ws')).rejects.toThrow(/ECONNREFUSED/)
  })

  test('[DR1][DR6] while it settles, who comes is taken, and told in its turn; a second drain waits for the same end', async () => {
    const leaving = await here.fleet.edge({
      drain: { timeoutMs: 10_000, settleMs: 2_000, graceMs: 0, perSecond: 1_000 },
    })
    const drained = leaving.drain()
    const late = await Client.open(leaving.port)
    expect(leaving.drain()).toBe(drained)
    expect(await late.closedWith()).toBe(1012)
    expect(late.of('drain')).toHaveLength(1)
    await drained
  })

  test('[CT21] control is asked to drain an edge: it begins to, and runs on', async () => {
    const leaving = await here.fleet.edge({ memberId: 'leaving', drain: { ...slowly, graceMs: 500 } })
    const client = await Client.open(leaving.port)
    const ask = (name: string, headers = {}) =>
      fetch(`http://127.0.0.1:${here.fleet.controlPort}/v1/members/${name}/drain`, { method: 'POST', headers })
    for (const [name, status] of [
      ['nobody', 404],
      ['control-1', 400],
      ['ingest-1', 400],
    ] as const)
      expect((await ask(name)).status).toBe(status)
    expect((await ask('leaving', { origin: 'http://127.0.0.1' })).status).toBe(403)
    expect(leaving.ready).toBe(true)
    let answer = await ask('leaving')
    await until('control has read of it', async () => {
      if (answer.status === 404) answer = await ask('leaving')
      return answer.status !== 404
    })
    expect([answer.status, await answer.json()]).toEqual([202, { draining: [leaving.boot] }])
    await until('it drains', () => !leaving.ready)
    await until('its client was told', () => client.of('drain').length === 1)
    expect(await client.closedWith()).toBe(1012)
    await leaving.drain()
  })

  test('[DR5] the last edge has nowhere to send anybody to: it tells nobody and closes everybody at once', async () => {
    const alone = await startAlone()
    const clients = [await Client.open(alone.edge.port), await Client.open(alone.edge.port, 'bob')]
    await alone.edge.drain()
    for (const client of clients) {
      expect(await client.closedWith()).toBe(1012)
      expect(client.of('drain')).toEqual([])
    }
    await alone.close()
  })

  test('[DR4] a drain whose time is over closes everybody', async () => {
    const leaving = await here.fleet.edge({ drain: { timeoutMs: 0, settleMs: 5_000, graceMs: 5_000, perSecond: 1 } })
    const clients = [await Client.open(leaving.port), await Client.open(leaving.port, 'bob')]
    await leaving.drain()
    for (const client of clients) expect(await client.closedWith()).toBe(1012)
  })
})

test('[EG25] who is connected is told to those of the same tenant only (CN7)', async () => {
  const alice = await Client.open(here.edge.port)
  const look = (headers: Record<string, string>) => fetch(`http://127.0.0.1:${here.edge.port}/fleet`, { headers })
  expect((await look({})).status).toBe(401)
  expect((await look({ authorization: 'Bearer x' })).status).toBe(401)
  const seen = async (tenant: string) =>
    (await look({ authorization: `Bearer ${token('someone', 60, tenant)}` })).json() as Promise<{ users: object[] }>
  expect((await seen('acme')).users).toContainEqual({ userId: 'alice', connections: 1 })
  expect((await seen('other')).users).toEqual([])
  await alice.end()
})

describe('rooms', () => {
  test('[EG10] the rooms that the server joins are heard without subscribing (CN6)', async () => {
    const alice = await Client.open(here.edge.port)
    const bob = await Client.open(here.edge.port, 'bob')
    await post('user:alice', 'mine')
    await post('tenant:acme', 'ours')
    await post('public:all', 'everybody')
    await until('all have come', () => alice.of('event').length === 3 && bob.of('event').length === 2)
    expect(alice.of('event').map((event) => [event.room, event.data])).toEqual(
      expect.arrayContaining([
        ['user:alice', 'mine'],
        ['tenant:acme', 'ours'],
        ['public:all', 'everybody'],
      ]),
    )
    expect(bob.events('user:alice')).toEqual([])
    await Promise.all([alice.end(), bob.end()])
  })

  test('[EG11] sockets of one room see one order, on whichever edge; a publish is answered with its position (EV1)', async () => {
    const room = freshRoom()
    const other = await here.fleet.edge()
    const clients = [
      await Client.open(here.edge.port),
      await Client.open(here.edge.port, 'bob'),
      await Client.open(other.port, 'carol'),
    ]
    for (const client of clients) await client.subscribe(room)
    const answers = await Promise.all(
      clients.flatMap((client, c) => Array.from({ length: 40 }, (_, i) => client.publish(room, `${c}.${i}`))),
    )
    await until('all have come', () => clients.every((client) => client.events(room).length === 120))
    const [first] = clients
    for (const client of clients) {
      expect(seqs(client, room)).toEqual(Array.from({ length: 120 }, (_, i) => i + 1))
      expect(client.events(room).map((event) => event.data)).toEqual(first?.events(room).map((event) => event.data))
    }
    answers.forEach(({ position }, i) => {
      const event = first?.events(room)[(position?.seq ?? 0) - 1]
      expect(event?.data).toBe(`${Math.floor(i / 40)}.${i % 40}`)
    })
    expect(new Set(answers.map(({ position }) => position?.epoch)).size).toBe(1)
    await Promise.all(clients.map((client) => client.end()))
  })

  test('[EG12] a resume gets exactly what was missed, after its answer, then what is live', async () => {
    const room = freshRoom()
    const before = await Client.open(here.edge.port)
    const { position } = await before.subscribe(room)
    for (let i = 1; i <= 3; i++) await before.publish(room, i)
    await until('3 have come', () => before.events(room).length === 3)
    const epoch = before.of('position').findLast((frame) => frame.room === room)?.position.epoch ?? position?.epoch
    await before.end()
    for (let i = 4; i <= 7; i++) await post(room, i)
    const after = await Client.open(here.edge.port)
    const answer = await after.ok({
      type: 'resume',
      rooms: [{ room, since: { epoch, seq: 3 } }, { room: 'user:alice' }],
    })
    expect(answer.rooms?.find((each) => each.room === room)).toEqual({
      room,
      position: { epoch, seq: 7 },
      recovered: true,
      missed: 4,
    })
    await post(room, 8)
    await until('the last has come', () => after.events(room).length === 5)
    expect(after.events(room).map((event) => event.data)).toEqual([4, 5, 6, 7, 8])
    const at = after.frames.indexOf(answer)
    expect(after.frames.findIndex((frame) => frame.type === 'event' && frame.room === room)).toBeGreaterThan(at)
    await after.end()
  })

  test('[EG13] a position of an empty room is good for what came first after it', async () => {
    const room = freshRoom()
    const before = await Client.open(here.edge.port)
    const { position } = await before.subscribe(room)
    expect(position).toMatchObject({ seq: 0 })
    expect(position?.epoch).toMatch(/^\d+\.0\.\d+$/)
    await before.end()
    await post(room, 'first')
    const after = await Client.open(here.edge.port)
    expect(await after.subscribe(room, { since: position })).toMatchObject({
      recovered: true,
      missed: 1,
      position: { seq: 1 },
    })
    await until('it has come', () => after.events(room).length === 1)
    await after.end()
  })

  test('[EG14] a position that cannot be continued says so: ahead, or another epoch', async () => {
    const room = freshRoom()
    await post(room, 1)
    const client = await Client.open(here.edge.port)
    const { position } = await client.subscribe(room)
    expect(await client.subscribe(room, { since: { ...position, seq: 9 } })).toMatchObject({
      recovered: false,
      reason: 'ahead',
      missed: 0,
      position,
    })
    expect(await client.subscribe(room, { since: { epoch: '1.1', seq: 0 } })).toMatchObject({
      recovered: false,
      reason: 'epoch',
      position,
    })
    await client.end()
  })

  test('[EG15] under a filter only what matches comes, and a pong brings the position along (RM6)', async () => {
    const room = freshRoom()
    const client = await Client.open(here.edge.port)
    await client.subscribe(room, { filter: { region: 'eu' } })
    await post(room, { region: 'eu', n: 1 })
    await post(room, { region: 'us', n: 2 })
    await post(room, { n: 3 }, { match: { region: 'eu' } })
    await post(room, { region: 'us', n: 4 })
    await until('2 have come', () => client.events(room).length === 2)
    expect(seqs(client, room)).toEqual([1, 3])
    await until('the position has come along', () => {
      client.send({ type: 'ping' })
      return client.of('position').some((frame) => frame.room === room && frame.position.seq === 4 && frame.recovered)
    })
    await client.end()
  })

  test('[EG16] whom an event excepts gets its position instead, so that no number is missing', async () => {
    const room = freshRoom()
    const alice = await Client.open(here.edge.port)
    const bob = await Client.open(here.edge.port, 'bob')
    for (const client of [alice, bob]) await client.subscribe(room)
    await post(room, 1)
    await post(room, 2, { except: ['alice'] })
    await post(room, 3)
    await until('all have come', () => alice.events(room).length === 2 && bob.events(room).length === 3)
    expect(seqs(alice, room)).toEqual([1, 3])
    const seen = alice.frames.flatMap((frame) =>
      frame.type === 'event' && frame.room === room
        ? [frame.seq]
        : frame.type === 'position' && frame.room === room
          ? [frame.position.seq]
          : [],
    )
    expect(seen.filter((seq) => seq !== 0)).toEqual(expect.arrayContaining([1, 2, 3]))
    expect(seen.indexOf(2)).toBeLessThan(seen.indexOf(3))
    const epochs = new Set(
      alice
        .of('position')
        .filter((frame) => frame.room === room && frame.position.seq > 0)
        .map((frame) => frame.position.epoch),
    )
    const { position } = await bob.publish(room, 4)
    expect([...epochs]).toEqual([position?.epoch])
    await Promise.all([alice.end(), bob.end()])
  })

  test('[EG17] an ephemeral event has no seq, no place in the room and no position in its answer (RM8)', async () => {
    const room = freshRoom()
    const client = await Client.open(here.edge.port)
    await client.subscribe(room)
    const answer = await client.publish(room, 'typing', { ephemeral: true })
    expect(answer).not.toHaveProperty('position')
    await until('it has come', () => client.events(room).length === 1)
    expect(client.events(room)[0]).not.toHaveProperty('seq')
    expect(await client.publish(room, 'said')).toMatchObject({ position: { seq: 1 } })
    await client.end()
  })

  test('[EG18] an event larger than half of the buffer limit reaches everybody, also several at once and in a replay', async () => {
    const room = freshRoom()
    const client = await Client.open(here.edge.port)
    const { position } = await client.subscribe(room)
    const big = 'x'.repeat(600_000)
    await Promise.all([1, 2, 3].map((n) => post(room, { n, big })))
    await until('all have come', () => client.events(room).length === 3)
    const later = await Client.open(here.edge.port)
    await later.subscribe(room, { since: position })
    await until('the replay has come', () => later.events(room).length === 3)
    const resumed = await Client.open(here.edge.port)
    const wanted = [room, 'user:alice', 'public:all'].map((each) =>
      each === room ? { room: each, since: position } : { room: each },
    )
    await resumed.ok({ type: 'resume', rooms: wanted })
    await until('the resume has come', () => resumed.events(room).length === 3)
    expect([client, later, resumed].map((each) => each.closed)).toEqual([undefined, undefined, undefined])
    await Promise.all([client, later, resumed].map((each) => each.end()))
  })

  test('[EG19] rooms whose replays do not fit beside each other in one resume are left to another request, not to a close', async () => {
    const names = [freshRoom(), freshRoom(), freshRoom()]
    const client = await Client.open(here.edge.port)
    const since = new Map<string, unknown>()
    for (const room of names) since.set(room, (await client.subscribe(room)).position)
    await client.end()
    for (const room of names) await post(room, 'x'.repeat(700_000))
    const later = await Client.open(here.edge.port)
    const { rooms: answers = [] } = await later.ok({
      type: 'resume',
      rooms: names.map((room) => ({ room, since: since.get(room) })),
    })
    const left = answers.filter((answer) => answer.error !== undefined)
    expect(left.map((answer) => answer.error?.code)).toEqual(['OVERLOADED', 'OVERLOADED'])
    for (const { room } of left)
      expect(await later.subscribe(room, { since: since.get(room) })).toMatchObject({ recovered: true, missed: 1 })
    await until('all have come', () => names.every((room) => later.events(room).length === 1))
    await later.end()
  })
})

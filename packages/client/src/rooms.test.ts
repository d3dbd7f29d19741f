import { describe, expect, test } from 'vitest'
import type { Continuity, FlotillaError, RoomEvent, Subscription } from './client.ts'
import { at, event } from './testing/fake-server.ts'
import type { Peer } from './testing/fake-server.ts'
import { failure, harness, nothingElse, numbers, until } from './testing/harness.ts'

/** Answers the next `subscribe` with a position. */
async function grant(peer: Peer, seq: number, missed = 0): Promise<void> {
  const frame = await peer.expect('subscribe')
  peer.ok(frame, { room: frame.room, position: at(seq), recovered: true, missed })
}

async function subscribed(seq: number, filter?: Record<string, unknown>) {
  const h = await harness()
  const { client, peer } = await h.pair()
  const heard: RoomEvent[] = []
  const told: Continuity[] = []
  const options = { onEvent: (e: RoomEvent) => heard.push(e), onPosition: (c: Continuity) => told.push(c) }
  const pending = client.subscribe('conversation:9', filter === undefined ? options : { ...options, filter })
  await grant(peer, seq)
  return { ...h, client, peer, heard, told, subscription: await pending }
}

/** The next connection, welcomed. */
async function reconnected(server: { accept(): Promise<Peer> }, rooms: readonly string[] = []): Promise<Peer> {
  const peer = await server.accept()
  await peer.welcome(rooms)
  return peer
}

const room = 'conversation:9'

describe('subscribe', () => {
  test('[CC8] resolves with the server answer, and the position follows the events', async () => {
    const { subscription, peer, heard } = await subscribed(7)
    expect(subscription).toMatchObject({ room, position: at(7), recovered: true, missed: 0 })
    peer.send(event(room, 8), event(room, null), event(room, 9))
    await until(() => heard.length === 3, 'three events')
    expect(numbers(heard)).toEqual([8, undefined, 9])
    expect(heard[0]).toMatchObject({ room, event: 'message', data: { n: 8 }, meta: { userId: 'bob' }, position: at(8) })
    expect(subscription.position).toEqual(at(9))
  })

  test('[CC8] since is sent along, and a loss that it meets is told', async () => {
    const { pair } = await harness()
    const { client, peer } = await pair()
    const told: Continuity[] = []
    const pending = client.subscribe(room, { since: at(3, '4.1'), onPosition: (c) => told.push(c) })
    const frame = await peer.expect('subscribe')
    expect(frame).toMatchObject({ room, since: at(3, '4.1') })
    peer.ok(frame, { room, position: at(40), recovered: false, missed: 0, reason: 'epoch' })
    expect(await pending).toMatchObject({ position: at(40), recovered: false, reason: 'epoch' })
    expect(told).toEqual([{ position: at(40), recovered: false, missed: 0, reason: 'epoch' }])
  })

  test('[CC8] listeners set after the await hear what came together with the answer', async () => {
    const { pair } = await harness()
    const { client, peer } = await pair()
    const pending = client.subscribe(room, { since: at(3) })
    const { id } = await peer.expect('subscribe')
    peer.send({ type: 'ok', id, room, position: at(5), recovered: true, missed: 2 }, event(room, 4), event(room, 5))
    const heard: RoomEvent[] = []
    const subscription = await pending
    subscription.on('*', (e) => heard.push(e))
    await until(() => heard.length === 2, 'both events')
    expect(numbers(heard)).toEqual([4, 5])
  })

  test('[CC8] a refusal rejects with its code; a refusal for now is tried again after its time', async () => {
    const { pair } = await harness()
    const { client, peer } = await pair()
    const refused = failure(client.subscribe('tenant:other'))
    peer.refuse(await peer.expect('subscribe'), { code: 'FORBIDDEN', message: 'not yours' })
    expect(await refused).toMatchObject({ name: 'FlotillaError', code: 'FORBIDDEN' })
    const pending = client.subscribe(room)
    peer.refuse(await peer.expect('subscribe'), { code: 'OVERLOADED', message: 'busy', retryAfterMs: 5 })
    await grant(peer, 1)
    expect((await pending).position).toEqual(at(1))
  })

  test('[CC8] a time limit rejects, and the room is left', async () => {
    const { pair } = await harness()
    const { client, peer } = await pair()
    const pending = failure(client.subscribe(room, { timeoutMs: 20 }))
    await peer.expect('subscribe')
    expect(await pending).toMatchObject({ name: 'TimeoutError' })
    await peer.expect('unsubscribe')
  })

  test('[CC8] a server that never answers costs it the connection', async () => {
    const { server, pair } = await harness()
    const { client, peer } = await pair({ attemptTimeoutMs: 500 })
    const pending = client.subscribe(room)
    await peer.expect('subscribe')
    const second = await reconnected(server)
    const resume = await second.expect('resume')
    second.ok(resume, { rooms: [{ room, position: at(2), recovered: true, missed: 0 }] })
    expect((await pending).position).toEqual(at(2))
  })

  test('[CC9] several subscriptions of a room share one, until the last has left', async () => {
    const { client, peer, subscription, heard } = await subscribed(7)
    const second: RoomEvent[] = []
    const other = await client.subscribe(room, { onEvent: (e) => second.push(e) })
    expect(await failure(client.subscribe(room, { filter: { kind: 'a' } }))).toMatchObject({
      code: 'ALREADY_SUBSCRIBED',
    })
    expect(await failure(client.subscribe(room, { since: at(1) }))).toMatchObject({ code: 'ALREADY_SUBSCRIBED' })
    subscription.unsubscribe()
    peer.send(event(room, 8))
    await until(() => second.length === 1, 'the event')
    expect(heard).toEqual([])
    other.unsubscribe()
    expect(await peer.expect('unsubscribe')).toMatchObject({ room })
  })

  test('[CC10] what still comes after unsubscribe is dropped, and a new subscription begins anew', async () => {
    const { client, peer, subscription } = await subscribed(7)
    const heard: RoomEvent[] = []
    client.on('*', (e) => heard.push(e))
    subscription.unsubscribe()
    const again = client.subscribe(room)
    const left = await peer.expect('unsubscribe')
    const asked = await peer.expect('subscribe')
    expect(asked.since).toBeUndefined()
    peer.send(event(room, 8))
    peer.ok(left, { room })
    peer.ok(asked, { room, position: at(8), recovered: true, missed: 0 })
    peer.send(event(room, 9))
    await again
    await until(() => heard.length === 1, 'the event')
    expect(numbers(heard)).toEqual([9])
  })

  test('[CC11] listeners by event, room and *; one that throws stops nobody; off means off (CL1)', async () => {
    const { client, peer, subscription, logged } = await subscribed(0)
    const heard: string[] = []
    subscription.on('*', () => {
      throw new Error('a fault of the application')
    })
    subscription.on('typing', () => heard.push('subscription typing'))
    client.on('message', () => heard.push('client message'))
    client.room(room).on('*', (e) => heard.push(`room ${e.event}`))
    client.room('conversation:1').on('*', () => heard.push('other room'))
    const off = client.on('*', (e) => heard.push(`client * ${e.event}`))
    peer.send(event(room, 1), event(room, null, 'typing'))
    await until(() => heard.includes('client * typing'), 'the last event')
    off()
    peer.send(event(room, 2))
    await until(() => heard.length >= 8, 'the event after off')
    expect(heard).toEqual([
      'room message',
      'client message',
      'client * message',
      'subscription typing',
      'room typing',
      'client * typing',
      'room message',
      'client message',
    ])
    expect(logged).toHaveLength(3)
  })
})

describe('order and continuity', () => {
  test('[CC12] an event that comes twice is delivered once', async () => {
    const { peer, heard } = await subscribed(7)
    peer.send(event(room, 8), event(room, 8), event(room, 7), event(room, 9))
    await until(() => heard.length === 2, 'two events')
    expect(numbers(heard)).toEqual([8, 9])
  })

  test('[CC12] what a replay and the live stream both carry is delivered once', async () => {
    const { server, peer, heard } = await subscribed(7)
    peer.send(event(room, 8))
    await until(() => heard.length === 1, 'the event')
    peer.kill()
    const second = await reconnected(server)
    const resume = await second.expect('resume')
    expect(resume.rooms).toEqual([{ room, since: at(8) }])
    second.ok(resume, { rooms: [{ room, position: at(10), recovered: true, missed: 2 }] })
    second.send(event(room, 9), event(room, 10), event(room, 10), event(room, 9), event(room, 11))
    await until(() => heard.length === 4, 'the rest')
    expect(numbers(heard)).toEqual([8, 9, 10, 11])
  })

  test('[CC13] after a hole nothing is delivered until the room was subscribed again from before it', async () => {
    const { client, peer, heard } = await subscribed(7)
    peer.send(event(room, 8), event(room, 11), event(room, 12))
    const again = await peer.expect('subscribe')
    expect(again.since).toEqual(at(8))
    expect(numbers(heard)).toEqual([8])
    peer.send(event(room, 13))
    peer.ok(again, { room, position: at(13), recovered: true, missed: 5 })
    peer.send(...[9, 10, 11, 12, 13, 14].map((seq) => event(room, seq)))
    await until(() => heard.length === 7, 'all events')
    expect(numbers(heard)).toEqual([8, 9, 10, 11, 12, 13, 14])
    await nothingElse(client, peer)
  })

  test('[CC13] numbers that the replay leaves out were not for this connection: no second round', async () => {
    const { client, peer, heard } = await subscribed(7)
    peer.send(event(room, 9))
    const again = await peer.expect('subscribe')
    peer.ok(again, { room, position: at(9), recovered: true, missed: 1 })
    peer.send(event(room, 9), event(room, 10))
    await until(() => heard.length === 2, 'both events')
    await nothingElse(client, peer)
  })

  test('[CC13] a filter is sent with every subscription, and leaves numbers out without a gap (RM9)', async () => {
    const { server, client, peer, heard } = await subscribed(7, { kind: 'invoice' })
    peer.send(event(room, 9), event(room, 30), event(room, 30))
    await until(() => heard.length === 2, 'two events')
    await nothingElse(client, peer)
    peer.kill()
    const second = await reconnected(server)
    const resume = await second.expect('resume')
    expect(resume.rooms).toEqual([{ room, since: at(30), filter: { kind: 'invoice' } }])
  })

  test('[CC14] lost continuity is told, and numbers are judged in the new epoch only', async () => {
    const { peer, heard, told, subscription } = await subscribed(100)
    peer.send({ type: 'position', room, position: at(5, '9.2'), recovered: false, reason: 'epoch' }, event(room, 6))
    await until(() => heard.length === 1, 'the event')
    expect(told).toEqual([{ position: at(5, '9.2'), recovered: false, missed: 0, reason: 'epoch' }])
    expect(subscription).toMatchObject({ position: at(6, '9.2'), recovered: false, reason: 'epoch' })
    peer.send(event(room, 101))
    expect((await peer.expect('subscribe')).since).toEqual(at(6, '9.2'))
  })

  test('[CC14] a position frame that only moves along is not told, and is what is resumed from', async () => {
    const { server, peer, told, heard } = await subscribed(0)
    peer.send({ type: 'position', room, position: at(0, '5.14'), recovered: true }, event(room, 1))
    await until(() => heard.length === 1, 'the event')
    expect(told).toEqual([])
    peer.kill()
    expect((await (await reconnected(server)).expect('resume')).rooms).toEqual([{ room, since: at(1, '5.14') }])
  })

  test('[CC14] a resume that cannot continue is told with its reason, one that can says so', async () => {
    const { server, peer, told, heard } = await subscribed(7)
    peer.kill()
    const second = await reconnected(server)
    second.ok(await second.expect('resume'), { rooms: [{ room, position: at(9), recovered: true, missed: 2 }] })
    second.send(event(room, 8), event(room, 9))
    await until(() => heard.length === 2, 'the replay')
    second.kill()
    const third = await reconnected(server)
    third.ok(await third.expect('resume'), {
      rooms: [{ room, position: at(3, '9.1'), recovered: false, reason: 'ahead' }],
    })
    third.send(event(room, 4))
    await until(() => heard.length === 3, 'the event after it')
    expect(told).toEqual([
      { position: at(9), recovered: true, missed: 2 },
      { position: at(3, '9.1'), recovered: false, missed: 0, reason: 'ahead' },
    ])
  })
})

describe('resume', () => {
  test('[CC15] one frame carries all rooms with their positions and filters (RM9)', async () => {
    const { server, client, peer } = await subscribed(7)
    const more = client.subscribe('public:news', { filter: { topic: ['a', 'b'] } })
    await grant(peer, 20)
    await more
    peer.close(1012)
    const second = await reconnected(server)
    const resume = await second.expect('resume')
    expect(resume.rooms).toEqual([
      { room, since: at(7) },
      { room: 'public:news', since: at(20), filter: { topic: ['a', 'b'] } },
    ])
    await until(() => client.state === 'connected', 'connected again')
    await nothingElse(client, second)
  })

  test('[CC15] more rooms than a frame may carry go in several', async () => {
    const { server, pair } = await harness()
    const { client, peer } = await pair()
    peer.kill()
    await until(() => client.state === 'reconnecting', 'reconnecting')
    const pending = Array.from({ length: 1_001 }, (_, i) => client.subscribe(`public:${i}`))
    const second = await reconnected(server)
    const sizes: number[] = []
    for (let i = 0; i < 2; i += 1) {
      const resume = await second.expect('resume')
      sizes.push(resume.rooms.length)
      second.ok(resume, {
        rooms: resume.rooms.map((r) => ({ room: r.room, position: at(1), recovered: true, missed: 0 })),
      })
    }
    expect(sizes).toEqual([1_000, 1])
    expect((await Promise.all(pending)).map((s) => s.room)).toHaveLength(1_001)
  })

  test('[CC15] a room unsubscribed while there is no connection is not asked for again', async () => {
    const { server, client, peer, subscription } = await subscribed(7)
    const kept = client.subscribe('public:news')
    await grant(peer, 1)
    await kept
    peer.kill()
    await until(() => client.state === 'reconnecting', 'reconnecting')
    subscription.unsubscribe()
    const second = await reconnected(server)
    expect((await second.expect('resume')).rooms).toEqual([{ room: 'public:news', since: at(1) }])
  })

  test('[CC15] a room refused for good is told to its subscription, one refused for now is asked for again', async () => {
    const { server, client, peer, subscription } = await subscribed(7)
    const kept = client.subscribe('public:news')
    await grant(peer, 1)
    await kept
    const errors: FlotillaError[] = []
    subscription.onError((error) => errors.push(error))
    peer.kill()
    const second = await reconnected(server)
    const error = { code: 'FORBIDDEN', message: 'not any more' }
    const later = { code: 'OVERLOADED', message: 'busy', retryAfterMs: 5 }
    second.ok(await second.expect('resume'), {
      rooms: [
        { room, error },
        { room: 'public:news', error: later },
      ],
    })
    expect(await second.expect('subscribe')).toMatchObject({ room: 'public:news', since: at(1) })
    expect(errors.map((e) => e.code)).toEqual(['FORBIDDEN'])
    second.kill()
    expect((await (await reconnected(server)).expect('resume')).rooms).toEqual([{ room: 'public:news', since: at(1) }])
  })

  test('[CC16] rooms that the server joined by itself are heard at once and resumed like any other', async () => {
    const { server, pair } = await harness()
    const { client, peer } = await pair({}, ['user:alice', 'public:all'])
    const heard: RoomEvent[] = []
    client.on('*', (e) => heard.push(e))
    const first = await peer.expect('resume')
    expect(first.rooms).toEqual([{ room: 'user:alice' }, { room: 'public:all' }])
    peer.send(event('user:alice', 4))
    peer.ok(first, {
      rooms: first.rooms.map((r) => ({
        room: r.room,
        position: at(r.room === 'user:alice' ? 4 : 0),
        recovered: true,
        missed: 0,
      })),
    })
    peer.send(event('user:alice', 5))
    await until(() => heard.length === 2, 'both events')
    peer.kill()
    const second = await reconnected(server, ['user:alice', 'public:all'])
    const resume = await second.expect('resume')
    expect(resume.rooms).toEqual([
      { room: 'user:alice', since: at(5) },
      { room: 'public:all', since: at(0) },
    ])
    // A live event of the joined room overtakes the answer: the replay brings it, and it is delivered once, in order.
    second.send(event('user:alice', 7))
    second.ok(resume, {
      rooms: [
        { room: 'user:alice', position: at(7), recovered: true, missed: 2 },
        { room: 'public:all', position: at(0), recovered: true, missed: 0 },
      ],
    })
    second.send(event('user:alice', 6), event('user:alice', 7), event('user:alice', 8))
    await until(() => heard.length === 5, 'the rest')
    expect(numbers(heard).slice(1)).toEqual([5, 6, 7, 8])
  })

  test('[CC16] subscribing to a joined room needs no frame, and leaving it leaves the room joined', async () => {
    const { pair } = await harness()
    const { client, peer } = await pair({}, ['user:alice'])
    const resume = await peer.expect('resume')
    const pending = client.subscribe('user:alice')
    peer.ok(resume, { rooms: [{ room: 'user:alice', position: at(4), recovered: true, missed: 0 }] })
    const subscription: Subscription = await pending
    expect(subscription.position).toEqual(at(4))
    subscription.unsubscribe()
    const heard: RoomEvent[] = []
    client.on('*', (e) => heard.push(e))
    peer.send(event('user:alice', 5))
    await until(() => heard.length === 1, 'the event')
    await nothingElse(client, peer)
  })
})

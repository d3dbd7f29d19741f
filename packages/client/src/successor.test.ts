import { describe, expect, test } from 'vitest'
import type { ClientState, Continuity, RoomEvent } from './client.ts'
import { at, event } from './testing/fake-server.ts'
import type { FakeServer, Peer } from './testing/fake-server.ts'
import { failure, harness, nothingElse, numbers, until } from './testing/harness.ts'

const room = 'conversation:9'
const drain = { type: 'drain', afterMs: 0 } as const

/** A client that is subscribed at 7, and everything that it hears and is told. */
async function subscribed() {
  const h = await harness()
  const { client, peer } = await h.pair()
  const heard: RoomEvent[] = []
  const told: Continuity[] = []
  const states: ClientState[] = []
  client.onState((state) => states.push(state))
  const pending = client.subscribe(room, { onEvent: (e) => heard.push(e), onPosition: (c) => told.push(c) })
  peer.ok(await peer.expect('subscribe'), { room, position: at(7), recovered: true, missed: 0 })
  return { ...h, client, old: peer, heard, told, states, subscription: await pending }
}

/** The connection that is opened beside the old one, welcomed; its `resume` is not answered yet. */
async function beside(server: FakeServer, old: Peer) {
  old.send(drain)
  const next = await server.accept()
  await next.welcome()
  return { next, resume: await next.expect('resume') }
}

const offered = ({ request }: Peer): string[] =>
  (request.headers['sec-websocket-protocol'] ?? '').split(',').map((each) => each.trim())

describe('a server that drains', () => {
  test('[UC15] when the old connection ends before the new one has resumed, the next names the new one: that has the place', async () => {
    const { server, old, states } = await subscribed()
    const { next } = await beside(server, old)
    old.close(1012)
    const back = await server.accept()
    expect(offered(back)).toContain(`flotilla.ticket.${next.connectionId}`)
    await back.welcome()
    await until(() => states.length === 2, 'it is connected again')
    expect(states).toEqual(['reconnecting', 'connected'])
  })

  test('[UC15] who moves or comes back names the connection that it had, and after a failed attempt the one it made', async () => {
    const { server, old, states } = await subscribed()
    expect(offered(old).join()).not.toContain('ticket')
    const { next, resume } = await beside(server, old)
    expect(offered(next)).toContain(`flotilla.ticket.${old.connectionId}`)
    next.close(1013)
    const again = await server.accept()
    expect(offered(again)).toContain(`flotilla.ticket.${next.connectionId}`)
    await again.welcome()
    again.ok(await again.expect('resume'), { rooms: [{ room, position: at(7), recovered: true, missed: 0 }] })
    expect(await old.closed).toBe(1000)
    expect([resume.type, states]).toEqual(['resume', []])
    again.close(1012)
    const back = await server.accept()
    expect(offered(back)).toContain(`flotilla.ticket.${again.connectionId}`)
    await back.welcome()
  })

  test('[CC24] the old connection delivers until the new one has resumed, then it is closed, and nobody sees a state change (CL1)', async () => {
    const { server, old, heard, states, told, client } = await subscribed()
    old.send(event(room, 8))
    await until(() => heard.length === 1, 'the first event')
    const { next, resume } = await beside(server, old)
    expect(resume.rooms).toEqual([{ room, since: at(8) }])
    old.send(event(room, 9), event(room, 10))
    await until(() => heard.length === 3, 'events of the old connection')
    next.ok(
      resume,
      { rooms: [{ room, position: at(10), recovered: true, missed: 2 }] },
      event(room, 9),
      event(room, 10),
      event(room, 11),
    )
    expect(await old.closed).toBe(1000)
    await until(() => heard.length === 4, 'an event of the new connection')
    next.send(event(room, 12))
    await until(() => heard.length === 5, 'another')
    expect(numbers(heard)).toEqual([8, 9, 10, 11, 12])
    expect(states).toEqual([])
    expect(told).toEqual([])
    expect(client.state).toBe('connected')
    await nothingElse(client, next)
  })

  test('[CC24] what the old connection brought beyond the answer is not delivered again, what it did not bring is', async () => {
    const { server, old, heard } = await subscribed()
    const { next, resume } = await beside(server, old)
    old.send(event(room, 8), event(room, 9))
    await until(() => heard.length === 2, 'events of the old connection')
    next.ok(resume, { rooms: [{ room, position: at(7), recovered: true, missed: 0 }] }, event(room, 8))
    await old.closed
    next.send(event(room, 9), event(room, 10))
    await until(() => heard.length === 3, 'an event of the new connection')
    expect(numbers(heard)).toEqual([8, 9, 10])
  })

  test('[CC24] what the new connection sends of a room before its answer is passed over', async () => {
    const { server, old, heard } = await subscribed()
    const { next, resume } = await beside(server, old)
    next.send({ type: 'position', room, position: at(20), recovered: true }, event(room, 21))
    next.ok(resume, { rooms: [{ room, position: at(9), recovered: true, missed: 2 }] }, event(room, 8), event(room, 9))
    await until(() => heard.length === 2, 'both events')
    expect(numbers(heard)).toEqual([8, 9])
  })

  test('[CC25] an attempt that fails is made again; the old connection serves meanwhile', async () => {
    const { server, old, heard, states } = await subscribed()
    old.send(drain)
    ;(await server.accept()).kill()
    const second = await server.accept()
    await second.expect('auth')
    second.close(1013)
    old.send(event(room, 8))
    await until(() => heard.length === 1, 'an event of the old connection')
    const third = await server.accept()
    await third.welcome()
    third.ok(await third.expect('resume'), { rooms: [{ room, position: at(8), recovered: true, missed: 0 }] })
    expect(await old.closed).toBe(1000)
    expect(states).toEqual([])
  })

  test('[CC25] an attempt without an answer is given up for another', async () => {
    const h = await harness()
    const { peer: old } = await h.pair({ attemptTimeoutMs: 500 }, ['user:alice'])
    old.ok(await old.expect('resume'), { rooms: [{ room: 'user:alice', position: at(1), recovered: true, missed: 0 }] })
    old.send(drain)
    const silent = await h.server.accept()
    await silent.welcome(['user:alice'])
    const next = await h.server.accept()
    expect(await silent.closed).toBe(1000)
    await next.welcome(['user:alice'])
    next.ok(await next.expect('resume'), {
      rooms: [{ room: 'user:alice', position: at(1), recovered: true, missed: 0 }],
    })
    expect(await old.closed).toBe(1000)
  })

  test('[CC25] an old connection that ends before is replaced in the usual way', async () => {
    const { server, old, states, client } = await subscribed()
    const { next } = await beside(server, old)
    old.kill()
    expect(await next.closed).toBe(1000)
    const another = await server.accept()
    await another.welcome()
    const resume = await another.expect('resume')
    another.ok(resume, { rooms: [{ room, position: at(7), recovered: true, missed: 0 }] })
    await until(() => client.state === 'connected', 'it is connected again')
    expect(states).toEqual(['reconnecting', 'connected'])
  })

  test('[CC25] a client that is closed leaves both connections', async () => {
    const { server, old, client } = await subscribed()
    const { next } = await beside(server, old)
    client.close()
    expect(await Promise.all([old.closed, next.closed])).toEqual([1000, 1000])
  })

  test('[CC26] publishes that the old connection has not answered go over the new one, in order, under their keys', async () => {
    const { server, old, client } = await subscribed()
    const published = [client.publish(room, 'message', 1), client.publish(room, 'message', 2)]
    const first = [await old.expect('publish'), await old.expect('publish')]
    const { next, resume } = await beside(server, old)
    next.ok(resume, { rooms: [{ room, position: at(7), recovered: true, missed: 0 }] })
    const again = [await next.expect('publish'), await next.expect('publish')]
    expect(again.map(({ key, data }) => ({ key, data }))).toEqual(first.map(({ key, data }) => ({ key, data })))
    again.forEach((frame, i) => next.ok(frame, { room, position: at(8 + i) }))
    expect((await Promise.all(published)).map(({ position }) => position.seq)).toEqual([8, 9])
  })

  test('[CC27] what was subscribed and left meanwhile is asked for and left on the new connection', async () => {
    const { server, old, client, subscription } = await subscribed()
    const { next, resume } = await beside(server, old)
    const later = client.subscribe('public:news')
    await old.expect('subscribe')
    subscription.unsubscribe()
    next.ok(resume, { rooms: [{ room, position: at(7), recovered: true, missed: 0 }] }, event(room, 8))
    expect((await next.expect('unsubscribe')).room).toBe(room)
    const asked = await next.expect('resume')
    expect(asked.rooms).toEqual([{ room: 'public:news' }])
    next.ok(asked, { rooms: [{ room: 'public:news', position: at(3), recovered: true, missed: 0 }] })
    expect((await later).position).toEqual(at(3))
  })

  test('[CC27] a room that was subscribed again under a filter is subscribed so', async () => {
    const { server, old, client, subscription } = await subscribed()
    const { next, resume } = await beside(server, old)
    subscription.unsubscribe()
    const heard: RoomEvent[] = []
    const again = client.subscribe(room, { filter: { region: 'eu' }, onEvent: (e) => heard.push(e) })
    next.ok(resume, { rooms: [{ room, position: at(7), recovered: true, missed: 0 }] }, event(room, 8))
    next.ok(await next.expect('unsubscribe'), { room })
    const asked = await next.expect('resume')
    expect(asked.rooms).toEqual([{ room, filter: { region: 'eu' } }])
    next.ok(asked, { rooms: [{ room, position: at(9), recovered: true, missed: 0 }] }, event(room, 10))
    await again
    await until(() => heard.length === 1, 'an event')
    expect(numbers(heard)).toEqual([10])
  })

  test('[CC28] a room that cannot be read now is asked for again before the old connection is left', async () => {
    const { server, old, heard } = await subscribed()
    const { next, resume } = await beside(server, old)
    next.ok(resume, { rooms: [{ room, error: { code: 'OVERLOADED', message: 'later', retryAfterMs: 200 } }] })
    old.send(event(room, 8))
    await until(() => heard.length === 1, 'an event of the old connection')
    const again = await next.expect('resume')
    expect(again.rooms).toEqual([{ room, since: at(8) }])
    next.ok(again, { rooms: [{ room, position: at(8), recovered: true, missed: 0 }] }, event(room, 9))
    await old.closed
    await until(() => heard.length === 2, 'an event of the new connection')
    expect(numbers(heard)).toEqual([8, 9])
  })

  test('[CC28] a room that is refused for good fails when the old connection is left', async () => {
    const { server, old, subscription } = await subscribed()
    const refused = failure(new Promise((_, reject) => subscription.onError(reject)))
    const { next, resume } = await beside(server, old)
    next.ok(resume, { rooms: [{ room, error: { code: 'FORBIDDEN', message: 'no more' } }] })
    expect(await refused).toMatchObject({ code: 'FORBIDDEN' })
  })

  test('[CC28] an answer that does not fit where the room stands by now is asked for again', async () => {
    const { server, old, heard, told } = await subscribed()
    const { next, resume } = await beside(server, old)
    old.send({ type: 'position', room, position: at(2, '9.1'), recovered: false, reason: 'epoch' }, event(room, 3))
    await until(() => heard.length === 1, 'an event of the old connection')
    next.ok(resume, { rooms: [{ room, position: at(7), recovered: true, missed: 0 }] }, event(room, 8))
    const again = await next.expect('resume')
    expect(again.rooms).toEqual([{ room, since: at(3, '9.1') }])
    next.ok(again, { rooms: [{ room, position: at(4, '9.1'), recovered: true, missed: 1 }] }, event(room, 4))
    await until(() => heard.length === 2, 'the event after it')
    expect(numbers(heard)).toEqual([3, 4])
    expect(told.map(({ recovered }) => recovered)).toEqual([false, true])
  })
})

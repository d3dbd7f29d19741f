import { describe, expect, test } from 'vitest'
import WebSocket from 'ws'
import { ClosedError, connect as connectTo, ConnectError, TimeoutError } from './client.ts'
import { base64url } from './socket.ts'
import { at, connected, event } from './testing/fake-server.ts'
import { failure, harness, numbers, until } from './testing/harness.ts'
import type { ClientState, RoomEvent } from './client.ts'

describe('connect', () => {
  test('[CC1] resolves at `connected`, with what the server said (CL1)', async () => {
    const { pair } = await harness()
    const { client } = await pair()
    expect(client.state).toBe('connected')
    expect(client.session).toMatchObject({ userId: 'alice', connectionId: 'edge-1.boot.1', protocol: 1 })
  })

  test('[CC1] a terminal close code rejects with a typed error and ends it', async () => {
    const { server, connect } = await harness()
    const refused = failure(connect())
    const peer = await server.accept()
    await peer.expect('auth')
    peer.send({ type: 'error', code: 'UNAUTHORIZED', message: 'Invalid token' })
    peer.close(4401, 'Authentication required')
    const error = await refused
    expect(error).toBeInstanceOf(ConnectError)
    expect(error).toMatchObject({ code: 'UNAUTHORIZED', message: 'Invalid token', closeCode: 4401 })
    expect(server.waiting).toBe(0)
  })

  test('[CC1] a server that does not answer rejects with TimeoutError; a broken attempt is tried again until then', async () => {
    const { server, connect } = await harness()
    const slow = failure(connect({ timeoutMs: 100 }))
    ;(await server.accept()).kill()
    await (await server.accept()).expect('auth')
    expect(await slow).toBeInstanceOf(TimeoutError)
  })

  test('[CC1] an attempt that is not answered in time is given up for another', async () => {
    const { server, connect } = await harness()
    // The second one must not be given up too, on a machine that is busy.
    const started = connect({ attemptTimeoutMs: 1_000 })
    await server.accept()
    await (await server.accept()).welcome()
    expect((await started).state).toBe('connected')
  })

  test('[CC1] a url that is none, and settings that cannot be, reject at once', async () => {
    const { connect } = await harness()
    expect(await failure(connect({ url: 'not a url' }))).toBeInstanceOf(ConnectError)
    expect(await failure(connect({ publishTimeoutMs: 100_001 }))).toMatchObject({ code: 'VALIDATION_ERROR' })
    expect(await failure(connect({ timeoutMs: 0 }))).toMatchObject({ code: 'VALIDATION_ERROR' })
  })

  test('[CC40] without a token it asks to be anonymous, in the first frame, whatever else is set (CN4)', async () => {
    const { server } = await harness()
    const started = connectTo({ url: server.url, WebSocket, carriage: 'query' })
    const peer = await server.accept()
    expect(await peer.expect('auth')).toEqual({ type: 'auth', id: 0 })
    peer.send(connected())
    const client = await started
    expect(client.state).toBe('connected')
    client.close()
  })

  test('[CC1] it gives up after as many attempts as it may make (CL1)', async () => {
    const { server, connect } = await harness()
    const refused = failure(connect({ reconnect: { maxAttempts: 2 } }))
    for (let i = 0; i < 3; i += 1) (await server.accept()).close(1013)
    expect(await refused).toMatchObject({ name: 'ConnectError', code: 'CONNECTION_LOST', closeCode: 1013 })
  })
})

describe('token', () => {
  test('[CC2] travels in the first frame, as a subprotocol, or in the query', async () => {
    const { server, connect } = await harness()
    const token = 'a.b-ü?'
    const inFrame = connect({ token })
    const first = await server.accept()
    expect(await first.expect('auth')).toEqual({ type: 'auth', id: 0, token })
    expect(first.request.headers['sec-websocket-protocol']).toBeUndefined()
    first.send(connected())
    await inFrame

    const inProtocol = connect({ token, carriage: 'subprotocol' })
    const second = await server.accept()
    expect(second.request.headers['sec-websocket-protocol']).toBe(`flotilla.v1,flotilla.token.${base64url(token)}`)
    expect(Buffer.from(base64url(token), 'base64url').toString()).toBe(token)
    second.send(connected())
    await inProtocol

    const inQuery = connect({ token, carriage: 'query' })
    const third = await server.accept()
    expect(new URL(third.request.url ?? '', 'ws://x').searchParams.get('token')).toBe(token)
    third.send(connected())
    await inQuery
    expect([second.unread, third.unread]).toEqual([0, 0])
  })

  test.each(['frame', 'subprotocol', 'query'] as const)(
    '[CC2] whoever was connected before says so, with the token as a %s',
    async (carriage) => {
      const { server, connect } = await harness()
      const connecting = connect({ token: 't', carriage })
      const peer = await server.accept()
      peer.send(connected())
      await connecting
      expect(peer.request.headers['sec-websocket-protocol'] ?? '').not.toContain('flotilla.resume')
      peer.kill()
      const again = await server.accept()
      expect(again.request.headers['sec-websocket-protocol']?.split(/, ?/)).toEqual(
        expect.arrayContaining(['flotilla.v1', 'flotilla.resume']),
      )
    },
  )

  test('[CC2] a function is asked at each connection', async () => {
    const { server, pair } = await harness()
    let asked = 0
    const { peer } = await pair({ token: () => Promise.resolve(`token-${++asked}`) })
    peer.kill()
    expect(await (await server.accept()).expect('auth')).toMatchObject({ token: 'token-2' })
  })

  test('[CC2] a 4401 is worth one new token from a function, not two, and none from a text', async () => {
    const { server, pair } = await harness()
    let asked = 0
    const { client, peer } = await pair({ token: () => `token-${++asked}` })
    peer.close(4401)
    const second = await server.accept()
    await second.welcome()
    await until(() => client.state === 'connected', 'connected again')
    second.close(4401)
    const third = await server.accept()
    await third.expect('auth')
    third.close(4401)
    await until(() => client.state === 'closed', 'closed')
    expect(client.lastError).toMatchObject({ code: 'UNAUTHORIZED', closeCode: 4401 })
    expect(asked).toBe(3)

    const fixed = await pair()
    fixed.peer.close(4401)
    await until(() => fixed.client.state === 'closed', 'closed')
    expect(server.waiting).toBe(0)
  })

  test('[CC2] a function that fails is a failed attempt', async () => {
    const { server, connect } = await harness()
    let asked = 0
    const started = connect({ token: () => (++asked === 1 ? Promise.reject(new Error('no session')) : 'token') })
    await (await server.accept()).welcome()
    expect((await started).lastError?.message).toContain('no session')
  })
})

describe('connection', () => {
  test('[CC3] states: connected, reconnecting, connected, closed; a terminal code ends it (CL1)', async () => {
    const { server, pair } = await harness()
    const { client, peer } = await pair()
    const states: ClientState[] = []
    client.onState((state) => states.push(state))
    peer.close(1012)
    const second = await server.accept()
    await second.welcome()
    await until(() => client.state === 'connected', 'connected again')
    second.close(4403, 'Disconnected by administrator')
    await until(() => client.state === 'closed', 'closed')
    expect(states).toEqual(['reconnecting', 'connected', 'closed'])
    expect(client.lastError).toMatchObject({ closeCode: 4403, message: 'Disconnected by administrator' })
    expect(await failure(client.publish('public:a', 'x', 1))).toBeInstanceOf(ClosedError)
    expect(await failure(client.subscribe('public:a'))).toBeInstanceOf(ClosedError)
  })

  test('[CC3] a hint of the server before the close is waited out', async () => {
    const { server, pair } = await harness()
    const { client, peer } = await pair()
    const began = performance.now()
    peer.send({ type: 'error', code: 'OVERLOADED', message: 'too many connections', retryAfterMs: 150 })
    peer.close(1013)
    await server.accept()
    expect(performance.now() - began).toBeGreaterThanOrEqual(149)
    expect(client.lastError).toMatchObject({ code: 'OVERLOADED' })
  })

  test('[CC3] the return of the network ends the wait', async () => {
    const { server, pair } = await harness()
    const target = new EventTarget()
    const { addEventListener, removeEventListener } = globalThis
    globalThis.addEventListener = target.addEventListener.bind(target)
    globalThis.removeEventListener = target.removeEventListener.bind(target)
    try {
      const { client, peer } = await pair({ reconnect: { minMs: 600_000, maxMs: 600_000 }, random: () => 0.99 })
      peer.kill()
      await until(() => client.state === 'reconnecting', 'reconnecting')
      target.dispatchEvent(new Event('online'))
      await (await server.accept()).welcome()
      await until(() => client.state === 'connected', 'connected again')
      client.close()
    } finally {
      globalThis.addEventListener = addEventListener
      globalThis.removeEventListener = removeEventListener
    }
  })

  test('[CC4] silence is asked about with a ping, and an answer keeps the connection', async () => {
    const { server, connect } = await harness()
    const started = connect({ pingTimeoutMs: 400 })
    const peer = await server.accept()
    await peer.welcome([], 20)
    const client = await started
    for (let i = 0; i < 3; i += 1) {
      await peer.expect('ping')
      peer.send({ type: 'pong', timestamp: '2026-01-01T00:00:00.000Z' })
    }
    expect(client.state).toBe('connected')
  })

  test('[CC4] a connection without a sign of life is dead: it is given up and made anew', async () => {
    const { server, connect } = await harness()
    const started = connect({ pingTimeoutMs: 60 })
    const peer = await server.accept()
    await peer.welcome([], 20)
    const client = await started
    peer.freeze()
    await (await server.accept()).welcome()
    await until(() => client.state === 'connected', 'connected again')
    expect(client.lastError?.message).toContain('ping timeout')
  })

  test('[CC4] a time limit below the interval of the server holds, and does not end a connection that answers', async () => {
    const { server, connect } = await harness()
    const started = connect({ pingTimeoutMs: 200 })
    const peer = await server.accept()
    await peer.welcome([], 60_000)
    const client = await started
    for (let i = 0; i < 3; i += 1) {
      await peer.expect('ping')
      peer.send({ type: 'pong', timestamp: '2026-01-01T00:00:00.000Z' })
    }
    expect(client.state).toBe('connected')
    peer.freeze()
    await (await server.accept()).welcome()
    await until(() => client.state === 'connected', 'connected again')
    expect(client.lastError?.message).toContain('ping timeout')
  })

  test('[CC5] frames that make no sense, or are of a newer server, are passed over', async () => {
    const { pair, logged } = await harness()
    const { client, peer } = await pair()
    const heard: RoomEvent[] = []
    client.on('*', (e) => heard.push(e))
    peer.sendText('{')
    peer.sendText('7')
    peer.sendText('{"type":"drain","afterMs":5}')
    peer.sendText('{"type":"ok","id":99}')
    peer.send(event('public:all', 1))
    await until(() => heard.length === 1, 'the event')
    expect(client.state).toBe('connected')
    expect(logged).toHaveLength(2)
  })

  test('[CC6] close ends the connection with 1000 and rejects what waits', async () => {
    const { pair } = await harness()
    const { client, peer } = await pair()
    const subscription = failure(client.subscribe('public:a'))
    const publish = failure(client.publish('public:a', 'x', 1))
    await peer.expect('subscribe')
    await peer.expect('publish')
    client.close()
    expect(await peer.closed).toBe(1000)
    expect(await subscription).toBeInstanceOf(ClosedError)
    expect(await publish).toMatchObject({ name: 'PublishUnknownError' })
    expect(client.state).toBe('closed')
  })

  test('[CC6] a listener may close the client while the last frames of a lost connection are handed out', async () => {
    const { server, pair } = await harness()
    const { client, peer } = await pair()
    const subscribed = client.subscribe('public:a')
    const { id } = await peer.expect('subscribe')
    const heard: RoomEvent[] = []
    client.on('*', (e) => {
      heard.push(e)
      client.close()
    })
    peer.send({ type: 'ok', id, room: 'public:a', position: at(0), recovered: true, missed: 0 }, event('public:a', 1))
    peer.close(1012)
    await subscribed
    await until(() => client.state === 'closed', 'closed')
    expect(numbers(heard)).toEqual([1])
    expect(server.waiting).toBe(0)
  })
})

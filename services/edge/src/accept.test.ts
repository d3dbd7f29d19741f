import { once } from 'node:events'
import { request } from 'node:http'
import { connect } from 'node:net'
import { describe, expect, test } from 'vitest'
import { Client, useReadyEdge, token, until } from '../test/fleet.ts'
import { handshake } from '../test/handshake.ts'

const here = useReadyEdge()

interface Answer {
  readonly status: number | 'closed' | 'silence'
  readonly retryAfter?: string | undefined
}

/** What is answered, or that the connection was closed without an answer. */
function page(port: number): Promise<Answer> {
  return new Promise((resolve) => {
    const asked = request({ port, host: '127.0.0.1', agent: false }, (response) => {
      response.resume()
      resolve({ status: response.statusCode ?? 0, retryAfter: response.headers['retry-after'] })
    })
    asked.setTimeout(20_000, () => resolve({ status: 'silence' }))
    asked.on('error', () => resolve({ status: 'closed' }))
    asked.end()
  })
}

describe('who is accepted, and for how long', () => {
  test('[EG22] other paths are 404, pages of another origin 403', async () => {
    expect((await handshake(here.edge.port, '/other')).status).toBe(404)
    expect((await handshake(here.edge.port, '/ws', { origin: 'https://elsewhere.example' })).status).toBe(403)
    expect((await handshake(here.edge.port, '/ws', { origin: `http://127.0.0.1:${here.edge.port}` })).status).toBe(101)
    const listed = await here.fleet.edge({ origins: ['https://app.example'] })
    expect((await handshake(listed.port, '/ws', { origin: 'https://app.example' })).status).toBe(101)
    expect((await handshake(listed.port, '/ws', { origin: `http://127.0.0.1:${listed.port}` })).status).toBe(403)
  })

  test('[EG47] from one address come so many connections as may, and another once one has ended (CN8)', async () => {
    const edge = await here.fleet.edge({ connectionsPerAddress: 2 })
    const two = [new Client(edge.port), new Client(edge.port)]
    await until('both are open', () => two.every(({ socket }) => socket.readyState === 1))
    const third = await handshake(edge.port, '/ws')
    expect([third.status, third.headers['x-flotilla-reason']]).toEqual([429, 'address'])
    expect(Number(third.headers['retry-after'])).toBeGreaterThan(0)
    await two[0]?.end()
    await until('there is room', async () => (await handshake(edge.port, '/ws')).status === 101)
    await two[1]?.end()
  })

  test('[EG41] what is no WebSocket handshake is answered with 400', async () => {
    expect((await handshake(here.edge.port, '/ws', { 'sec-websocket-version': '7' })).status).toBe(400)
    expect((await handshake(here.edge.port, '/ws', { 'sec-websocket-key': 'short' })).status).toBe(400)
  })

  test('[EG23] beyond the accept rate, and beyond the number of connections, the answer is 503 with Retry-After (LM3)', async () => {
    const slow = await here.fleet.edge({ acceptsPerSecond: 1 })
    expect((await handshake(slow.port, '/ws')).status).toBe(101)
    // Four wait, a second each, and the next one is refused before them.
    const answers: { status: number; retryAfter: number }[] = []
    const asked = Array.from({ length: 5 }, async () => {
      const { status, headers } = await handshake(slow.port, '/ws')
      answers.push({ status, retryAfter: Number(headers['retry-after'] ?? 0) })
    })
    await Promise.all(asked)
    // The last one has its turn just in time, which gates.test.ts sees by a clock of its own.
    expect(answers.slice(0, 4).map(({ status }) => status)).toEqual([503, 101, 101, 101])
    expect(answers[0]?.retryAfter).toBeGreaterThanOrEqual(1)
    const small = await here.fleet.edge({ maxConnections: 1 })
    const only = new Client(small.port, { query: `?token=${token('alice')}` })
    await until('connected', () => only.of('connected').length === 1)
    const full = await handshake(small.port, '/ws')
    expect([full.status, full.headers['x-flotilla-reason']]).toEqual([503, 'full'])
    await only.end()
    await until('the place is free', () => small.connections === 0)
    expect((await handshake(small.port, '/ws')).status).toBe(101)
  })

  test('[EG23] who comes back has an accept rate of its own, which newcomers do not use up (LM3)', async () => {
    const slow = await here.fleet.edge({ acceptsPerSecond: 1, resumesPerSecond: 1 })
    expect((await handshake(slow.port, '/ws')).status).toBe(101)
    const order: string[] = []
    const waiting = handshake(slow.port, '/ws').then(({ status }) => order.push(`new ${status}`))
    const resumed = await handshake(slow.port, '/ws', { 'sec-websocket-protocol': 'flotilla.v1, flotilla.resume' })
    order.push(`back ${resumed.status}`)
    await waiting
    expect(order).toEqual(['back 101', 'new 101'])
    expect(resumed.headers['sec-websocket-protocol']).toBe('flotilla.v1')
  })

  test('[EG28] connections are read at a pace, and those beyond are answered 503 unread', async () => {
    const slow = await here.fleet.edge({ acceptsPerSecond: 1, resumesPerSecond: 1 })
    const answers = await Promise.all(Array.from({ length: 30 }, () => page(slow.port)))
    // 2.6 a second: one at once, and those that make it within 5 s, fewer when this process is late.
    const served = answers.filter(({ status }) => status === 200).length
    expect(served).toBeGreaterThan(1)
    expect(served).toBeLessThan(20)
    const refused = answers.filter(({ status }) => status === 503)
    expect(refused).toHaveLength(30 - served)
    // They do not all come back together.
    expect(new Set(refused.map(({ retryAfter }) => retryAfter)).size).toBeGreaterThan(1)
  })

  test.each([
    ['is not read', 1, 'GET / HTTP/1.1\r\nHost: e\r\n\r\n'],
    [
      'asks for another path',
      300,
      'GET /other HTTP/1.1\r\nHost: e\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nx',
    ],
  ])(
    '[EG43] who %s, is turned away and does not close is cut, whatever it goes on to send',
    async (_, acceptsPerSecond, asks) => {
      const edge = await here.fleet.edge({ acceptsPerSecond, resumesPerSecond: acceptsPerSecond })
      await Promise.all(
        Array.from({ length: 30 }, async () => {
          const socket = connect({ port: edge.port, host: '127.0.0.1', allowHalfOpen: true })
          const closed = new Promise((resolve) => socket.on('close', resolve).on('error', () => {}))
          await once(socket, 'connect')
          socket.write(asks)
          const trickle = setInterval(() => socket.write('x'), 300)
          await once(socket, 'data')
          const answeredAt = performance.now()
          socket.resume()
          await closed
          expect(performance.now() - answeredAt).toBeLessThan(3_000)
          clearInterval(trickle)
        }),
      )
    },
  )

  test('[EG26] where three edges serve, an old connection is told to move, and is closed when it does not', async () => {
    const old = await here.fleet.edge({
      connectionAgeMs: 1_500,
      drain: { timeoutMs: 5_000, settleMs: 0, graceMs: 500, perSecond: 1_000 },
    })
    await here.fleet.edge()
    const client = await Client.open(old.port)
    await until('it was told', () => client.of('drain').length === 1)
    expect(await client.closedWith()).toBe(1012)
    expect(old.ready).toBe(true)
  })
})

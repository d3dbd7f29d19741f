import { createServer } from 'node:http'
import type { RequestListener } from 'node:http'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createLog } from '@flotilla/node/log'
import { createMetrics } from '@flotilla/node/metrics'
import { harness, secret } from '../test/harness.ts'
import { parseKeys } from './keys.ts'
import { ingestMetrics } from './metrics.ts'
import { plainPosts } from './plain.ts'
import type { Post } from './posts.ts'
import { maxBodyBytes } from './routes.ts'

const sockets: Socket[] = []
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy()
})

/** A connection that is written to by hand, and what came back so far. */
function open(port: number) {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  sockets.push(socket)
  const received = { text: '' }
  socket.on('data', (data) => (received.text += data.toString()))
  return { socket, received }
}
const event = (name: string) => JSON.stringify({ room: 'public:a', event: name })
function request(path: string, body: string, headers: readonly string[] = []): string {
  const own = [`Host: x`, `Authorization: Bearer ${secret}`, `Content-Length: ${Buffer.byteLength(body)}`, ...headers]
  return `POST ${path} HTTP/1.1\r\n${own.join('\r\n')}\r\n\r\n${body}`
}
const answersIn = (text: string) => text.split('HTTP/1.1 ').slice(1)
/** Without what differs from request to request. */
const shape = (answer: string) =>
  answer
    .replace(/Date: .*/, 'Date')
    .replace(/X-Request-Id: .*/, 'X-Request-Id')
    .replaceAll(/"id":"[^"]+"/g, '"id"')
    .replace(/"seq":\d+/, '"seq"')

describe('a post that the server reads itself', () => {
  it.each([
    ['an event', '/v1/events', event('e')],
    ['a batch', '/v1/events/batch', `{"events":[${event('e')},{}]}`],
    ['no JSON', '/v1/events', '{'],
    ['a fault of form', '/v1/events', '{"room":"public:a"}'],
    ['a room that cannot be', '/v1/events', '{"room":"x","event":"e"}'],
    ['an empty batch', '/v1/events/batch', '{"events":[]}'],
    ['nothing', '/v1/events', ''],
  ])('[IN19] %s is answered with the bytes that the framework answers with', async (_name, path, body) => {
    const { port } = await harness()
    const answers: string[] = []
    // The framework takes a path with a slash at its end, and a body that comes in chunks.
    for (const text of [request(path, body), request(`${path}/`, body), chunked(path, body)]) {
      const { socket, received } = open(port)
      socket.write(text)
      await expect.poll(() => received.text).toMatch(/\r\n\r\n\{.*\}$/s)
      answers.push(shape(received.text))
    }
    expect(answers[1]).toBe(answers[0])
    expect(answers[2]).toBe(answers[0])
    expect(answers[0]).toMatch(/\r\nContent-Length: \d+\r\n/)
  })

  it('[IN19] a body in pieces and requests behind each other are taken in order', async () => {
    const { port, rooms } = await harness()
    const { socket, received } = open(port)
    const texts = ['1', '2', '3'].map((name) => request('/v1/events', event(name))).join('')
    const middle = texts.indexOf('public')
    socket.write(texts.slice(0, middle))
    await expect.poll(() => socket.bytesWritten).toBe(middle)
    socket.write(texts.slice(middle))
    await expect.poll(() => answersIn(received.text).length).toBe(3)
    expect(answersIn(received.text).every((answer) => answer.startsWith('202 '))).toBe(true)
    expect(rooms.get('public:a')?.map(({ tail }) => tail.slice(0, 11))).toEqual(
      ['1', '2', '3'].map((name) => `"event":"${name}"`.slice(0, 11)),
    )
  })

  it('[IN19] a body at the limit is taken in, one that is larger is refused', async () => {
    const { port } = await harness()
    const whole = open(port)
    whole.socket.write(request('/v1/events', `"${'x'.repeat(maxBodyBytes - 2)}"`))
    await expect.poll(() => whole.received.text).toContain('VALIDATION_ERROR')
    const larger = open(port)
    larger.socket.write(request('/v1/events', `"${'x'.repeat(maxBodyBytes - 1)}"`))
    await expect.poll(() => larger.received.text).toContain('PAYLOAD_TOO_LARGE')
  })

  it('[IN19] a request that breaks off in its body publishes nothing and is counted', async () => {
    const { port, rooms, metrics } = await harness()
    const { socket } = open(port)
    socket.write(request('/v1/events', event('e')).slice(0, -5))
    await expect.poll(() => socket.bytesWritten).toBeGreaterThan(0)
    socket.end()
    const counted = async () => (await metrics.render()).body
    await expect.poll(counted).toContain('flotilla_ingest_requests_total{route="postEvent",status="aborted"')
    expect(rooms.size).toBe(0)
  })

  it('[IN19] a fault of ours is answered 500, without a word of it', async () => {
    const { post, endpoint, metrics } = await harness()
    Object.assign(endpoint, {
      publish: () => {
        throw new Error('secret')
      },
    })
    const { status, answer } = await post({ room: 'public:a', event: 'e' })
    expect([status, answer]).toMatchObject([500, { code: 'INTERNAL_ERROR' }])
    expect(JSON.stringify(answer)).not.toContain('secret')
    expect((await metrics.render()).body).toMatch(/flotilla_ingest_publishes_in_flight\{[^}]*\} 0\n/)
  })
})

describe('what the server reads itself', () => {
  const metrics = ingestMetrics(createMetrics({ service: 'ingest' }))
  const log = createLog({ service: 'ingest', level: 'silent' })
  const answer = ({ res }: Post) => void res.end('server')
  const otherwise: RequestListener = (_req, res) => void res.end('framework')
  const posts = { postEvent: answer, postBatch: answer }
  const server = createServer(plainPosts({ posts, keys: parseKeys(secret), metrics, log, otherwise }))
  beforeAll(() => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve)))
  afterAll(() => server.close())

  it.each([
    ['server', 'an event', request('/v1/events', '{}')],
    ['server', 'a batch', request('/v1/events/batch', '{}')],
    ['framework', 'another path', request('/v1/events?x=1', '{}')],
    ['framework', 'another method', request('/v1/events', '{}').replace('POST', 'PUT')],
    ['framework', 'a body in chunks', chunked('/v1/events', '{}')],
    ['framework', 'no body', request('/v1/events', '')],
    ['framework', 'an encoding', request('/v1/events', '{}', ['Content-Encoding: gzip'])],
    ['framework', 'a body above the limit', request('/v1/events', 'x'.repeat(maxBodyBytes + 1))],
    ['framework', 'a key that is not known', request('/v1/events', '{}').replace(secret, 'x'.repeat(16))],
  ])('[IN19] %s: %s', async (expected, _name, text) => {
    const address = server.address()
    const { socket, received } = open(typeof address === 'object' && address !== null ? address.port : 0)
    socket.write(text)
    await expect.poll(() => received.text).toMatch(new RegExp(`\r\n\r\n${expected}$`))
  })
})

function chunked(path: string, body: string): string {
  const own = `Host: x\r\nAuthorization: Bearer ${secret}\r\nTransfer-Encoding: chunked`
  const chunk = body === '' ? '' : `${Buffer.byteLength(body).toString(16)}\r\n${body}\r\n`
  return `POST ${path} HTTP/1.1\r\n${own}\r\n\r\n${chunk}0\r\n\r\n`
}

import { WebSocket } from 'ws'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createVerifier, signToken } from '@flotilla/node/jwt'
import { createLog } from '@flotilla/node/log'
import { createMetrics } from '@flotilla/node/metrics'
import { createScope } from '@flotilla/node/scope'
import { createMemoryStore } from '@flotilla/node/store/memory'
import { startControl } from '../../control/src/control.ts'
import { startShard } from '../../shard/src/shard.ts'
import { startEdge } from './edge.ts'
import { tokenPlaces } from './token-places.ts'
import type { Edge } from './edge.ts'

const secret = 'a-secret-of-the-test-that-is-long-enough'
const log = createLog({ service: 'test', level: 'error' })
const scope = createScope(log)
const store = createMemoryStore({ slots: 8, lanes: 2 })
let edge: Edge

beforeAll(async () => {
  const deps = (service: string) => ({ store, log, scope, metrics: createMetrics({ service }) })
  await startControl({ memberId: 'c', version: '0', host: '127.0.0.1', port: 0 }, deps('control'))
  await startShard({ memberId: 's', version: '0', drainTimeoutMs: 0 }, deps('shard'))
  const limits = {
    maxSubscriptions: 1_000,
    maxPublishesInFlight: 256,
    framesPerSecond: 100_000,
    connectionsPerUser: 0,
    connectionsPerTenant: 0,
    idleMs: 0,
  }
  const verifier = createVerifier({ keys: { type: 'secret', secrets: [secret] }, log })
  const server = {
    host: '127.0.0.1',
    port: 0,
    origins: ['https://app.example'],
    maxConnections: 100,
    tokenFrom: tokenPlaces,
    anonymous: false,
    connectionsPerAddress: 0,
    acceptsPerSecond: 1_000,
    resumesPerSecond: 1_000,
    connectionAgeMs: 0,
  }
  edge = await startEdge(
    { ...server, memberId: 'e', version: '0', limits, drain: { timeoutMs: 0, settleMs: 0, graceMs: 0, perSecond: 1 } },
    { ...deps('edge'), verifier },
  )
})
afterAll(() => scope.close())

type Frame = { type: string; code?: string; id?: number | string; room?: string; seq?: number; event?: string }

/** A socket that keeps what it hears. */
async function open(
  options: { auth?: boolean; headers?: Record<string, string>; query?: string; protocols?: string[] } = {},
) {
  const socket = new WebSocket(`ws://127.0.0.1:${edge.port}/ws${options.query ?? ''}`, options.protocols ?? [], {
    headers: options.headers ?? {},
  })
  const heard: Frame[] = []
  const waiters: (() => void)[] = []
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    socket.on('close', (code, reason) => resolve({ code, reason: reason.toString() }))
  })
  socket.on('message', (data: Buffer) => {
    heard.push(JSON.parse(data.toString()) as Frame)
    for (const wake of waiters.splice(0)) wake()
  })
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject))
  /** Looks at each frame once: there may be 10,000. */
  const until = async (wanted: (frame: Frame) => boolean): Promise<Frame> => {
    for (let looked = 0; ; looked += 1) {
      while (looked >= heard.length) await new Promise<void>((resolve) => waiters.push(resolve))
      const frame = heard[looked]
      if (frame !== undefined && wanted(frame)) return frame
    }
  }
  const send = (frame: unknown): void => socket.send(typeof frame === 'string' ? frame : JSON.stringify(frame))
  if (options.auth !== false) {
    send({ type: 'auth', token: tokenFor('alice') })
    await until((frame) => frame.type === 'connected')
  }
  return { socket, heard, until, send, closed }
}

const tokenFor = (sub: string): string => signToken({ secret, sub, tenant: 'acme', ttlSeconds: 60 })
const nested = `${'['.repeat(50)}${']'.repeat(50)}`

describe('bad input at an edge', () => {
  it.each<[string, string, string | object]>([
    ['not JSON', 'BAD_FRAME', '{nonsense'],
    ['no object', 'BAD_FRAME', '[1,2]'],
    ['an unknown type', 'BAD_FRAME', { type: 'shout', id: 1 }],
    ['an unknown key', 'VALIDATION_ERROR', { type: 'ping', loud: true }],
    ['a missing field', 'VALIDATION_ERROR', { type: 'subscribe', id: 1 }],
    ['too deep', 'UNSAFE_JSON', `{"type":"publish","id":1,"room":"public:bad","event":"e","data":${nested}}`],
    [
      'a prototype key',
      'UNSAFE_JSON',
      '{"type":"publish","id":1,"room":"public:bad","event":"e","data":{"__proto__":{"a":1}}}',
    ],
    ['an over-long room', 'VALIDATION_ERROR', { type: 'subscribe', id: 1, room: `public:${'x'.repeat(300)}` }],
    [
      'an over-long event',
      'VALIDATION_ERROR',
      { type: 'publish', id: 1, room: 'public:bad', event: 'e'.repeat(200), data: 1 },
    ],
    ['a room without a type', 'INVALID_ROOM', { type: 'subscribe', id: 1, room: 'lobby' }],
    ['a control character in a room', 'INVALID_ROOM', { type: 'subscribe', id: 1, room: 'public:a\u0000b' }],
    ['an unknown room type', 'UNKNOWN_ROOM_TYPE', { type: 'subscribe', id: 1, room: 'planet:mars' }],
    ['another user’s room', 'FORBIDDEN', { type: 'subscribe', id: 1, room: 'user:bob' }],
    ['another tenant’s room', 'FORBIDDEN', { type: 'publish', id: 1, room: 'deal:other:1', event: 'e', data: 1 }],
    [
      'a position that is none',
      'BAD_POSITION',
      { type: 'subscribe', id: 1, room: 'public:bad', since: { epoch: 'x', seq: 1 } },
    ],
    [
      'a negative seq',
      'BAD_POSITION',
      { type: 'subscribe', id: 1, room: 'public:bad', since: { epoch: '1.2', seq: -1 } },
    ],
    ['a filter that is none', 'BAD_FILTER', { type: 'subscribe', id: 1, room: 'public:bad', filter: { a: { b: 1 } } }],
    ['a room that is not subscribed', 'NOT_SUBSCRIBED', { type: 'unsubscribe', id: 1, room: 'public:other' }],
  ])('[EG1] %s is answered with %s, nothing changes, and the connection goes on (EV3)', async (_what, code, frame) => {
    const client = await open()
    client.send(frame)
    expect(await client.until((heard) => heard.type === 'error')).toMatchObject({ code })
    client.send({ type: 'subscribe', id: 'after', room: 'public:bad' })
    expect(await client.until((heard) => heard.id === 'after')).toMatchObject({ type: 'ok', position: { seq: 0 } })
    client.socket.close()
  })

  it('[EG2] of 10,000 subscriptions the first 1,000 are taken, and the connection works', async () => {
    const client = await open()
    for (let i = 0; i < 10_000; i++) client.send({ type: 'subscribe', id: i, room: `public:many-${i}` })
    await client.until((frame) => frame.id === 9_999)
    // On a busy machine some are refused for now: they are asked for again, as a client does.
    let taken = 0
    await client.until((frame) => {
      if (frame.code === 'OVERLOADED') client.send({ type: 'subscribe', id: frame.id, room: frame.room })
      return frame.type === 'ok' && (taken += 1) === 1_000
    })
    const refused = client.heard.filter((frame) => frame.code === 'TOO_MANY_SUBSCRIPTIONS')
    expect(refused).toHaveLength(9_000)
    client.send({ type: 'publish', id: 'p', room: 'public:many-7', event: 'e', data: 1 })
    expect(await client.until((frame) => frame.type === 'event')).toMatchObject({ room: 'public:many-7', seq: 1 })
    client.socket.close()
  }, 30_000)

  it('[EG3] a frame that is too big closes 1009, a binary one 1003, and others are not touched (CN1)', async () => {
    const witness = await open()
    const big = await open()
    big.send(`{"type":"publish","id":1,"room":"public:bad","event":"e","data":"${'x'.repeat(1_100_000)}"}`)
    expect((await big.closed).code).toBe(1009)
    const early = await open({ auth: false })
    early.send(JSON.stringify({ type: 'auth', token: 'x'.repeat(70_000) }))
    expect((await early.closed).code).toBe(1009)
    const binary = await open()
    binary.socket.send(Buffer.from('{}'))
    expect((await binary.closed).code).toBe(1003)
    witness.send({ type: 'ping', id: 'still' })
    expect(await witness.until((frame) => frame.id === 'still')).toMatchObject({ type: 'pong' })
    witness.socket.close()
  })

  it('[EG4] a token comes by query, header, subprotocol or frame; a bad one closes 4401', async () => {
    const token = tokenFor('carol')
    const ways = [
      await open({ auth: false, query: `?token=${token}` }),
      await open({ auth: false, headers: { authorization: `Bearer ${token}` } }),
      await open({
        auth: false,
        protocols: ['flotilla.v1', `flotilla.token.${Buffer.from(token).toString('base64url')}`],
      }),
    ]
    for (const way of ways) {
      expect(await way.until((frame) => frame.type === 'connected')).toMatchObject({
        userId: 'carol',
        tenantId: 'acme',
      })
      way.socket.close()
    }
    expect(ways[2]?.socket.protocol).toBe('flotilla.v1')
    const bad = await open({ auth: false })
    bad.send({ type: 'auth', token: 'not.a.token' })
    expect(await bad.closed).toEqual({ code: 4401, reason: 'Invalid token' })
  })

  it('[EG5] frames before the verdict are held; without a token nothing else is done', async () => {
    const client = await open({ auth: false })
    client.send({ type: 'auth', token: tokenFor('dave') })
    client.send({ type: 'subscribe', id: 1, room: 'public:held' })
    expect(await client.until((frame) => frame.id === 1)).toMatchObject({ type: 'ok', room: 'public:held' })
    client.socket.close()
  })

  it('[EG6] a page of a foreign origin is refused before the upgrade (CN9)', async () => {
    await expect(open({ auth: false, headers: { origin: 'https://evil.example' } })).rejects.toThrow('403')
    const own = await open({ auth: false, headers: { origin: 'https://app.example' } })
    own.socket.close()
  })

  it('[EG7] after a reconnect a resume answers first, then replays exactly what was missed, once', async () => {
    const one = await open()
    one.send({ type: 'subscribe', id: 1, room: 'public:resume' })
    const since = (await one.until((frame) => frame.id === 1)) as Frame & { position: object }
    one.socket.close()
    await one.closed
    const two = await open()
    for (let i = 1; i <= 3; i++)
      two.send({ type: 'publish', id: `p${i}`, room: 'public:resume', event: `e${i}`, data: i, key: `k${i}` })
    two.send({ type: 'publish', id: 'again', room: 'public:resume', event: 'e2', data: 2, key: 'k2' })
    expect(await two.until((frame) => frame.id === 'again')).toMatchObject({ type: 'ok', position: { seq: 2 } })
    const back = await open()
    back.send({
      type: 'resume',
      id: 9,
      rooms: [{ room: 'public:resume', since: since.position }, { room: 'user:bob' }],
    })
    const ok = await back.until((frame) => frame.id === 9)
    expect(ok).toMatchObject({ type: 'ok' })
    expect((ok as unknown as { rooms: object[] }).rooms).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ room: 'public:resume', recovered: true, missed: 3 }),
        expect.objectContaining({ room: 'user:bob', error: expect.objectContaining({ code: 'FORBIDDEN' }) }),
      ]),
    )
    await back.until((frame) => frame.seq === 3)
    const after = back.heard.slice(back.heard.indexOf(ok)).filter((frame) => frame.type === 'event')
    expect(after.map(({ seq, event }) => [seq, event])).toEqual([
      [1, 'e1'],
      [2, 'e2'],
      [3, 'e3'],
    ])
    expect(back.heard.slice(0, back.heard.indexOf(ok)).some((frame) => frame.room === 'public:resume')).toBe(false)
    for (const each of [two, back]) each.socket.close()
  })
})

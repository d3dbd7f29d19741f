import * as limits from '@flotilla/core/limits'
import { describe, expect, test } from 'vitest'
import type { RoomEvent } from './client.ts'
import { PublishRefusedError, PublishUnknownError, QueueFullError, TimeoutError } from './client.ts'
import { at, event } from './testing/fake-server.ts'
import type { FrameOf, Peer } from './testing/fake-server.ts'
import { maxPublishTimeoutMs } from './options.ts'
import { maxDataBytes, maxInFlight } from './queue.ts'
import { failure, harness, nothingElse, until } from './testing/harness.ts'

const room = 'conversation:9'
const busy = { code: 'OVERLOADED', message: 'busy', retryAfterMs: 5 }

async function take(peer: Peer, count: number): Promise<FrameOf<'publish'>[]> {
  const frames: FrameOf<'publish'>[] = []
  while (frames.length < count) frames.push(await peer.expect('publish'))
  return frames
}
const data = (frames: readonly FrameOf<'publish'>[]): unknown[] => frames.map((frame) => frame.data)
function commit(peer: Peer, frames: readonly FrameOf<'publish'>[], first: number): void {
  frames.forEach((frame, i) => peer.ok(frame, { room: frame.room, position: at(first + i) }))
}

describe('publish', () => {
  test('[CC17] resolves with the position, and always carries a key (CL1)', async () => {
    const { pair } = await harness()
    const { client, peer } = await pair()
    const pending = Promise.all([
      client.publish(room, 'message', { a: 1 }),
      client.publish(room, 'message', undefined, { key: 'mine' }),
    ])
    const frames = await take(peer, 2)
    expect(frames[0]).toMatchObject({ room, event: 'message', data: { a: 1 } })
    expect(frames[0]?.key).toMatch(/^[0-9a-f-]{32,36}$/)
    expect(frames[1]).toMatchObject({ data: null, key: 'mine' })
    commit(peer, frames, 8)
    expect(await pending).toEqual([
      { position: at(8), key: frames[0]?.key },
      { position: at(9), key: 'mine' },
    ])
  })

  test('[CC17] a refusal for now, or an unknown outcome, is tried again under the same key after the time given', async () => {
    const { pair } = await harness()
    const { client, peer } = await pair()
    const pending = client.publish(room, 'message', 1)
    const keys: (string | undefined)[] = []
    for (const code of ['OVERLOADED', 'UNKNOWN', 'RATE_LIMITED', 'INTERNAL_ERROR']) {
      const [frame] = await take(peer, 1)
      if (frame === undefined) throw new Error('no frame')
      keys.push(frame.key)
      const began = performance.now()
      peer.refuse(frame, { code, message: 'later', retryAfterMs: 20 })
      await until(() => peer.unread > 0, 'the retry')
      expect(performance.now() - began).toBeGreaterThanOrEqual(19)
    }
    const last = await take(peer, 1)
    commit(peer, last, 3)
    expect(new Set([...keys, last[0]?.key]).size).toBe(1)
    expect(await pending).toMatchObject({ position: at(3) })
  })

  test('[CC17] a lost connection is followed by the same publish under the same key', async () => {
    const { server, pair } = await harness()
    const { client, peer } = await pair()
    const pending = client.publish(room, 'message', 1)
    const [first] = await take(peer, 1)
    peer.kill()
    const second = await server.accept()
    await second.welcome()
    const again = await take(second, 1)
    expect(again[0]?.key).toBe(first?.key)
    commit(second, again, 3)
    expect(await pending).toMatchObject({ position: at(3) })
  })

  test('[CC17] a refusal for good rejects with its code', async () => {
    const { pair } = await harness()
    const { client, peer } = await pair()
    const refused = failure(client.publish('tenant:other', 'x', 1))
    const [frame] = await take(peer, 1)
    if (frame !== undefined) peer.refuse(frame, { code: 'FORBIDDEN', message: 'not yours' })
    const error = await refused
    expect(error).toBeInstanceOf(PublishRefusedError)
    expect(error).toMatchObject({ code: 'FORBIDDEN', key: frame?.key })
  })

  test('[CC18] when the time is over and the message may have been published, the error says so and carries the key', async () => {
    const { server, pair } = await harness()
    const { client, peer } = await pair()
    const onTheWay = failure(client.publish(room, 'x', 1, { timeoutMs: 40, key: 'k1' }))
    await take(peer, 1)
    expect(await onTheWay).toBeInstanceOf(PublishUnknownError)
    expect(await onTheWay).toMatchObject({ code: 'UNKNOWN', key: 'k1' })

    const refusedLater = failure(client.publish('public:b', 'x', 1, { key: 'k2' }))
    await take(peer, 1)
    peer.kill()
    const second = await server.accept()
    await second.welcome()
    const [frame] = await take(second, 1)
    if (frame !== undefined) second.refuse(frame, { code: 'FORBIDDEN', message: 'no' })
    expect(await refusedLater).toMatchObject({ name: 'PublishUnknownError', key: 'k2' })
  })

  test('[CC18] when it was certainly not published it is a TimeoutError', async () => {
    const { server, pair } = await harness()
    const { client, peer } = await pair()
    const neverTaken = failure(client.publish(room, 'x', 1, { timeoutMs: 60 }))
    const [frame] = await take(peer, 1)
    if (frame !== undefined) peer.refuse(frame, { ...busy, retryAfterMs: 10_000 })
    expect(await neverTaken).toBeInstanceOf(TimeoutError)
    peer.kill()
    await until(() => client.state === 'reconnecting', 'reconnecting')
    expect(await failure(client.publish(room, 'x', 1, { timeoutMs: 20 }))).toBeInstanceOf(TimeoutError)
    const second = await server.accept()
    await second.welcome()
    const after = client.publish(room, 'x', 'after')
    const next = await take(second, 1)
    expect(data(next)).toEqual(['after'])
    commit(second, next, 1)
    await after
  })

  test('[CC18] a time limit beyond the memory of keys is refused', async () => {
    const { pair } = await harness()
    const { client } = await pair()
    expect(await failure(client.publish(room, 'x', 1, { timeoutMs: 100_001 }))).toMatchObject({
      code: 'VALIDATION_ERROR',
    })
  })

  test('[CC19] publishes leave in call order, several at once, and after a reconnect in the same order', async () => {
    const { server, pair } = await harness()
    const { client, peer } = await pair()
    const pending = Promise.all([1, 2, 3, 4].map((n) => client.publish(room, 'x', n)))
    const frames = await take(peer, 4)
    expect(data(frames)).toEqual([1, 2, 3, 4])
    commit(peer, frames.slice(0, 1), 1)
    await until(() => client.state === 'connected', 'connected')
    peer.close(1012)
    const second = await server.accept()
    await second.welcome()
    const rest = await take(second, 3)
    expect(data(rest)).toEqual([2, 3, 4])
    expect(rest.map((f) => f.key)).toEqual(frames.slice(1).map((f) => f.key))
    commit(second, rest, 2)
    expect((await pending).map((p) => p.position.seq)).toEqual([1, 2, 3, 4])
  })

  test('[CC19] what was not sent yet waits for a refused one of its room; other rooms do not', async () => {
    const { pair } = await harness()
    const { client, peer } = await pair({ pipeline: 1 })
    const pending = Promise.all([1, 2, 3].map((n) => client.publish(room, 'x', n)))
    const [first] = await take(peer, 1)
    if (first !== undefined) peer.refuse(first, busy)
    const other = client.publish('public:b', 'x', 'other')
    const [aside] = await take(peer, 1)
    expect(aside?.room).toBe('public:b')
    if (aside !== undefined) commit(peer, [aside], 1)
    await other
    for (const n of [1, 2, 3]) {
      const frames = await take(peer, 1)
      expect(data(frames)).toEqual([n])
      await nothingElse(client, peer)
      commit(peer, frames, n)
    }
    expect((await pending).map((p) => p.position.seq)).toEqual([1, 2, 3])
  })

  test('[CC19] refused publishes that were on their way together are tried again one by one, in order', async () => {
    const { pair } = await harness()
    const { client, peer } = await pair()
    const pending = Promise.all([1, 2, 3].map((n) => client.publish(room, 'x', n)))
    for (const frame of await take(peer, 3)) peer.refuse(frame, busy)
    await until(() => peer.unread === 1, 'the first retry')
    for (const n of [1, 2, 3]) {
      const frames = await take(peer, 1)
      expect(data(frames)).toEqual([n])
      await nothingElse(client, peer)
      commit(peer, frames, n)
    }
    expect((await pending).map((p) => p.position.seq)).toEqual([1, 2, 3])
  })

  test('[CC19] no more are on their way than the server takes, and all arrive', async () => {
    const { pair } = await harness()
    const { client, peer } = await pair()
    const pending = Promise.all(Array.from({ length: 300 }, (_, n) => client.publish(`public:${n}`, 'x', n)))
    const first = await take(peer, 256)
    await nothingElse(client, peer)
    commit(peer, first, 1)
    commit(peer, await take(peer, 44), 1)
    expect(await pending).toHaveLength(300)
  })

  test('[CC20] without a connection publishes wait in order up to the bound; beyond it QueueFullError at once (CL1)', async () => {
    const { server, pair } = await harness()
    const { client, peer } = await pair({ queue: { maxItems: 3 } })
    peer.kill()
    await until(() => client.state === 'reconnecting', 'reconnecting')
    const pending = Promise.all([1, 2, 3].map((n) => client.publish(room, 'x', n)))
    expect(await failure(client.publish(room, 'x', 4))).toBeInstanceOf(QueueFullError)
    const second = await server.accept()
    await second.welcome()
    const frames = await take(second, 3)
    expect(data(frames)).toEqual([1, 2, 3])
    commit(second, frames, 1)
    await pending
    const next = client.publish(room, 'x', 5)
    commit(second, await take(second, 1), 4)
    expect(await next).toMatchObject({ position: at(4) })
  })

  test('[CC20] the bound counts bytes too, and one message has its own', async () => {
    const { pair } = await harness()
    const { client, peer } = await pair({ queue: { maxBytes: 20 } })
    const pending = client.publish(room, 'x', 'ü'.repeat(8))
    expect(await failure(client.publish(room, 'x', '12'))).toBeInstanceOf(QueueFullError)
    expect(await failure(client.publish(room, 'x', 'a'.repeat(1_000_000)))).toMatchObject({ code: 'PAYLOAD_TOO_LARGE' })
    expect(await failure(client.publish(room, 'x', 1n))).toMatchObject({ code: 'VALIDATION_ERROR' })
    commit(peer, await take(peer, 1), 1)
    await pending
  })

  test('[CC20] the bounds are those of the server, and retries end before a key may be forgotten', () => {
    expect(maxInFlight).toBe(limits.maxPublishesInFlight)
    expect(maxDataBytes).toBe(limits.maxDataBytes)
    expect(maxPublishTimeoutMs + limits.publishDeadlineMs).toBeLessThan(limits.dedupeMs)
  })

  test('[CC30] who gets it and for how long is sent with it, and again with each retry', async () => {
    const { pair } = await harness()
    const { client, peer } = await pair()
    const recipients = { echo: false, except: ['bob'], match: { region: 'eu' } }
    const pending = client.publish(room, 'x', 1, { ...recipients, ttl: 60_000 })
    const [first] = await take(peer, 1)
    expect(first).toMatchObject({ ...recipients, ttl: 60_000 })
    if (first !== undefined) peer.refuse(first, { code: 'OVERLOADED', message: 'busy', retryAfterMs: 1 })
    const [again] = await take(peer, 1)
    expect(again).toMatchObject({ ...recipients, ttl: 60_000, key: first?.key })
    if (again !== undefined) commit(peer, [again], 1)
    await pending
    const ephemeral = { ...recipients, ephemeral: true, conflate: 'k' } as const
    await client.publish(room, 'typing', 1, ephemeral)
    expect((await take(peer, 1))[0]).toMatchObject(ephemeral)
  })

  test('[CC21] an ephemeral event is sent once and acknowledged by nobody; without a connection it is dropped', async () => {
    const { server, pair } = await harness()
    const { client, peer } = await pair()
    await client.publish(room, 'typing', { on: true }, { ephemeral: true })
    const frame = await peer.expect('publish')
    expect(frame).toMatchObject({ ephemeral: true, data: { on: true } })
    expect(frame.key).toBeUndefined()
    peer.refuse(frame, { code: 'RATE_LIMITED', message: 'too fast', retryAfterMs: 1 })
    const heard: RoomEvent[] = []
    client.on('*', (e) => heard.push(e))
    peer.send(event('public:all', null))
    await until(() => heard.length === 1, 'the event')
    peer.kill()
    await until(() => client.state === 'reconnecting', 'reconnecting')
    await client.publish(room, 'typing', { on: false }, { ephemeral: true })
    const second = await server.accept()
    await second.welcome([])
    const durable = client.publish(room, 'x', 1)
    const [next] = await take(second, 1)
    expect(next).toMatchObject({ event: 'x', data: 1 })
    if (next !== undefined) commit(second, [next], 1)
    await durable
  })
})

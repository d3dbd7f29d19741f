import { describe, expect, test } from 'vitest'
import type { RoomEvent } from './client.ts'
import { at } from './testing/fake-server.ts'
import type { FakeServer, FrameOf, Peer } from './testing/fake-server.ts'
import { harness, numbers, until } from './testing/harness.ts'

const room = 'public:storm'
const meta = { userId: 'alice', timestamp: '2026-01-01T00:00:00.000Z' }

/** Numbers in [0, 1) that a seed determines (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** A room with a log, that takes each key once, over a network that loses, repeats and breaks off. */
class StormyRoom {
  readonly log: { key: string; data: unknown }[] = []
  kills = 0
  readonly #random: () => number

  constructor(random: () => number) {
    this.#random = random
  }

  async serve(server: FakeServer, isDone: () => boolean): Promise<void> {
    while (!isDone()) {
      const peer = await server.accept()
      // A connection that breaks ends its loop with an error of `expect`, or never has another frame.
      await Promise.race([this.#connection(peer).catch(() => {}), peer.closed, until(isDone, 'all')])
    }
  }

  async #connection(peer: Peer): Promise<void> {
    await peer.welcome()
    for (;;) {
      const frame = await peer.next()
      if (this.#random() < 0.03) {
        this.kills += 1
        return peer.kill()
      }
      if (frame.type === 'publish') this.#publish(peer, frame)
      if (frame.type === 'subscribe')
        peer.ok(frame, { room, ...this.#answer(frame.since?.seq) }, ...this.#after(frame.since?.seq))
      if (frame.type === 'resume') {
        const since = frame.rooms[0]?.since?.seq
        peer.ok(frame, { rooms: [{ room, ...this.#answer(since) }] }, ...this.#after(since))
      }
    }
  }

  #publish(peer: Peer, frame: FrameOf<'publish'>): void {
    if (this.#random() < 0.05) return peer.refuse(frame, { code: 'OVERLOADED', message: 'busy', retryAfterMs: 1 })
    const key = frame.key ?? ''
    let index = this.log.findIndex((entry) => entry.key === key)
    if (index < 0) {
      index = this.log.push({ key, data: frame.data }) - 1
      // Some deliveries come twice, some are lost on the way to this connection.
      const copies = this.#random() < 0.1 ? 2 : this.#random() < 0.1 ? 0 : 1
      for (let i = 0; i < copies; i += 1) peer.send(this.#event(index))
    }
    if (this.#random() < 0.05) return peer.refuse(frame, { code: 'UNKNOWN', message: 'who knows', retryAfterMs: 1 })
    peer.ok(frame, { room, position: at(index + 1) })
  }

  #event(index: number) {
    return { type: 'event' as const, room, seq: index + 1, event: 'n', data: this.log[index]?.data, meta }
  }
  #answer(since = this.log.length) {
    return { position: at(this.log.length), recovered: true, missed: this.log.length - since }
  }
  #after(since = this.log.length) {
    return this.log.slice(since).map((_, i) => this.#event(since + i))
  }
}

describe('storm', () => {
  test.each([1, 2, 3, 4, 5])(
    '[CC23] seed %i: every publish is one message, in call order, heard once and in order',
    async (seed) => {
      const { server, connect } = await harness()
      const stormy = new StormyRoom(seeded(seed))
      let done = false
      const serving = stormy.serve(server, () => done)
      // One at a time, because a refusal may change the order of what is on its way together.
      const client = await connect({ pipeline: 1, attemptTimeoutMs: 2_000 })
      const heard: RoomEvent[] = []
      await client.subscribe(room, { onEvent: (e) => heard.push(e) })
      const count = 200
      const published = await Promise.all(Array.from({ length: count }, (_, n) => client.publish(room, 'n', n)))
      expect(stormy.log.map((entry) => entry.data)).toEqual(Array.from({ length: count }, (_, n) => n))
      expect(published.map((p) => p.position.seq)).toEqual(Array.from({ length: count }, (_, n) => n + 1))
      // The last event may have been the lost one: a later one shows the hole.
      while (heard.length < stormy.log.length) {
        await client.publish(room, 'n', 'more')
        await until(() => client.state === 'connected', 'connected')
      }
      expect(numbers(heard)).toEqual(heard.map((_, i) => i + 1))
      expect(stormy.kills).toBeGreaterThan(0)
      done = true
      client.close()
      await serving
    },
  )
})

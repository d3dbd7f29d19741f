import { hardBufferBytes, softBufferBytes } from '@flotilla/core/limits'
import type { LogEntry, OutRecord } from '@flotilla/core/entry'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { startHub, turn } from '../test/hub-rig.ts'
import type { Client } from '../test/hub-rig.ts'

type Rig = ReturnType<typeof startHub>
let rig: Rig
beforeEach(() => {
  rig = startHub()
})
afterEach(() => rig.close())

const room = 'public:r'
const epoch = '5.1'
const event = (data: unknown, options = '') => ({
  options,
  tail: `"event":"e","data":${JSON.stringify(data)},"meta":{"userId":"u","timestamp":"2026-01-01T00:00:00.000Z"}`,
})
const events = (first: number, ...data: unknown[]): OutRecord => ({
  ...{ type: 'events', room, epoch, first },
  events: data.map((each) => event(each)),
})
const entry = (first: number, ...data: unknown[]): LogEntry => ({
  ...{ inc: 5, tag: 1, first, timeMs: Date.now() },
  messages: data.map((each, i) => ({ sender: 's', key: `k${first + i}`, ...event(each) })),
})
const since = (seq: number) => ({ epoch, seq })
const seqs = (client: Client, of = room): unknown[] =>
  client.frames().flatMap((frame) => (frame.type === 'event' && frame.room === of ? [frame.seq] : []))
const answerOf = (client: Client, id: number) =>
  client.frames().find((frame) => (frame.type === 'ok' || frame.type === 'error') && frame.id === id)

async function subscribed(user: string, head = 10): Promise<Client> {
  const client = await rig.open(user)
  client.send({ type: 'subscribe', id: 1, room })
  await turn()
  rig.join(head)
  await turn()
  return client
}

/** The hub looks at its rooms ten times a second. */
async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; !holds(); i += 1) {
    if (i > 300) throw new Error('it did not come')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

describe('what is held back', () => {
  test('[EG30] live events beyond the limit while a resume waits for another room: the room is asked for again, the client stays', async () => {
    const client = await rig.open('alice')
    client.send({
      type: 'resume',
      id: 2,
      rooms: [
        { room, since: since(10) },
        { room: 'public:slow', since: since(1) },
      ],
    })
    await turn()
    rig.join(10)
    await turn()
    const big = 'x'.repeat(300_000)
    for (let seq = 11; seq <= 16; seq++) rig.records(events(seq, big))
    await turn()
    expect([client.closed(), answerOf(client, 2)]).toEqual([undefined, undefined])
    rig.reads.find((read) => read.room === 'public:slow')?.answer([entry(2, ...Array.from({ length: 9 }, () => 0))])
    await turn()
    expect(answerOf(client, 2)).toMatchObject({
      type: 'ok',
      rooms: expect.arrayContaining([
        expect.objectContaining({ room, error: expect.objectContaining({ code: 'OVERLOADED' }) }),
        expect.objectContaining({ room: 'public:slow', recovered: true, missed: 9 }),
      ]),
    })
    expect(seqs(client)).toEqual([])
    client.send({ type: 'subscribe', id: 3, room, since: since(10) })
    await turn()
    rig.reads.at(-1)?.answer([entry(11, ...Array.from({ length: 6 }, () => big))])
    await turn()
    expect(answerOf(client, 3)).toMatchObject({ recovered: true, missed: 6 })
    expect(seqs(client)).toEqual([11, 12, 13, 14, 15, 16])
    expect(client.closed()).toBeUndefined()
  })

  test('[EG31] a replay above the limit does not count against the client that reads it, what comes after it does', async () => {
    const client = await rig.open('alice')
    client.wire.reads = false
    client.send({ type: 'subscribe', id: 1, room, since: since(5) })
    await turn()
    rig.join(10)
    await turn()
    const big = 'x'.repeat(500_000)
    rig.reads.at(-1)?.answer([entry(6, big, big, big, big, big)])
    await turn()
    expect(client.wire.writableLength).toBeGreaterThan(2 * hardBufferBytes)
    rig.records(events(11, big))
    await turn()
    rig.records(events(12, big))
    await turn()
    rig.records(events(13, big))
    await turn()
    expect(client.closed()).toBeUndefined()
    rig.records(events(14, 'one too many'))
    await turn()
    expect(client.closed()).toBe(4008)
    client.wire.read()
    expect(seqs(client)).toEqual([6, 7, 8, 9, 10, 11, 12, 13])
  })

  test('[EG31] a second replay is not begun before the first is read', async () => {
    const client = await rig.open('alice')
    client.wire.reads = false
    const big = 'x'.repeat(1_200_000)
    client.send({ type: 'subscribe', id: 1, room, since: since(9) })
    await turn()
    rig.join(10)
    await turn()
    rig.reads.at(-1)?.answer([entry(10, big)])
    await turn()
    client.send({ type: 'subscribe', id: 2, room, since: since(9) })
    await turn()
    rig.reads.at(-1)?.answer([entry(10, big)])
    await turn()
    client.wire.read()
    await turn()
    expect(answerOf(client, 2)).toMatchObject({ code: 'OVERLOADED', retryAfterMs: 1_000 })
    client.send({ type: 'subscribe', id: 3, room, since: since(9) })
    await turn()
    rig.reads.at(-1)?.answer([entry(10, big)])
    await turn()
    expect(answerOf(client, 3)).toMatchObject({ recovered: true, missed: 1 })
  })

  test('[EG34] a client that asks faster than it reads the answers is not read for a while, and not closed', async () => {
    const client = await rig.open('alice')
    client.wire.reads = false
    const long = { type: 'ping', id: 'x'.repeat(64) }
    for (let i = 0; i < 20_000 && !client.paused(); i++) {
      client.send(long)
      if (i % 500 === 0) await turn()
    }
    expect(client.paused()).toBe(true)
    expect(client.wire.writableLength).toBeLessThan(softBufferBytes * 2)
    client.wire.read()
    await turn()
    expect([client.paused(), client.closed()]).toEqual([false, undefined])
  })

  test('[EG30] a room that is asked for anew in the moment in which its events do not fit any more has one answer, and what was held is let go of once', async () => {
    const client = await rig.open('alice')
    const rooms = [
      { room, since: since(10) },
      { room: 'public:slow', since: since(1) },
    ]
    client.send({ type: 'resume', id: 2, rooms })
    await turn()
    rig.join(10)
    await turn()
    const big = 'x'.repeat(500_000)
    rig.records(events(11, big))
    await turn()
    rig.records(events(12, big))
    await turn()
    // This one does not fit; it waits for the tick when the client asks again.
    rig.records(events(13, big))
    client.send({ type: 'subscribe', id: 3, room, since: since(13) })
    await turn()
    expect(answerOf(client, 3)).toMatchObject({ type: 'ok', position: since(13), recovered: true })
    rig.records(events(14, 'x'))
    await turn()
    expect(seqs(client)).toEqual([14])
    expect(client.connection.hold(hardBufferBytes, false)).toBe(true)
    expect(client.connection.hold(1, false)).toBe(false)
  })
})

describe('rooms and their places', () => {
  test('[EG16] the place of an excepted event is told in the life it belonged to, also when that is lost before the tick', async () => {
    const alice = await subscribed('alice')
    rig.records(
      { type: 'events', room, epoch, first: 11, events: [event(1, JSON.stringify({ except: ['alice'] }))] },
      { type: 'reset', slot: rig.slotOf(room), inc: 6 },
    )
    await turn()
    expect(alice.frames()).toContainEqual({ type: 'position', room, position: { epoch, seq: 11 }, recovered: true })
  })

  test.each(['x', 'null', '7', '{"except":5}', '{"except":{"includes":1},"match":"a"}'])(
    '[EG44] an event whose options %s cannot be read is one without options, also under a filter, and ends nothing',
    async (options) => {
      const [alice, bob] = [await subscribed('alice'), await rig.open('bob')]
      bob.send({ type: 'subscribe', id: 1, room, filter: { n: 1 } })
      await turn()
      const two = [event({ n: 1 }, options), event({ n: 2 }, options)]
      rig.records({ type: 'events', room, epoch, first: 11, events: two })
      await turn()
      expect([seqs(alice), seqs(bob)]).toEqual([[11, 12], [11]])
    },
  )

  test('[EG32] a room is not forgotten while a subscriber waits to be added', async () => {
    const [alice, bob] = [await rig.open('alice'), await rig.open('bob')]
    alice.send({ type: 'subscribe', id: 1, room })
    bob.send({ type: 'subscribe', id: 1, room })
    bob.send({ type: 'unsubscribe', id: 2, room })
    await turn()
    rig.join(10)
    rig.records(events(11, 'x'))
    await turn()
    expect(answerOf(alice, 1)).toMatchObject({ type: 'ok', position: since(10) })
    expect(seqs(alice)).toEqual([11])
  })

  test('[EG33] who becomes live between two ticks gets nothing that its answer covered', async () => {
    const alice = await subscribed('alice')
    const bob = await rig.open('bob')
    // In this order in one turn: bob joins, 13 comes, the tick.
    bob.send({ type: 'subscribe', id: 1, room })
    setImmediate(() => rig.records(events(13, 'c')))
    rig.records(events(11, 'a'), { type: 'ephemeral', room, event: event('typing') }, events(12, 'b'))
    await turn()
    expect(seqs(alice)).toEqual([11, undefined, 12, 13])
    expect(answerOf(bob, 1)).toMatchObject({ position: since(12) })
    expect(seqs(bob)).toEqual([13])
  })

  test('[EG42] a hundred who join at once are served in several turns, and a hole does not wait behind them', async () => {
    const alice = await subscribed('alice')
    rig.records(events(12, 'b'))
    const crowd = await rig.open('bob')
    // Each look at the clock is 5 ms later: one joins per turn.
    let now = performance.now()
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => (now += 5))
    try {
      const before = rig.declared.length
      for (let i = 0; i < 100; i += 1) crowd.send({ type: 'subscribe', id: i, room: `public:crowd-${i}` })
      rig.reads[0]?.answer([entry(11, 'a')])
      await turn()
      await turn()
      expect(seqs(alice)).toEqual([11, 12])
      expect(rig.declared.length - before).toBeGreaterThan(0)
      expect(rig.declared.length - before).toBeLessThan(50)
    } finally {
      clock.mockRestore()
    }
    while (rig.hub.rooms < 4 + 100 || rig.declared.length < 4 + 100) await turn()
  })

  test('[EG32] what is read for a forgotten room does not touch the next one of its name', async () => {
    const [alice, bob] = [await subscribed('alice'), await rig.open('bob')]
    rig.records(events(12, 'b'))
    alice.send({ type: 'unsubscribe', id: 2, room })
    const now = performance.now()
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => now + 4_000)
    try {
      const known = rig.hub.rooms
      await until(() => rig.hub.rooms < known)
    } finally {
      clock.mockRestore()
    }
    bob.send({ type: 'subscribe', id: 1, room })
    await turn()
    rig.join(20)
    await turn()
    rig.reads[0]?.answer([entry(11, 'a')])
    await turn()
    rig.records(events(21, 'c'))
    await turn()
    expect(answerOf(bob, 1)).toMatchObject({ position: since(20) })
    expect(seqs(bob)).toEqual([21])
  })

  test('[EG36] a connection that was closed asks for nothing any more', async () => {
    const alice = await rig.open('alice')
    await turn()
    rig.join()
    alice.connection.onMessage(Buffer.from('x'), true)
    expect(alice.closed()).toBe(1003)
    const before = rig.declared.length
    alice.send({ type: 'subscribe', id: 1, room })
    alice.send({ type: 'publish', id: 2, room, event: 'e', data: 1 })
    await turn()
    expect(rig.declared).toHaveLength(before)
    expect(alice.connection.rooms.size).toBe(0)
  })

  test('[EG36] a slow client that is closed while it asks for a room again leaves nothing there', async () => {
    const alice = await subscribed('alice')
    alice.wire.reads = false
    const big = 'x'.repeat(600_000)
    for (let seq = 11; seq <= 12; seq++) {
      rig.records(events(seq, big))
      await turn()
    }
    expect(alice.closed()).toBeUndefined()
    rig.records(events(13, 'one too many'))
    alice.send({ type: 'subscribe', id: 2, room })
    expect(alice.closed()).toBe(4008)
    expect(alice.connection.rooms.size).toBe(0)
  })
})

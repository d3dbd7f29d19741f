import { writeOptions } from '@flotilla/core/event-options'
import { softBufferBytes } from '@flotilla/core/limits'
import type { OutRecord } from '@flotilla/core/entry'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { startHub, turn } from '../test/hub-rig.ts'
import type { Client } from '../test/hub-rig.ts'
import { maxMissed } from './newest.ts'

let rig: ReturnType<typeof startHub>
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
const ephemeral = (data: unknown, conflate?: string, more: object = {}): OutRecord => ({
  ...{ type: 'ephemeral', room },
  event: event(data, writeOptions({ ...more, conflate })),
})
const durable = (first: number, data: unknown, options = ''): OutRecord => ({
  ...{ type: 'events', room, epoch, first },
  events: [event(data, options)],
})
const heard = (client: Client): unknown[] =>
  client.frames().flatMap((frame) => (frame.type === 'event' && frame.room === room ? [frame.data] : []))
const positions = (client: Client): number[] =>
  client.frames().flatMap((frame) => (frame.type === 'position' && frame.room === room ? [frame.position.seq] : []))

async function subscribed(user: string, more: object = {}): Promise<Client> {
  const client = await rig.open(user)
  client.send({ type: 'subscribe', id: 1, room, ...more })
  await turn()
  rig.join(10)
  await turn()
  return client
}
async function until(holds: () => boolean): Promise<void> {
  const end = performance.now() + 10_000
  while (!holds()) {
    if (performance.now() > end) throw new Error('it did not come')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
/** Reads nothing any more, and has more unread than ephemeral events are written beyond. */
async function fallBehind(client: Client, first: number): Promise<void> {
  client.wire.reads = false
  rig.records(durable(first, 'x'.repeat(softBufferBytes)), durable(first + 1, 'x'))
  await turn()
  expect(client.connection.isSlow).toBe(true)
}

describe('conflated events', () => {
  test('[EC6] of those that meet in one tick the newest of each key is written; durable events and others stay', async () => {
    const alice = await subscribed('alice')
    rig.records(
      ...[ephemeral('a1', 'c1 k'), durable(11, 'd'), ephemeral('b1', 'c2 k'), ephemeral('plain'), ephemeral('plain')],
      ...[ephemeral('a2', 'c1 k'), durable(12, 'd'), ephemeral('a3', 'c1 k'), ephemeral('c1', 'c1 other')],
    )
    await turn()
    expect(heard(alice)).toEqual(['d', 'b1', 'plain', 'plain', 'd', 'a3', 'c1'])
    rig.records(ephemeral('a4', 'c1 k'))
    await turn()
    expect(heard(alice).at(-1)).toBe('a4')
  })

  test('[EC6] who becomes live between two ticks gets the newest too, and nothing from before', async () => {
    const alice = await subscribed('alice')
    const bob = await rig.open('bob')
    // In this order in one turn: bob joins, more comes, the tick.
    bob.send({ type: 'subscribe', id: 1, room })
    setImmediate(() => rig.records(ephemeral('a3', 'k'), durable(12, 'd'), ephemeral('a4', 'k')))
    rig.records(ephemeral('a1', 'k'), durable(11, 'd'), ephemeral('a2', 'k'))
    await turn()
    expect(heard(alice)).toEqual(['d', 'd', 'a4'])
    expect(heard(bob)).toEqual(['d', 'a4'])
  })

  test('[EC7] a slow connection gets none, and the newest of each key once it has read', async () => {
    const [alice, bob] = [await subscribed('alice'), await subscribed('bob')]
    await fallBehind(alice, 11)
    rig.records(ephemeral('a1', 'c1 k'), ephemeral('b1', 'c2 k'), ephemeral('plain'))
    await turn()
    rig.records(ephemeral('a2', 'c1 k'), ephemeral('for others', 'c3 k', { except: ['alice'] }))
    await turn()
    rig.records(durable(13, 'meanwhile'))
    await until(() => heard(bob).length === 8)
    expect(heard(bob).slice(2)).toEqual(['a1', 'b1', 'plain', 'a2', 'for others', 'meanwhile'])
    alice.wire.read()
    await until(() => heard(alice).length === 5)
    expect(heard(alice).slice(2)).toEqual(['meanwhile', 'a2', 'b1'])
  })

  test('[EC7] what comes after it has read replaces what was kept for it', async () => {
    const alice = await subscribed('alice', { filter: { for: 'alice' } })
    const [mine, yours] = [(n: number) => ({ for: 'alice', n }), (n: number) => ({ for: 'bob', n })]
    alice.wire.reads = false
    rig.records(durable(11, { for: 'alice', x: 'x'.repeat(softBufferBytes) }))
    await turn()
    rig.records(durable(12, mine(0)))
    await turn()
    expect(alice.connection.isSlow).toBe(true)
    rig.records(ephemeral(mine(1), 'k'), ephemeral(mine(2), 'other'), ephemeral(yours(3), 'third'))
    await turn()
    alice.wire.read()
    rig.records(ephemeral(mine(4), 'k'))
    await until(() => heard(alice).length === 4)
    await turn()
    expect(heard(alice).slice(2)).toEqual([mine(2), mine(4)])
  })

  test('[EC7] what is kept for a slow connection is bounded', async () => {
    const alice = await subscribed('alice')
    await fallBehind(alice, 11)
    rig.records(...Array.from({ length: maxMissed + 50 }, (_, i) => ephemeral(i, `k${i}`)))
    await turn()
    rig.records(ephemeral('again', 'k0'))
    await turn()
    alice.wire.read()
    await until(() => heard(alice).length > 2)
    await turn()
    expect(heard(alice)).toHaveLength(2 + maxMissed)
    expect(heard(alice)).toContain('again')
  })
})

describe('a batch of which each subscriber gets another part', () => {
  test('[EG46, EC6] everybody gets what is for them, in order, and is told how far the room is', async () => {
    const users = ['alice', 'bob', 'carol']
    const clients = await Promise.all(users.map((user) => subscribed(user)))
    const part = fc.record({
      durable: fc.boolean(),
      except: fc.subarray(users),
      key: fc.option(fc.constantFrom('k', 'l')),
    })
    let head = 10
    await fc.assert(
      fc.asyncProperty(fc.array(part, { minLength: 1, maxLength: 12 }), async (parts) => {
        const before = clients.map((client) => heard(client).length)
        const records = parts.map(({ durable: isDurable, except, key }, i) =>
          isDurable
            ? durable((head += 1), `d${i}`, writeOptions({ except }))
            : ephemeral(`e${i}`, key ?? undefined, { except }),
        )
        // Ticks stretch under load: the batch is over when its last event is there.
        rig.records(...records, durable((head += 1), `fence ${head}`))
        await until(() => clients.every((client) => heard(client).at(-1) === `fence ${head}`))
        const isReplaced = (i: number): boolean => {
          const { durable: isDurable, key } = parts[i] ?? {}
          return !isDurable && key != null && parts.slice(i + 1).some((each) => !each.durable && each.key === key)
        }
        clients.forEach((client, u) => {
          const wanted = parts.flatMap(({ durable: isDurable, except }, i) =>
            except.includes(users[u] ?? '') || isReplaced(i) ? [] : [`${isDurable ? 'd' : 'e'}${i}`],
          )
          expect(heard(client).slice(before[u], -1)).toEqual(wanted)
          const seqs = client
            .frames()
            .flatMap((frame) =>
              frame.type === 'event' ? [frame.seq ?? 0] : frame.type === 'position' ? [frame.position.seq] : [],
            )
          expect(Math.max(10, ...seqs)).toBe(head)
        })
      }),
      { numRuns: 50 },
    )
  })
})

describe('events whose time is over', () => {
  const over = writeOptions({ until: Date.now() - 1 })
  const not = writeOptions({ until: Date.now() + 3_600_000 })

  test('[TT2] are not written; the position goes on, once for several in a row', async () => {
    const [alice, bob] = [await subscribed('alice'), await subscribed('bob', { filter: { n: 1 } })]
    rig.records(durable(11, { n: 1 }, over), durable(12, { n: 1 }, over), durable(13, { n: 1 }, not))
    rig.records(durable(14, { n: 1 }, over))
    await turn()
    expect([heard(alice), heard(bob)]).toEqual([[{ n: 1 }], [{ n: 1 }]])
    expect(positions(alice)).toEqual([12, 14])
  })

  test('[TT2] are left out of a replay, which is a whole one', async () => {
    await subscribed('alice')
    const messages = [over, '', over, over].map((options, i) => ({ sender: 's', key: `k${i}`, ...event(i, options) }))
    const entry = { inc: 5, tag: 1, first: 7, timeMs: Date.now(), messages }
    const bob = await rig.open('bob')
    bob.send({ type: 'subscribe', id: 1, room, since: { epoch, seq: 6 } })
    await until(() => rig.reads.length === 1)
    rig.reads[0]?.answer([entry])
    await until(() => bob.frames().some((frame) => frame.type === 'ok'))
    await turn()
    const ok = bob.frames().find((frame) => frame.type === 'ok')
    expect(ok).toMatchObject({ position: { epoch, seq: 10 }, recovered: true, missed: 4 })
    expect(heard(bob)).toEqual([1])
    expect(positions(bob)).toEqual([7, 10])
  })
})

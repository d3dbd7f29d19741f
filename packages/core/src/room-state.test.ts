import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { dedupeMax, dedupeMs, historyEvents } from './limits.ts'
import { closeEntry, loadRoom, orderMessage, senderKey } from './room-state.ts'
import type { RoomState } from './room-state.ts'

const key = (i: number): string => senderKey('alice', `k${i}`)

/** Orders and closes one message per entry, all at `now`. */
function publish(room: RoomState, from: number, count: number, now: number): number {
  let keep = 0
  for (let i = from; i < from + count; i++) {
    orderMessage(room, key(i), now)
    keep = closeEntry(room, [key(i)], now)
  }
  return keep
}

describe('a room at its worker', () => {
  it('[RM1] [RM2] seq is contiguous and a repeated key gets the seq it had, whatever the order of calls', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 30 }), { maxLength: 200 }), (keys) => {
        const room = loadRoom('public:x', [], 0)
        const seen = new Map<number, number>()
        for (const k of keys) {
          const ordered = orderMessage(room, key(k), 1)
          if (ordered.type === 'full') throw new Error('the room is not full')
          expect(ordered.type).toBe(seen.has(k) ? 'repeat' : 'new')
          expect(ordered.seq).toBe(seen.get(k) ?? seen.size + 1)
          seen.set(k, ordered.seq)
          closeEntry(room, ordered.type === 'new' ? [key(k)] : [], 1)
        }
        expect(room.head).toBe(seen.size)
      }),
    )
  })

  it('[RM3] a key is remembered while it is among the newest 1,000, however old', () => {
    const room = loadRoom('public:x', [], 0)
    publish(room, 1, historyEvents, 0)
    publish(room, historyEvents + 1, 1, dedupeMs * 10)
    expect(orderMessage(room, key(1), dedupeMs * 10)).toEqual({ type: 'new', seq: historyEvents + 2 })
    expect(orderMessage(room, key(2), dedupeMs * 10)).toEqual({ type: 'repeat', seq: 2 })
  })

  it('[RM3] a key is remembered for two minutes, however many came after it', () => {
    const room = loadRoom('public:x', [], 0)
    publish(room, 1, historyEvents * 3, 0)
    publish(room, 10_000, 1, dedupeMs - 1)
    expect(orderMessage(room, key(1), dedupeMs - 1)).toEqual({ type: 'repeat', seq: 1 })
    publish(room, 10_001, 1, dedupeMs)
    expect(orderMessage(room, key(1), dedupeMs).type).toBe('new')
  })

  it('[RM4] a room that remembers dedupeMax young keys refuses a new one and takes it when they are old', () => {
    const room = loadRoom('public:x', [], 0)
    publish(room, 1, dedupeMax, 0)
    expect(orderMessage(room, key(dedupeMax + 1), dedupeMs - 1)).toEqual({ type: 'full' })
    expect(room.head).toBe(dedupeMax)
    expect(orderMessage(room, key(7), dedupeMs - 1)).toEqual({ type: 'repeat', seq: 7 })
    expect(orderMessage(room, key(dedupeMax + 1), dedupeMs)).toEqual({ type: 'new', seq: dedupeMax + 1 })
  })

  it('[RM5] a room loaded from its log has the head, the life and the keys of the log', () => {
    const message = (i: number) => ({ sender: 'alice', key: `k${i}`, options: '', tail: '' })
    const room = loadRoom(
      'public:x',
      [
        { inc: 1, tag: 9, first: 5, timeMs: 0, messages: [message(5), message(6)] },
        { inc: 1, tag: 9, first: 7, timeMs: 0, messages: [message(7)] },
      ],
      0,
    )
    expect(room).toMatchObject({ tag: 9, head: 7 })
    expect(orderMessage(room, key(6), 1)).toEqual({ type: 'repeat', seq: 6 })
    expect(orderMessage(room, key(8), 1)).toEqual({ type: 'new', seq: 8 })
  })

  it('[RM6] the log keeps what the room remembers, and always its last entry', () => {
    const room = loadRoom('public:x', [], 0)
    expect(publish(room, 1, historyEvents, 0)).toBe(1)
    expect(publish(room, historyEvents + 1, 5, dedupeMs * 2)).toBe(6)
    const idle = loadRoom('public:y', [], 0)
    expect(publish(idle, 1, 1, 0)).toBe(1)
    expect(closeEntry(idle, [], dedupeMs * 100)).toBeLessThanOrEqual(1)
  })
})

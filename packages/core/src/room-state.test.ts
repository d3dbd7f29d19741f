import fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import { dedupeMax, dedupeMs, historyEvents } from './limits.ts'
import { KeyWindow } from './key-window.ts'
import { closeEntry, loadRoom, orderMessage } from './room-state.ts'
import type { RoomState } from './room-state.ts'

const key = (i: number) => ({ text: `alice\u001fk${i}\u001f\u001fdata`, keyEnd: `alice\u001fk${i}`.length })
let keys = new KeyWindow(7)
beforeEach(() => {
  keys = new KeyWindow(7)
})

/** Orders and closes one message per entry, all at `now`. */
function publish(room: RoomState, from: number, count: number, now: number): number {
  let keep = 0
  for (let i = from; i < from + count; i++) {
    orderMessage(room, keys, key(i), now)
    keep = closeEntry(room, now)
  }
  return keep
}

describe('a room at its worker', () => {
  it('[RM1] [RM2] seq is contiguous and a repeated key gets the seq it had, whatever the order of calls', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 30 }), { maxLength: 200 }), (published) => {
        keys = new KeyWindow(7)
        const room = loadRoom('public:x', [], keys, 0)
        const seen = new Map<number, number>()
        for (const k of published) {
          const ordered = orderMessage(room, keys, key(k), 1)
          if (ordered.type === 'full') throw new Error('the room is not full')
          expect(ordered.type).toBe(seen.has(k) ? 'repeat' : 'new')
          expect(ordered.seq).toBe(seen.get(k) ?? seen.size + 1)
          seen.set(k, ordered.seq)
          closeEntry(room, 1)
        }
        expect(room.head).toBe(seen.size)
      }),
    )
  })

  it('[RM3] a key is remembered for two minutes, however many came after it', () => {
    const room = loadRoom('public:x', [], keys, 0)
    publish(room, 1, historyEvents * 3, 0)
    publish(room, 10_000, 1, dedupeMs - 1)
    expect(orderMessage(room, keys, key(1), dedupeMs - 1)).toEqual({ type: 'repeat', seq: 1 })
    publish(room, 10_001, 1, dedupeMs)
    expect(orderMessage(room, keys, key(1), dedupeMs).type).toBe('new')
  })

  it('[RM4] a room that remembers dedupeMax young keys refuses a new one and takes it when they are old', () => {
    const room = loadRoom('public:x', [], keys, 0)
    publish(room, 1, dedupeMax, 0)
    expect(orderMessage(room, keys, key(dedupeMax + 1), dedupeMs - 1)).toEqual({ type: 'full' })
    expect(room.head).toBe(dedupeMax)
    expect(orderMessage(room, keys, key(7), dedupeMs - 1)).toEqual({ type: 'repeat', seq: 7 })
    expect(orderMessage(room, keys, key(dedupeMax + 1), dedupeMs)).toEqual({ type: 'new', seq: dedupeMax + 1 })
  })

  it('[RM3] what is loaded again is remembered by when it was committed, not by when it was loaded', () => {
    const room = loadRoom('public:x', [], keys, 0)
    publish(room, 1, 1, 0)
    const entry = {
      inc: 1,
      tag: 1,
      first: 1,
      timeMs: 0,
      messages: [{ sender: 'alice', key: 'k1', options: '', tail: '' }],
    }
    for (const now of [1_000, 60_000, dedupeMs - 1]) loadRoom('public:x', [entry], keys, now)
    expect(keys.size).toBe(1)
    keys.expire(dedupeMs)
    expect(keys.size).toBe(0)
  })

  it('[RM5] a room loaded from its log has the head, the life and the keys of the log', () => {
    const message = (i: number) => ({ sender: 'alice', key: `k${i}`, options: '', tail: '' })
    const room = loadRoom(
      'public:x',
      [
        { inc: 1, tag: 9, first: 5, timeMs: 0, messages: [message(5), message(6)] },
        { inc: 1, tag: 9, first: 7, timeMs: 0, messages: [message(7)] },
      ],
      keys,
      0,
    )
    expect(room).toMatchObject({ tag: 9, head: 7 })
    expect(orderMessage(room, keys, key(6), 1)).toEqual({ type: 'repeat', seq: 6 })
    expect(orderMessage(room, keys, key(8), 1)).toEqual({ type: 'new', seq: 8 })
  })

  it('[RM6] the log keeps what is new or young, and always its last entry; it is trimmed in steps', () => {
    const room = loadRoom('public:x', [], keys, 0)
    // One second apart, so that each may go on its own.
    for (let i = 1; i <= historyEvents; i++) expect(publish(room, i, 1, i * 1_000)).toBeLessThanOrEqual(1)
    const later = historyEvents * 1_000 + dedupeMs
    const kept = Array.from({ length: 130 }, (_, i) => publish(room, historyEvents + 1 + i, 1, later + i * 1_000))
    expect(kept.filter((from) => from > 0)).toEqual([64, 128])
    expect(room.floor).toBe(130)
    const idle = loadRoom('public:y', [], keys, later)
    publish(idle, 1, 1, later)
    closeEntry(idle, later + dedupeMs * 100)
    expect(idle).toMatchObject({ floor: 0, window: [{ lastSeq: 1 }, { lastSeq: 1 }] })
  })
})

import { beforeEach, describe, expect, it } from 'vitest'
import { KeyWindow } from './key-window.ts'
import { dedupeMax, dedupeMs, maxKeptEvents, roomLimits } from './limits.ts'
import type { RoomLimits } from './limits.ts'
import { closeEntry, loadRoom, orderMessage } from './room-state.ts'
import type { RoomState } from './room-state.ts'

const limits: RoomLimits = { dedupeMax: 1_000, historyEvents: 4, chars: 6_400, trimStep: 2, keepMs: dedupeMs }
let keys = new KeyWindow(7)
let count = 0
beforeEach(() => {
  keys = new KeyWindow(7)
  count = 0
})

const load = (own: Partial<RoomLimits> = {}): RoomState =>
  loadRoom('public:x', [], keys, { now: 0, keysNow: 0, limits: { ...limits, ...own } })

/** One message of so many characters, its key among them. */
function order(room: RoomState, chars: number, now: number) {
  const key = `a\u001fk${(count += 1)}`
  return orderMessage(room, keys, { text: key.padEnd(chars, '.'), keyEnd: key.length }, now)
}
function publish(room: RoomState, chars: number, now: number): number {
  order(room, chars, now)
  return closeEntry(room, now)
}

describe('what a room knows of its log', () => {
  it('[RM6] messages of one second are one entry of its window, unless they are large', () => {
    const room = load()
    publish(room, 10, 0)
    publish(room, 10, 999)
    expect(room.window).toEqual([{ lastSeq: 2, at: 999, since: 0, chars: 20 }])
    publish(room, 10, 1_000)
    expect(room.window.at(-1)).toEqual({ lastSeq: 3, at: 1_000, since: 1_000, chars: 10 })
    // A 64th of the limit: the next begins anew.
    publish(room, 90, 1_001)
    expect(room.window.at(-1)).toMatchObject({ lastSeq: 4, chars: 100 })
    publish(room, 10, 1_002)
    expect(room.window.at(-1)).toEqual({ lastSeq: 5, at: 1_002, since: 1_002, chars: 10 })
    expect([room.chars, room.openChars]).toEqual([130, 0])
  })

  it('[RM6] of what is old all but the newest messages go, part of an entry too; the characters with whole entries', () => {
    const room = load()
    for (let i = 0; i < 6; i += 1) publish(room, 10, 0)
    expect(room.window).toHaveLength(1)
    // Half an entry: two of its six are older than the newest four.
    expect(publish(room, 10, dedupeMs - 1)).toBe(0)
    expect([room.floor, room.chars]).toEqual([0, 70])
    expect(publish(room, 10, dedupeMs)).toBe(5)
    expect([room.floor, room.chars, room.droppedChars]).toEqual([4, 80, 0])
    // Two seconds later, so in an entry of its own.
    publish(room, 10, dedupeMs + 2_000)
    publish(room, 10, dedupeMs + 2_000)
    expect([room.floor, room.chars]).toEqual([6, 40])
    expect(room.window.map(({ lastSeq }) => lastSeq)).toEqual([8, 10])
  })

  it('[RM6] above half of its characters what is old goes until it is no more, but never its last message', () => {
    const room = load()
    for (let i = 0; i < 3; i += 1) publish(room, 2_000, i * 1_000)
    closeEntry(room, 2_000 + dedupeMs)
    expect([room.floor, room.head, room.chars]).toEqual([2, 3, 2_000])
    const half = load()
    for (let i = 0; i < 2; i += 1) publish(half, 1_600, i * 1_000)
    closeEntry(half, 2_000 + dedupeMs)
    expect([half.floor, half.chars]).toEqual([0, 3_200])
    const last = load()
    publish(last, 4_000, 0)
    closeEntry(last, dedupeMs)
    expect([last.floor, last.chars]).toEqual([0, 4_000])
  })

  it('[RM4] is full at its characters, counted with those of the commit that is composed, and refuses nothing below', () => {
    const room = load()
    publish(room, 3_200, 0)
    expect(order(room, 3_100, 1).type).toBe('new')
    expect(order(room, 101, 1).type).toBe('full')
    expect(order(room, 100, 1).type).toBe('new')
    expect(order(room, 1_000, 1).type).toBe('full')
    closeEntry(room, 1)
    expect(order(room, 1_000, dedupeMs - 1).type).toBe('full')
    // What is old is let go of when it is asked.
    expect(order(room, 1_000, dedupeMs + 1)).toEqual({ type: 'new', seq: 4 })
  })

  it('[RM6] trimming is asked for after so many messages, or so many characters of them', () => {
    const steps = load()
    const asked: number[] = []
    for (let i = 0; i < 10; i += 1) asked.push(publish(steps, 10, i * dedupeMs))
    // Four stay; then every second one is a step.
    expect(asked).toEqual([0, 0, 0, 0, 2, 0, 4, 0, 6, 0])
    const large = load({ chars: 100_000_000, trimStep: 1_000, historyEvents: 1 })
    const byChars: number[] = []
    for (let i = 0; i < 4; i += 1) byChars.push(publish(large, 2_200_000, i * dedupeMs))
    expect(byChars).toEqual([0, 0, 3, 0])
    expect(large.droppedChars).toBe(2_200_000)
  })

  it('[RM5] a room that is loaded has its log as one entry of this time, and what is below it is gone', () => {
    const message = { sender: 'al', key: 'k1', options: 'op', tail: 'tail' }
    const entries = [
      { inc: 1, tag: 8, first: 5, timeMs: 0, messages: [message, { ...message, key: 'k2' }] },
      { inc: 1, tag: 9, first: 7, timeMs: 0, messages: [{ ...message, key: 'k3' }] },
    ]
    const room = loadRoom('public:x', entries, keys, { now: 50, keysNow: 60, limits })
    expect(room).toMatchObject({ tag: 9, head: 7, floor: 4, chars: 30, openChars: 0, touchedAt: 50, epochText: '' })
    expect(room.window).toEqual([{ lastSeq: 7, at: 60, since: 60, chars: 30 }])
    expect([room.renewedAt, room.writtenAt]).toEqual([-Infinity, -Infinity])
    closeEntry(room, 70, 80)
    expect([room.touchedAt, room.writtenAt, room.window.at(-1)?.at]).toEqual([70, 70, 80])
    expect(keys.size).toBe(3)
  })

  it('[PF3] a room that keeps as much as a policy may say goes on, also when it was taken over', () => {
    const most = { ...roomLimits, historyEvents: maxKeptEvents }
    const room = load(most)
    for (let i = 1; i <= dedupeMax + 1; i += 1) {
      expect(order(room, 10, i * 10).type).toBe('new')
      closeEntry(room, i * 10)
    }
    const messages = Array.from({ length: room.head - room.floor }, (_, i) => {
      return { sender: 'a', key: `k${room.floor + i + 1}`, options: '', tail: '' }
    })
    keys = new KeyWindow(7)
    const log = [{ inc: 1, tag: 1, first: room.floor + 1, timeMs: 0, messages }]
    const again = loadRoom('public:x', log, keys, { now: 0, keysNow: 0, limits: most })
    let taken = 0
    while (order(again, 10, 1).type === 'new') taken += 1
    expect(taken).toBeGreaterThan(dedupeMax / 2 - most.trimStep)
  })
})

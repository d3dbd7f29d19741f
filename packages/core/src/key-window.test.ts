import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { KeyWindow } from './key-window.ts'
import { dedupeMs } from './limits.ts'
import { loadRoom, orderMessage } from './room-state.ts'

const roomNames = ['public:a', 'public:b']
const step = fc.record({
  room: fc.constantFrom(...roomNames),
  key: fc.nat({ max: 40 }),
  afterMs: fc.constantFrom(0, 0, 0, 1, dedupeMs / 4, dedupeMs),
  again: fc.boolean(),
})

describe('the keys of a slot', () => {
  it('[RM7] finds what a map of the last two minutes has, and nothing else', () => {
    fc.assert(
      fc.property(fc.integer(), fc.array(step, { maxLength: 400 }), (seed, steps) => {
        const window = new KeyWindow(seed)
        const hashes = new Map(roomNames.map((room) => [room, window.hash(room)]))
        const model = new Map<string, { seq: number; at: number }>()
        // Beyond 2^32, and over the wrap of its clock.
        let seq = 2 ** 33
        let now = 2 ** 32 - dedupeMs
        for (const { room, key, afterMs, again } of steps) {
          now += afterMs
          window.expire(now)
          for (const [name, { at }] of model) if (now - at >= dedupeMs) model.delete(name)
          const text = `user${key % 3}\u001fk${key}\u001frest`
          const found = window.find(hashes.get(room) ?? window.hash(room), text, text.length - 5)
          expect(found).toBe(model.get(`${room} ${key}`)?.seq)
          if (found !== undefined && !again) continue
          seq += 1
          window.add(seq, now)
          model.delete(`${room} ${key}`)
          model.set(`${room} ${key}`, { seq, at: now })
          window.shrink()
        }
        expect(window.size).toBeGreaterThanOrEqual(model.size)
      }),
    )
  })

  it('[RM7] what is remembered is found wherever the ring has turned to, while it grows and while it shrinks', () => {
    const window = new KeyWindow(7)
    const room = window.hash('public:a')
    const text = (i: number): string => `alice\u001fk${i}`
    const find = (i: number) => window.find(room, text(i), text(i).length)
    let seq = 0
    const add = (count: number, now: number): void => {
      for (let i = 0; i < count; i += 1) {
        find((seq += 1))
        window.add(seq, now)
      }
    }
    add(50, 0)
    add(10, 1_000)
    // Those of time 0 are forgotten: the ring goes on past its end, and grows with its first entry in the middle.
    add(40, dedupeMs)
    add(300, dedupeMs + 1)
    expect([find(50), find(400), window.size]).toEqual([undefined, 400, 350])
    for (let i = 51; i <= 400; i += 1) expect(find(i)).toBe(i)
    window.expire(dedupeMs + 1_000)
    expect([find(60), find(61), window.size]).toEqual([undefined, 61, 340])
    window.expire(2 * dedupeMs)
    add(20, 2 * dedupeMs + 1)
    for (let i = 0; i < 10; i += 1) window.shrink()
    expect(window.size).toBe(20)
    for (let i = 401; i <= 420; i += 1) expect(find(i)).toBe(i)
    add(45, 2 * dedupeMs + 2)
    for (let i = 401; i <= 465; i += 1) expect(find(i)).toBe(i)
  })

  it('[RM7] a room and a key are not what another room is with the rest of its name in the key', () => {
    const whole = 'public:abcdef\u001fk1'
    for (let cut = 1; cut < whole.length; cut++) {
      const window = new KeyWindow(cut)
      window.find(window.hash('public:a'), 'bcdef\u001fk1', 8)
      window.add(1, 0)
      const [room, rest] = [whole.slice(0, cut), whole.slice(cut)]
      const found = window.find(window.hash(room), rest, rest.length)
      expect(found, `${room} ${rest}`).toBe(room === 'public:a' ? 1 : undefined)
    }
  })

  it('[RM10] at the limit of its lane a window is full, until keys are old or another slot is given up', () => {
    const budget = { used: 0, max: 3 }
    const [one, other] = [new KeyWindow(1, budget), new KeyWindow(1, budget)]
    const room = loadRoom('public:a', [], one, 0)
    const order = (key: string, now: number) => orderMessage(room, one, { text: key, keyEnd: key.length }, now).type
    other.find(other.hash('public:b'), 'k', 1)
    other.add(1, 0)
    expect(['a', 'b', 'c', 'a'].map((key) => order(key, 1))).toEqual(['new', 'new', 'full', 'repeat'])
    other.release()
    expect([order('c', 1), order('d', 1), budget.used]).toEqual(['new', 'full', 3])
    expect([order('d', 1 + dedupeMs), budget.used]).toEqual(['new', 1])
  })

  it('[RM7] 200,000 keys that differ by little are all told apart, and forgotten without a trace', () => {
    const window = new KeyWindow(1)
    const room = window.hash('public:a')
    for (let i = 0; i < 200_000; i++) {
      const text = `user-1\u001f${i.toString(16).padStart(8, '0')}`
      if (window.find(room, text, text.length) !== undefined) throw new Error(`${i} was found`)
      window.add(i, i / 1_000)
    }
    expect(window.size).toBe(200_000)
    window.expire(200 + dedupeMs)
    expect(window.size).toBe(0)
    for (let i = 0; i < 20; i++) window.shrink()
    expect(window.find(room, 'user-1\u001f00000000', 15)).toBeUndefined()
  })
})

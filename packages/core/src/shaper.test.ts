import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { writeOptions } from './event-options.ts'
import { maxConflatedDataBytes, maxHeldConflated, maxHeldConflatedChars } from './limits.ts'
import { createShaper, isAtRest, release, shape } from './shaper.ts'
import type { Released, Shaped } from './shaper.ts'

const room = 'public:a'
/** A conflated event, or one without a key. */
const event = (tail: string, key?: string): Released => ({
  room,
  event: { options: key === undefined ? '' : writeOptions({ conflate: key }), tail },
})
const tails = (released: readonly Released[]): string[] => released.map((each) => each.event.tail)

function harness(perSecond = 1_000) {
  const shaper = createShaper()
  return {
    shaper,
    offer: (nowMs: number, ...of: Parameters<typeof event>): Shaped =>
      shape(shaper, { ...event(...of), perSecond }, nowMs),
    release: (nowMs: number) => tails(release(shaper, nowMs)),
  }
}

describe('what is conflated', () => {
  it('[EC3] after a silence the first goes at once; of those behind it only the newest of each key goes with the next release', () => {
    const { offer, release: next } = harness()
    expect(offer(0, 'a1', 'a')).toBe('send')
    expect([offer(1, 'a2', 'a'), offer(1, 'b1', 'b'), offer(2, 'a3', 'a')]).toEqual(['hold', 'hold', 'replace'])
    expect(next(33)).toEqual(['a3', 'b1'])
    expect(offer(34, 'a4', 'a')).toBe('hold')
    expect(next(66)).toEqual(['a4'])
    expect(next(99)).toEqual([])
    expect(offer(100, 'a5', 'a')).toBe('send')
  })

  it('[EC3] keys of other rooms, and events without a key, are left alone', () => {
    const { shaper, offer, release: next } = harness()
    offer(0, 'a1', 'a')
    offer(1, 'a2', 'a')
    expect(shape(shaper, { ...event('x', 'a'), room: 'public:b', perSecond: 9 }, 1)).toBe('send')
    expect([offer(1, 'plain'), offer(1, 'plain')]).toEqual(['send', 'send'])
    expect(next(33)).toEqual(['a2'])
  })

  it('[EC3] the last event of every key goes out, whatever comes when, and nothing twice', () => {
    const moves = fc.array(fc.record({ key: fc.nat(5), waitMs: fc.nat(20) }), { minLength: 1, maxLength: 200 })
    fc.assert(
      fc.property(moves, (all) => {
        const { shaper, offer, release: next } = harness(50)
        const out: string[] = []
        let now = 0
        let due = 33
        all.forEach(({ key, waitMs }, i) => {
          for (now += waitMs; due <= now; due += 33) out.push(...next(due))
          const tail = `${key}:${i}`
          if (offer(now, tail, `${key}`) === 'send') out.push(tail)
        })
        for (; !isAtRest(shaper); due += 33) out.push(...next(due))
        expect(new Set(out).size).toBe(out.length)
        const last = new Map(all.map(({ key }, i) => [key, `${key}:${i}`]))
        for (const [key, tail] of last) expect(out.findLast((each) => each.startsWith(`${key}:`))).toBe(tail)
        expect(shaper.chars).toBe(0)
      }),
    )
  })
})

describe('the budget of a room', () => {
  it('[EC4] what is over it is dropped; it comes back with time, for each room by itself', () => {
    const { shaper, offer } = harness(2)
    expect([offer(0, '1'), offer(0, '2'), offer(0, '3')]).toEqual(['send', 'send', 'drop'])
    expect(shape(shaper, { ...event('x'), room: 'public:b', perSecond: 2 }, 0)).toBe('send')
    expect([offer(499, '4'), offer(500, '5'), offer(500, '6')]).toEqual(['drop', 'send', 'drop'])
  })

  it('[EC4] conflated events wait for it, the newest of each key, those that wait longest first', () => {
    const { offer, release: next } = harness(2)
    expect([offer(0, 'x'), offer(0, 'y')]).toEqual(['send', 'send'])
    expect([offer(0, 'a1', 'a'), offer(0, 'b1', 'b'), offer(0, 'c1', 'c')]).toEqual(['hold', 'hold', 'hold'])
    expect(next(33)).toEqual([])
    expect(offer(40, 'a2', 'a')).toBe('replace')
    expect(next(500)).toEqual(['a2'])
    expect(offer(501, 'a3', 'a')).toBe('hold')
    expect(next(1_000)).toEqual(['b1'])
    expect(next(2_000)).toEqual(['c1', 'a3'])
  })

  it('[EC4] another policy gives another budget at once', () => {
    const { shaper, offer } = harness(1)
    expect([offer(0, '1'), offer(0, '2')]).toEqual(['send', 'drop'])
    expect(shape(shaper, { ...event('3'), perSecond: 5 }, 0)).toBe('send')
  })
})

describe('bounds', () => {
  it('[EC5] of one room so many keys wait; one that waits already is still replaced', () => {
    const { offer } = harness(100_000)
    offer(0, 'first', 'first')
    for (let i = 0; i < maxHeldConflated; i += 1) expect(offer(0, 'x', `k${i}`)).toBe('hold')
    expect(offer(0, 'x', 'one more')).toBe('drop')
    expect(offer(0, 'y', 'k0')).toBe('replace')
  })

  it('[EC5] of all rooms so many characters wait', () => {
    const shaper = createShaper()
    const tail = 'x'.repeat(maxConflatedDataBytes)
    const outcomes: Shaped[] = []
    for (let i = 0; i < maxHeldConflatedChars / maxConflatedDataBytes + 3; i += 1) {
      const name = `public:${i}`
      shape(shaper, { ...event('first', 'k'), room: name, perSecond: 10 }, 0)
      outcomes.push(shape(shaper, { ...event(tail, 'k'), room: name, perSecond: 10 }, 0))
    }
    expect(outcomes[0]).toBe('hold')
    expect(outcomes.at(-1)).toBe('drop')
    expect(shaper.chars).toBeLessThanOrEqual(maxHeldConflatedChars)
    expect(shaper.chars).toBeGreaterThan(maxHeldConflatedChars - 2 * maxConflatedDataBytes)
  })

  it('[EC5] a room is forgotten when nothing of it waits and its budget is whole', () => {
    const { shaper, offer, release: next } = harness(10)
    offer(0, 'a1', 'a')
    expect(isAtRest(shaper)).toBe(false)
    next(33)
    expect(isAtRest(shaper)).toBe(false)
    next(100)
    expect(isAtRest(shaper)).toBe(true)
  })
})

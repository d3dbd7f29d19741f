import { expect, it } from 'vitest'
import fc from 'fast-check'
import { decodeCursor, encodeCursor } from './cursor.ts'
import type { Place } from './cursor.ts'

const number = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })
const place: fc.Arbitrary<Place> = fc.record({ inc: number, tag: number, seq: number })

it('[OE10] a cursor is read as it was written, by a fleet of as many slots and by no other', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(127), place)), (list) => {
      const places = new Map(list)
      const text = encodeCursor(places, 128)
      expect(text).toMatch(/^[A-Za-z0-9_-]+$/)
      expect(decodeCursor(text, 128)).toEqual(places)
      expect(decodeCursor(text, 64)).toBeUndefined()
    }),
  )
})

it('[OE10] what is no cursor is none, whatever it is', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const places = decodeCursor(text, 128)
      if (places !== undefined) expect(encodeCursor(places, 128)).toBe(text)
    }),
  )
  const good = encodeCursor(new Map([[3, { inc: 1, tag: 2, seq: 300 }]]), 128)
  expect([good.slice(0, -1), `${good}A`, `${good}=`, '', 'oldest'].map((text) => decodeCursor(text, 128))).toEqual(
    Array.from({ length: 5 }, () => undefined),
  )
})

it('[OE10] a cursor has up to 18 characters for each slot that has had events', () => {
  const places = new Map(
    Array.from({ length: 128 }, (_, slot) => [slot, { inc: 1_800_000_000, tag: 2_000_000, seq: 200_000_000 }]),
  )
  expect(encodeCursor(places, 128).length).toBeLessThan(128 * 18)
})

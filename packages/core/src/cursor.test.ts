import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { accept, answered, createCursor, joined, moveTo, positionOf } from './cursor.ts'
import type { Cursor } from './cursor.ts'

const at = (seq: number, options: { filtered?: boolean; epoch?: string } = {}): Cursor =>
  createCursor({ since: { epoch: options.epoch ?? '5.12', seq }, filtered: options.filtered ?? false })

describe('cursor', () => {
  test('[CU1] the next seq is delivered once, and again it is a duplicate', () => {
    const cursor = at(7)
    expect(accept(cursor, 8)).toBe('deliver')
    expect(accept(cursor, 8)).toBe('duplicate')
    expect(accept(cursor, 3)).toBe('duplicate')
    expect(positionOf(cursor)).toEqual({ epoch: '5.12', seq: 8 })
  })

  test('[CU1] whatever arrives, delivered numbers only grow, each once', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(30), { maxLength: 100 }), fc.boolean(), (seqs, filtered) => {
        const cursor = at(5, { filtered })
        const delivered = seqs.filter((seq) => accept(cursor, seq) === 'deliver')
        expect(delivered).toEqual([...new Set(delivered)].sort((a, b) => a - b))
        expect(delivered.every((seq) => seq > 5)).toBe(true)
        if (!filtered) expect(delivered).toEqual(delivered.map((_, i) => 6 + i))
      }),
    )
  })

  test('[CU2] a hole is a gap: nothing is delivered and the cursor stays', () => {
    const cursor = at(7)
    expect(accept(cursor, 9)).toBe('gap')
    expect(positionOf(cursor)).toEqual({ epoch: '5.12', seq: 7 })
    expect(accept(cursor, 8)).toBe('deliver')
    expect(accept(cursor, 9)).toBe('deliver')
  })

  test('[CU3] under a filter numbers left out are normal, repeats are still dropped', () => {
    const cursor = at(7, { filtered: true })
    expect(accept(cursor, 20)).toBe('deliver')
    expect(accept(cursor, 20)).toBe('duplicate')
    expect(accept(cursor, 19)).toBe('duplicate')
  })

  test('[CU4] lost continuity sets the position, even back, and seq is judged in the new epoch only', () => {
    const cursor = at(100)
    moveTo(cursor, { epoch: '9.3', seq: 4 }, false)
    expect(positionOf(cursor)).toEqual({ epoch: '9.3', seq: 4 })
    expect(accept(cursor, 5)).toBe('deliver')
    expect(accept(cursor, 101)).toBe('gap')
  })

  test('[CU4] lost continuity sets the position back in the same epoch too', () => {
    const cursor = at(100)
    moveTo(cursor, { epoch: '5.12', seq: 90 }, false)
    expect(accept(cursor, 91)).toBe('deliver')
  })

  test('[CU5] the first message of an empty room changes the epoch and nothing is lost', () => {
    const cursor = at(0, { epoch: '5.0.486000' })
    moveTo(cursor, { epoch: '5.12', seq: 0 }, true)
    expect(accept(cursor, 1)).toBe('deliver')
    expect(positionOf(cursor)).toEqual({ epoch: '5.12', seq: 1 })
  })

  test('[CU5] a position frame moves the cursor along and never back in one epoch', () => {
    const cursor = at(10)
    moveTo(cursor, { epoch: '5.12', seq: 15 }, true)
    expect(accept(cursor, 16)).toBe('deliver')
    moveTo(cursor, { epoch: '5.12', seq: 12 }, true)
    expect(positionOf(cursor)).toEqual({ epoch: '5.12', seq: 16 })
  })

  test('[CU6] an answer that continues leaves the cursor until the missed events have come', () => {
    const cursor = at(7)
    answered(cursor, { position: { epoch: '5.12', seq: 9 }, recovered: true, missed: 2 })
    expect(positionOf(cursor)).toEqual({ epoch: '5.12', seq: 7 })
    expect([8, 9, 10].map((seq) => accept(cursor, seq))).toEqual(['deliver', 'deliver', 'deliver'])
  })

  test('[CU6] an answer that continues with nothing missed moves the cursor to its position', () => {
    const cursor = at(7)
    answered(cursor, { position: { epoch: '5.12', seq: 9 }, recovered: true, missed: 0 })
    expect(positionOf(cursor)).toEqual({ epoch: '5.12', seq: 9 })
  })

  test('[CU6] an answer without continuity, or to a first subscription, begins at its position', () => {
    const lost = at(100)
    answered(lost, { position: { epoch: '9.3', seq: 4 }, recovered: false, missed: 0 })
    expect(positionOf(lost)).toEqual({ epoch: '9.3', seq: 4 })
    const first = createCursor()
    expect(positionOf(first)).toBeUndefined()
    answered(first, { position: { epoch: '5.12', seq: 4 }, recovered: true, missed: 4 })
    expect(positionOf(first)).toEqual({ epoch: '5.12', seq: 4 })
  })

  test('[CU7] up to the position of the answer left out numbers were not for this subscriber, after it they are a gap', () => {
    const cursor = at(7)
    answered(cursor, { position: { epoch: '5.12', seq: 12 }, recovered: true, missed: 2 })
    expect(accept(cursor, 8)).toBe('deliver')
    expect(accept(cursor, 10)).toBe('deliver')
    expect(accept(cursor, 13)).toBe('deliver')
    expect(accept(cursor, 15)).toBe('gap')
  })

  test('[CU8] while no epoch is known, events of a room the server joined are delivered in growing order', () => {
    const cursor = createCursor()
    expect(accept(cursor, 41)).toBe('deliver')
    expect(accept(cursor, 41)).toBe('duplicate')
    expect(accept(cursor, 44)).toBe('deliver')
    moveTo(cursor, { epoch: '5.12', seq: 44 }, true)
    expect(accept(cursor, 46)).toBe('gap')
  })
})

describe('two connections, one after the other', () => {
  test('[CU9] whatever the first has delivered when the second takes over, everything comes once and in order', () => {
    const places = fc.tuple(fc.nat(20), fc.nat(20), fc.nat(20))
    fc.assert(
      fc.property(places, ([more, ahead, further]) => {
        const [asked, answer, here] = [7, 7 + more, 7 + ahead]
        const cursor = at(here)
        const fits = joined(cursor, {
          position: { epoch: '5.12', seq: answer },
          recovered: true,
          missed: answer - asked,
        })
        expect(fits).toBe(true)
        const end = Math.max(answer, here) + further
        const delivered = []
        for (let seq = asked + 1; seq <= end; seq += 1) if (accept(cursor, seq) === 'deliver') delivered.push(seq)
        expect(delivered).toEqual(Array.from({ length: end - here }, (_, i) => here + 1 + i))
      }),
    )
  })

  test('[CU9] an answer of another epoch, or of lost continuity, changes nothing and does not fit', () => {
    for (const answer of [
      { position: { epoch: '9.1', seq: 9 }, recovered: true, missed: 2 },
      { position: { epoch: '5.12', seq: 9 }, recovered: false, missed: 0 },
    ]) {
      const cursor = at(8)
      expect(joined(cursor, answer)).toBe(false)
      expect(cursor).toEqual(at(8))
    }
  })

  test('[CU9] under a filter the answer moves the cursor along', () => {
    const cursor = at(8, { filtered: true })
    expect(joined(cursor, { position: { epoch: '5.12', seq: 30 }, recovered: true, missed: 0 })).toBe(true)
    expect(positionOf(cursor)).toEqual({ epoch: '5.12', seq: 30 })
  })
})

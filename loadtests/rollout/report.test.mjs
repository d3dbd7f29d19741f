import { expect, test } from 'vitest'
import { folded, judge, mostPerSecond, nothingSeen } from './report.mjs'

test('the most of any second, wherever it begins', () => {
  expect(mostPerSecond([0, 10, 900, 1_000, 1_005, 1_009, 5_000])).toBe(5)
  expect(mostPerSecond([0, 10, 900, 1_000, 5_000], 950)).toBe(1)
  expect(mostPerSecond([])).toBe(0)
})

const times = (count) => Array.from({ length: count + 1 }, (_, seq) => 1e12 + seq / 3)
const published = (head, count = head) => ({
  ...{ heads: new Map([['a', head]]), acknowledged: new Map([['a', count]]), history: new Map([['a', times(head)]]) },
})
/** The view of a client that was given the events of these positions. */
function viewOf(from, seqs) {
  const hash = seqs.reduce((sum, seq) => folded(sum, seq, times(seq)[seq]), nothingSeen)
  return { room: 'a', from, last: seqs.at(-1) ?? from, delivered: seqs.length, duplicated: 0, disordered: 0, hash }
}

test('what a room has beyond what a client was given is lost', () => {
  const whole = viewOf(3, [4, 5, 6, 7, 8, 9, 10])
  expect(judge([whole, viewOf(3, [4, 5, 6])], published(10))).toEqual({
    ...{ lost: 4, duplicated: 0, disordered: 0, mismatched: 0, deliveries: 10 },
  })
  expect(judge([{ ...viewOf(3, [4, 5, 6]), left: true }], published(10))).toMatchObject({ lost: 0, mismatched: 0 })
  expect(judge([{ ...viewOf(3, [4, 6]), left: true }], published(10))).toMatchObject({ lost: 1, mismatched: 1 })
  const twice = { ...viewOf(3, [4, 5, 6, 6, 8]), duplicated: 1, disordered: 2 }
  expect(judge([twice], published(10))).toEqual({ lost: 3, duplicated: 1, disordered: 2, mismatched: 1, deliveries: 5 })
})

test('a client that was given another event than was acknowledged at its position is found', () => {
  const swapped = {
    ...viewOf(0, [1, 2, 3]),
    hash: [1, 3, 2].reduce((sum, t, i) => folded(sum, i + 1, times(3)[t]), nothingSeen),
  }
  expect(judge([swapped], published(3))).toMatchObject({ lost: 0, duplicated: 0, disordered: 0, mismatched: 1 })
})

test('a room without an event has lost none', () => {
  const none = { heads: new Map(), acknowledged: new Map(), history: new Map() }
  expect(judge([viewOf(0, [])], none)).toMatchObject({ lost: 0, mismatched: 0 })
})

test('an event that was posted again and has two positions is there twice', () => {
  expect(
    judge(
      [
        viewOf(
          0,
          times(11)
            .map((_, seq) => seq)
            .slice(1),
        ),
      ],
      published(11, 10),
    ),
  ).toMatchObject({
    lost: 0,
    duplicated: 1,
  })
})

test('of two events that were acknowledged at one position one is lost', () => {
  expect(judge([], published(10, 11))).toMatchObject({ lost: 1, duplicated: 0 })
})

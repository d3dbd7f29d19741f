import { expect, test } from 'vitest'
import { judge, mostPerSecond } from './report.mjs'

test('the most of any second, wherever it begins', () => {
  expect(mostPerSecond([0, 10, 900, 1_000, 1_005, 1_009, 5_000])).toBe(5)
  expect(mostPerSecond([0, 10, 900, 1_000, 5_000], 950)).toBe(1)
  expect(mostPerSecond([])).toBe(0)
})

test('what a room has beyond what a client was given is lost', () => {
  const view = { room: 'a', from: 3, delivered: 5, duplicated: 1, disordered: 2 }
  const room = { heads: new Map([['a', 10]]), acknowledged: new Map([['a', 10]]) }
  expect(judge([view, { ...view, delivered: 7 }], room)).toEqual({
    lost: 4,
    duplicated: 2,
    disordered: 4,
    deliveries: 12,
  })
})

test('a room without an event has lost none', () => {
  const none = { heads: new Map(), acknowledged: new Map() }
  expect(judge([{ room: 'b', from: 0, delivered: 0, duplicated: 0, disordered: 0 }], none).lost).toBe(0)
})

test('an event that was posted again and has two positions is there twice', () => {
  const room = { heads: new Map([['a', 11]]), acknowledged: new Map([['a', 10]]) }
  expect(judge([{ room: 'a', from: 0, delivered: 11, duplicated: 0, disordered: 0 }], room)).toMatchObject({
    lost: 0,
    duplicated: 1,
  })
})

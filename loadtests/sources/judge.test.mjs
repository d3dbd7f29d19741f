import { expect, test } from 'vitest'
import { judge } from './judge.mjs'

const stream = ['a1', 'b1', 'a2', 'a2', 'a3'].map((id) => ({ id, room: id[0] }))
const heads = new Map([
  ['a', 3],
  ['b', 1],
])
const none = { missing: 0, doubled: 0, foreign: 0, misordered: 0, heads: 0 }
const judged = (a, b = ['b1'], at = heads) =>
  judge({
    stream,
    rooms: new Map([
      ['a', a],
      ['b', b],
    ]),
    heads: at,
  })

test('each event once, in its room, in the order of the stream, is without fault', () => {
  expect(judged(['a1', 'a2', 'a3'])).toEqual({ events: 4, repeatedInStream: 1, rooms: 2, faults: none })
})

test('every fault is counted', () => {
  expect(judged(['a1', 'a3']).faults).toEqual({ ...none, missing: 1 })
  expect(judged(['a1', 'a2', 'a3', 'a1']).faults).toEqual({ ...none, doubled: 1 })
  expect(judged(['a1', 'a2', 'a3'], ['b1', 'a3']).faults).toEqual({ ...none, foreign: 1 })
  expect(judged(['a1', 'a3', 'a2']).faults).toEqual({ ...none, misordered: 1 })
  expect(judged(['a1', 'a2', 'a3'], ['b1'], new Map([['a', 4]])).faults).toEqual({ ...none, heads: 2 })
})

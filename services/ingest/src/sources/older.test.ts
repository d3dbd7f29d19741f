import { expect, it } from 'vitest'
import { createOlder } from './older.ts'

function setup(count: number, through: number) {
  const taken: number[] = []
  const older = createOlder<{ seq: number }>({ count, through, take: ({ seq }) => taken.push(seq) })
  return { taken, older, give: (...all: number[]) => all.forEach((seq) => older.take({ seq })) }
}

it('[NS17] newer messages wait until every older one has come, and all are handed over in the order of the stream', () => {
  const { taken, older, give } = setup(3, 10)
  give(11, 9, 12, 10, 9)
  expect([taken, older.open, older.missing]).toEqual([[], false, 1])
  expect([...older.kept()].map(({ seq }) => seq)).toEqual([11, 9, 12, 10])
  give(7)
  expect([taken, older.open]).toEqual([[7, 9, 10, 11, 12], true])
  give(13)
  expect(taken).toEqual([7, 9, 10, 11, 12, 13])
  expect([...older.kept()]).toEqual([])
})

it('[NS17] an older message that has left the stream is not waited for', () => {
  const { taken, older, give } = setup(3, 10)
  give(10, 11)
  older.check(3)
  expect(taken).toEqual([])
  older.check(2)
  expect([taken, older.open]).toEqual([[10, 11], true])
})

it('[NS17] nothing is kept back when nothing was given out before', () => {
  const { taken, older, give } = setup(0, 0)
  give(2, 1)
  expect([taken, older.open]).toEqual([[2, 1], true])
})

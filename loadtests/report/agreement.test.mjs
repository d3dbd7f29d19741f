import { expect, test } from 'vitest'
import { agreement } from './agreement.mjs'

const run = (servers, yardstick = 800) => ({
  small: { quiet: { microsecondsPerDelivery: { servers }, yardstick } },
  path: [
    { place: 'here', offered: null, microsecondsPerMessage: { servers: 30 }, yardstick },
    { place: 'here', offered: 15_000, microsecondsPerMessage: { servers: servers * 3 }, yardstick },
  ],
})
const small = (one, other) => agreement(one, other).find(({ name }) => name === 'small rooms')

test('two runs agree when the dearer one is at most 15 % above the other, whichever came first', () => {
  expect(small(run(40), run(46))).toMatchObject({ agree: 'yes', first: { cost: 40 }, second: { cost: 46 } })
  expect(small(run(40), run(46.1)).agree).toBe('no')
  expect(small(run(46.1), run(40)).agree).toBe('no')
})

test('how far they are apart in yardsticks is judged beside it, and neither excuses the other', () => {
  expect(small(run(40, 800), run(60, 1_200))).toMatchObject({ apart: 0.5, relative: 0, agree: 'in yardsticks only' })
  const slower = small(run(40, 800), run(40, 1_200))
  expect(slower).toMatchObject({ apart: 0, relative: expect.closeTo(0.5), agree: 'in µs only' })
  expect(small(run(40, null), run(44, 800))).toMatchObject({ relative: null, agree: 'yes' })
  expect(small(run(40, null), run(46.1, 800))).toMatchObject({ relative: null, agree: 'no' })
})

test('of a row that was run several times it is the median of what each cost in yardsticks of its own', () => {
  const quiet = { microsecondsPerDelivery: { servers: 50 }, yardstick: 700 }
  const several = { small: { quiet: { ...quiet, costs: [40, 50, 90], yardsticks: [400, 1_000, 900] } } }
  expect(small(several, several).first).toEqual({ cost: 50, relative: expect.closeTo(0.1), yardstick: 900 })
  const older = { small: { quiet: { ...quiet, costs: [40, 50, 90] } } }
  expect(small(older, several)).toMatchObject({ first: { relative: null }, relative: null, agree: 'yes' })
})

test('half of what was possible is another rate in every run, and is not compared', () => {
  expect(agreement(run(40), run(80)).map(({ name }) => name)).toEqual(['small rooms', 'path, here'])
})

test('what only one of them has is left out', () => {
  expect(agreement(run(40), { small: run(41).small })).toHaveLength(1)
  expect(agreement({}, run(41))).toEqual([])
})

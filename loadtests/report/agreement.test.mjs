import { expect, test } from 'vitest'
import { agreement } from './agreement.mjs'

const run = (servers, yardstick = 800) => ({
  small: { quiet: { microsecondsPerDelivery: { servers }, yardstick } },
  path: [
    { place: 'here', offered: null, microsecondsPerMessage: { servers: 30 }, yardstick },
    { place: 'here', offered: 15_000, microsecondsPerMessage: { servers: servers * 3 }, yardstick },
  ],
})

test('two runs agree when the dearer one is at most 15 % above the other, whichever came first', () => {
  const small = (one, other) => agreement(run(one), run(other)).find(({ name }) => name === 'small rooms')
  expect(small(40, 46)).toMatchObject({ agree: true, first: { cost: 40 }, second: { cost: 46 } })
  expect(small(40, 46.1).agree).toBe(false)
  expect(small(46.1, 40).agree).toBe(false)
})

test('how far they are apart in yardsticks is said, and excuses nothing', () => {
  const small = (one, other) => agreement(one, other).find(({ name }) => name === 'small rooms')
  expect(small(run(40, 800), run(60, 1_200))).toMatchObject({ apart: 0.5, byYardstick: 0, agree: false })
  expect(small(run(40, null), run(44, 800))).toMatchObject({ byYardstick: null, agree: true })
})

test('half of what was possible is another rate in every run, and is not compared', () => {
  expect(agreement(run(40), run(80)).map(({ name }) => name)).toEqual(['small rooms', 'path, here'])
})

test('what only one of them has is left out', () => {
  expect(agreement(run(40), { small: run(41).small })).toHaveLength(1)
  expect(agreement({}, run(41))).toEqual([])
})

import { describe, expect, test } from 'vitest'
import { judge, trend } from './trend.mjs'

const line = (count, value) => Array.from({ length: count }, (_, i) => ({ at: i * 10, value: value(i) }))

describe('trend', () => {
  test('a straight line changes by what it changes, as a share of its mean', () => {
    const { mean, change, share } = trend(line(11, (i) => 95 + i))
    expect(mean).toBeCloseTo(100)
    expect(change).toBeCloseTo(10)
    expect(share).toBeCloseTo(0.1)
  })

  test('a sawtooth around a level is flat', () => {
    const saw = trend(line(150, (i) => 100 + (i % 10)))
    expect(judge(saw, { share: 0.05 })).toBe('flat')
  })

  test('two points say nothing', () => {
    expect(trend(line(2, (i) => i))).toBeNull()
    expect(judge(null, { share: 0.05 })).toBe('too short')
  })
})

describe('judge', () => {
  test('up to the share it is flat, above it grows, below it falls', () => {
    expect(judge({ mean: 100, change: 5, share: 0.05 }, { share: 0.05 })).toBe('flat')
    expect(judge({ mean: 100, change: 5.1, share: 0.051 }, { share: 0.05 })).toBe('GROWS')
    expect(judge({ mean: 100, change: -5.1, share: -0.051 }, { share: 0.05 })).toBe('falls')
  })

  test('a change that is small in itself is flat whatever its share', () => {
    expect(judge({ mean: 4, change: 3, share: 0.75 }, { share: 0.2, atLeast: 5 })).toBe('flat')
  })
})

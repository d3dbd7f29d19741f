import { afterEach, describe, expect, test, vi } from 'vitest'
import { createSlices } from './slices.ts'

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
afterEach(() => void vi.restoreAllMocks())

describe('work in slices', () => {
  test('[EG42] is done in order, so much per turn of the event loop, and what it adds comes after it', async () => {
    let now = 0
    vi.spyOn(performance, 'now').mockImplementation(() => now)
    const slices = createSlices(8)
    const done: number[] = []
    const work = (i: number) => () => {
      now += 3
      done.push(i)
      if (i === 3) slices.add(work(10))
    }
    for (let i = 0; i < 6; i += 1) slices.add(work(i))
    expect(done).toEqual([])
    const seen: number[] = []
    for (let i = 0; i < 4; i += 1) {
      await turn()
      seen.push(done.length)
    }
    expect(seen).toEqual([3, 6, 7, 7])
    expect(done).toEqual([0, 1, 2, 3, 4, 5, 10])
    slices.add(work(11))
    await turn()
    expect(done.at(-1)).toBe(11)
  })

  test('[EG42] one piece is done per turn at the least, however slow the machine is', async () => {
    let now = 0
    // Between two looks at the clock more than a slice goes by.
    vi.spyOn(performance, 'now').mockImplementation(() => (now += 50))
    const slices = createSlices(8)
    const done: number[] = []
    for (let i = 0; i < 3; i += 1) slices.add(() => done.push(i))
    await turn()
    expect(done).toEqual([0])
    await turn()
    await turn()
    expect(done).toEqual([0, 1, 2])
  })

  test('[EG42] one that fails does not keep the others waiting', async () => {
    const caught: unknown[] = []
    const own = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    process.on('uncaughtException', (error) => caught.push(error.message))
    try {
      const slices = createSlices(8)
      const done: number[] = []
      slices.add(() => {
        throw new Error('failed')
      })
      slices.add(() => done.push(1))
      await turn()
      await turn()
      expect([done, caught]).toEqual([[1], ['failed']])
    } finally {
      process.removeAllListeners('uncaughtException')
      for (const listener of own) process.on('uncaughtException', listener)
    }
  })
})

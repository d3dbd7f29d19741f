import { expect, it } from 'vitest'
import type { LogEntry } from '@flotilla/core/entry'
import type { Store } from '@flotilla/node/store/port'
import { readRoomLog } from './room-log.ts'

const room = 'public:a'
const entry = (first: number, { inc = 1, key = `k${first}` } = {}): LogEntry => ({
  ...{ inc, tag: 1, first, timeMs: 0 },
  messages: [{ sender: 'alice', key, options: '', tail: '"event":"e","data":1' }],
})
const entries = (from: number, to: number): LogEntry[] =>
  Array.from({ length: to - from + 1 }, (_, i) => entry(from + i))

/** A log, and what was asked of it. */
function logOf(log: readonly LogEntry[]) {
  const limits: number[] = []
  const tail = (_: string, before: number, limit: number): Promise<LogEntry[]> => {
    limits.push(limit)
    const below = log.filter(({ first }) => first < before)
    return Promise.resolve(below.slice(-limit).toReversed())
  }
  const store = { rooms: { tail } } as unknown as Store
  const read = (ahead?: readonly LogEntry[], wanted = (): boolean => true): Promise<LogEntry[] | undefined> =>
    readRoomLog(store, room, { wanted, ...(ahead === undefined ? {} : { ahead }) })
  return { limits, read }
}

it('[WK4] a log is read whole, in pages that grow', async () => {
  const { read, limits } = logOf(entries(1, 700))
  expect(await read()).toEqual(entries(1, 700))
  expect(limits).toEqual([2, 8, 32, 128, 512, 1_024])
})

it('[WK4] of a log that was read ahead only what is new is read', async () => {
  const { read, limits } = logOf(entries(1, 510))
  expect(await read(entries(1, 500))).toEqual(entries(1, 510))
  expect(limits).toEqual([32])
  const none = logOf(entries(1, 500))
  expect(await none.read(entries(1, 500))).toEqual(entries(1, 500))
  const many = logOf(entries(1, 700))
  expect(await many.read(entries(1, 500))).toEqual(entries(1, 700))
  expect(many.limits).toEqual([32, 128, 512])
})

it('[WK4] what was trimmed meanwhile may stay, what is gone does not', async () => {
  const { read } = logOf(entries(200, 510))
  expect(await read(entries(1, 500))).toEqual(entries(1, 510))
  expect(await logOf([]).read(entries(1, 500))).toEqual([])
})

it('[WK4] a log that ends otherwise than the one that was read ahead is read whole', async () => {
  const other = [...entries(1, 90), ...entries(91, 110).map(({ first }) => entry(first, { inc: 2, key: 'other' }))]
  expect(await logOf(other).read(entries(1, 100))).toEqual(other)
  const shorter = entries(1, 90)
  expect(await logOf(shorter).read(entries(1, 100))).toEqual(shorter)
})

it('[WK4] a log that nobody waits for is not read on', async () => {
  const { read, limits } = logOf(entries(1, 700))
  expect(await read(undefined, () => limits.length < 3)).toBeUndefined()
  expect(limits).toHaveLength(3)
})

it('[WK4] what was read ahead with a hole in it is not believed', async () => {
  const whole = entries(1, 100)
  expect(await logOf(whole).read([...entries(1, 90), ...entries(99, 100)])).toEqual(whole)
})

it('[WK4] the larger the entries are, the fewer are asked for at first', async () => {
  const large = entries(1, 10).map((each) => ({
    ...each,
    messages: each.messages.map((message) => ({ ...message, tail: 'x'.repeat(100_000) })),
  }))
  const { read, limits } = logOf([...large, ...entries(11, 12)])
  expect(await read(large)).toEqual([...large, ...entries(11, 12)])
  expect(limits[0]).toBe(2)
})

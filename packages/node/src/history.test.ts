import { expect, it } from 'vitest'
import type { LogEntry } from '@flotilla/core/entry'
import { historyMs } from '@flotilla/core/limits'
import { readHistory } from './history.ts'

const now = 10_000_000

/** A log of `entries` with `size` messages each, of which the first `old` entries are too old. */
function roomLog(entries: number, size: number, old = 0): readonly LogEntry[] {
  return Array.from({ length: entries }, (_, i) => ({
    inc: 2,
    tag: 5,
    first: i * size + 1,
    timeMs: i < old ? now - historyMs - 1 : now - historyMs,
    messages: Array.from({ length: size }, (__, j) => ({
      sender: 'u',
      key: `k${i * size + j + 1}`,
      options: '',
      tail: `"event":"e${i * size + j + 1}","data":null,"meta":{"userId":"u"}`,
    })),
  }))
}

async function page(
  log: readonly LogEntry[],
  request: {
    readonly after?: number
    readonly before?: number
    readonly limit: number
    readonly maxChars?: number
  },
) {
  const lastOf = (entry: LogEntry): number => entry.first + entry.messages.length - 1
  const reader = {
    history: async (_room: string, after: number, limit: number) =>
      log.filter((e) => lastOf(e) > after).slice(0, limit),
    tail: async (_room: string, before: number, limit: number) =>
      log
        .filter((e) => lastOf(e) < before)
        .toReversed()
        .slice(0, limit),
  }
  const { events, first, last, epoch } = await readHistory(reader, {
    room: 'public:a',
    nowMs: now,
    ageMs: historyMs,
    ...request,
  })
  for (const [i, event] of events.entries())
    expect(event).toMatchObject({ seq: (first ?? 0) + i, event: `e${event.seq}` })
  return { count: events.length, first, last, epoch }
}

it('[IN12] without a seq it is the newest events, over as many reads as that takes', async () => {
  const log = roomLog(100, 3)
  expect(await page(log, { limit: 2 })).toEqual({ count: 2, first: 299, last: 300, epoch: '2.5' })
  expect(await page(log, { limit: 200 })).toEqual({ count: 200, first: 101, last: 300, epoch: '2.5' })
  expect(await page(log, { limit: 1_000 })).toEqual({ count: 300, first: 1, last: 300, epoch: '2.5' })
})

it('[IN12] with a seq it is the events after it, from the middle of an entry too', async () => {
  const log = roomLog(100, 3)
  expect(await page(log, { after: 4, limit: 3 })).toEqual({ count: 3, first: 5, last: 7, epoch: '2.5' })
  expect(await page(log, { after: 100, limit: 1_000 })).toEqual({ count: 200, first: 101, last: 300, epoch: '2.5' })
  expect(await page(log, { after: 300, limit: 10 })).toEqual({ count: 0, first: null, last: null, epoch: undefined })
})

it('[IN12] what is older than the history of the policy is not served', async () => {
  const log = roomLog(100, 3, 60)
  expect(await page(log, { limit: 1_000 })).toEqual({ count: 120, first: 181, last: 300, epoch: '2.5' })
  expect(await page(log, { after: 0, limit: 5 })).toEqual({ count: 5, first: 181, last: 185, epoch: '2.5' })
})

it('[IN17] a page has a limit in characters, and the next ones bring the rest', async () => {
  const size = 990_000
  const tail = `"event":"e","data":"${'x'.repeat(size)}","meta":{}`
  const log = roomLog(30, 1).map((entry) => ({
    ...entry,
    messages: entry.messages.map((message, i) => ({ ...message, tail: tail.replace('"e"', `"e${entry.first + i}"`) })),
  }))
  expect(await page(log, { limit: 1_000 })).toMatchObject({ count: 8, first: 23, last: 30 })
  const seen: number[] = []
  for (let after = 0; after < 30;) {
    const { count, first, last } = await page(log, { after, limit: 1_000 })
    expect(first).toBe(after + 1)
    seen.push(count)
    after = last ?? Infinity
  }
  expect(seen).toEqual([8, 8, 8, 6])
})

it('[IN17] an event above the limit has a page of its own, also in the middle of an entry', async () => {
  const large = `"data":"${'x'.repeat(9_000_000)}","meta":{}`
  const log = roomLog(1, 4).map((entry) => ({
    ...entry,
    messages: entry.messages.map((message, i) => ({ ...message, tail: `"event":"e${i + 1}",${large}` })),
  }))
  expect(await page(log, { limit: 3 })).toMatchObject({ count: 1, first: 4, last: 4 })
  expect(await page(log, { after: 1, limit: 3 })).toMatchObject({ count: 1, first: 2, last: 2 })
  expect(await page(log, { after: 3, limit: 3 })).toMatchObject({ count: 1, first: 4, last: 4 })
})

it('[IN18] what is too old does not count for the limit of a page', async () => {
  const nowMs = 10_000_000
  const tail = `"event":"e","data":"${'x'.repeat(990_000)}","meta":{}`
  const log = Array.from({ length: 40 }, (_, i) => ({
    inc: 1,
    tag: 1,
    first: i + 1,
    timeMs: i < 30 ? nowMs - historyMs - 1 : nowMs,
    messages: [{ sender: 'a', key: `k${i}`, options: '', tail }],
  }))
  const reader = {
    history: async (_room: string, after: number, limit: number) => log.filter((e) => e.first > after).slice(0, limit),
    tail: async () => [],
  }
  const page = await readHistory(reader, { room: 'public:a', after: 0, limit: 10, nowMs, ageMs: historyMs })
  expect(page.first).toBe(31)
})

it('[HI1] pages lead back from the newest to the oldest, without a hole and without a repeat, wherever entries begin', async () => {
  for (const size of [1, 3, 7]) {
    const log = roomLog(60, size)
    const total = 60 * size
    for (const limit of [1, 4, 10, 50]) {
      let before: number | undefined
      let seen = 0
      for (let pages = 0; pages <= total; pages += 1) {
        const { count, first, last } = await page(log, { limit, ...(before === undefined ? {} : { before }) })
        if (count === 0) break
        expect(last).toBe((before ?? total + 1) - 1)
        seen += count
        before = first ?? 0
      }
      expect([seen, before]).toEqual([total, 1])
    }
  }
})

it('[HI1] before the first event there is nothing, and before what is not there yet is the newest', async () => {
  const log = roomLog(4, 3)
  expect(await page(log, { before: 1, limit: 5 })).toMatchObject({ count: 0, first: null, last: null })
  expect(await page(log, { before: 1_000, limit: 5 })).toMatchObject({ count: 5, first: 8, last: 12 })
  expect(await page([], { before: 9, limit: 5 })).toMatchObject({ count: 0 })
})

it('[HI2] what is not shown to who asks is left out, and the page goes over it', async () => {
  const log = roomLog(4, 1).map((entry) => ({
    ...entry,
    messages: entry.messages.map((message) => ({ ...message, options: entry.first % 2 === 0 ? 'hidden' : '' })),
  }))
  const reader = {
    history: async (_room: string, after: number, limit: number) => log.filter((e) => e.first > after).slice(0, limit),
    tail: async (_room: string, before: number, limit: number) =>
      log
        .filter((e) => e.first < before)
        .toReversed()
        .slice(0, limit),
  }
  const request = {
    room: 'public:a',
    limit: 3,
    nowMs: now,
    ageMs: historyMs,
    shows: (options: string) => options === '',
  }
  const shown = await readHistory(reader, request)
  expect([shown.events.map(({ seq }) => seq), shown.first, shown.last]).toEqual([[3], 2, 4])
})

it('[TT3] events whose time is over are not in a page, which goes over them', async () => {
  const options = ['', '{"until":9999999}', '{"until":10000001}', '{"until":10000000}']
  const messages = roomLog(1, 4)[0]?.messages.map((message, i) => ({ ...message, options: options[i] ?? '' })) ?? []
  const log = [{ inc: 2, tag: 5, first: 1, timeMs: now, messages }]
  const reader = { history: async () => log, tail: async () => log }
  const { events, first, last } = await readHistory(reader, {
    room: 'public:a',
    nowMs: now,
    ageMs: historyMs,
    limit: 10,
  })
  expect({ seqs: events.map(({ seq }) => seq), first, last }).toEqual({ seqs: [1, 3], first: 1, last: 4 })
})

it('[HI8] no more entries are read at a time than events are missing', async () => {
  const log = roomLog(40, 1, 20)
  const read: number[] = []
  const reader = {
    history: async (_room: string, after: number, limit: number) => {
      read.push(limit)
      return log.filter((e) => e.first > after).slice(0, limit)
    },
    tail: async (_room: string, before: number, limit: number) => {
      read.push(limit)
      return log
        .filter((e) => e.first < before)
        .toReversed()
        .slice(0, limit)
    },
  }
  const ask = async (request: { after?: number; limit: number }): Promise<readonly number[]> => {
    read.length = 0
    const { events } = await readHistory(reader, { room: 'public:a', nowMs: now, ageMs: historyMs, ...request })
    expect(events).toHaveLength(request.limit)
    return [...read]
  }
  expect(await ask({ limit: 1 })).toEqual([1])
  expect(await ask({ limit: 10 })).toEqual([8, 2])
  expect(await ask({ after: 20, limit: 1 })).toEqual([1])
  expect(await ask({ after: 20, limit: 17 })).toEqual([8, 8, 1])
  // Those that are too old are passed over as fast as ever.
  expect(await ask({ after: 3, limit: 1 })).toEqual([1, 8, 8, 8])
})

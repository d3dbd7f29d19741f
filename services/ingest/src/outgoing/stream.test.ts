import { describe, expect, it } from 'vitest'
import type { z } from 'zod'
import { UnreadableLogError } from '@flotilla/core/whole-log'
import { StoreError } from '@flotilla/node/store/port'
import { roomOf, writeEvents } from '../../test/event-logs.ts'
import { harness } from '../../test/harness.ts'
import { ring } from '../../test/keyring.ts'
import type { streamAnswer } from './stream.ts'

type Answer = z.infer<typeof streamAnswer>
const day = 86_400_000

async function start() {
  const world = await harness()
  const logs = writeEvents(world.store)
  const read = async (query: string): Promise<Answer> => (await world.call('getStream', { query })).answer as Answer
  /** Reads on until there is nothing more. */
  const readAll = async (after: string, limit = 100): Promise<Answer> => {
    const all: Answer = { events: [], gaps: [], next: after }
    for (;;) {
      const page = await read(`?after=${all.next}&limit=${limit}`)
      all.events.push(...page.events)
      all.gaps.push(...page.gaps)
      if (page.next === all.next) return all
      all.next = page.next
    }
  }
  return { ...world, ...logs, read, readAll }
}

describe('GET /v1/stream', () => {
  it('[OE11] pages over all slots have every event once, those of a slot in order, each with an id of its own', async () => {
    const { write, readAll, read } = await start()
    for (let n = 0; n < 40; n += 1)
      await write(n % 4, [`public:${n}.0`, `public:${n}.1`, `public:${n}.2`], { timeMs: Date.now() + n })
    const { events, gaps, next } = await readAll('oldest', 7)
    expect(gaps).toEqual([])
    expect(events).toHaveLength(120)
    expect(new Set(events.map(({ id }) => id)).size).toBe(120)
    for (const slot of ['0', '1', '2', '3']) {
      const ids = events.flatMap(({ id }) => (id.startsWith(`${slot}-`) ? [id] : []))
      expect(ids).toEqual(Array.from({ length: 30 }, (_, i) => `${slot}-1-1-${(i + 1).toString(36)}`))
    }
    expect(events[0]).toEqual({
      id: '0-1-1-1',
      time: expect.any(String) as string,
      event: 'room.occupied',
      data: { room: 'public:0.0' },
    })
    // The oldest comes first, whatever slot it is of.
    expect(events.slice(0, 6).map(roomOf)).toEqual([
      'public:0.0',
      'public:0.1',
      'public:0.2',
      'public:1.0',
      'public:1.1',
      'public:1.2',
    ])
    // Read again from the same place they are the same.
    const again = await readAll('oldest', 50)
    expect(again.events).toEqual(events)
    expect((await read(`?after=${next}`)).events).toEqual([])
  })

  it('[OE11] `end` is what comes from now on', async () => {
    const { write, read } = await start()
    await write(1, ['public:a'])
    const { events, next } = await read('?after=end')
    expect(events).toEqual([])
    const timeMs = Date.now()
    await write(1, ['public:b'], { timeMs })
    await write(2, ['public:c'], { timeMs: timeMs + 1 })
    const page = await read(`?after=${next}`)
    expect([page.events.map(roomOf), page.gaps]).toEqual([['public:b', 'public:c'], []])
  })

  it('[OE12] with `wait` the answer comes with the first event, or empty when there is none', async () => {
    const { write, read } = await start()
    const { next } = await read('?after=end')
    const waiting = read(`?after=${next}&wait=20s`)
    await write(3, ['public:a'])
    const startedAt = performance.now()
    expect((await waiting).events.map(roomOf)).toEqual(['public:a'])
    expect(performance.now() - startedAt).toBeLessThan(5_000)
    const { next: end } = await read('?after=end')
    expect(await read(`?after=${end}&wait=1`)).toEqual({ events: [], gaps: [], next: end })
    expect(performance.now() - startedAt).toBeGreaterThan(950)
  })

  it('[OE13] what a log does not keep any more is told, with how much it was', async () => {
    const { write, read, readAll } = await start()
    await write(0, ['public:a'])
    const { next } = await readAll('oldest')
    for (let n = 0; n < 5; n += 1) await write(0, [`public:${n}`], { keepFromSeq: n + 1 })
    const page = await readAll(next)
    expect([page.gaps, page.events.map(roomOf)]).toEqual([
      [{ slot: 0, reason: 'trimmed', missed: 3 }],
      ['public:3', 'public:4'],
    ])
    // Of a slot that had no event yet too; but who begins has missed nothing.
    for (let n = 0; n < 3; n += 1) await write(1, [`public:x${n}`], { keepFromSeq: n + 1 })
    expect((await read(`?after=${page.next}`)).gaps).toEqual([{ slot: 1, reason: 'trimmed', missed: 2 }])
    expect((await readAll('oldest')).gaps).toEqual([])
  })

  it('[OE13] what is older than the policy serves is told like what is not kept', async () => {
    const { write, read, readAll } = await start()
    await write(0, ['public:a'])
    const { next } = await readAll('oldest')
    await write(0, ['public:b', 'public:c'], { timeMs: Date.now() - day - 1_000 })
    await write(0, ['public:d'], { timeMs: Date.now() - day - 1_000 })
    await write(0, ['public:e'])
    const page = await read(`?after=${next}`)
    expect([page.gaps, page.events.map(roomOf)]).toEqual([[{ slot: 0, reason: 'trimmed', missed: 3 }], ['public:e']])
  })

  it('[OE14] another incarnation of the slot, and another life of its log, are told before their first event', async () => {
    const { write, read, readAll, store, forget } = await start()
    await write(0, ['public:a', 'public:b'])
    const { next } = await readAll('oldest')
    await write(0, ['public:c'])
    await write(0, ['public:d'], { inc: 5 })
    const first = await read(`?after=${next}`)
    expect([first.gaps, first.events.map(roomOf)]).toEqual([[], ['public:c']])
    const second = await read(`?after=${first.next}`)
    expect([second.gaps, second.events.map(roomOf)]).toEqual([
      [{ slot: 0, reason: 'lost', missed: null }],
      ['public:d'],
    ])
    // As after a day without an event, and as after a server that lost everything: numbers begin again, below what was read.
    const clear = (): void => {
      const now = store.model.snapshot()
      for (const lane of now.lanes) lane.logs.clear()
      store.model.restore(now)
      forget(0)
    }
    clear()
    await write(0, ['public:e'], { inc: 5, tag: 9 })
    const third = await readAll(second.next)
    expect([third.gaps, third.events.map(roomOf)]).toEqual([
      [{ slot: 0, reason: 'expired', missed: null }],
      ['public:e'],
    ])
    clear()
    await write(0, ['public:f'], { inc: 9, tag: 20 })
    const fourth = await readAll(second.next)
    expect([fourth.gaps, fourth.events.map(roomOf)]).toEqual([
      [{ slot: 0, reason: 'lost', missed: null }],
      ['public:f'],
    ])
    // As after a store and all processes that began anew.
    clear()
    await write(0, ['public:g', 'public:h'])
    const fifth = await readAll(fourth.next, 1)
    expect([fifth.gaps, fifth.events.map(roomOf)]).toEqual([
      [{ slot: 0, reason: 'lost', missed: null }],
      ['public:g', 'public:h'],
    ])
  })

  it('[OE14] a log that began again is read also while other slots have something new all the time', async () => {
    const { write, read, readAll, store, forget } = await start()
    await write(0, ['public:a', 'public:b', 'public:c'])
    await write(1, ['public:d'])
    let { next } = await readAll('oldest')
    const now = store.model.snapshot()
    for (const lane of now.lanes) lane.logs.clear()
    store.model.restore(now)
    forget(0)
    await write(0, ['public:e'], { inc: 5, tag: 9 })
    const heard: unknown[] = []
    for (let i = 0; i < 1_000 && !heard.includes('public:e'); i += 1) {
      await write(1, ['public:busy'])
      const page = await read(`?after=${next}`)
      expect(page.events.length).toBeGreaterThan(0)
      heard.push(...page.events.map(roomOf))
      ;({ next } = page)
    }
    expect(heard).toContain('public:e')
  })

  it.each(['?after=x', '?after=', '?limit=0', '?limit=1001', '?wait=31', '?wait=x', '?wait=-1', '?before=1'])(
    '[OE11] %s is refused',
    async (query) => {
      const { call } = await harness()
      expect(await call('getStream', { query })).toMatchObject({ status: 400, code: 'VALIDATION_ERROR' })
    },
  )

  it('[OE15] it needs the scope stream, which no tenant limits; who has it not leaves a line of audit', async () => {
    const asks = async (...scopes: string[]) => {
      const { keys, authorization } = ring({ scopes })
      const { call, audit } = await harness({ keys })
      const { status } = await call('getStream', { headers: { authorization } })
      return [status, audit.length]
    }
    expect(await asks('stream')).toEqual([200, 0])
    expect(await asks('publish', 'history', 'admin', 'webhooks')).toEqual([403, 1])
    expect(() => ring({ scopes: ['stream', 'tenant:acme'] })).toThrow('stream and webhooks are of every tenant')
    const { keys, authorization } = ring({ scopes: ['stream'] })
    const { post } = await harness({ keys })
    expect((await post({ room: 'public:a', event: 'e' }, { authorization })).status).toBe(403)
  })

  it('[OE15] a store that does not answer is told, and a log that cannot be read', async () => {
    const { call, store } = await harness()
    Object.assign(store.rooms, { follow: () => Promise.reject(new UnreadableLogError('$events:0', '1-0')) })
    expect(await call('getStream')).toMatchObject({ status: 503, code: 'OVERLOADED' })
    Object.assign(store.rooms, { range: () => Promise.reject(new StoreError('refused', 'no answer')) })
    expect(await call('getStream')).toMatchObject({ status: 503, code: 'OVERLOADED' })
  })
})

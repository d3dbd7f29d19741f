import { describe, expect, it } from 'vitest'
import type { LogEntry, OutEvent } from './entry.ts'
import { createFeed, isForgotten, needsTick, stepFeed, subscribeDeadlineMs } from './feed.ts'
import { maxRecentChars, recentMs } from './feed-recent.ts'
import type { FeedEffect, FeedInput, FeedRecord, Since } from './feed-state.ts'
import { historyMs, interestLingerMs } from './limits.ts'

const room = 'public:r'
const wallStart = 1_700_000_000_000
const hour = Math.floor(wallStart / 3_600_000)
const epoch = '5.12'

const events = (first: number, count: number): OutEvent[] =>
  Array.from({ length: count }, (_, i) => ({ options: '', tail: `t${first + i}` }))
const entry = (first: number, count: number, more: Partial<LogEntry> = {}): LogEntry => ({
  ...{ inc: 5, tag: 12, first, timeMs: wallStart },
  messages: events(first, count).map((event) => ({ sender: 's', key: event.tail, ...event })),
  ...more,
})

class Feed {
  readonly state = createFeed(room, 3)
  now = 0
  all: FeedEffect[] = []

  step(input: FeedInput): FeedEffect[] {
    const effects = stepFeed(this.state, input, { now: this.now, wallMs: wallStart + this.now })
    this.all.push(...effects)
    return effects
  }
  add(subscriber: number, seq?: number, of = epoch): FeedEffect[] {
    const [inc = 0, tag = 0, issuedHour] = of.split('.').map(Number)
    const since: Since | null =
      seq === undefined ? null : { seq, epoch: { inc, tag, ...(issuedHour === undefined ? {} : { issuedHour }) } }
    return this.step({ type: 'add', subscriber, since })
  }
  record(record: FeedRecord): FeedEffect[] {
    return this.step({ type: 'record', record })
  }
  /** The owner answers the last declaration. */
  answer(head: number, of = epoch): FeedEffect[] {
    return this.record({ type: 'interest', room, epoch: of, head, nonce: `3.${this.state.declared}` })
  }
  events(first: number, count: number, of = epoch): FeedEffect[] {
    return this.record({ type: 'events', room, epoch: of, first, events: events(first, count) })
  }
  history(request: number, ...entries: LogEntry[]): FeedEffect[] {
    return this.step({ type: 'history', request, entries })
  }
  tick(ms: number): FeedEffect[] {
    this.now += ms
    return this.step({ type: 'tick' })
  }
}

/** Live at `head`, with one subscriber, number 1. */
function live(head: number): Feed {
  const feed = new Feed()
  feed.add(1)
  feed.answer(head)
  return feed
}
const delivered = (effects: readonly FeedEffect[]): string[] =>
  effects.flatMap((effect) =>
    effect.type === 'deliver' ? effect.events.map((event, i) => `${effect.first + i}:${event.tail}`) : [],
  )
const fetches = (effects: readonly FeedEffect[]): number[] =>
  effects.flatMap((effect) => (effect.type === 'fetch' ? [effect.after] : []))
const answers = (effects: readonly FeedEffect[]): unknown[] =>
  effects.flatMap((effect) =>
    effect.type === 'answer' ? [{ ...effect, events: effect.events.map(({ tail }) => tail) }] : [],
  )
const types = (effects: readonly FeedEffect[]): string[] => effects.map((effect) => effect.type)
const recovered = (subscriber: number, seq: number, missed: string[] = []): unknown => ({
  type: 'answer',
  subscriber,
  position: { epoch, seq },
  recovered: true,
  events: missed,
})
const lost = (subscriber: number, seq: number, reason: string): unknown => ({
  type: 'answer',
  subscriber,
  position: { epoch, seq },
  recovered: false,
  reason,
  events: [],
})

describe('a room at its edge', () => {
  it('[FE2] it is declared once for its first subscriber; all who wait are answered with the owner’s head, later ones at once', () => {
    const feed = new Feed()
    expect(feed.add(1)).toEqual([{ type: 'declare', nonce: '3.1' }])
    expect(feed.add(2)).toEqual([])
    expect(answers(feed.answer(7))).toEqual([recovered(1, 7), recovered(2, 7)])
    expect(answers(feed.add(3))).toEqual([recovered(3, 7)])
  })

  it('[FE2] an answer to a declaration of another life, or to an older one than counts, says nothing', () => {
    const feed = new Feed()
    feed.add(1)
    expect(feed.record({ type: 'interest', room, epoch, head: 9, nonce: '2.1' })).toEqual([])
    feed.answer(7)
    feed.step({ type: 'reset', inc: 6 })
    expect(feed.record({ type: 'interest', room, epoch: '6.1', head: 9, nonce: '3.1' })).toEqual([])
    expect(types(feed.answer(9, '6.12'))).toEqual(['position'])
  })

  it('[FE3] live events go out once and in order; what was seen before is left out', () => {
    const feed = live(4)
    expect(delivered(feed.events(5, 2))).toEqual(['5:t5', '6:t6'])
    expect(feed.events(5, 2)).toEqual([])
    expect(delivered(feed.events(6, 2))).toEqual(['7:t7'])
    expect(feed.events(1, 3)).toEqual([])
  })

  it('[FE4] a hole is filled from the log before anything newer goes out', () => {
    const feed = live(4)
    expect(fetches(feed.events(7, 2))).toEqual([4])
    expect(delivered(feed.events(9, 1))).toEqual([])
    expect(delivered(feed.history(1, entry(5, 2)))).toEqual(['5:t5', '6:t6', '7:t7', '8:t8', '9:t9'])
    expect(delivered(feed.events(10, 1))).toEqual(['10:t10'])
  })

  it('[FE4] a digest above what has come is a hole only at the next tick', () => {
    const feed = live(4)
    feed.record({ type: 'head', room, epoch, head: 5 })
    expect(delivered(feed.events(5, 1))).toEqual(['5:t5'])
    expect(fetches(feed.tick(100))).toEqual([])
    feed.record({ type: 'head', room, epoch, head: 6 })
    expect(needsTick(feed.state)).toBe(true)
    expect(fetches(feed.tick(100))).toEqual([5])
  })

  it('[FE4] a read that failed is repeated with growing pauses, and nothing newer goes out meanwhile', () => {
    const feed = live(4)
    feed.events(7, 1)
    expect(feed.step({ type: 'history', request: 1, entries: null })).toEqual([])
    expect(fetches(feed.tick(99))).toEqual([])
    expect(fetches(feed.tick(1))).toEqual([4])
    feed.step({ type: 'history', request: 1, entries: null })
    expect(fetches(feed.tick(199))).toEqual([])
    expect(fetches(feed.tick(1))).toEqual([4])
    expect(delivered(feed.all)).toEqual([])
    expect(delivered(feed.history(1, entry(5, 2)))).toEqual(['5:t5', '6:t6', '7:t7'])
  })

  it('[FE5] a hole that the log does not have any more is told as a loss, from the owner’s head on', () => {
    const feed = live(4)
    feed.events(9, 1)
    expect(types(feed.history(1, entry(7, 3)))).toEqual(['declare'])
    expect(feed.events(10, 1)).toEqual([])
    expect(feed.answer(10)).toEqual([
      { type: 'position', position: { epoch, seq: 10 }, recovered: false, reason: 'trimmed' },
    ])
    expect(delivered(feed.events(11, 1))).toEqual(['11:t11'])
  })

  it('[FE6] after a reset nothing goes out until the owner has spoken; then the loss is told before any event', () => {
    const feed = live(4)
    expect(types(feed.step({ type: 'reset', inc: 6 }))).toEqual(['declare'])
    expect(feed.events(5, 1)).toEqual([])
    expect(feed.answer(3, '6.12')).toEqual([
      { type: 'position', position: { epoch: '6.12', seq: 3 }, recovered: false, reason: 'epoch' },
    ])
    expect(feed.step({ type: 'reset', inc: 6 })).toEqual([])
    expect(delivered(feed.events(4, 1, '6.12'))).toEqual(['4:t4'])
    expect(feed.events(5, 1, '5.12')).toEqual([])
  })

  it('[FE12] what the log has after the position under an older incarnation is another history, and never goes out', () => {
    const feed = live(16)
    feed.step({ type: 'resync' })
    expect(fetches(feed.answer(19))).toEqual([16])
    // The server is one of before: there others had those numbers, under incarnation 4.
    expect(types(feed.history(1, entry(17, 3, { inc: 4 })))).toEqual(['declare'])
    expect(feed.answer(22, '7.12')).toEqual([
      { type: 'position', position: { epoch: '7.12', seq: 22 }, recovered: false, reason: 'epoch' },
    ])
    expect(delivered(feed.all)).toEqual([])
  })

  it('[FE7] a resync that lost nothing tells nobody; what it lost is filled', () => {
    const feed = live(4)
    expect(types(feed.step({ type: 'resync' }))).toEqual(['declare'])
    expect(feed.answer(4)).toEqual([])
    feed.step({ type: 'resync' })
    expect(fetches(feed.answer(6))).toEqual([4])
    expect(delivered(feed.history(1, entry(5, 2)))).toEqual(['5:t5', '6:t6'])
  })

  it('[FE7] an outbox that is read again delivers nothing twice', () => {
    const feed = live(4)
    feed.events(5, 3)
    feed.step({ type: 'resync' })
    expect(delivered([...feed.events(5, 3), ...feed.answer(7), ...feed.events(5, 3)])).toEqual([])
    expect(delivered(feed.events(8, 1))).toEqual(['8:t8'])
  })

  it('[FE8] an empty room that comes to life goes on: its new epoch is told without a loss, before its first event', () => {
    const feed = new Feed()
    feed.add(1)
    expect(answers(feed.answer(0, '5.0'))).toMatchObject([{ position: { epoch: `5.0.${hour}`, seq: 0 } }])
    const effects = feed.events(1, 1)
    expect(effects[0]).toEqual({ type: 'position', position: { epoch, seq: 0 }, recovered: true })
    expect(delivered(effects)).toEqual(['1:t1'])
  })

  it('[FE9] when the last one has left the interest lingers for 3 s and is then withdrawn; whoever comes back ends that', () => {
    const feed = live(4)
    feed.step({ type: 'remove', subscriber: 1 })
    expect(feed.tick(interestLingerMs - 1)).toEqual([])
    expect(answers(feed.add(2))).toEqual([recovered(2, 4)])
    feed.step({ type: 'remove', subscriber: 2 })
    expect(feed.tick(interestLingerMs - 1)).toEqual([])
    expect(isForgotten(feed.state)).toBe(false)
    expect(feed.tick(1)).toEqual([{ type: 'withdraw' }])
    expect(isForgotten(feed.state)).toBe(true)
  })

  it('[FE10] without an answer a subscriber is refused after 5 s, and the declaration is repeated', () => {
    const feed = new Feed()
    feed.add(1)
    expect(feed.tick(subscribeDeadlineMs - 1)).toEqual([])
    expect(feed.tick(1)).toEqual([{ type: 'refuse', subscriber: 1, retryAfterMs: 1_000 }])
    const late = new Feed()
    late.add(1)
    late.now = 9_000
    late.add(2)
    expect(types(late.tick(1_000))).toEqual(['declare', 'refuse'])
  })

  it('[FE10] a room of which everybody was refused is withdrawn', () => {
    const feed = new Feed()
    feed.add(1)
    feed.tick(subscribeDeadlineMs)
    feed.answer(4)
    expect(types(feed.tick(interestLingerMs))).toEqual(['withdraw'])
    expect(isForgotten(feed.state)).toBe(true)
  })

  it('[FE11] an ephemeral event goes out at once, also while a hole is filled', () => {
    const feed = live(4)
    feed.events(7, 1)
    const event = { options: '', tail: 'typing' }
    expect(feed.record({ type: 'ephemeral', room, event })).toEqual([{ type: 'ephemeral', event }])
  })
})

describe('resuming', () => {
  it('[RS2] at the head nothing was missed, however old the position', () => {
    const feed = live(4)
    feed.now = historyMs * 10
    expect(answers(feed.add(2, 4))).toEqual([recovered(2, 4)])
  })

  it('[RS3] behind the head exactly what was missed follows the answer, then what is live', () => {
    const feed = live(6)
    expect(fetches(feed.add(2, 3))).toEqual([3])
    expect(delivered(feed.events(7, 1))).toEqual(['7:t7'])
    expect(answers(feed.history(1, entry(3, 2), entry(5, 2)))).toEqual([recovered(2, 7, ['t4', 't5', 't6', 't7'])])
    expect(delivered(feed.events(8, 1))).toEqual(['8:t8'])
  })

  it('[RS4] all who resume from the same seq share one read, also those who come while it is under way', () => {
    const feed = live(6)
    const asked = Array.from({ length: 500 }, (_, i) => feed.add(100 + i, 3)).flat()
    expect(fetches([...asked, ...feed.add(2, 5)])).toEqual([3, 5])
    expect(answers(feed.history(1, entry(4, 3)))).toHaveLength(500)
    expect(answers(feed.history(2, entry(4, 3)))).toEqual([recovered(2, 6, ['t6'])])
    expect(feed.state.live.size).toBe(502)
  })

  it('[RS12] for 10 s after a replay those behind its start are answered without a read, with what came meanwhile', () => {
    const feed = live(6)
    feed.add(2, 3)
    feed.history(1, entry(4, 3))
    feed.events(7, 1)
    const later = feed.add(3, 3)
    expect(fetches(later)).toEqual([])
    expect(answers(later)).toEqual([recovered(3, 7, ['t4', 't5', 't6', 't7'])])
    expect(answers(feed.add(4, 5))).toEqual([recovered(4, 7, ['t6', 't7'])])
    expect(fetches(feed.add(5, 2))).toEqual([2])
    feed.history(2, entry(3, 5))
    expect(answers(feed.add(6, 2))).toEqual([recovered(6, 7, ['t3', 't4', 't5', 't6', 't7'])])
    feed.tick(recentMs)
    expect(fetches(feed.add(7, 3))).toEqual([3])
  })

  it('[RS12] nothing of it outlives a loss, its age or its bounds', () => {
    const lostOne = live(6)
    lostOne.add(2, 3)
    lostOne.history(1, entry(4, 3))
    lostOne.step({ type: 'reset', inc: 6 })
    expect(lostOne.state.recent).toBeNull()
    const old = live(6)
    old.add(2, 3)
    old.history(1, entry(4, 3, { timeMs: wallStart - historyMs + 5 }))
    old.now = 6
    expect(fetches(old.add(3, 3))).toEqual([3])
    const large = live(6)
    large.add(2, 3)
    large.history(1, entry(4, 3))
    large.record({
      ...{ type: 'events', room, epoch, first: 7 },
      events: [{ options: '', tail: 'x'.repeat(maxRecentChars) }],
    })
    expect(large.state.recent).toBeNull()
  })

  it('[RS5] a replay is read page by page', () => {
    const feed = live(6)
    feed.add(2, 1)
    expect(fetches(feed.history(1, entry(2, 2)))).toEqual([3])
    expect(answers(feed.history(1, entry(4, 3)))).toEqual([recovered(2, 6, ['t2', 't3', 't4', 't5', 't6'])])
  })

  it('[RS6] what the log does not have any more is `trimmed`, what is too old is `expired`; never a part of it', () => {
    const trimmed = live(6)
    trimmed.add(2, 1)
    expect(answers(trimmed.history(1, entry(4, 3)))).toEqual([lost(2, 6, 'trimmed')])
    const old = live(6)
    old.now = 10
    old.add(2, 4)
    expect(answers(old.history(1, entry(5, 2, { timeMs: wallStart + 9 - historyMs })))).toEqual([lost(2, 6, 'expired')])
    const fresh = live(6)
    fresh.now = 10
    fresh.add(2, 4)
    expect(answers(fresh.history(1, entry(5, 2, { timeMs: wallStart + 10 - historyMs })))).toEqual([
      recovered(2, 6, ['t5', 't6']),
    ])
  })

  it('[RS7] another epoch is `epoch`; a newer one than the edge knows is asked about first', () => {
    const feed = live(6)
    expect(answers(feed.add(2, 6, '4.12'))).toEqual([lost(2, 6, 'epoch')])
    expect(answers(feed.add(3, 6, '5.11'))).toEqual([lost(3, 6, 'epoch')])
    expect(types(feed.add(4, 6, '6.12'))).toEqual(['declare'])
    expect(answers(feed.answer(6))).toEqual([lost(4, 6, 'epoch')])
  })

  it('[RS8] only the owner’s head makes a client `ahead`; the edge asks for it, and waits for what it has not seen itself', () => {
    const feed = live(6)
    expect(types(feed.add(2, 8))).toEqual(['declare'])
    expect(answers(feed.answer(6))).toEqual([lost(2, 6, 'ahead')])
    expect(types(feed.add(3, 8))).toEqual(['declare'])
    const told = feed.answer(8)
    expect(answers(told)).toEqual([])
    expect(fetches(told)).toEqual([6])
    const filled = feed.history(1, entry(7, 2))
    expect(delivered(filled)).toEqual(['7:t7', '8:t8'])
    expect(answers(filled)).toEqual([recovered(3, 8)])
  })

  it('[RS8] however many are ahead, one question is under way at a time', () => {
    const feed = live(6)
    const asked = Array.from({ length: 20 }, (_, i) => feed.add(10 + i, 8)).flat()
    expect(types(asked)).toEqual(['declare'])
    expect(types(feed.answer(6)).filter((type) => type === 'declare')).toHaveLength(1)
    expect(answers(feed.answer(6))).toHaveLength(19)
    expect(feed.state.waiting.size).toBe(0)
  })

  it('[RS9] a position of an empty room continues in the life that followed, and 12 h later no more', () => {
    const feed = live(3)
    expect(fetches(feed.add(2, 0, `5.0.${hour}`))).toEqual([0])
    expect(answers(feed.history(1, entry(1, 3)))).toEqual([recovered(2, 3, ['t1', 't2', 't3'])])
    expect(answers(feed.add(3, 0, `5.0.${hour - 12}`))).toEqual([lost(3, 3, 'epoch')])
    expect(answers(feed.add(4, 0, '5.0'))).toEqual([lost(4, 3, 'epoch')])
  })

  it('[RS10] when the log cannot be read the resume is refused in time, and the others stay', () => {
    const feed = live(6)
    feed.add(2, 3)
    for (let ms = 0; ms < subscribeDeadlineMs; ms += 100) {
      feed.step({ type: 'history', request: 1, entries: null })
      feed.tick(100)
    }
    expect(feed.all.filter((effect) => effect.type === 'refuse')).toEqual([
      { type: 'refuse', subscriber: 2, retryAfterMs: 1_000 },
    ])
    expect(answers(feed.all.slice(2))).toEqual([])
    expect(delivered(feed.events(7, 1))).toEqual(['7:t7'])
    expect(answers(feed.history(1, entry(4, 4)))).toEqual([])
  })

  it('[RS11] who resumes while continuity is lost is judged by what is true afterwards', () => {
    const feed = live(6)
    feed.add(2, 3)
    feed.step({ type: 'reset', inc: 6 })
    expect(feed.history(1, entry(4, 3))).toEqual([])
    expect(answers(feed.answer(5, '6.12'))).toMatchObject([
      { subscriber: 2, recovered: false, reason: 'epoch', position: { epoch: '6.12', seq: 5 } },
    ])
  })
})

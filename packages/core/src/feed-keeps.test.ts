import { expect, it } from 'vitest'
import type { LogEntry } from './entry.ts'
import { createFeed, stepFeed } from './feed.ts'
import type { FeedInput } from './feed-state.ts'
import { feedLimits } from './limits.ts'

const room = 'public:r'
const epoch = '5.12'
const clock = { now: 0, wallMs: 1_700_000_000_000 }

it('[RS13] what is too old to be replayed is what the policy of the room says, from the moment it changes', () => {
  const feed = createFeed(room, 3, feedLimits, 1_000)
  const step = (input: FeedInput) => stepFeed(feed, input, clock)
  const add = (subscriber: number, seq: number) =>
    step({ type: 'add', subscriber, since: { seq, epoch: { inc: 5, tag: 12 } } })
  const read = (request: number, ageMs: number) => {
    const messages = [4, 5, 6].map((n) => ({ sender: 's', key: `k${n}`, options: '', tail: `t${n}` }))
    const entry: LogEntry = { inc: 5, tag: 12, first: 4, timeMs: clock.wallMs - ageMs, messages }
    return step({ type: 'history', request, entries: [entry] })
  }
  step({ type: 'add', subscriber: 1, since: null })
  step({ type: 'record', record: { type: 'interest', room, epoch, head: 6, nonce: '3.1' } })
  add(2, 3)
  expect(read(1, 1_001)).toMatchObject([{ type: 'answer', recovered: false, reason: 'expired' }])
  step({ type: 'keeps', historyMs: 5_000 })
  add(3, 3)
  expect(read(2, 5_000)).toMatchObject([{ type: 'answer', recovered: true, events: [{}, {}, {}] }])
  // What was read a moment ago is kept: it is not older than that.
  expect(add(4, 3)).toMatchObject([{ type: 'answer', recovered: true, events: [{}, {}, {}] }])
  step({ type: 'keeps', historyMs: 4_999 })
  expect(add(5, 3)).toMatchObject([{ type: 'fetch' }])
  expect(read(3, 5_000)).toMatchObject([{ type: 'answer', recovered: false, reason: 'expired' }])
})

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeInput, decodeOut, encodeInput, encodeOut } from './entry.ts'
import { formatInterest, parseInterest } from './interest.ts'
import type { InterestChange } from './interest.ts'
import { maxLocks, maxLockTtlMs } from './limits.ts'
import type { LockMessage } from './lock-entry.ts'
import { createLocks, expireLocks, knowLock, markOpen, openLocks, takeLock } from './locks.ts'
import type { Locks } from './locks.ts'

const room = 'document:acme:1'
const ask = (holder: string, more: Partial<LockMessage> = {}): LockMessage => ({
  ...{ type: 'lock', room, nonce: '1', change: 'lock', name: '', user: holder.slice(0, 3), holder, ttlMs: 30_000 },
  ...more,
})
/** Owners of one slot, one after the other, and the rows that the store keeps. */
function setup(inc = 3) {
  const rows = new Set<string>()
  let all: Locks = createLocks()
  let now = 1_000_000
  const write = (changes: readonly InterestChange[]): void => {
    for (const { on, ...row } of changes) {
      const text = formatInterest(row)
      if (on) expect(rows.has(text)).toBe(false)
      else expect(rows.delete(text)).toBe(true)
      if (on) rows.add(text)
    }
  }
  const expire = (): void => write(expireLocks(all, inc, now))
  write(openLocks(all, inc, true))
  write(markOpen(all, inc))
  return {
    rows,
    /** `held 3:1`, by incarnation and number, or what else came of it. */
    take: (message: LockMessage): string => {
      const { rows: changed, answer } = takeLock(all, message, { inc, now })
      write(changed)
      const [lock] = answer.locks
      if (answer.outcome !== 'held' || lock === undefined) return answer.outcome
      const fence = BigInt(lock.fence)
      return `held ${fence >> 28n}:${fence % 2n ** 28n}`
    },
    wait: (ms: number) => {
      now += ms
      expire()
    },
    /** Another owner, whose clock is another; with a higher `inc` continuity was lost. */
    next: (nextInc = inc) => {
      inc = nextInc
      now = 77_000
      all = createLocks()
      for (const row of rows) knowLock(all, parseInterest(row))
      write(openLocks(all, inc, false))
      expire()
    },
    list: () => takeLock(all, ask('any', { change: 'list' }), { inc, now }).answer.locks.map(({ user }) => user),
  }
}

/** Clients, and what they believe: a word for each attempt, and none is used again when it is over. */
function believers(take: (message: LockMessage) => string) {
  const all = new Map<string, { word: string; fence: number; until: number }>()
  let [highest, words] = [0, 0]
  const held = (who: string, came: string, mine: number | undefined): number => {
    const [life = 0, n = 0] = came.slice(5).split(':').map(Number)
    const fence = life * 2 ** 28 + n
    for (const [other, { until }] of all) expect(other === who || until <= self.time).toBe(true)
    if (mine === undefined) expect(fence).toBeGreaterThan(highest)
    else expect(fence).toBe(mine)
    highest = Math.max(highest, fence)
    return fence
  }
  const self = {
    time: 0,
    ask: ({ who, ...wanted }: { who: string } & Pick<LockMessage, 'change' | 'ttlMs'>): void => {
      const own = all.get(who)
      const mine = own !== undefined && own.until > self.time ? own : undefined
      const word = mine?.word ?? `w${(words += 1)}`
      const came = take(ask(word, { user: who, change: wanted.change, ttlMs: wanted.ttlMs }))
      if (wanted.change === 'unlock' || came === 'taken') all.delete(who)
      else if (came.startsWith('held'))
        all.set(who, { word, fence: held(who, came, mine?.fence), until: self.time + wanted.ttlMs })
    },
  }
  return self
}

describe('locks of a room at its worker', () => {
  it('[LK1] one holder has a lock; who asks again with the same word renews it, another of the same user is refused (RM5)', () => {
    const { take, wait, list } = setup()
    expect(take(ask('ann1'))).toBe('held 3:1')
    expect(take(ask('bob1'))).toBe('taken')
    expect(take(ask('ann2'))).toBe('taken')
    expect(take(ask('bob1', { name: 'title' }))).toBe('held 3:2')
    wait(29_999)
    expect(take(ask('ann1'))).toBe('held 3:1')
    wait(29_999)
    expect([take(ask('bob1')), list()]).toEqual(['taken', ['ann']])
    wait(1)
    expect(take(ask('bob1'))).toBe('held 3:3')
  })

  it('[LK2] the holder alone unlocks, and the next one has a higher number', () => {
    const { take, rows } = setup()
    take(ask('ann1'))
    for (const other of [ask('ann2'), ask('ann1', { user: 'bob' }), ask('bob1')])
      expect(take({ ...other, change: 'unlock' })).toBe('none')
    expect(take(ask('ann1', { change: 'unlock' }))).toBe('released')
    expect(take(ask('ann1', { change: 'unlock' }))).toBe('none')
    expect(take(ask('bob1'))).toBe('held 3:2')
    expect(rows.size).toBe(2)
  })

  it('[LK3] the next owner has the same locks, each for its whole time again, and goes on with the numbers', () => {
    const { take, next, wait } = setup()
    take(ask('ann1'))
    wait(20_000)
    next()
    wait(29_999)
    expect(take(ask('bob1'))).toBe('taken')
    wait(1)
    expect(take(ask('bob1'))).toBe('held 3:2')
  })

  it('[LK4] after a loss nobody is given one until all that may have been lost are over; who has one keeps it', () => {
    const { take, next, wait } = setup()
    take(ask('ann1'))
    next(5)
    expect(take(ask('ann1'))).toBe('held 3:1')
    expect(take(ask('bob1', { name: 'other' }))).toBe('wait')
    wait(maxLockTtlMs - 1)
    // An owner that follows meanwhile waits as long again, as it cannot know.
    next()
    expect(take(ask('bob1'))).toBe('wait')
    wait(maxLockTtlMs - 1)
    expect(take(ask('bob1'))).toBe('wait')
    wait(1)
    expect(take(ask('bob1'))).toBe('held 5:1')
    next()
    expect(take(ask('cat1', { name: 'other' }))).toBe('held 5:2')
  })

  it('[LK5] a room has 1,000 locks at the most', () => {
    const { take } = setup()
    for (let i = 0; i < maxLocks; i += 1) expect(take(ask('ann1', { name: `n${i}` }))).toMatch(/^held/)
    expect(take(ask('ann1', { name: 'more' }))).toBe('full')
    take(ask('ann1', { name: 'n7', change: 'unlock' }))
    expect(take(ask('ann1', { name: 'more' }))).toMatch(/^held/)
  })

  it('[LK6] whatever is asked, lost and taken over: no two believe to have a lock at a time, and its numbers only grow', () => {
    const step = fc.record({
      who: fc.constantFrom('ann', 'bob', 'cat'),
      change: fc.constantFrom<LockMessage['change']>('lock', 'lock', 'lock', 'unlock'),
      ttlMs: fc.constantFrom(1_000, 30_000, maxLockTtlMs),
      wait: fc.constantFrom(0, 0, 500, 1_000, 20_000, 200_000),
      event: fc.constantFrom('', '', '', '', 'next', 'lost'),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { take, wait, next, rows } = setup()
        const clients = believers(take)
        const past = [new Set(rows)]
        let inc = 3
        for (const { event, ...asked } of steps) {
          clients.ask(asked)
          clients.time += asked.wait
          wait(asked.wait)
          if (event === 'next') next()
          else if (event === 'lost') {
            // The store is what it was some steps ago.
            rows.clear()
            for (const row of past.at(-4) ?? past[0] ?? []) rows.add(row)
            next((inc += 2))
          }
          past.push(new Set(rows))
        }
      }),
      { numRuns: 1_000 },
    )
  })
})

describe('messages about locks', () => {
  const head = { boot: 'edge-1#a', generation: 0, k: 1 }

  it('[LK7] come back as they were; what cannot be read is an ephemeral event for nobody', () => {
    const messages = [
      ask('ann "1"', { name: 'a\u001fb' }),
      ask('ann1', { change: 'unlock' }),
      ask('', { change: 'list' }),
    ]
    expect(decodeInput(encodeInput(head, messages))?.messages).toEqual(messages)
    for (const options of [
      '',
      '{}',
      '[]',
      '["r","1","lock","n","u","h",0]',
      '["r","1","never","n","u","h",5]',
      '[1,"1","lock","n","u","h",5]',
    ]) {
      const strange = { type: 'ephemeral', room: '!lock', options, tail: '' } as const
      expect(decodeInput(encodeInput(head, [strange]))?.messages).toEqual([strange])
    }
    const locks = [{ name: 'a\u001e', user: 'ann', fence: '1342177281', leftMs: 9 }]
    const record = { type: 'lock', room, nonce: '7', outcome: 'held', locks, retryAfterMs: 0 } as const
    expect(decodeOut(encodeOut(record))).toEqual([record])
    expect(decodeOut('l\u001froom\u001f1\u001fnever\u001f0\u001f[]')).toEqual([])
    expect(decodeOut('l\u001froom\u001f1\u001fheld\u001f0\u001fno JSON')).toEqual([])
  })
})

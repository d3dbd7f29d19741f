import { describe, expect, it } from 'vitest'
import { parsePolicy } from './policy-file.ts'
import type { PolicyFile } from './policy-file.ts'
import { createRateStore, takeEvent } from './rates.ts'
import type { RateClasses, RateStore } from './rates.ts'

function ratesOf(file: Pick<PolicyFile, 'classes' | 'rates'>): RateClasses {
  const parsed = parsePolicy({ version: 1, ...file })
  if (!parsed.ok || parsed.policy.rates === null) throw new Error(JSON.stringify(parsed))
  return parsed.policy.rates
}
const three = ratesOf({
  classes: { cursor: ['cursor.*'], typing: ['typing.start', 'typing.*'] },
  rates: { default: '2/min', cursor: { limit: '3/s', per: 'connection' }, typing: '1/10s' },
})

/** Connections of users that share a store. */
function harness(rates: RateClasses) {
  const users = createRateStore()
  const connections = new Map<string, RateStore>()
  return {
    users,
    take: (nowMs: number, event: string, [user, connection]: readonly [string, string] = ['alice', '1']) => {
      const own = () => connections.get(connection) ?? createRateStore()
      const asker = { event, user, users, connection: () => own() }
      const store = own()
      connections.set(connection, store)
      const taken = takeEvent(rates, asker, nowMs)
      return taken.ok ? true : taken.retryAfterMs
    },
  }
}

describe('rates by class', () => {
  it('[RL1] an event is of the first class that lists it, or of the default one; classes are counted apart', () => {
    const { take } = harness(three)
    expect([take(0, 'a'), take(0, 'b'), take(0, 'cursor')]).toEqual([true, true, 30_000])
    expect([take(0, 'cursor.a'), take(0, 'cursor.b'), take(0, 'cursor.'), take(0, 'cursor.a')]).toEqual([
      ...[true, true, true, 334],
    ])
    expect([take(0, 'typing.start'), take(0, 'typing.stop')]).toEqual([true, 10_000])
  })

  it('[RL1] without a default what no class lists is not limited', () => {
    const { take, users } = harness(ratesOf({ classes: { cursor: ['cursor.*'] }, rates: { cursor: '1/h' } }))
    for (let i = 0; i < 1_000; i += 1) expect(take(0, 'other')).toBe(true)
    expect(users.buckets.size).toBe(0)
    expect([take(0, 'cursor.a'), take(0, 'cursor.a')]).toEqual([true, 3_600_000])
  })

  it('[RL2] so many at once, and as many more in each such time, evenly', () => {
    const { take } = harness(three)
    expect([take(0, 'a'), take(0, 'a'), take(29_999, 'a'), take(30_000, 'a'), take(30_000, 'a')]).toEqual([
      ...[true, true, 1, true, 30_000],
    ])
  })

  it('[RL3] all connections of a user share what is per user, and each has its own of what is per connection', () => {
    const { take } = harness(three)
    expect([take(0, 'a', ['alice', '1']), take(0, 'a', ['alice', '2']), take(0, 'a', ['alice', '3'])]).toEqual([
      ...[true, true, 30_000],
    ])
    expect(take(0, 'a', ['bob', '4'])).toBe(true)
    for (const id of ['1', '2']) for (let i = 0; i < 3; i += 1) expect(take(0, 'cursor.x', ['alice', id])).toBe(true)
    expect(take(0, 'cursor.x', ['alice', '1'])).toBe(334)
  })

  it('[RL5] another rate holds at once; one that is as before goes on', () => {
    const users = createRateStore()
    const asker = { event: 'a', user: 'alice', users, connection: createRateStore }
    const [one, same, more] = ['1/min', '1/min', '2/min'].map((rate) => ratesOf({ rates: { default: rate } }))
    if (one === undefined || same === undefined || more === undefined) throw new Error('three were made')
    expect(takeEvent(one, asker, 0).ok).toBe(true)
    expect(takeEvent(same, asker, 0).ok).toBe(false)
    expect(takeEvent(more, asker, 0).ok).toBe(true)
  })

  it('[RL6] who has published nothing for a while is let go of', () => {
    const { take, users } = harness(ratesOf({ rates: { default: '1/s' } }))
    for (let i = 0; i < 100_000; i += 1) take(i, 'a', [`u${i}`, '1'])
    expect(users.buckets.size).toBeLessThan(4_096)
    expect(take(100_000, 'a', ['u99999', '1'])).toBe(999)
  })
})

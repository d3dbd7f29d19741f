import { describe, expect, it } from 'vitest'
import { ephemeralPerSecond } from './limits.ts'
import { defaultPolicy } from './policy-default.ts'
import { parsePolicy } from './policy-file.ts'
import { ephemeralPerSecondOf } from './policy.ts'

const problems = (file: object): readonly string[] => {
  const parsed = parsePolicy({ version: 1, ...file })
  return parsed.ok ? [] : parsed.problems
}
const rateOf = (text: string): unknown => {
  const parsed = parsePolicy({ version: 1, rates: { default: text } })
  return parsed.ok ? parsed.policy.rates?.rates.get('default') : undefined
}

describe('rates in a policy file', () => {
  it.each([
    ['100/min', 100, 60_000],
    ['300/s', 300, 1_000],
    ['10/10s', 10, 10_000],
    ['5/2h', 5, 7_200_000],
    ['1000000/m', 1_000_000, 60_000],
    ['1/24h', 1, 86_400_000],
  ])('[RL7] %s is %d events within %d ms, per user', (text, limit, periodMs) =>
    expect(rateOf(text)).toEqual({ limit, periodMs, per: 'user' }),
  )

  it.each(['', '0/s', '1/0s', '1/25h', '1000001/s', '1.5/s', '-1/s', '1/s ', '10 / s', '1/d'])(
    '[RL7] %j is no rate',
    (text) => expect(problems({ rates: { default: text } }).join()).toContain('rates.default'),
  )

  it('[RL7] a class without a rate and a rate without a class are refused, each by its name', () => {
    expect(problems({ classes: { a: ['a.*'], b: ['b'] }, rates: { b: '1/s', c: '1/s' } })).toEqual([
      'classes.a: has no rate',
      'rates.c: there is no such class',
    ])
    expect(problems({ classes: { default: ['x'] }, rates: { default: '1/s' } })).toEqual([
      'classes.default: is what no class lists',
    ])
    expect(problems({ classes: { A: ['x'] }, rates: { default: '1/s' } }).join()).toContain('is not a class')
    expect(problems({ rates: { default: { limit: '1/s', per: 'tenant' } } })).toHaveLength(1)
  })

  it('[RL7] by default nobody counts', () => expect(defaultPolicy.rates).toBeNull())

  it('[EC4] what a room may have is said for all, by type and by name', () => {
    const parsed = parsePolicy({
      version: 1,
      ephemeral: { perSecond: 10 },
      types: { board: { ephemeral: { perSecond: 20 } }, chat: {} },
      rooms: { 'board:acme:1': { ephemeral: { perSecond: 30 } } },
    })
    if (!parsed.ok) throw new Error(parsed.problems.join())
    const names = ['board:acme:1', 'board:acme:2', 'chat:acme:1', 'other:acme:1', 'no name']
    expect(names.map((room) => ephemeralPerSecondOf(parsed.policy, room))).toEqual([30, 20, 10, 10, 10])
    expect(ephemeralPerSecondOf(defaultPolicy, 'chat:acme:1')).toBe(ephemeralPerSecond)
    expect(problems({ ephemeral: { perSecond: 0 } })).toHaveLength(1)
  })
})

import { describe, expect, it } from 'vitest'
import { fullPace, grantDrains, paceDrains } from './control-drains.ts'
import type { Sighting } from './control-members.ts'
import { sameNumbers } from './plan.ts'

function edge(boot: string, state: 'live' | 'draining', lagMs = 0): [string, Sighting] {
  const base = { boot, role: 'edge', startedAtMs: 0, beat: 1, version: '0' } as const
  const member = { ...base, state, figures: { lagMs } }
  return [boot, { boot, role: 'edge', member, present: true, joinedAtMs: 0, silentMs: 0, dead: false }]
}

describe('the reconnect budget', () => {
  it('[CT18] is split evenly over the edges that drain, and nobody has a share while none does', () => {
    const fleet = new Map([edge('a', 'draining'), edge('b', 'draining'), edge('c', 'live')])
    expect(grantDrains(fleet, 1_000, fullPace)).toEqual({ a: 500, b: 500 })
    expect(grantDrains(new Map([edge('c', 'live')]), 1_000, fullPace)).toBeUndefined()
  })

  it('[CT18] never stops altogether', () => {
    const fleet = new Map([edge('a', 'draining'), edge('b', 'draining')])
    expect(grantDrains(fleet, 1, fullPace)).toEqual({ a: 1, b: 1 })
  })

  it('[CT18] edges that are gone have no share', () => {
    const gone = edge('b', 'draining')
    gone[1] = { ...gone[1], dead: true }
    expect(grantDrains(new Map([edge('a', 'draining'), gone]), 100, fullPace)).toEqual({ a: 100 })
  })

  it('[CT19] is halved every 2 s while an edge that stays is late, doubled when none is, and whole when nobody drains', () => {
    const fleet = (lagMs: number) => new Map([edge('a', 'draining', 900), edge('c', 'live', lagMs)])
    let pace = paceDrains(fullPace, fleet(300), 0)
    expect(pace.share).toBe(0.5)
    expect(paceDrains(pace, fleet(300), 1_999)).toBe(pace)
    for (let now = 2_000; now < 60_000; now += 2_000) pace = paceDrains(pace, fleet(300), now)
    expect(pace.share).toBe(1 / 16)
    expect(paceDrains(pace, fleet(150), 60_000)).toBe(pace)
    expect(paceDrains(pace, fleet(10), 60_000).share).toBe(1 / 8)
    expect(paceDrains(pace, new Map([edge('c', 'live')]), 60_000)).toBe(fullPace)
  })

  it('[CT18] two grants are the same when each edge has the same', () => {
    expect(sameNumbers({ a: 1, b: 2 }, { b: 2, a: 1 })).toBe(true)
    expect(sameNumbers({ a: 1 }, { a: 1, b: 2 })).toBe(false)
    expect(sameNumbers(undefined, { a: 1 })).toBe(false)
    expect(sameNumbers(undefined, undefined)).toBe(true)
  })
})

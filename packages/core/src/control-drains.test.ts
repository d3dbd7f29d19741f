import { describe, expect, it } from 'vitest'
import { fullPace, grantDrains, paceDrains } from './control-drains.ts'
import type { Sighting } from './control-members.ts'
import { sameNumbers } from './plan.ts'

function edge(boot: string, state: 'live' | 'draining', lagMs = 0, acceptMs = 0): [string, Sighting] {
  const base = { boot, role: 'edge', startedAtMs: 0, beat: 1, version: '0' } as const
  const member = { ...base, state, figures: { lagMs, acceptMs } }
  return [boot, { boot, role: 'edge', member, present: true, joinedAtMs: 0, silentMs: 0, dead: false }]
}

const none: ReadonlySet<string> = new Set()
const grant = (sightings: ReadonlyMap<string, Sighting>, perSecond: number, pace = fullPace, drains = none) =>
  grantDrains({ sightings, drains }, perSecond, pace)
const paced = (before: typeof fullPace, sightings: ReadonlyMap<string, Sighting>, nowMs: number) =>
  paceDrains(before, { sightings, drains: none }, nowMs)

describe('the reconnect budget', () => {
  it('[CT18] is split evenly over the edges that drain, and nobody has a share while none does', () => {
    const fleet = new Map([edge('a', 'draining'), edge('b', 'draining'), edge('c', 'live')])
    expect(grant(fleet, 1_000)).toEqual({ a: 500, b: 500 })
    expect(grant(new Map([edge('c', 'live')]), 1_000)).toBeUndefined()
  })

  it('[CT18] never stops altogether', () => {
    const fleet = new Map([edge('a', 'draining'), edge('b', 'draining')])
    expect(grant(fleet, 1)).toEqual({ a: 1, b: 1 })
  })

  it('[CT18] edges that are gone have no share', () => {
    const gone = edge('b', 'draining')
    gone[1] = { ...gone[1], dead: true }
    expect(grant(new Map([edge('a', 'draining'), gone]), 100)).toEqual({ a: 100 })
  })

  it('[CT19] is halved every 3 s while an edge that stays is late, doubled when none is, and whole when nobody drains', () => {
    const fleet = (lagMs: number) => new Map([edge('a', 'draining', 900), edge('c', 'live', lagMs)])
    let pace = paced(fullPace, fleet(300), 0)
    expect(pace.share).toBe(0.5)
    expect(paced(pace, fleet(300), 2_999)).toBe(pace)
    for (let now = 3_000; now < 60_000; now += 3_000) pace = paced(pace, fleet(300), now)
    expect(pace.share).toBe(1 / 16)
    expect(paced(pace, fleet(150), 60_000)).toBe(pace)
    expect(paced(pace, fleet(10), 60_000).share).toBe(1 / 8)
    expect(paced(pace, new Map([edge('c', 'live')]), 60_000)).toBe(fullPace)
  })

  it('[CT19] and while clients wait long until one that stays accepts them', () => {
    const fleet = (acceptMs: number) => new Map([edge('a', 'draining', 0, 9_000), edge('c', 'live', 0, acceptMs)])
    const slower = paced(fullPace, fleet(1_100), 0)
    expect(slower.share).toBe(0.5)
    expect(paced(slower, fleet(700), 4_000)).toBe(slower)
    expect(paced(slower, fleet(100), 4_000).share).toBe(1)
    expect(paced(fullPace, fleet(900), 0)).toBe(fullPace)
  })

  it('[CT21] an edge that control was asked to drain has its share before it says that it drains', () => {
    const fleet = new Map([edge('a', 'live', 900), edge('b', 'draining'), edge('c', 'live')])
    expect(grant(fleet, 1_000, fullPace, new Set(['a', 'other']))).toEqual({ a: 500, b: 500 })
    // How late it is says nothing of those that stay.
    expect(paceDrains(fullPace, { sightings: fleet, drains: new Set(['a']) }, 0)).toBe(fullPace)
  })

  it('[CT18] two grants are the same when each edge has the same', () => {
    expect(sameNumbers({ a: 1, b: 2 }, { b: 2, a: 1 })).toBe(true)
    expect(sameNumbers({ a: 1 }, { a: 1, b: 2 })).toBe(false)
    expect(sameNumbers(undefined, { a: 1 })).toBe(false)
    expect(sameNumbers(undefined, undefined)).toBe(true)
  })
})

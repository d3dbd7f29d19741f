import { kickKeptMs, kickSpreadsMs, maxDenials } from '@flotilla/core/denials'
import type { Denial } from '@flotilla/core/denials'
import { expect, it } from 'vitest'
import type { ContractSubject } from './contract-kit.ts'

const at = 1_700_000_000_000
const ban = (id: string, untilMs: number | null = null): Denial => ({
  ...{ id, type: 'ban', subject: { kind: 'user', id: `user ${id}` }, untilMs, atMs: at, by: 'crm' },
})
const kick = (id: string, atMs: number): Denial => ({ ...ban(id, atMs + kickKeptMs), type: 'kick', atMs })

export function denialContract(subject: () => ContractSubject): void {
  it('[ST57] denials are kept, replaced by their id and taken back; they are read when their version is another', async () => {
    const { fleet } = subject().store
    const first = await fleet.denials('')
    expect(first?.denials).toEqual([])
    expect(await fleet.denials(first?.version ?? '')).toBeUndefined()
    expect([await fleet.deny(ban('a'), at), await fleet.deny(ban('b', at + 5), at)]).toEqual([true, true])
    const second = await fleet.denials(first?.version ?? '')
    expect(second?.denials.toSorted((x, y) => (x.id < y.id ? -1 : 1))).toEqual([ban('a'), ban('b', at + 5)])
    const other: Denial = { ...ban('a'), type: 'revoke', issuedBeforeMs: at, reason: 'stolen: "yes"' }
    expect(await fleet.deny(other, at)).toBe(true)
    expect([await fleet.allow('b'), await fleet.allow('b')]).toEqual([true, false])
    const third = await fleet.denials(second?.version ?? '')
    expect(third?.denials).toEqual([other])
    expect(third?.version).not.toBe(second?.version)
    expect(await fleet.denials(third?.version ?? '')).toBeUndefined()
  })

  it('[ST58] there are 10,000 of them at the most, and those that are over make room', async () => {
    const { fleet } = subject().store
    const some = Array.from({ length: maxDenials }, (_, i) => ban(`d${i}`, i === 7 ? at + 1 : null))
    for (let i = 0; i < some.length; i += 500) {
      const kept = await Promise.all(some.slice(i, i + 500).map((denial) => fleet.deny(denial, at)))
      expect(kept).not.toContain(false)
    }
    expect(await fleet.deny(ban('more'), at)).toBe(false)
    expect(await fleet.deny(ban('d8'), at)).toBe(true)
    expect(await fleet.deny(ban('more'), at + 1)).toBe(true)
    const ids = (await fleet.denials(''))?.denials.map(({ id }) => id)
    expect([ids?.length, ids?.includes('d7'), ids?.includes('more')]).toEqual([maxDenials, false, true])
  })

  it('[ST58] where there is no room a kick goes that every edge has heard of, the oldest first; a ban never', async () => {
    const { fleet } = subject().store
    const kicks = [5, 6, 7].map((ms): Denial => kick(`k${ms}`, at + ms))
    for (const denial of kicks) await fleet.deny(denial, at)
    const some = Array.from({ length: maxDenials - kicks.length }, (_, i) => ban(`d${i}`))
    for (let i = 0; i < some.length; i += 500)
      await Promise.all(some.slice(i, i + 500).map((denial) => fleet.deny(denial, at)))
    const after = (ms: number): number => at + kickSpreadsMs + ms
    expect(await fleet.deny(ban('a'), after(4))).toBe(false)
    expect(await fleet.deny(ban('a'), after(5))).toBe(true)
    const lasting = { ...ban('b', after(30_000)), reason: '"type":"kick"' }
    expect([await fleet.deny(lasting, after(6)), await fleet.deny(ban('c'), after(6))]).toEqual([true, false])
    expect([await fleet.deny(ban('c'), after(7)), await fleet.deny(ban('e'), after(8))]).toEqual([true, false])
    const left = new Set((await fleet.denials(''))?.denials.map(({ id }) => id))
    expect(['k5', 'k6', 'k7', 'e'].filter((id) => left.has(id))).toEqual([])
    expect(['a', 'b', 'c'].filter((id) => left.has(id))).toEqual(['a', 'b', 'c'])
  })
}

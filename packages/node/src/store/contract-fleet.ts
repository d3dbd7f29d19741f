import { expect, it } from 'vitest'
import type { ContractSubject } from './contract-kit.ts'
import { eventually, member, planOf } from './contract-kit.ts'

const leaseMs = 60_000

export function fleetContract(subject: () => ContractSubject): void {
  it('[ST20] members are registered, renewed, read and removed', async () => {
    const { fleet } = subject().store
    await fleet.register(member('e1#a'))
    await fleet.register(member('w1#a', 1, 'shard'))
    expect(await fleet.heartbeat(member('e1#a', 2), 0)).toMatchObject({ known: true })
    const { members, plan } = await fleet.read()
    expect(plan).toBeNull()
    expect(members).toHaveLength(2)
    expect(members).toEqual(expect.arrayContaining([member('e1#a', 2), member('w1#a', 1, 'shard')]))
    await fleet.remove('e1#a')
    expect((await fleet.read()).members).toEqual([member('w1#a', 1, 'shard')])
  })

  it('[ST21] a heartbeat of a removed member says so and does not bring it back', async () => {
    const { fleet } = subject().store
    await fleet.register(member('e1#a'))
    await fleet.remove('e1#a')
    expect(await fleet.heartbeat(member('e1#a', 2), 0)).toMatchObject({ known: false })
    expect((await fleet.read()).members).toEqual([])
  })

  it('[ST22] a heartbeat brings the plan only when its version is another', async () => {
    const { fleet } = subject().store
    await fleet.register(member('w1#a'))
    expect(await fleet.heartbeat(member('w1#a', 2), 0)).not.toHaveProperty('plan')
    await fleet.lead('c1#a', leaseMs)
    expect(await fleet.publishPlan('c1#a', planOf(10))).toBe(true)
    expect((await fleet.heartbeat(member('w1#a', 3), 0)).plan).toEqual(planOf(10))
    expect((await fleet.heartbeat(member('w1#a', 3), 9)).plan).toEqual(planOf(10))
    expect(await fleet.heartbeat(member('w1#a', 4), 10)).not.toHaveProperty('plan')
    expect((await fleet.read()).plan).toEqual(planOf(10))
  })

  it('[ST23] the plan is written only by the holder of the lease, and only over a lower version', async () => {
    const { fleet } = subject().store
    expect(await fleet.publishPlan('c1#a', planOf(1))).toBe(false)
    expect(await fleet.lead('c1#a', leaseMs)).toBe(true)
    expect(await fleet.lead('c2#b', leaseMs)).toBe(false)
    expect(await fleet.publishPlan('c2#b', planOf(1))).toBe(false)
    expect(await fleet.publishPlan('c1#a', planOf(9))).toBe(true)
    expect(await fleet.publishPlan('c1#a', planOf(9))).toBe(false)
    expect(await fleet.publishPlan('c1#a', planOf(8))).toBe(false)
    expect(await fleet.publishPlan('c1#a', planOf(10))).toBe(true)
    expect((await fleet.read()).plan?.version).toBe(10)
  })

  it('[ST24] the lease is renewed by its holder, and free when it ran out or its holder was removed', async () => {
    const { fleet } = subject().store
    expect(await fleet.lead('c1#a', leaseMs)).toBe(true)
    expect(await fleet.lead('c1#a', 1)).toBe(true)
    await eventually('the lease ran out', () => fleet.lead('c2#b', leaseMs))
    expect(await fleet.publishPlan('c1#a', planOf(1))).toBe(false)
    await fleet.remove('c2#b')
    expect(await fleet.lead('c1#a', leaseMs)).toBe(true)
  })

  it('[ST55] a higher term takes the lease from a lower one, and in the same one nobody takes it from its holder', async () => {
    const { fleet } = subject().store
    expect(await fleet.lead('c1#a', leaseMs, 4)).toBe(true)
    for (const term of [0, 3, 4]) expect(await fleet.lead('c2#b', leaseMs, term)).toBe(false)
    expect(await fleet.lead('c2#b', leaseMs, 5)).toBe(true)
    expect(await fleet.publishPlan('c1#a', planOf(1))).toBe(false)
    expect(await fleet.lead('c1#a', leaseMs, 4)).toBe(false)
    expect(await fleet.publishPlan('c2#b', planOf(1))).toBe(true)
    expect(await fleet.lead('c2#b', 1, 5)).toBe(true)
    await eventually('the lease ran out', () => fleet.lead('c1#a', leaseMs, 4))
  })

  it('[ST25] epochs are issued once each, and above what was seen', async () => {
    const { fleet } = subject().store
    const wanted = Array.from({ length: 20 }, (_, i) => fleet.nextEpoch('c1#a', i % 2 === 0 ? 0 : 40, 3))
    const firsts = await Promise.all(wanted)
    const all = firsts.flatMap((first) => [first, first + 1, first + 2])
    expect(new Set(all).size).toBe(60)
    // A counter that is not there may have been lost: it begins at the clock, in seconds since 1970.
    const hourAgo = Date.now() / 1_000 - 3_600
    for (const first of firsts) expect(first).toBeGreaterThan(hourAgo)
    expect(await fleet.nextEpoch('c1#a', 4_000_000_000, 1)).toBe(4_000_000_001)
    expect(await fleet.nextEpoch('c2#b', 1, 2)).toBe(4_000_000_002)
    expect(await fleet.nextEpoch('c2#b', 1, 1)).toBe(4_000_000_004)
  })

  it('[ST26] reads and heartbeats tell the run of every primary, by its number', async () => {
    const { store } = subject()
    await store.fleet.register(member('w1#a'))
    const { run } = await store.slots.values(0, [0])
    await eventually('the run is told', async () => (await store.fleet.read()).runs[store.primaryOf(0)] === run)
    expect((await store.fleet.heartbeat(member('w1#a', 2), 0)).runs[store.primaryOf(0)]).toBe(run)
  })
}

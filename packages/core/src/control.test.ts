import { expect, test } from 'vitest'
import { controlGapMs, controlPollMs, isLeading, leaseTtlMs, startControl, stepControl } from './control.ts'
import type { ControlEffect, ControlInput, ControlState } from './control.ts'
import { drainSettleMs } from './control-moves.ts'
import { endpointDeadMs, workerDeadMs } from './limits.ts'
import type { Assignment, Member, Plan, Role } from './plan.ts'

const slotCount = 8

function member(boot: string, beat: number, more: Partial<Member> = {}): Member {
  return { boot, role: 'shard', state: 'live', beat, startedAtMs: 0, version: '0.1.0', ...more }
}

function planOf(version: number, assign: (slot: number) => Assignment | null, runs: readonly string[] = ['r']): Plan {
  return { version, slots: Array.from({ length: slotCount }, (_, slot) => assign(slot)), runs }
}

const allOf =
  (worker: string, epoch = 1): ((slot: number) => Assignment) =>
  (slot) => ({ worker, epoch: epoch + slot, confirmed: epoch + slot })

function ownedOf(plan: Plan, worker: string): Record<string, number> {
  const owned: Record<string, number> = {}
  plan.slots.forEach((assignment, slot) => {
    if (assignment?.worker === worker) owned[slot] = assignment.epoch
  })
  return owned
}

/** One control process whose effects are answered by the test. */
class Desk {
  nowMs = 1_000
  state: ControlState = startControl(slotCount)

  feed(input: ControlInput): readonly ControlEffect[] {
    const { state, effects } = stepControl(this.state, input, this.nowMs)
    this.state = state
    return effects
  }

  lead(): this {
    this.feed({ type: 'tick' })
    this.feed({ type: 'led', leading: true })
    return this
  }

  /** A poll interval passes and the fleet is read; the lease is renewed on the way. */
  observe(members: readonly Member[], plan: Plan | null, runs: readonly string[] = ['r']): readonly ControlEffect[] {
    this.nowMs += controlPollMs
    if (this.feed({ type: 'tick' }).some(({ type }) => type === 'lead')) this.feed({ type: 'led', leading: true })
    return this.feed({ type: 'observed', members, plan, runs })
  }

  /** Reads the same members, none of whose beats moves, for `ms`; the effects other than publishing. */
  watch(ms: number, members: readonly Member[], plan: Plan): ControlEffect[] {
    const effects: ControlEffect[] = []
    for (let passed = 0; passed < ms; passed += controlPollMs) effects.push(...this.observe(members, plan))
    return effects
  }
}

const typesOf = (effects: readonly ControlEffect[]): string[] => effects.map(({ type }) => type)

const dead: readonly [Role, number][] = [
  ['shard', workerDeadMs],
  ['edge', endpointDeadMs],
  ['ingest', endpointDeadMs],
]
test.each(dead)('[CT1] a silent %s is dead after its time and not before', (role, deadMs) => {
  const plan = planOf(1, () => null)
  const silent = member('x-1#a', 7, { role })
  const desk = new Desk().lead()
  desk.observe([silent], plan)
  expect(typesOf(desk.watch(deadMs - controlPollMs, [silent], plan))).not.toContain('remove')
  expect(desk.observe([silent], plan)).toContainEqual({ type: 'remove', boot: 'x-1#a', role, left: false })
})

test('[CT1] a beat that advances begins the silence anew', () => {
  const plan = planOf(1, () => null)
  const desk = new Desk().lead()
  desk.observe([member('edge-1#a', 7, { role: 'edge' })], plan)
  desk.watch(endpointDeadMs - 2 * controlPollMs, [member('edge-1#a', 7, { role: 'edge' })], plan)
  const effects = desk.watch(endpointDeadMs - controlPollMs, [member('edge-1#a', 8, { role: 'edge' })], plan)
  expect(typesOf(effects)).not.toContain('remove')
})

const outages: readonly [string, (desk: Desk) => readonly string[]][] = [
  ['a read failed', (desk) => (desk.feed({ type: 'readFailed' }), ['r'])],
  ['reads were far apart', (desk) => ((desk.nowMs += controlGapMs), ['r'])],
  ['the run changed', () => ['r2']],
]
test.each(outages)('[CT3] when %s nobody is dead for a full lease time', (_, upset) => {
  const plan = planOf(1, () => null)
  const silent = member('edge-1#a', 7, { role: 'edge' })
  const desk = new Desk().lead()
  desk.observe([silent], plan)
  desk.watch(endpointDeadMs - 2 * controlPollMs, [silent], plan)
  const runs = upset(desk)
  const effects: ControlEffect[] = []
  for (let passed = 0; passed < endpointDeadMs; passed += controlPollMs)
    effects.push(...desk.observe([silent], plan, runs))
  expect(typesOf(effects)).not.toContain('remove')
  expect(typesOf(desk.observe([silent], plan, runs))).toContain('remove')
})

test('[CT3] epochs that are not to be had now are no outage: who is dead is seen dead', () => {
  const [nobody, edge] = [planOf(1, () => null), member('edge-1#a', 7, { role: 'edge' })]
  const desk = new Desk().lead()
  const types: string[] = []
  for (let beat = 0; beat <= endpointDeadMs / controlPollMs; beat += 1) {
    types.push(...typesOf(desk.observe([edge, member('shard-1#a', beat)], nobody)))
    desk.feed({ type: 'noEpochs' })
  }
  expect(types).toEqual(expect.arrayContaining(['issueEpochs', 'remove']))
})

test.each([
  ['draining', true],
  ['live', false],
] as const)('[CT2] a %s worker whose record is gone is dead at once: %s', (state, isDead) => {
  const desk = new Desk().lead()
  desk.observe([member('shard-1#a', 1, { state })], planOf(1, allOf('shard-1#a')))
  desk.observe([], planOf(1, allOf('shard-1#a')))
  expect(desk.state.sightings.get('shard-1#a')).toMatchObject({ present: false, dead: isDead })
})

test('[CT2] a record that is back begins the silence anew', () => {
  const plan = planOf(1, () => null)
  const edge = member('edge-1#a', 7, { role: 'edge' })
  const desk = new Desk().lead()
  desk.observe([edge], plan)
  desk.watch(2_000, [], plan)
  desk.watch(250, [edge], plan)
  expect(desk.state.sightings.get('edge-1#a')).toMatchObject({ present: true, silentMs: 0 })
})

test('[CT9] the removal of a dead member is repeated each second while its record is there', () => {
  const plan = planOf(1, () => null)
  const silent = member('edge-1#a', 7, { role: 'edge' })
  const desk = new Desk().lead()
  desk.observe([silent], plan)
  expect(typesOf(desk.watch(endpointDeadMs, [silent], plan))).toEqual(['remove'])
  expect(typesOf(desk.watch(3_000, [silent], plan))).toEqual(['remove', 'remove', 'remove'])
})

test.each([
  ['took its record away', [], true],
  ['crashed', [member('edge-1#a', 7, { role: 'edge', state: 'draining' })], false],
] as const)('[CT9] one that drained and %s is removed as such', (_, record, left) => {
  const plan = planOf(1, () => null)
  const desk = new Desk().lead()
  desk.observe([member('edge-1#a', 7, { role: 'edge', state: 'draining' })], plan)
  desk.feed({ type: 'published', ok: true })
  const effects = desk.watch(endpointDeadMs, record, plan)
  expect(effects.find(({ type }) => type === 'remove')).toMatchObject({ boot: 'edge-1#a', left })
})

test('[CT9] only the leader removes', () => {
  const desk = new Desk()
  const silent = member('edge-1#a', 7, { role: 'edge' })
  const effects: ControlEffect[] = []
  for (let i = 0; i < 40; i += 1) {
    desk.nowMs += controlPollMs
    desk.feed({ type: 'tick' })
    effects.push(...desk.feed({ type: 'observed', members: [silent], plan: null, runs: ['r'] }))
  }
  expect(desk.state.sightings.get('edge-1#a')?.dead).toBe(true)
  expect(effects).toEqual([])
})

test('[CT4] new epochs are above everything in the plan and in anybody’s report', () => {
  const plan = planOf(4, allOf('shard-1#a', 20))
  const worker = member('shard-2#b', 1, { owned: { 0: 90 } })
  const gone = member('shard-1#a', 1, { owned: ownedOf(plan, 'shard-1#a') })
  const desk = new Desk().lead()
  desk.observe([gone, worker], plan)
  desk.feed({ type: 'published', ok: false })
  const effects: ControlEffect[] = []
  for (let beat = 2; beat < 20 && !effects.some(({ type }) => type === 'issueEpochs'); beat += 1) {
    effects.push(...desk.observe([gone, { ...worker, beat }], plan))
    desk.feed({ type: 'published', ok: false })
  }
  expect(effects.find(({ type }) => type === 'issueEpochs')).toMatchObject({ above: 90 })
})

test('[CT4] epochs that are not above what was seen are not used', () => {
  const desk = new Desk().lead()
  const worker = member('shard-1#a', 1, { owned: { 0: 90 } })
  desk.observe([worker], null)
  let asked = false
  for (let beat = 2; beat < 10 && !asked; beat += 1) {
    asked = desk.observe([{ ...worker, beat }], null).some(({ type }) => type === 'issueEpochs')
    if (!asked) desk.feed({ type: 'publishFailed' })
  }
  expect(asked).toBe(true)
  expect(desk.feed({ type: 'epochs', first: 90, count: slotCount })).toEqual([])
  expect(desk.state.phase.type).toBe('idle')
})

test('[CT6] a worker that is silent about its assignment for too long gets a new epoch', () => {
  const plan = planOf(3, allOf('shard-1#a'))
  const owned = ownedOf(plan, 'shard-1#a')
  delete owned['2']
  const desk = new Desk().lead()
  const effects: ControlEffect[] = []
  for (let beat = 1; beat < 21; beat += 1) effects.push(...desk.observe([member('shard-1#a', beat, { owned })], plan))
  expect(effects).toEqual([])
  for (let beat = 21; beat < 24 && effects.length === 0; beat += 1) {
    effects.push(...desk.observe([member('shard-1#a', beat, { owned })], plan))
  }
  expect(effects).toEqual([{ type: 'issueEpochs', above: 8, count: 1 }])
  const [publish] = desk.feed({ type: 'epochs', first: 9, count: 1 })
  expect(publish).toMatchObject({ moves: [{ slot: 2, to: 'shard-1#a', epoch: 9, reason: 'reclaim' }] })
})

test('[CT6] a request for a new epoch is answered once per assignment, until the worker can have heard of it', () => {
  const plan = planOf(3, allOf('shard-1#a'))
  const owned = { ...ownedOf(plan, 'shard-1#a'), 2: 0 }
  const desk = new Desk().lead()
  expect(desk.observe([member('shard-1#a', 1, { owned })], plan)).toMatchObject([{ type: 'issueEpochs', count: 1 }])
  const [publish] = desk.feed({ type: 'epochs', first: 9, count: 1 })
  desk.feed({ type: 'published', ok: true })
  const next = publish?.type === 'publish' ? publish.plan : plan
  for (let beat = 2; beat < 7; beat += 1) expect(desk.observe([member('shard-1#a', beat, { owned })], next)).toEqual([])
  expect(desk.observe([member('shard-1#a', 7, { owned })], next)).toMatchObject([{ type: 'issueEpochs', count: 1 }])
})

test('[CT5] a reported epoch is confirmed, in the plan, and never less later', () => {
  const plan = planOf(3, (slot) => ({ worker: 'shard-1#a', epoch: 5 + slot, confirmed: 0 }))
  const desk = new Desk().lead()
  const effects = desk.observe([member('shard-1#a', 1, { owned: ownedOf(plan, 'shard-1#a') })], plan)
  const published = effects.find((effect) => effect.type === 'publish')
  expect(published?.plan.version).toBe(4)
  expect(published?.plan.slots.map((assignment) => assignment?.confirmed)).toEqual([5, 6, 7, 8, 9, 10, 11, 12])
  desk.feed({ type: 'published', ok: true })
  desk.observe([member('shard-1#a', 2)], { ...plan, version: 9 })
  expect(desk.state.plan.slots[0]?.confirmed).toBe(5)
})

test('[CT7] memory wins over an older stored plan, and a newer one is adopted', () => {
  const plan = planOf(7, allOf('shard-1#a'))
  const worker = member('shard-1#a', 1, { owned: ownedOf(plan, 'shard-1#a') })
  const desk = new Desk().lead()
  desk.observe([worker], plan)
  const effects = desk.observe(
    [worker],
    planOf(6, () => null),
  )
  expect(effects).toEqual([{ type: 'publish', plan: { ...plan, version: 8 }, moves: [] }])
  desk.feed({ type: 'published', ok: false })
  const other = planOf(12, allOf('shard-1#a', 40))
  desk.observe([worker], other)
  expect(desk.state.plan).toEqual(other)
})

test('[CT7] a changed run alone is published under a higher version', () => {
  const plan = planOf(7, allOf('shard-1#a'))
  const worker = member('shard-1#a', 1, { owned: ownedOf(plan, 'shard-1#a') })
  const desk = new Desk().lead()
  expect(desk.observe([worker], plan)).toEqual([])
  desk.observe([worker], plan, ['r2'])
  const effects = desk.observe([{ ...worker, beat: 2 }], plan, ['r2'])
  expect(effects).toEqual([
    { type: 'publish', plan: { ...plan, version: 8, runs: ['r2'], replaced: { r: slotCount } }, moves: [] },
  ])
})

test('[CT11] a stored plan for another number of slots is left alone', () => {
  const desk = new Desk().lead()
  expect(desk.observe([member('shard-1#a', 1)], { version: 3, slots: [null, null], runs: ['r'] })).toEqual([])
  expect(desk.state.mismatch).toBe(true)
})

test('[CT8] the lease is renewed in time and over when its time is, counted from the question', () => {
  const desk = new Desk()
  expect(desk.feed({ type: 'tick' })).toContainEqual({ type: 'lead', ttlMs: leaseTtlMs })
  desk.nowMs += 400
  desk.feed({ type: 'led', leading: true })
  expect(isLeading(desk.state, 1_000 + leaseTtlMs - 1)).toBe(true)
  expect(isLeading(desk.state, 1_000 + leaseTtlMs)).toBe(false)
  desk.nowMs = 2_000
  expect(typesOf(desk.feed({ type: 'tick' }))).toContain('lead')
  desk.feed({ type: 'led', leading: false })
  expect(isLeading(desk.state, 2_001)).toBe(false)
})

test('[CT8] whoever loses the lease while epochs are issued does not publish', () => {
  const desk = new Desk().lead()
  let asked = false
  for (let beat = 1; beat < 10 && !asked; beat += 1) {
    asked = desk.observe([member('shard-1#a', beat)], null).some(({ type }) => type === 'issueEpochs')
    if (!asked) desk.feed({ type: 'published', ok: true })
  }
  expect(asked).toBe(true)
  desk.nowMs += leaseTtlMs
  expect(desk.feed({ type: 'epochs', first: 1, count: slotCount })).toEqual([])
})

test('[CT8] a plan that the store refused is forgotten', () => {
  const plan = planOf(7, allOf('shard-1#a'))
  const worker = member('shard-1#a', 1, { owned: ownedOf(plan, 'shard-1#a') })
  const desk = new Desk().lead()
  desk.observe([worker], plan)
  desk.observe([worker], plan, ['r2'])
  expect(typesOf(desk.observe([{ ...worker, beat: 2 }], plan, ['r2']))).toEqual(['publish'])
  desk.feed({ type: 'published', ok: false })
  expect(desk.state.plan.version).toBe(7)
  // Another may have the lease: nothing is decided until the store says who has it, which is asked now.
  expect(isLeading(desk.state, desk.nowMs)).toBe(false)
  expect(typesOf(desk.feed({ type: 'tick' }))).toEqual(['lead', 'read'])
})

const half = (worker: string, other: string) => (slot: number) => ({
  worker: slot < slotCount / 2 ? worker : other,
  epoch: slot + 1,
  confirmed: slot + 1,
})

test('[CT7] the worker that reports a higher epoch than the plan keeps the slot', () => {
  const plan = planOf(3, allOf('shard-1#a'))
  const desk = new Desk().lead()
  const first = member('shard-1#a', 1, { owned: ownedOf(plan, 'shard-1#a') })
  desk.observe([first, member('shard-2#b', 1, { owned: { 2: 50 } })], plan)
  expect(desk.state.plan.slots[2]).toEqual({ worker: 'shard-2#b', epoch: 50, confirmed: 50 })
  expect(desk.state.plan.slots[3]).toEqual(plan.slots[3])
})

test('[CT12] the first plan waits half a second for more workers', () => {
  const desk = new Desk().lead()
  desk.observe([member('shard-1#a', 1)], null)
  desk.feed({ type: 'published', ok: true })
  const { plan } = desk.state
  expect(desk.observe([member('shard-1#a', 1), member('shard-2#b', 1)], plan)).toEqual([])
  const effects = desk.observe([member('shard-1#a', 2), member('shard-2#b', 2)], plan)
  expect(effects).toMatchObject([{ type: 'issueEpochs', count: slotCount }])
})

test('[CT2] a silent worker gets no slots, and `confirmed` goes with a slot', () => {
  const plan = planOf(3, half('shard-1#a', 'shard-2#b'))
  const first = member('shard-1#a', 1, { owned: ownedOf(plan, 'shard-1#a') })
  const second = member('shard-2#b', 1, { owned: ownedOf(plan, 'shard-2#b') })
  const desk = new Desk().lead()
  desk.observe([first, second], plan)
  for (let i = 0; i < 2; i += 1) desk.watch(250, [{ ...first, beat: 2 + i }, second], plan)
  // The second is dead 3 s after its only beat, the first was silent for 2.5 s by then.
  const effects = desk.watch(2_500, [{ ...first, beat: 3 }, second], plan)
  expect(typesOf(effects)).not.toContain('issueEpochs')
  expect(desk.state.sightings.get('shard-2#b')?.dead).toBe(true)
  expect(typesOf(desk.observe([{ ...first, beat: 4 }, second], plan))).toContain('issueEpochs')
  const [publish] = desk.feed({ type: 'epochs', first: 100, count: 4 })
  expect(publish?.type === 'publish' && publish.plan.slots[7]).toEqual({
    worker: 'shard-1#a',
    epoch: 103,
    confirmed: 8,
    // What the second was given.
    rival: 8,
  })
})

test('[CT10] a worker that is to be drained gives its slots away, and is forgotten when it is gone', () => {
  const plan = planOf(3, half('shard-1#a', 'shard-2#b'))
  const first = member('shard-1#a', 1, { owned: ownedOf(plan, 'shard-1#a') })
  const second = member('shard-2#b', 1, { owned: ownedOf(plan, 'shard-2#b') })
  const desk = new Desk().lead()
  desk.feed({ type: 'drainRequested', boot: 'shard-1#a' })
  desk.observe([first], planOf(2, allOf('shard-1#a')))
  expect(desk.state.drains).toEqual(new Set(['shard-1#a']))
  desk.nowMs += drainSettleMs
  expect(desk.observe([first, second], plan)).toMatchObject([{ type: 'issueEpochs', count: 2 }])
  const [publish] = desk.feed({ type: 'epochs', first: 20, count: 2 })
  expect(publish).toMatchObject({
    moves: [{ from: 'shard-1#a', to: 'shard-2#b', reason: 'drain' }, { reason: 'drain' }],
  })
  desk.feed({ type: 'published', ok: true })
  for (let beat = 2; beat < 20; beat += 1) desk.observe([{ ...second, beat }], planOf(9, allOf('shard-2#b')))
  expect(desk.state.drains).toEqual(new Set())
})

test('[CT7] a server that does not say its run keeps the last one known', () => {
  const plan = planOf(7, allOf('shard-1#a'), ['r', 's'])
  const worker = member('shard-1#a', 1, { owned: ownedOf(plan, 'shard-1#a') })
  const desk = new Desk().lead()
  desk.observe([worker], plan, ['r', 's'])
  expect(desk.observe([worker], plan, ['r', ''])).toEqual([])
  expect(desk.state.runs).toEqual(['r', 's'])
})

test('[CT18] a draining edge is granted its reconnects in one plan, which goes when the edge has gone', () => {
  const plan = planOf(1, () => null)
  const desk = new Desk().lead()
  const draining = (beat: number) => member('e-1#a', beat, { role: 'edge', state: 'draining' })
  const [granted, ...more] = desk.observe([draining(1), member('e-2#a', 1, { role: 'edge' })], plan)
  expect(granted).toMatchObject({ type: 'publish', plan: { version: 2, drains: { 'e-1#a': 1_000 } } })
  expect(more).toEqual([])
  desk.feed({ type: 'published', ok: true })
  expect(desk.observe([draining(2), member('e-2#a', 2, { role: 'edge' })], desk.state.plan)).toEqual([])
  const [, over] = desk.observe([member('e-2#a', 3, { role: 'edge' })], desk.state.plan)
  if (over?.type !== 'publish') throw new Error('nothing published')
  expect('drains' in over.plan).toBe(false)
})

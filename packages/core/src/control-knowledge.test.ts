import { expect, test } from 'vitest'
import { newestPlan } from './control-plan.ts'
import { controlPollMs, startControl, stepControl } from './control.ts'
import type { ControlEffect, ControlInput } from './control.ts'
import { workerDeadMs } from './limits.ts'
import { learn, mergeReplaced, versionHeld } from './plan.ts'
import type { Knowledge, Member, Plan } from './plan.ts'

/** A control process that has just become the leader and knows nothing; it reads what the test says. */
function newLeader() {
  let state = startControl(2)
  let nowMs = 1_000
  const feed = (input: ControlInput): readonly ControlEffect[] => {
    const step = stepControl(state, input, nowMs)
    state = step.state
    return step.effects
  }
  feed({ type: 'tick' })
  feed({ type: 'led', leading: true })
  return {
    feed,
    observe: (members: readonly Member[], plan: Plan | null, run = 'r2'): readonly ControlEffect[] => {
      nowMs += controlPollMs
      if (feed({ type: 'tick' }).some(({ type }) => type === 'lead')) feed({ type: 'led', leading: true })
      return feed({ type: 'observed', members, plan, runs: [run] })
    },
  }
}

const worker = (owned: Record<number, number>, knows: Knowledge, beat = 1): Member => {
  return { boot: 'w#1', role: 'shard', state: 'live', beat, owned, knows, startedAtMs: 0, version: '1' }
}
const assigned = (epoch: number) => ({ worker: 'w#1', epoch, confirmed: epoch })

test('[CT17] a store that fell back to an older plan does not bring back its version: members would ignore it', () => {
  const control = newLeader()
  const stored: Plan = { version: 4, slots: [assigned(1), assigned(2)], runs: ['r2'] }
  const effects = control.observe([worker({ 0: 1, 1: 2 }, { plan: 6, epoch: 2 })], stored)
  expect(effects).toEqual([{ type: 'publish', plan: { ...stored, version: 7 }, moves: [] }])
  control.feed({ type: 'published', ok: true })
  expect(control.observe([worker({ 0: 1, 1: 2 }, { plan: 7, epoch: 2 })], { ...stored, version: 7 })).toEqual([])
})

test('[CT17] after everything was forgotten new epochs are above those that members have heard of', () => {
  const control = newLeader()
  const effects = control.observe([worker({ 0: -31, 1: 0 }, { plan: 6, epoch: 40 })], null)
  expect(effects).toEqual([{ type: 'issueEpochs', above: 40, count: 2 }])
  const [publish] = control.feed({ type: 'epochs', first: 41, count: 2 })
  if (publish?.type !== 'publish') throw new Error('nothing published')
  expect(publish.plan.version).toBe(7)
  // The owner whose claim was lost keeps its slot, and its lost epoch is the confirmed one.
  expect(publish.plan.slots[0]).toMatchObject({ worker: 'w#1', confirmed: 31 })
})

test('[CT17] a member learns the highest version and epoch of the plans it sees, and never unlearns', () => {
  const first = learn({ plan: 0, epoch: 0 }, { version: 9, slots: [assigned(5), null], runs: [] })
  expect(first).toEqual({ plan: 9, epoch: 5 })
  expect(learn(first, { version: 3, slots: [assigned(2), assigned(7)], runs: [] })).toEqual({ plan: 9, epoch: 7 })
  expect(newestPlan(new Map())).toBe(0)
})

test('[CT17] a worker whose server changed asks for the plan whatever its version', () => {
  const plan: Plan = { version: 5, slots: [null], runs: ['r2'] }
  expect(versionHeld(plan, ['r2'])).toBe(5)
  expect(versionHeld(plan, ['r3'])).toBe(0)
  expect(versionHeld(plan, [])).toBe(5)
  expect(versionHeld(null, ['r2'])).toBe(0)
})

const both = [assigned(1), assigned(2)]

test('[CT20] a run in whose place another is seen is replaced, with the highest epoch issued until then', () => {
  const control = newLeader()
  const before: Plan = { version: 6, slots: both, runs: ['r1'] }
  const beats = (beat: number, plan = 6) => [worker({ 0: 1, 1: 2 }, { plan, epoch: 9 }, beat)]
  expect(control.observe(beats(1), before)).toEqual([])
  const [publish] = control.observe(beats(2), before)
  if (publish?.type !== 'publish') throw new Error('nothing published')
  expect(publish.plan).toEqual({ version: 7, slots: both, runs: ['r2'], replaced: { r1: 9 } })
  control.feed({ type: 'published', ok: true })
  // It comes back, with the plan of that time.
  expect(control.observe(beats(3, 7), before, 'r1')).toEqual([])
  const [again] = control.observe(beats(4, 7), before, 'r1')
  if (again?.type !== 'publish') throw new Error('nothing published')
  expect(again.plan).toEqual({ version: 8, slots: both, runs: ['r1'], replaced: { r1: 9, r2: 9 } })
})

test('[CT23] a leader that missed plans which a fail-over lost names the new server only when it has heard of them', () => {
  const control = newLeader()
  const stored: Plan = { version: 6, slots: both, runs: ['r1'] }
  const other = (beat: number, more: Partial<Member>): Member => ({
    ...worker({}, { plan: 6, epoch: 2 }, beat),
    ...{ boot: 'w#2', ...more },
  })
  const old = (beat: number) => worker({ 0: 1, 1: 2 }, { plan: 6, epoch: 2 }, beat)
  expect(control.observe([old(1), other(1, {})], stored, 'r2')).toEqual([])
  // The old owner is heard first; who has been given its slot meanwhile, and has used it, not yet.
  expect(control.observe([old(2), other(1, {})], stored, 'r2')).toEqual([])
  const knowing = other(2, { owned: { 0: 3 }, knows: { plan: 8, epoch: 3 } })
  const [publish] = control.observe([old(2), knowing], stored, 'r2')
  if (publish?.type !== 'publish') throw new Error('nothing published')
  expect(publish.plan).toMatchObject({ version: 9, runs: ['r2'], slots: [{ worker: 'w#2', epoch: 3 }, assigned(2)] })
})

test('[CT23] who is not heard holds that up until it is dead', () => {
  const control = newLeader()
  const stored: Plan = { version: 6, slots: both, runs: ['r1'] }
  const silent: Member = { ...worker({}, { plan: 6, epoch: 2 }), boot: 'w#2' }
  let look = 0
  const published = (): boolean => {
    look += 1
    const heard = worker({ 0: 1, 1: 2 }, { plan: 6, epoch: 2 }, look)
    const effects = control.observe([heard, silent], stored)
    return effects.some(({ type }) => type === 'publish')
  }
  while (!published()) expect(look).toBeLessThan(100)
  expect((look - 1) * controlPollMs).toBeGreaterThanOrEqual(workerDeadMs)
  expect((look - 2) * controlPollMs).toBeLessThanOrEqual(workerDeadMs)
})

test('[CT20] a control process without memory learns of it from members; they never forget it', () => {
  const knows = learn({ plan: 0, epoch: 0 }, { version: 7, slots: both, runs: ['r2'], replaced: { r1: 9 } })
  expect(knows).toEqual({ plan: 7, epoch: 9, replaced: { r1: 9 } })
  const [publish] = newLeader().observe(
    [worker({ 0: 1, 1: 2 }, knows)],
    { version: 4, slots: both, runs: ['r1'] },
    'r1',
  )
  if (publish?.type !== 'publish') throw new Error('nothing published')
  expect(publish.plan.replaced).toEqual({ r1: 9 })
  expect(learn(knows, { version: 8, slots: both, runs: ['r2'] })).toMatchObject({ replaced: { r1: 9 } })
})

test('[CT20] of many the last are kept, of one the highest epoch', () => {
  const many = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`r${i}`, i]))
  const merged = mergeReplaced(many, { r39: 50, r38: 2 })
  expect(Object.keys(merged ?? {})).toHaveLength(32)
  expect(merged).toMatchObject({ r39: 50, r38: 38, r8: 8 })
  expect(mergeReplaced(undefined, {})).toBeUndefined()
})

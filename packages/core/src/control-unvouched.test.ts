import { expect, test } from 'vitest'
import { controlPollMs, startControl, stepControl } from './control.ts'
import type { ControlEffect, ControlState } from './control.ts'
import { drainSettleMs } from './control-moves.ts'
import { workerDeadMs } from './limits.ts'
import type { Member, Plan } from './plan.ts'

const [count, old, young] = [8, 'shard-1#a', 'shard-2#b']
const slots = Array.from({ length: count }, (_, slot) => ({ worker: old, epoch: slot + 1, confirmed: slot + 1 }))
const plan: Plan = { version: 5, slots, runs: ['r2'], replaced: { r1: 8 } }
const all = slots.map((_, slot) => slot)
const owned = Object.fromEntries(slots.map(({ epoch }, slot) => [slot, epoch]))

function member(boot: string, beat: number, more: Partial<Member> = {}): Member {
  return {
    boot,
    role: 'shard',
    state: 'live',
    beat,
    startedAtMs: 0,
    version: '0.1.0',
    owned: {},
    vouched: {},
    ...more,
  }
}

/** So many looks after it began to drain its slots may move. */
const settled = Math.ceil(drainSettleMs / controlPollMs) + 1

/** The epochs that control asks for when the leaving worker says this of itself, after a few looks at it. */
function movesWhen(leaving: (beat: number) => Member | undefined, looks = settled): number {
  let state: ControlState = startControl(count)
  let asked: readonly ControlEffect[] = []
  const feed = (input: Parameters<typeof stepControl>[1], nowMs: number): readonly ControlEffect[] => {
    const step = stepControl(state, input, nowMs)
    state = step.state
    return step.effects
  }
  for (let look = 1; look <= looks && !asked.some(({ type }) => type === 'issueEpochs'); look += 1) {
    const nowMs = 1_000 + look * controlPollMs
    feed({ type: 'tick' }, nowMs)
    feed({ type: 'led', leading: true }, nowMs)
    const seen = leaving(look)
    const members = [member(young, look), ...(seen === undefined ? [] : [seen])]
    asked = feed({ type: 'observed', members, plan, runs: ['r2'] }, nowMs)
    feed({ type: 'published', ok: true }, nowMs)
  }
  return asked.reduce((sum, effect) => sum + (effect.type === 'issueEpochs' ? effect.count : 0), 0)
}

const draining = (beat: number, more: Partial<Member>): Member =>
  member(old, beat, { state: 'draining', owned, ...more })
/** Of eight slots two may be in flight. */
const atOnce = 2

test('[CT22] slots of a worker that drains move when it has vouched for them under the run of the server', () => {
  expect(movesWhen((beat) => draining(beat, { vouched: { r2: all } }))).toBe(atOnce)
})

test('[CT22] they stay while it has not, and while what it says is of the server before', () => {
  expect(movesWhen((beat) => draining(beat, { vouched: {} }))).toBe(0)
  expect(movesWhen((beat) => draining(beat, { vouched: { r1: all } }))).toBe(0)
  expect(movesWhen((beat) => draining(beat, { vouched: { r1: [0, 1, 2], r2: [7] } }))).toBe(1)
})

test('[CT22] a server that control has not seen there, as after a Cluster moved a lane, holds nothing up; nor does one that says no run', () => {
  expect(movesWhen((beat) => draining(beat, { vouched: { other: all } }))).toBe(atOnce)
  expect(movesWhen((beat) => draining(beat, { vouched: { '': all } }))).toBe(atOnce)
})

test('[CT22] a worker that does not say it is an older one, and holds nothing up', () => {
  const { vouched: _, ...older } = draining(1, {})
  expect(movesWhen((beat) => ({ ...older, beat }))).toBe(atOnce)
})

test('[CT22] when it is dead its slots go to others all the same', () => {
  const looks = Math.ceil(workerDeadMs / controlPollMs) + 2
  expect(movesWhen(() => draining(1, { vouched: { r1: all } }), looks)).toBe(count)
})

test('[CT24] the first slot of a worker that drains moves 1.5 s after it said so', () => {
  const leaving = (beat: number): Member => draining(beat, { vouched: { r2: all } })
  expect(movesWhen(leaving, settled - 1)).toBe(0)
  expect(movesWhen(leaving, settled)).toBe(atOnce)
})

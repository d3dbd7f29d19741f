import { describe, expect, it } from 'vitest'
import { unpackCommits } from './retained.ts'
import { me, startLane } from './testing/lane-bench.ts'

type Bench = ReturnType<typeof startLane>

const tail = 'x'.repeat(500)
const limits = { retainedBytes: 40_000, commitBytes: 4_000 }

function failOver(bench: Bench, replica: ReturnType<Bench['store']['snapshot']>): void {
  bench.store.restore(replica)
  bench.store.run = 'run-2'
  bench.plan([1, 1])
  bench.step({ type: 'run', run: 'run-2' })
  expect(bench.lane.mode.type).toBe('serving')
}

/** Publishes so often to the slot, 10 ms apart. */
function fill(bench: Bench, slot: number, [from, to]: readonly [number, number]): void {
  for (let i = from; i <= to; i += 1) {
    bench.clock.now += 10
    bench.publish(`m${i}`, [slot], { tail })
  }
}

/** n of the commits that are retained for a slot. */
const retained = ({ lane }: Bench, slot: number): number[] =>
  lane.retained.flatMap(unpackCommits).flatMap((placed) => (placed.slot === slot ? [placed.commit.n] : []))

/** Who has slot 0, under which epoch; slot 1 stays with this lane. */
function assign(bench: Bench, version: number, [worker, epoch]: readonly [string, number]): void {
  const slots = [
    { worker, epoch, confirmed: worker === me ? 2 : epoch },
    { worker: me, epoch: 1, confirmed: 1 },
  ]
  bench.step({ type: 'plan', plan: { version, slots, runs: ['run-1', 'run-2'] } })
}

describe('what is retained after a server went back', () => {
  it('[LN14] stays as long as its slot waits for a claim, however long others are said ok to meanwhile', () => {
    const bench = startLane()
    // Slot 0 was another worker's, and the server goes back to before this one claimed it.
    assign(bench, 10, ['other#a', 2])
    bench.store.claim({ slot: 0, epoch: 2, owner: 'other#a', confirmed: 0, boots: [] })
    const replica = bench.store.snapshot()
    assign(bench, 11, [me, 5])
    for (const key of ['a', 'b']) bench.publish(key, [0])
    bench.held.add('claim')
    bench.store.restore(replica)
    bench.store.run = 'run-2'
    bench.step({ type: 'run', run: 'run-2' })
    expect(bench.lane.slots.get(0)?.needsClaim).toBe(true)
    for (let i = 0; i < 15; i += 1) {
      bench.clock.now += 1_000
      bench.publish(`k${i}`, [1])
      bench.step({ type: 'tick' })
    }
    expect(bench.keys(0)).toEqual([])
    assign(bench, 12, [me, 9])
    bench.held.clear()
    for (const effect of bench.waiting.splice(0)) bench.execute(effect)
    expect(bench.keys(0)).toEqual(['a', 'b'])
  })

  it('[LN24] is let go of bit by bit again, oldest first, not all at once when the limit is reached', () => {
    const bench = startLane(limits)
    fill(bench, 1, [1, 20])
    const replica = bench.store.snapshot()
    fill(bench, 1, [21, 25])
    failOver(bench, replica)
    bench.clock.now += 1_000
    bench.step({ type: 'tick' })
    for (let i = 26; i < 100; i += 1) {
      fill(bench, 1, [i, i])
      const least = bench.lane.slots.get(1)?.base.n ?? 0
      expect(retained(bench, 1).at(-1)).toBe(least)
      if (i > 60) expect(bench.lane.retainedBytes).toBeGreaterThan(limits.retainedBytes * 0.8)
    }
    const [first, ...rest] = retained(bench, 1)
    expect(rest).toEqual(rest.map((_, i) => (first ?? 0) + i + 1))
  })

  it('[LN24] gives way to what is written next, whichever slot that is of', () => {
    const bench = startLane(limits)
    fill(bench, 1, [1, 20])
    const replica = bench.store.snapshot()
    fill(bench, 1, [21, 70])
    failOver(bench, replica)
    fill(bench, 0, [71, 90])
    expect(retained(bench, 0)).toHaveLength(20)
    expect(retained(bench, 1)[0]).toBeGreaterThan(20)
  })

  it('[LN10] only what the store lacks of each slot is written again', () => {
    const bench = startLane()
    for (let i = 1; i <= 10; i += 1) bench.publish(`m${i}`, [0])
    const replica = bench.store.snapshot()
    bench.publish('m11', [1])
    // The reply to a commit of slot 0 is lost with the server.
    bench.held.add('commit')
    bench.publish('m12', [0])
    const [lost] = bench.waiting.splice(0)
    if (lost?.type !== 'commit') throw new Error('no commit')
    bench.store.restore(replica)
    bench.store.run = 'run-2'
    bench.plan([1, 1])
    bench.step({ type: 'commitFailed', id: lost.id })
    let written = 0
    for (let effect = bench.waiting.shift(); effect !== undefined; effect = bench.waiting.shift()) {
      if (effect.type === 'commit') written += effect.commits.length
      bench.execute(effect)
    }
    expect(bench.lane.mode.type).toBe('serving')
    expect([bench.keys(0).at(-1), bench.keys(1)]).toEqual(['m12', ['m11']])
    expect(written).toBe(2)
  })
})

describe('what is retained of slots that are gone', () => {
  it('[LN14] is let go of with the last slot of the lane, as no commit will say that its time is over', () => {
    const bench = startLane()
    fill(bench, 0, [1, 5])
    fill(bench, 1, [6, 10])
    expect(bench.lane.retainedBytes).toBeGreaterThan(5_000)
    const slots = [2, 2].map((epoch) => ({ worker: 'other#b', epoch, confirmed: epoch }))
    bench.step({ type: 'plan', plan: { version: 9, slots, runs: [bench.store.run] } })
    expect(bench.lane.slots.size).toBe(0)
    expect([bench.lane.retainedBytes, bench.lane.retained.length]).toEqual([0, 0])
  })
})

import { describe, expect, it } from 'vitest'
import { parseSlotValue } from './commit.ts'
import { decodeOut, encodeLog } from './entry.ts'
import { reapAfterMs, retainMs } from './limits.ts'
import { edge, me, rooms, startLane as start } from './testing/lane-bench.ts'

describe('commits of a lane', () => {
  it('[LN6] at most two are under way, the second follows the first, and what comes meanwhile waits', () => {
    const bench = start()
    bench.publish('m0')
    bench.held.add('commit')
    bench.publish('m1', [0])
    bench.publish('m2', [0])
    bench.publish('m3', [0])
    bench.publish('m4', [0])
    const [first, second] = bench.waiting.filter((effect) => effect.type === 'commit')
    expect(bench.waiting).toHaveLength(2)
    expect(second?.commits[0]?.value.startsWith(first?.commits[0]?.value.split('|').slice(0, 2).join('|') ?? '-')).toBe(
      true,
    )
    expect(first?.commits[0]?.value.startsWith(second?.commits[0]?.expect ?? '-')).toBe(true)
    bench.held.clear()
    for (const effect of bench.waiting.splice(0)) bench.execute(effect)
    expect(bench.keys(0)).toEqual(['m0', 'm1', 'm2', 'm3', 'm4'])
  })

  it('[LN8] a fenced slot is dropped and the others of its batch are written', () => {
    const bench = start()
    bench.publish('m1')
    bench.store.claim({ slot: 0, epoch: 2, owner: 'other#1', confirmed: 1, boots: [] })
    bench.publish('m2')
    expect(bench.released).toEqual([0])
    expect(bench.keys(0)).toEqual(['m1'])
    expect(bench.keys(1)).toEqual(['m1', 'm2'])
    expect(bench.lane.mode.type).toBe('serving')
  })

  it('[LN25] a slot that meets another entry in a log is dropped, the others of its batch are written, and a new claim goes on behind it', () => {
    const bench = start()
    bench.publish('m1')
    const foreign = bench.store.snapshot()
    const line = bench.store.roomTail(rooms[0] ?? '', Infinity, 1)[0]
    if (line === undefined) throw new Error('no entry')
    const body = encodeLog(rooms[0] ?? '', { ...line, first: 2 }, ['bob\u001fx\u001f\u001ft'])
    foreign.lanes[0]?.logs.get(rooms[0] ?? '')?.lines.push({ lastSeq: 2, body })
    bench.store.restore(foreign)
    bench.publish('m2')
    expect(bench.released).toEqual([0])
    expect(bench.keys(0)).toEqual(['m1', 'x'])
    expect(bench.keys(1)).toEqual(['m1', 'm2'])
    expect(bench.lane.mode.type).toBe('serving')
    bench.plan([2, 1])
    bench.readAll()
    expect(bench.keys(0)).toEqual(['m1', 'x', 'm2'])
  })

  it('[LN9] a commit whose reply was lost is found in the store and not written again', () => {
    const bench = start()
    bench.publish('m1')
    bench.held.add('commit')
    bench.publish('m2', [0])
    const [lost] = bench.waiting.splice(0)
    if (lost?.type !== 'commit') throw new Error('no commit')
    bench.store.commit(0, lost.commits, 1_000)
    const { n } = bench.stored(0)
    const told = bench.store.readOutbox(0, edge, '0-0', 100).entries.length
    bench.held.clear()
    bench.step({ type: 'commitFailed', id: lost.id })
    expect(bench.stored(0).n).toBe(n)
    expect(bench.store.readOutbox(0, edge, '0-0', 100).entries).toHaveLength(told)
    bench.publish('m3', [0])
    expect(bench.keys(0)).toEqual(['m1', 'm2', 'm3'])
  })

  it('[LN26] a commit that was found in the store after its reply was lost is retained no longer than others', () => {
    const bench = start()
    bench.held.add('commit')
    bench.publish('m1', [0])
    const [lost] = bench.waiting.splice(0)
    if (lost?.type !== 'commit') throw new Error('no commit')
    bench.store.commit(0, lost.commits, 1_000)
    bench.held.clear()
    bench.step({ type: 'commitFailed', id: lost.id })
    for (const key of ['m2', 'm3']) {
      bench.clock.now += retainMs + 1
      bench.publish(key)
      bench.step({ type: 'tick' })
    }
    expect(bench.lane.slots.get(0)?.chain).toEqual([])
    expect(bench.lane.retained).toHaveLength(1)
    expect(bench.keys(0)).toEqual(['m1', 'm2', 'm3'])
  })

  it('[LN10] after the server went back what it lacks is written again, input is read from the stored cursor, then it is vouched for', () => {
    const bench = start()
    bench.publish('m1')
    const older = bench.store.snapshot()
    bench.publish('m2', [0])
    bench.publish('m3', [0])
    const cursor = parseSlotValue(bench.store.values(0, [0]).values.get(0) ?? '').cursor
    bench.store.restore(older)
    bench.store.run = 'run-2'
    bench.held.add('vouch')
    bench.plan([1, 1])
    bench.step({ type: 'run', run: 'run-2' })
    expect(bench.keys(0)).toEqual(['m1', 'm2', 'm3'])
    expect(bench.stored(0).run).toBe('run-1')
    expect(bench.stored(0).cursor).not.toBe(cursor)
    bench.held.clear()
    for (const effect of bench.waiting.splice(0)) bench.execute(effect)
    expect(bench.stored(0)).toMatchObject({ run: 'run-2', inc: 1 })
    bench.publish('m4', [0])
    bench.readAll()
    expect(bench.keys(0)).toEqual(['m1', 'm2', 'm3', 'm4'].slice(0, bench.keys(0).length))
    const resets = bench.store
      .readOutbox(0, edge, '0-0', 100)
      .entries.flatMap((entry) => decodeOut(entry.body))
      .filter((record) => record.type === 'reset')
    // The first claims of both slots began their continuity before the edge was known.
    expect(resets.every((reset) => reset.inc === 1)).toBe(true)
  })

  it('[LN11] after a change of run nothing is written until control has seen it, and never by an owner of an older epoch', () => {
    const bench = start()
    bench.publish('m1')
    bench.store.run = 'run-2'
    bench.step({ type: 'run', run: 'run-2' })
    expect(bench.lane.mode).toEqual({ type: 'unconfirmed', run: 'run-2' })
    bench.publish('m2')
    expect(bench.keys(0)).toEqual(['m1'])
    const slots = [
      { worker: 'other#1', epoch: 5, confirmed: 5 },
      { worker: me, epoch: 1, confirmed: 1 },
    ]
    bench.step({ type: 'plan', plan: { version: 99, slots, runs: ['run-2'] } })
    bench.readAll()
    expect(bench.released).toEqual([0])
    expect(bench.keys(0)).toEqual(['m1'])
    expect(bench.keys(1)).toEqual(['m1', 'm2'])
    expect(bench.stored(1).run).toBe('run-2')
  })

  it('[LN16] marks of a boot that has been gone for a minute are removed, and it is refused from then on', () => {
    const bench = start()
    bench.publish('m1')
    expect(bench.stored(0).marks.size).toBe(1)
    bench.step({ type: 'members', alive: new Set(['edge-2#z']) })
    bench.clock.now += 1_000
    bench.step({ type: 'tick' })
    bench.clock.now += reapAfterMs - 1
    bench.step({ type: 'tick' })
    expect(bench.lane.slots.get(0)?.marks.size).toBe(1)
    bench.clock.now += 1_001
    bench.step({ type: 'tick' })
    expect(bench.lane.slots.get(0)?.marks.size).toBe(0)
    bench.publish('late')
    bench.step({ type: 'members', alive: new Set(['edge-2#z']) })
    expect(bench.keys(0)).toEqual(['m1'])
  })
})

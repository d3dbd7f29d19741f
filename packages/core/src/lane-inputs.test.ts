import { describe, expect, it } from 'vitest'
import { ownedEpochs, pendingBytes } from './lane.ts'
import type { Assignment, Plan } from './plan.ts'
import { edge, me, rooms, startLane } from './testing/lane-bench.ts'

type Bench = ReturnType<typeof startLane>
const other = 'w2#b'

const to = (worker: string, epoch: number, confirmed = epoch): Assignment => ({ worker, epoch, confirmed })
function plan(bench: Bench, version: number, slots: Plan['slots'], runs = [bench.store.run]): void {
  bench.step({ type: 'plan', plan: { version, slots, runs } })
}
const epochs = (bench: Bench) => Object.fromEntries(ownedEpochs(bench.lane))
/** Effects of these types that wait, in order. */
const asked = (bench: Bench, ...types: string[]) =>
  bench.waiting.splice(0).flatMap(({ type }) => (types.includes(type) ? [type] : []))

describe('plans', () => {
  it('[LN8] one that is older than what is known changes nothing, one that names nobody neither', () => {
    const bench = startLane()
    plan(bench, 9, [to(me, 1), to(other, 4)])
    expect(epochs(bench)).toEqual({ 0: 1 })
    plan(bench, 8, [to(other, 5), to(other, 5)])
    expect([epochs(bench), bench.lane.plan?.version]).toEqual([{ 0: 1 }, 9])
    plan(bench, 10, [null, null])
    expect([epochs(bench), bench.lane.plan?.version]).toEqual([{ 0: 1 }, 10])
  })

  it('[LN8] a slot is served until its next owner has claimed it, and no longer', () => {
    const bench = startLane()
    plan(bench, 9, [to(other, 2, 1), to(me, 1)])
    expect(epochs(bench)).toEqual({ 0: 1, 1: 1 })
    plan(bench, 10, [to(other, 2), to(me, 1)])
    expect([epochs(bench), bench.released]).toEqual([{ 1: 1 }, [0]])
  })

  it('[LN12] a slot that has to be claimed anew is reported below zero until it is, and takes no input', () => {
    const bench = startLane()
    bench.held.add('values')
    plan(bench, 9, [to(me, 2), to(me, 1)])
    expect(epochs(bench)).toEqual({ 0: -1, 1: 1 })
    bench.held.clear()
    for (const effect of bench.waiting.splice(0)) bench.execute(effect)
    expect(epochs(bench)).toEqual({ 0: 2, 1: 1 })
    expect(bench.stored(0)).toMatchObject({ epoch: 2, inc: 1 })
  })

  it('[LN8] a refused claim is reported as zero, is not made again, and is forgotten when the slot is given to another', () => {
    const bench = startLane()
    plan(bench, 9, [to(other, 2), to(me, 1)])
    bench.store.claim({ slot: 0, epoch: 7, owner: other, confirmed: 7, boots: [] })
    bench.held.add('report')
    plan(bench, 10, [to(me, 3, 2), to(me, 1)])
    expect(epochs(bench)).toEqual({ 0: 0, 1: 1 })
    expect(asked(bench, 'report')).toEqual(['report'])
    bench.held.add('claim')
    plan(bench, 11, [to(me, 3, 2), to(me, 1)])
    expect(asked(bench, 'claim')).toEqual([])
    plan(bench, 12, [to(other, 7), to(me, 1)])
    expect([epochs(bench), bench.lane.refused.size]).toEqual([{ 1: 1 }, 0])
    plan(bench, 13, [to(me, 8, 7), to(me, 1)])
    expect(asked(bench, 'claim')).toEqual(['claim'])
  })

  it("[LN8] the answer to a claim that another one has replaced is nobody's", () => {
    const bench = startLane()
    plan(bench, 9, [to(other, 2), to(me, 1)])
    bench.held.add('claim')
    plan(bench, 10, [to(me, 3, 2), to(me, 1)])
    const [first] = bench.waiting.splice(0)
    plan(bench, 11, [to(me, 5, 4), to(me, 1)])
    const [second] = bench.waiting.splice(0)
    if (first?.type !== 'claim' || second?.type !== 'claim') throw new Error('no claims')
    const reply = bench.store.claim(first.claim)
    bench.step({ type: 'claimed', claim: first.claim, reply, interest: [] })
    expect(epochs(bench)).toEqual({ 1: 1 })
    bench.held.clear()
    bench.execute(second)
    expect(epochs(bench)).toEqual({ 0: 5, 1: 1 })
  })
})

describe('runs of the server', () => {
  it('[LN11] another run while it serves has the store read; the same one has not', () => {
    const bench = startLane()
    bench.held.add('values')
    bench.step({ type: 'run', run: 'run-1' })
    expect(asked(bench, 'values')).toEqual([])
    bench.step({ type: 'run', run: 'run-2' })
    expect([asked(bench, 'values'), bench.lane.mode.type]).toEqual([['values'], 'verifying'])
    // It tells its run itself.
    bench.step({ type: 'run', run: 'run-3' })
    expect([asked(bench, 'values'), bench.lane.mode.type]).toEqual([[], 'verifying'])
  })

  it('[LN11] a run that waits for control is looked at again when a plan names it, or when the server has another', () => {
    const bench = startLane()
    bench.store.run = 'run-2'
    bench.step({ type: 'run', run: 'run-2' })
    expect(bench.lane.mode).toEqual({ type: 'unconfirmed', run: 'run-2' })
    bench.held.add('values')
    bench.step({ type: 'run', run: 'run-2' })
    plan(bench, 9, [to(me, 1), to(me, 1)], ['run-1'])
    expect([asked(bench, 'values'), bench.lane.mode.type]).toEqual([[], 'unconfirmed'])
    plan(bench, 10, [to(me, 1), to(me, 1)], ['run-1', 'run-2'])
    expect([asked(bench, 'values'), bench.lane.mode.type]).toEqual([['values'], 'verifying'])
    bench.lane.mode = { type: 'unconfirmed', run: 'run-2' }
    bench.step({ type: 'run', run: 'run-3' })
    expect(asked(bench, 'values')).toEqual(['values'])
  })

  it('[LN18] a worker that the store has forgotten reads its slots once', () => {
    const bench = startLane()
    bench.held.add('values')
    bench.step({ type: 'forgotten' })
    bench.step({ type: 'forgotten' })
    expect(asked(bench, 'values')).toEqual(['values'])
  })
})

describe('input', () => {
  it('[LN33] what was read and not taken counts in bytes, over all slots', () => {
    const bench = startLane()
    bench.held.add('loadRoom')
    bench.publish('m1', [0, 1])
    const own = [...bench.lane.slots.values()].map((slot) => slot.pending[0]?.body.length ?? 0)
    expect(own.every((bytes) => bytes > 20)).toBe(true)
    expect(pendingBytes(bench.lane)).toBe(own.reduce((sum, bytes) => sum + bytes, 0))
    bench.held.clear()
    for (const effect of bench.waiting.splice(0)) bench.execute(effect)
    expect(pendingBytes(bench.lane)).toBe(0)
    expect([bench.keys(0), bench.keys(1)]).toEqual([['m1'], ['m1']])
  })

  it('[LN7] what cannot be decoded is put aside, with the slot it was for', () => {
    const bench = startLane()
    bench.publish('m1', [1])
    bench.store.append(1, 'nonsense', 1_000)
    bench.held.add('deadLetter')
    bench.readAll()
    expect(bench.waiting).toMatchObject([{ type: 'deadLetter', slot: 1, entries: [{ body: 'nonsense' }] }])
    bench.publish('m2', [1])
    expect(bench.keys(1)).toEqual(['m1', 'm2'])
  })

  it('[LN9] a commit whose call failed is looked for in the store before anything else is sent', () => {
    const bench = startLane()
    bench.held.add('commit').add('values')
    bench.publish('m1', [0])
    bench.publish('m2', [0])
    const [first, second] = bench.waiting.splice(0)
    if (first?.type !== 'commit' || second?.type !== 'commit') throw new Error('no commits')
    bench.step({ type: 'commitFailed', id: first.id })
    // The other one is under way still.
    expect([asked(bench, 'values', 'commit'), bench.lane.inFlight.map(({ id }) => id)]).toEqual([[], [second.id]])
    bench.step({ type: 'commitFailed', id: second.id })
    expect(asked(bench, 'values', 'commit')).toEqual(['values'])
    bench.held.clear()
    bench.step({ type: 'values', values: bench.store.values(0, [0, 1]) })
    expect(bench.keys(0)).toEqual(['m1', 'm2'])
  })

  it('[LN15] whom the outbox of is gone is interested in nothing any more, and its room goes when it was the last', () => {
    const bench = startLane()
    const own = bench.lane.slots.get(0)
    const room = rooms[0] ?? ''
    own?.interest.set(room, new Set([edge, 'edge-2#x']))
    own?.interest.set('public:z', new Set(['edge-2#x']))
    bench.held.add('commit')
    bench.publish('m1', [0])
    const [commit] = bench.waiting.splice(0)
    if (commit?.type !== 'commit') throw new Error('no commit')
    const reply = bench.store.commit(0, commit.commits, 1_000, commit.run)
    bench.step({ type: 'committed', id: commit.id, reply: { ...reply, missing: ['edge-2#x'] } })
    expect([...(own?.interest ?? [])].map(([name, boots]) => [name, [...boots]])).toEqual([[room, [edge]]])
    const [next] = bench.waiting
    expect(next?.type === 'commit' && next.commits[0]?.interest).toEqual([
      { room, boot: 'edge-2#x', on: false },
      { room: 'public:z', boot: 'edge-2#x', on: false },
    ])
  })
})

import { describe, expect, it } from 'vitest'
import { digestEveryMs, maintainEveryMs, renewEveryMs } from './lane-maintenance.ts'
import { retainMs } from './limits.ts'
import { loadRoom } from './room-state.ts'
import { edge, rooms, startLane } from './testing/lane-bench.ts'

type Bench = ReturnType<typeof startLane>
const [first = '', second = ''] = rooms

function owned(bench: Bench, slot: number) {
  const own = bench.lane.slots.get(slot)
  if (own === undefined) throw new Error(`slot ${slot} is not owned`)
  return own
}
/** Idle rooms of slot 0, used at these times. */
function load(bench: Bench, usedAt: Readonly<Record<string, number>>): void {
  const own = owned(bench, 0)
  for (const [name, at] of Object.entries(usedAt)) own.rooms.set(name, loadRoom(name, [], own.keys, at))
}
function tick(bench: Bench, ms = maintainEveryMs): void {
  bench.clock.now += ms
  bench.step({ type: 'tick' })
}
const loaded = (bench: Bench): string[] => [...owned(bench, 0).rooms.keys()]
/** What was asked for since the last look. */
const works = (bench: Bench) =>
  bench.waiting.splice(0).flatMap((effect) => (effect.type === 'maintain' ? [effect.work] : []))

describe('once a second', () => {
  it('[LN22] the rooms that were used least recently go, down to the limit of all slots together', () => {
    const bench = startLane({ loadedRooms: 4 })
    load(bench, { c: 30, a: 10, d: 40, b: 20 })
    tick(bench)
    expect(loaded(bench)).toEqual(['c', 'a', 'd', 'b'])
    load(bench, { e: 50 })
    owned(bench, 1).rooms.set('f', loadRoom('f', [], owned(bench, 1).keys, 60))
    tick(bench, maintainEveryMs - 1)
    expect(loaded(bench)).toHaveLength(5)
    tick(bench, 1)
    expect([loaded(bench), [...owned(bench, 1).rooms.keys()]]).toEqual([['c', 'd', 'e'], ['f']])
  })

  it('[LN22] [LN23] rooms stay of which commits are retained, or that input waits for', () => {
    const bench = startLane({ loadedRooms: 1 })
    bench.publish('m1', [0])
    bench.held.add('loadRoom')
    bench.publish('m2', [0], { room: 'waits' })
    load(bench, { waits: 0, idle: 1_000_000 })
    tick(bench)
    expect(loaded(bench).toSorted()).toEqual([first, 'waits'].toSorted())
    owned(bench, 0).pending = []
    // The store said ok to a later commit, so long after, that the first is not needed any more.
    bench.clock.now += retainMs
    bench.held.clear()
    bench.publish('m3', [1])
    tick(bench)
    expect(loaded(bench)).toEqual([])
  })

  it('[LN34] a slot that is served renews its room logs once in an hour of use, under the prefix of its ownership', () => {
    const bench = startLane()
    bench.held.add('maintain')
    tick(bench)
    expect(works(bench)).toEqual([
      [
        { slot: 0, prefix: '1|w#b|', rooms: [] },
        { slot: 1, prefix: '1|w#b|', rooms: [] },
      ],
    ])
    bench.publish('m1', [0])
    tick(bench, maintainEveryMs - 1)
    expect(works(bench)).toEqual([])
    const named = (): string[] => works(bench).flatMap((work) => work.flatMap((each) => each.rooms))
    tick(bench, renewEveryMs)
    expect(named()).toEqual([first])
    // Nobody has used it since.
    tick(bench, renewEveryMs)
    expect(named()).toEqual([])
    bench.publish('m2', [0, 1])
    tick(bench)
    expect(named()).toEqual([first, second])
    bench.publish('m3', [0, 1])
    tick(bench)
    expect(named()).toEqual([])
  })

  it('[LN34] a slot that needs a claim, and a lane that recovers, maintain nothing', () => {
    const bench = startLane()
    bench.held.add('maintain').add('values')
    owned(bench, 0).needsClaim = true
    tick(bench)
    expect(
      works(bench)
        .flat()
        .map(({ slot }) => slot),
    ).toEqual([1])
    owned(bench, 1).needsClaim = true
    tick(bench)
    expect(works(bench)).toEqual([])
    owned(bench, 0).needsClaim = false
    bench.step({ type: 'forgotten' })
    bench.waiting.splice(0)
    tick(bench)
    expect(works(bench)).toEqual([])
  })

  it('[LN32] every 5 s a digest is due where rooms had events that somebody was told', () => {
    const bench = startLane()
    owned(bench, 0).active.add(first)
    tick(bench, digestEveryMs - 1)
    expect([0, 1].map((slot) => owned(bench, slot).digestDue)).toEqual([false, false])
    bench.held.add('commit')
    tick(bench, maintainEveryMs)
    expect([0, 1].map((slot) => [owned(bench, slot).digestDue, owned(bench, slot).active.size])).toEqual([
      // It was due, and nobody is interested: nothing was said.
      [false, 0],
      [false, 0],
    ])
    expect(bench.lane.digestAt).toBe(bench.clock.now)
  })

  it('[LN11] a run that control has not seen is looked at again', () => {
    const bench = startLane()
    bench.held.add('values')
    bench.lane.mode = { type: 'unconfirmed', run: 'run-2' }
    tick(bench, maintainEveryMs - 1)
    expect(bench.waiting.map(({ type }) => type)).toEqual(['values'])
  })

  it('[LN3] what was asked about a boot is forgotten once it lives, or a hundred lists later', () => {
    const bench = startLane()
    const { asked, alive } = bench.lane
    asked.set(edge, 0).set('gone#1', bench.lane.membersVersion)
    tick(bench)
    expect([...asked.keys()]).toEqual(['gone#1'])
    for (let i = 0; i < 100; i += 1) bench.step({ type: 'members', alive })
    tick(bench)
    expect([...asked.keys()]).toEqual(['gone#1'])
    bench.step({ type: 'members', alive })
    tick(bench)
    expect([...asked.keys()]).toEqual([])
  })

  it('[LN16] marks of a boot that is back in time are kept, and time is counted anew', () => {
    const bench = startLane()
    bench.publish('m1', [0])
    const members = (...boots: string[]) => bench.step({ type: 'members', alive: new Set(boots) })
    members()
    tick(bench)
    expect([...bench.lane.missingSince]).toEqual([[edge, bench.clock.now]])
    members(edge)
    tick(bench)
    expect(bench.lane.missingSince.size).toBe(0)
    expect([...owned(bench, 0).marks.keys()]).toEqual([edge])
  })

  it('[LN21] a slot keeps at most 1,000 texts of boots', () => {
    const bench = startLane()
    const { boots } = owned(bench, 0)
    for (let i = 0; i < 1_000; i += 1) boots.set(`e#${i}`, `e#${i}`)
    tick(bench)
    expect(boots.size).toBe(1_000)
    boots.set('e#x', 'e#x')
    tick(bench)
    expect(boots.size).toBe(0)
  })
})

import { describe, expect, it } from 'vitest'
import { encodeInput } from './entry.ts'
import { dedupeMs, maxLoadedRooms, maxRetainedBytes, reapAfterMs } from './limits.ts'
import { loadRoom, maxRoomChars } from './room-state.ts'
import { parsePolicy } from './policy-file.ts'
import { unpackCommits } from './retained.ts'
import { slotOf } from './slot.ts'
import { edge, rooms, startLane } from './testing/lane-bench.ts'

type Bench = ReturnType<typeof startLane>

function pass(bench: Bench, ms: number, stepMs = 100): void {
  for (let t = 0; t < ms; t += stepMs) {
    bench.clock.now += stepMs
    bench.step({ type: 'tick' })
  }
}

/** Executes what was held, and what follows from it. */
function letGo(bench: Bench): void {
  bench.held.clear()
  for (const effect of bench.waiting.splice(0)) bench.execute(effect)
}

/** So many rooms of slot 0 that nobody uses any more; loading each from the store would take seconds. */
function loadIdleRooms(bench: Bench, count: number): void {
  const own = owned(bench, 0)
  for (let i = 0; i < count; i += 1) own.rooms.set(`idle:${i}`, loadRoom(`idle:${i}`, [], own.keys, bench.clock.now))
}

function owned(bench: Bench, slot: number) {
  const own = bench.lane.slots.get(slot)
  if (own === undefined) throw new Error(`slot ${slot} is not owned`)
  return own
}

describe('what a lane remembers', () => {
  it('[LN20] a key is remembered for two minutes after its commit, however long the store was away before', () => {
    const bench = startLane()
    bench.publish('warm', [0])
    bench.held.add('commit')
    bench.publish('k1', [0])
    expect(bench.waiting).toHaveLength(1)
    pass(bench, dedupeMs + 5_000)
    letGo(bench)
    pass(bench, dedupeMs - 5_000)
    bench.publish('k1', [0])
    expect(bench.keys(0)).toEqual(['warm', 'k1'])
    pass(bench, dedupeMs * 2)
    bench.publish('k1', [0])
    expect(bench.keys(0)).toEqual(['warm', 'k1', 'k1'])
  })

  it('[LN21] nothing is left of boots that are gone once their marks are removed', () => {
    const bench = startLane()
    for (let i = 0; i < 50; i += 1) {
      const boot = `edge-${i}#x`
      const message = {
        type: 'publish',
        room: rooms[0] ?? '',
        key: `k${i}`,
        sender: 'a',
        options: '',
        tail: '',
      } as const
      bench.step({ type: 'members', alive: new Set([edge, boot]) })
      bench.store.append(0, encodeInput({ boot, generation: 0, k: 1 }, [message]), 1_000)
      bench.readAll()
    }
    bench.step({ type: 'members', alive: new Set([edge]) })
    pass(bench, 2_000, 1_000)
    expect([owned(bench, 0).marks.size, bench.lane.missingSince.size]).toEqual([50, 50])
    pass(bench, reapAfterMs, 1_000)
    expect([owned(bench, 0).marks.size, bench.lane.missingSince.size]).toEqual([0, 0])
  })
})

describe('rooms in memory', () => {
  it('[LN22] at most 100,000 stay loaded, also while commits are always under way', () => {
    const bench = startLane()
    loadIdleRooms(bench, maxLoadedRooms + 5_000)
    bench.held.add('commit')
    for (let i = 0; i < 3; i += 1) {
      bench.publish(`m${i}`, [0])
      expect(bench.lane.inFlight).toHaveLength(1)
      pass(bench, 1_000, 1_000)
      for (const effect of bench.waiting.splice(0)) bench.execute(effect)
    }
    expect(owned(bench, 0).rooms.size).toBe(maxLoadedRooms)
    expect(owned(bench, 0).rooms.has(rooms[0] ?? '')).toBe(true)
  })

  it('[LN23] a room of which commits are retained stays loaded, so that a fail-over gives no seq to another message', () => {
    const bench = startLane()
    bench.publish('v1', [0])
    const replica = bench.store.snapshot()
    bench.publish('v2', [0])
    bench.clock.now += 500
    loadIdleRooms(bench, maxLoadedRooms)
    pass(bench, 1_000, 1_000)
    expect(owned(bench, 0).rooms.size).toBe(maxLoadedRooms)
    // The replica lacks v2. While it is written again, somebody publishes to the room.
    bench.store.restore(replica)
    bench.store.run = 'run-2'
    bench.held.add('commit')
    bench.plan([1, 1])
    bench.step({ type: 'run', run: 'run-2' })
    bench.publish('v3', [0])
    letGo(bench)
    bench.readAll()
    expect(bench.keys(0)).toEqual(['v1', 'v2', 'v3'])
  })
})

/** Commits of a slot that are kept although the store said ok. */
const retained = (bench: ReturnType<typeof startLane>, slot: number): number =>
  bench.lane.retained.flatMap(unpackCommits).filter((placed) => placed.slot === slot).length

describe('bytes', () => {
  it('[LN24] above the limit the oldest retained commits of the lane go first, whosever they are', () => {
    const bench = startLane()
    const big = 'x'.repeat(500_000)
    // Several rooms: one alone would refuse before the limit of the lane is reached.
    const busy = Array.from({ length: 40 }, (_, i) => `public:busy${i}`).filter((room) => slotOf(room, 2) === 1)
    const publish = (i: number) => bench.publish(`a${i}`, [1], { tail: big, room: busy[i % busy.length] ?? '' })
    for (let i = 0; i < 130; i += 1) {
      publish(i)
      bench.clock.now += 50
    }
    // And the one in which the slot says about locks what its owner knows.
    expect(retained(bench, 1)).toBe(131)
    bench.publish('small', [0])
    for (let i = 130; i < 150; i += 1) {
      bench.clock.now += 10
      publish(i)
    }
    expect(bench.lane.retainedBytes).toBeLessThanOrEqual(maxRetainedBytes)
    expect(bench.lane.retainedBytes).toBeGreaterThan(maxRetainedBytes - 1_000_000)
    expect(retained(bench, 1)).toBeLessThan(140)
    expect(retained(bench, 0)).toBe(1)
  })

  it('[RM8] however fast large messages come, the log of a room holds its limit and one step of trimming at the most', () => {
    const bench = startLane()
    const big = 'x'.repeat(990_000)
    const trimStep = 64
    const log = () => bench.store.roomRange(rooms[0] ?? '', 0, 1_000)
    let most = 0
    for (let i = 1; i <= 260; i += 1) {
      bench.publish(`k${i}`, [0], { tail: big })
      pass(bench, 1_000, 1_000)
      if (i % 10 === 0) most = Math.max(most, log().length * big.length)
    }
    expect(most).toBeGreaterThan(maxRoomChars / 2)
    expect(most).toBeLessThanOrEqual(maxRoomChars + trimStep * big.length)
    // It goes on once the oldest are two minutes old.
    pass(bench, dedupeMs, 1_000)
    bench.publish('later', [0], { tail: big })
    expect(log().at(-1)?.messages[0]?.key).toBe('later')
  })

  it('[LN40] rooms keep what the policy says, those that are loaded from the moment it changes', () => {
    const bench = startLane()
    const keeps = (): number | undefined => owned(bench, 0).rooms.get(rooms[0] ?? '')?.limits.historyEvents
    const policy = (events: number): void => {
      const parsed = parsePolicy({ version: 1, types: { public: { history: { events } } } })
      if (parsed.ok) bench.step({ type: 'policy', policy: parsed.policy })
    }
    bench.publish('k1', [0])
    expect(keeps()).toBe(1_000)
    policy(7)
    expect(keeps()).toBe(7)
    owned(bench, 0).rooms.clear()
    bench.publish('k2', [0])
    expect(keeps()).toBe(7)
    policy(20_000)
    expect(keeps()).toBe(20_000)
  })
})

import { describe, expect, it } from 'vitest'
import { parseSlotValue } from './commit.ts'
import { decodeOut, encodeInput } from './entry.ts'
import { createLane } from './lane-state.ts'
import type { LaneEffect, LaneInput } from './lane-state.ts'
import { stepLane } from './lane.ts'
import { reapAfterMs } from './limits.ts'
import { slotOf } from './slot.ts'
import { StoreModel } from './store-model.ts'

const me = 'w#b'
const edge = 'edge-1#a'
const rooms = ['public:a', 'public:b', 'public:c', 'public:d', 'public:e'].reduce<string[]>((found, room) => {
  found[slotOf(room, 2)] ??= room
  return found
}, [])

/** A lane of two slots over the store model, which executes effects at once but for those of the types in `held`. */
function start() {
  const store = new StoreModel({ slots: 2, lanes: 1 }, 'run-1')
  const lane = createLane(0, 1, me)
  const held = new Set<LaneEffect['type']>()
  const waiting: LaneEffect[] = []
  const released: number[] = []
  const reads = new Map<number, { cursor: string; read: number }>()
  const clock = { now: 0, wallMs: 1_000 }
  const ks = [0, 0]
  let version = 0
  store.openOutbox(0, edge)

  function step(input: LaneInput): void {
    for (const effect of stepLane(lane, input, clock)) {
      if (held.has(effect.type)) waiting.push(effect)
      else execute(effect)
    }
  }
  function execute(effect: LaneEffect): void {
    switch (effect.type) {
      case 'claim': {
        const reply = store.claim(effect.claim)
        return step({ type: 'claimed', claim: effect.claim, reply, interest: store.interest(effect.claim.slot) })
      }
      case 'read':
        reads.set(effect.slot, { cursor: effect.cursor, read: effect.read })
        return
      case 'release':
        released.push(effect.slot)
        return
      case 'commit':
        return step({ type: 'committed', id: effect.id, reply: store.commit(0, effect.commits, 1_000) })
      case 'vouch':
        return step({ type: 'committed', id: effect.id, reply: store.vouch(0, effect.prefixes) })
      case 'values':
        return step({ type: 'values', values: store.values(0, effect.slots) })
      case 'loadRoom': {
        const { slot, read, room } = effect
        return step({ type: 'rooms', rooms: [{ slot, read, room, entries: store.roomRange(room, 0, 1_000) }] })
      }
      case 'maintain':
        return store.maintain(0, effect.work, 1_000)
      case 'deadLetter':
      case 'members':
      case 'report':
    }
  }
  function plan(epochs: readonly number[], runs = [store.run]): void {
    const slots = epochs.map((epoch) => ({ worker: me, epoch, confirmed: epoch }))
    step({ type: 'plan', plan: { version: (version += 1), slots, runs } })
  }
  /** Appends one publish to each slot given, and lets the lane read all that is new. */
  function publish(key: string, slots: readonly number[] = [0, 1]): void {
    for (const slot of slots) {
      const room = rooms[slot] ?? ''
      const message = { type: 'publish', room, key, sender: 'alice', options: '', tail: key } as const
      const k = (ks[slot] ?? 0) + 1
      ks[slot] = k
      store.append(slot, encodeInput({ boot: edge, generation: 0, k }, [message]), 1_000)
    }
    readAll()
  }
  function readAll(): void {
    const found = store.read(0, new Map([...reads].map(([slot, at]) => [slot, at.cursor])), 100)
    const batch = [...found].map(([slot, entries]) => {
      const at = reads.get(slot) ?? { cursor: '0-0', read: 0 }
      at.cursor = entries.at(-1)?.id ?? at.cursor
      return { slot, read: at.read, entries }
    })
    if (batch.length > 0) step({ type: 'entries', reads: batch })
  }
  const keys = (slot: number): string[] =>
    store.roomRange(rooms[slot] ?? '', 0, 100).flatMap((entry) => entry.messages.map((each) => each.key))
  const stored = (slot: number) => parseSlotValue(store.values(0, [slot]).values.get(slot) ?? '')

  step({ type: 'members', alive: new Set([edge]) })
  plan([1, 1])
  return { store, lane, held, waiting, released, clock, step, execute, plan, publish, readAll, keys, stored }
}

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

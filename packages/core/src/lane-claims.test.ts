import { describe, expect, it } from 'vitest'
import { parseSlotValue } from './commit.ts'
import { encodeInput } from './entry.ts'
import { createLane } from './lane-state.ts'
import type { LaneEffect, LaneInput, LaneState } from './lane-state.ts'
import { ownedEpochs, stepLane } from './lane.ts'
import type { Assignment } from './plan.ts'
import { StoreModel } from './store-model.ts'

const me = 'w2#b'
const room = 'public:a'
const edge = 'edge-1#a'

/** One lane with one slot over the store model. Effects of the types in `held` wait to be executed by the test. */
const rowsOf = ({ store }: Bench) => store.interest(0).filter(({ boot }) => boot !== '')

class Bench {
  readonly store = new StoreModel({ slots: 1, lanes: 1 }, 'run-1')
  readonly lane: LaneState = createLane(0, 1, me)
  readonly held = new Set<LaneEffect['type']>()
  readonly waiting: LaneEffect[] = []
  readonly claims: LaneEffect[] = []
  clock = { now: 0, wallMs: 1_000 }
  #k = 0
  #version = 0
  #cursor = '0-0'
  #read = 0

  step(input: LaneInput): void {
    for (const effect of stepLane(this.lane, input, this.clock)) {
      if (effect.type === 'claim') this.claims.push(effect)
      if (this.held.has(effect.type)) this.waiting.push(effect)
      else this.execute(effect)
    }
  }

  execute(effect: LaneEffect): void {
    const { store } = this
    switch (effect.type) {
      case 'claim': {
        const reply = store.claim(effect.claim)
        return this.step({ type: 'claimed', claim: effect.claim, reply, interest: reply.ok ? store.interest(0) : [] })
      }
      case 'read':
        this.#cursor = effect.cursor
        this.#read = effect.read
        return
      case 'commit':
        return this.step({
          type: 'committed',
          id: effect.id,
          reply: store.commit(0, effect.commits, 1_000, effect.run),
        })
      case 'vouch':
        return this.step({ type: 'committed', id: effect.id, reply: store.vouch(0, effect.prefixes, effect.run) })
      case 'values':
        return this.step({ type: 'values', values: store.values(0, effect.slots) })
      case 'loadRoom':
        return this.step({
          type: 'rooms',
          rooms: [{ slot: 0, read: effect.read, room: effect.room, entries: store.roomRange(effect.room, 0, 1_000) }],
        })
      default:
        return
    }
  }

  /** A plan that gives the slot to this worker, under the store's run. */
  assign(assignment: Omit<Assignment, 'worker'>): void {
    this.step({
      type: 'plan',
      plan: { version: (this.#version += 1), slots: [{ worker: me, ...assignment }], runs: [this.store.run] },
    })
  }

  publish(key: string): void {
    const message = { type: 'publish', room, key, sender: 'alice', options: '', tail: key } as const
    this.store.append(0, encodeInput({ boot: edge, generation: 0, k: (this.#k += 1) }, [message]), 1_000)
    const entries = this.store.read(0, new Map([[0, this.#cursor]]), 100).get(0) ?? []
    this.#cursor = entries.at(-1)?.id ?? this.#cursor
    this.step({ type: 'entries', reads: [{ slot: 0, read: this.#read, entries }] })
  }

  /** The one effect that is held, which is of this type. */
  waits<Type extends LaneEffect['type']>(type: Type): Extract<LaneEffect, { type: Type }> {
    const [effect] = this.waiting.splice(0)
    if (effect?.type !== type) throw new Error(`no ${type}`)
    return effect as Extract<LaneEffect, { type: Type }>
  }

  /** The server is another, with what `snapshot` has. */
  failOver(snapshot: ReturnType<StoreModel['snapshot']>, run: string): void {
    this.store.restore(snapshot)
    this.store.run = run
    this.step({ type: 'run', run })
  }

  stored() {
    return parseSlotValue(this.store.values(0, [0]).values.get(0) ?? '')
  }
  log(): string[] {
    return this.store.roomRange(room, 0, 1_000).flatMap((entry) => entry.messages.map(({ tail }) => tail))
  }
}

/** A slot that was another worker's, seen by a server of which this worker cannot know what it lost: inc changes to 5. */
function takenOver(): { bench: Bench; before: ReturnType<StoreModel['snapshot']> } {
  const bench = new Bench()
  bench.store.register({ boot: edge, role: 'edge', state: 'live', beat: 1, startedAtMs: 0, version: '1' })
  bench.store.claim({ slot: 0, epoch: 1, owner: 'w1#a', confirmed: 0, boots: [] })
  bench.store.run = 'run-2'
  const before = bench.store.snapshot()
  bench.step({ type: 'members', alive: new Set([edge]) })
  bench.assign({ epoch: 5, confirmed: 1 })
  bench.publish('a')
  bench.publish('b')
  return { bench, before }
}

describe('claims of a lane', () => {
  it('[LN12] an owner whose claim the store lost goes on under the inc of its own commits, not under the stored one', () => {
    const { bench, before } = takenOver()
    expect(bench.stored()).toMatchObject({ epoch: 5, inc: 5 })
    bench.failOver(before, 'run-3')
    bench.assign({ epoch: 5, confirmed: 5 })
    expect([...ownedEpochs(bench.lane)]).toEqual([[0, -5]])
    bench.assign({ epoch: 9, confirmed: 5 })
    expect(bench.stored()).toMatchObject({ epoch: 9, owner: me, inc: 5, run: 'run-3' })
    expect(bench.log()).toEqual(['a', 'b'])
  })

  it('[LN17] a claim by which commits are to be written again does not vouch before they are', () => {
    const { bench, before } = takenOver()
    bench.failOver(before, 'run-3')
    bench.held.add('commit')
    bench.assign({ epoch: 5, confirmed: 5 })
    bench.assign({ epoch: 9, confirmed: 5 })
    expect(bench.stored()).toMatchObject({ epoch: 9, run: 'run-1' })
    // Had this worker died now, the next one would have to tell the loss.
    const next = bench.store.claim({ slot: 0, epoch: 10, owner: 'w3#c', confirmed: 9, boots: [] })
    expect(next.ok && parseSlotValue(next.value).inc).toBe(10)
  })

  it('[LN17] its own claim whose answer is under way is no reason to drop the slot', () => {
    const { bench, before } = takenOver()
    bench.failOver(before, 'run-3')
    bench.assign({ epoch: 5, confirmed: 5 })
    bench.held.add('claim')
    bench.assign({ epoch: 9, confirmed: 5 })
    const claim = bench.waits('claim')
    const first = bench.store.claim(claim.claim)
    expect(first.ok).toBe(true)
    // Something else makes the lane read what is stored before the answer is there.
    bench.step({ type: 'commitFailed', id: 99 })
    bench.execute(claim)
    expect(bench.log()).toEqual(['a', 'b'])
    expect(bench.stored()).toMatchObject({ epoch: 9, inc: 5, run: 'run-3' })
  })

  it('[LN14] what is let go of with a claim does not count as retained any more', () => {
    const { bench } = takenOver()
    expect(bench.lane.retainedBytes).toBeGreaterThan(0)
    // Control wants a newer epoch of the same owner: what is in the store already is behind the new claim.
    bench.assign({ epoch: 9, confirmed: 5 })
    expect(bench.stored()).toMatchObject({ epoch: 9, inc: 5 })
    bench.publish('c')
    expect(bench.log()).toEqual(['a', 'b', 'c'])
  })

  it('[LN17] a claim that was taken by another server counts as refused: it proves nothing about this one', () => {
    const bench = new Bench()
    bench.held.add('claim')
    bench.assign({ epoch: 5, confirmed: 0 })
    const claim = bench.waits('claim')
    expect(bench.store.claim(claim.claim).ok).toBe(true)
    // Its answer was lost, the server fell back, and the claim is asked for again.
    bench.store.run = 'run-2'
    bench.execute(claim)
    expect([...ownedEpochs(bench.lane)]).toEqual([[0, 0]])
  })

  it('[LN18] a worker that the store has forgotten finds out that its slots are gone, although the run is the same', () => {
    const { bench } = takenOver()
    bench.store.flushAll()
    bench.step({ type: 'forgotten' })
    expect([...ownedEpochs(bench.lane)]).toEqual([[0, -5]])
    bench.assign({ epoch: 9, confirmed: 5 })
    // It cannot prove that it holds everything: the loss is told by a new inc, and reading begins at the beginning.
    expect(bench.stored()).toMatchObject({ epoch: 9, owner: me, inc: 9, cursor: '0-0' })
  })

  it.each([
    // Another worker was given epoch 6, committed and died, and the fail-over lost all of it: this one hears of it now.
    [6, 9],
    [4, 5],
    [undefined, 5],
  ])('[LN30] after a fail-over an owner of epoch 5 with a rival of epoch %s goes on under inc %i', (rival, inc) => {
    const { bench } = takenOver()
    bench.failOver(bench.store.snapshot(), 'run-3')
    bench.assign({ epoch: 9, confirmed: 5, ...(rival === undefined ? {} : { rival }) })
    expect(bench.stored()).toMatchObject({ epoch: 9, owner: me, inc, run: 'run-3' })
    expect(bench.log()).toEqual(['a', 'b'])
  })

  it.each([
    // Another worker has claimed under epoch 7 by then and committed, after this claim was sent and before it was executed.
    [7, 10],
    [undefined, 5],
  ])(
    '[LN35] a claim that says what its owner holds is refused by the next server: with a rival of epoch %s it goes on under inc %i',
    (rival, inc) => {
      const { bench } = takenOver()
      const named = rival === undefined ? {} : { rival }
      bench.held.add('claim')
      bench.assign({ epoch: 9, confirmed: 5, ...named })
      const claim = bench.waits('claim')
      expect(claim.claim.holdsAfter).toMatchObject({ inc: 5, run: 'run-2' })
      bench.failOver(bench.store.snapshot(), 'run-3')
      bench.execute(claim)
      bench.held.clear()
      bench.assign({ epoch: 9, confirmed: 5, ...named })
      expect(bench.stored()).toMatchObject({ epoch: 5, run: 'run-2' })
      expect([...ownedEpochs(bench.lane)]).toEqual([[0, rival === undefined ? -5 : 0]])
      bench.assign({ epoch: 10, confirmed: 5, ...named })
      expect(bench.stored()).toMatchObject({ epoch: 10, owner: me, inc, run: 'run-3' })
      expect(bench.log()).toEqual(['a', 'b'])
    },
  )

  it('[LN36] a vouch is not written by the next server: with a rival the loss is told there', () => {
    const { bench } = takenOver()
    bench.held.add('vouch')
    bench.failOver(bench.store.snapshot(), 'run-3')
    bench.assign({ epoch: 5, confirmed: 5 })
    const vouch = bench.waits('vouch')
    bench.failOver(bench.store.snapshot(), 'run-4')
    bench.execute(vouch)
    expect(bench.stored()).toMatchObject({ epoch: 5, inc: 5, run: 'run-2' })
    bench.held.clear()
    bench.assign({ epoch: 9, confirmed: 5, rival: 7 })
    expect(bench.stored()).toMatchObject({ epoch: 9, owner: me, inc: 9, run: 'run-4' })
  })

  it('[LN37] a claim taken before a fail-over, answered after it: what its owner gave up meanwhile is told as lost', () => {
    const { bench, before } = takenOver()
    bench.failOver(before, 'run-3')
    bench.assign({ epoch: 5, confirmed: 5 })
    bench.held.add('claim')
    bench.assign({ epoch: 9, confirmed: 5 })
    const claim = bench.waits('claim')
    // Its answer is lost.
    expect(bench.store.claim(claim.claim)).toMatchObject({ ok: true })
    bench.failOver(bench.store.snapshot(), 'run-4')
    bench.assign({ epoch: 9, confirmed: 5, rival: 7 })
    expect([...bench.lane.slots.keys()]).toEqual([])
    bench.held.clear()
    bench.execute(claim)
    expect([...ownedEpochs(bench.lane)]).toEqual([[0, 0]])
    bench.assign({ epoch: 11, confirmed: 5, rival: 7 })
    expect(bench.stored()).toMatchObject({ epoch: 11, inc: 11, run: 'run-4' })
    expect(bench.log()).toEqual([])
  })

  it.each([
    [7, 8],
    [undefined, 5],
  ])(
    '[LN38] a server that comes back to an owner that never left it: with a rival of epoch %s it goes on under inc %i',
    (rival, inc) => {
      const { bench } = takenOver()
      const served = { worker: me, epoch: 8, confirmed: rival ?? 5, ...(rival === undefined ? {} : { rival }) }
      const replaced = { 'run-2': 7, 'run-3': 7 }
      bench.step({ type: 'plan', plan: { version: 9, runs: ['run-2'], replaced, slots: [served] } })
      expect(bench.stored()).toMatchObject({ epoch: 8, owner: me, inc, run: 'run-2' })
      expect(bench.log()).toEqual(['a', 'b'])
    },
  )

  it('[LN28] a first claim under a run that no plan names: nothing is committed before one does', () => {
    const bench = new Bench()
    bench.store.register({ boot: edge, role: 'edge', state: 'live', beat: 1, startedAtMs: 0, version: '1' })
    bench.step({ type: 'members', alive: new Set([edge]) })
    const plan = { version: 1, slots: [{ worker: me, epoch: 1, confirmed: 0 }] }
    bench.step({ type: 'plan', plan: { ...plan, runs: ['run-0'] } })
    bench.publish('a')
    bench.step({ type: 'tick' })
    expect(bench.stored()).toMatchObject({ epoch: 1, owner: me })
    expect(bench.log()).toEqual([])
    bench.step({ type: 'plan', plan: { ...plan, version: 2, runs: ['run-1'] } })
    expect(bench.log()).toEqual(['a'])
  })

  it('[LN28] a server that tells no run is begun on all the same: no claim is ever proven there', () => {
    const bench = new Bench()
    bench.store.register({ boot: edge, role: 'edge', state: 'live', beat: 1, startedAtMs: 0, version: '1' })
    bench.step({ type: 'members', alive: new Set([edge]) })
    bench.store.run = ''
    const plan = { version: 1, slots: [{ worker: me, epoch: 1, confirmed: 0 }], runs: ['run-0'] }
    bench.step({ type: 'plan', plan })
    bench.publish('a')
    expect(bench.log()).toEqual(['a'])
  })

  it('[LN28] a first claim on a server that is another by the time a plan names it: what others did meanwhile is not taken over in silence', () => {
    const bench = new Bench()
    const plan = { version: 1, slots: [{ worker: me, epoch: 1, confirmed: 0 }], runs: ['run-0'] }
    bench.step({ type: 'plan', plan })
    expect(bench.stored()).toMatchObject({ epoch: 1, run: 'run-1' })
    // Somebody else served on another server up to epoch 7, which is gone; this one has the first claim still.
    bench.failOver(bench.store.snapshot(), 'run-2')
    bench.step({ type: 'plan', plan: { version: 2, slots: [{ worker: me, epoch: 9, confirmed: 7 }], runs: ['run-2'] } })
    expect(bench.stored()).toMatchObject({ epoch: 9, owner: me, inc: 9, run: 'run-2' })
  })

  it('[LN19] nothing is written to another server before its state was looked at', () => {
    const { bench } = takenOver()
    const behind = bench.store.snapshot()
    const cursor = bench.stored().cursor
    // The replica has everything that was committed, but not what this worker is about to consume; nobody said so yet.
    bench.held.add('commit')
    bench.publish('c')
    bench.store.restore(behind)
    bench.store.run = 'run-3'
    bench.held.clear()
    for (const effect of bench.waiting.splice(0)) bench.execute(effect)
    expect(bench.stored()).toMatchObject({ cursor, run: 'run-2' })
    bench.assign({ epoch: 5, confirmed: 5 })
    expect(bench.log()).toEqual(['a', 'b', 'c'])
    // Input is read on from where this server's input ends: the id that was consumed elsewhere means nothing here.
    expect(bench.stored()).toMatchObject({ cursor, run: 'run-3' })
  })

  describe('connections of users', () => {
    const who = { room: 'user:ann', boot: edge, connection: 'edge-1.a.1', after: '', inc: 1 }
    const elsewhere = { ...who, boot: 'edge-2#b', connection: 'edge-2.b.1' }
    const alive = [edge, elsewhere.boot]
    /** A lane before it claims a slot of which another worker has counted two connections. */
    const counted = (): Bench => {
      const bench = new Bench()
      for (const boot of alive) bench.store.openOutbox(0, boot)
      const first = bench.store.claim({ slot: 0, epoch: 1, owner: 'w1#a', confirmed: 0, boots: [] })
      if (!first.ok) throw new Error('not claimed')
      const expect = first.value.split('|').slice(0, 4).join('|') + '|'
      const value = first.value.replace('|1|c1|', '|2|t1|')
      const interest = [who, elsewhere].map((each) => ({ ...each, on: true }))
      bench.store.commit(0, [{ slot: 0, expect, value, logs: [], outs: new Map(), interest }], 1_000)
      bench.step({ type: 'members', alive: new Set(alive) })
      return bench
    }

    it('[UC5] those of an edge that is in no list any more, or whose outbox is gone, are forgotten', () => {
      const bench = counted()
      bench.assign({ epoch: 5, confirmed: 1 })
      expect(rowsOf(bench)).toEqual([who, elsewhere])
      for (let i = 0; i < 2; i += 1) bench.step({ type: 'members', alive: new Set([edge]) })
      expect(rowsOf(bench)).toEqual([who])
      bench.store.removeOutboxes(edge)
      bench.publish('m1')
      bench.clock = { ...bench.clock, now: bench.clock.now + 100 }
      bench.step({ type: 'tick' })
      expect(rowsOf(bench)).toEqual([])
    })

    it('[UC5] after a loss of continuity none is left, also when the answer to the claim that told it was lost', () => {
      const bench = counted()
      bench.assign({ epoch: 5, confirmed: 3 })
      expect(bench.stored()).toMatchObject({ inc: 5 })
      expect(rowsOf(bench)).toEqual([])
      const late = counted()
      late.held.add('claim')
      late.assign({ epoch: 5, confirmed: 3 })
      for (const effect of late.waiting) if (effect.type === 'claim') late.store.claim(effect.claim)
      expect(rowsOf(late)).toHaveLength(2)
      late.held.delete('claim')
      late.assign({ epoch: 9, confirmed: 3 })
      expect(late.stored()).toMatchObject({ epoch: 9, inc: 5 })
      expect(rowsOf(late)).toEqual([])
    })
  })

  it('[LN15] interest of a boot that registered after the last list was read stays, until a later list lacks it', () => {
    const bench = new Bench()
    const claimed = bench.store.claim({ slot: 0, epoch: 1, owner: 'w1#a', confirmed: 0, boots: [] })
    if (!claimed.ok) throw new Error('not claimed')
    const prefix = claimed.value.split('|').slice(0, 4).join('|') + '|'
    const value = claimed.value.replace('|1|c1|', '|2|t1|')
    const interest = [{ room, boot: edge, on: true }]
    bench.store.commit(0, [{ slot: 0, expect: prefix, value, logs: [], outs: new Map(), interest }], 1_000)
    bench.step({ type: 'members', alive: new Set() })
    bench.held.add('members')
    bench.assign({ epoch: 5, confirmed: 1 })
    expect(bench.waiting.map(({ type }) => type)).toContain('members')
    bench.step({ type: 'members', alive: new Set() })
    expect(rowsOf(bench)).toHaveLength(1)
    bench.step({ type: 'members', alive: new Set([edge]) })
    expect(rowsOf(bench)).toHaveLength(1)
    bench.step({ type: 'members', alive: new Set() })
    expect(rowsOf(bench)).toEqual([])
  })
})

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { epochsInHand, leaseLookMs, leaseSeconds, startElection, stepElection, takeEpochs } from './lease.ts'
import type { Election, ElectionEffect, ElectionInput, StoredLease } from './lease.ts'

const floor = 1_000

/** The API: one object, replaced by who has read its newest version. */
class Api {
  lease: StoredLease | null = null
  #writes = 0

  take(effect: ElectionEffect): ElectionInput {
    if (effect.type === 'read') return { type: 'found', lease: this.lease }
    const isNew = effect.type === 'create' ? this.lease === null : this.lease?.version === effect.version
    if (!isNew) return { type: 'conflict' }
    this.#writes += 1
    this.lease = { ...effect.lease, renewed: `t${this.#writes}`, version: `v${this.#writes}` }
    return { type: 'written', lease: this.lease }
  }
}

/** Until nothing is asked any more. */
function run(api: Api, who: Election, input: ElectionInput, nowMs: number): void {
  for (let effects = stepElection(who, input, nowMs); effects[0] !== undefined;)
    effects = stepElection(who, api.take(effects[0]), nowMs)
}

interface Step {
  readonly who: number
  readonly afterMs: number
  readonly fate: string
  readonly above: number
}
interface World {
  readonly api: Api
  readonly all: readonly Election[]
  readonly late: Map<Election, ElectionEffect>
  readonly terms: Map<number, string>
  readonly given: Set<number>
  now: number
}

describe('an election by a Lease', () => {
  test('[LE1] the first to come leads; when its record stands still for as long as it lasts the next one does, in a higher term', () => {
    const [api, one, two] = [new Api(), startElection('one', floor), startElection('two', floor)]
    run(api, one, { type: 'tick' }, 0)
    run(api, two, { type: 'tick' }, 0)
    expect([one.term, two.term]).toEqual([1, null])
    let now = 0
    for (; now < 10_000; now += leaseLookMs) for (const each of [one, two]) run(api, each, { type: 'tick' }, now)
    expect([one.term, two.term, api.lease?.transitions]).toEqual([1, null, 0])
    const silentSince = now - leaseLookMs
    for (; two.term === null; now += leaseLookMs) run(api, two, { type: 'tick' }, now)
    expect(now - leaseLookMs - silentSince).toBe(leaseSeconds * 1_000)
    expect([two.term, api.lease?.holder]).toEqual([2, 'two'])
    run(api, one, { type: 'tick' }, now)
    expect(one.term).toBeNull()
  })

  test('[LE2] one that gives the Lease up has the next one lead at once', () => {
    const [api, two] = [new Api(), startElection('two', floor)]
    api.lease = { ...{ holder: '', durationSeconds: 3, transitions: 4, renewed: 't', epochs: 50 }, version: 'v' }
    run(api, two, { type: 'tick' }, 0)
    expect(two.term).toBe(6)
  })

  test('[LE3] a leader whom the API does not answer leads on, until it hears of another', () => {
    const [api, one] = [new Api(), startElection('one', floor)]
    run(api, one, { type: 'tick' }, 0)
    for (let now = 1_000; now < 100_000; now += 1_000) {
      expect(stepElection(one, { type: 'tick' }, now)).toMatchObject([{ type: 'replace', version: 'v1' }])
      stepElection(one, { type: 'failed' }, now)
    }
    expect(one.term).toBe(1)
    expect(takeEpochs(one, 0, 128)).toBe(floor + 1)
    if (api.lease !== null) api.lease = { ...api.lease, holder: 'two', transitions: 1, version: 'other' }
    run(api, one, { type: 'tick' }, 100_000)
    expect([one.term, takeEpochs(one, 0, 1)]).toEqual([null, undefined])
  })

  test('[LE4] epochs are above what was asked for and in hand before they are given; more are asked for at once', () => {
    const [api, one] = [new Api(), startElection('one', floor)]
    expect(takeEpochs(one, 0, 1)).toBeUndefined()
    run(api, one, { type: 'tick' }, 0)
    expect(api.lease?.epochs).toBe(floor + epochsInHand)
    expect([takeEpochs(one, 0, 2), takeEpochs(one, 0, 1), takeEpochs(one, 5_000, 3)]).toEqual([1_001, 1_003, 5_001])
    expect(takeEpochs(one, 1_000_000, 5)).toBeUndefined()
    run(api, one, { type: 'wanted', above: 1_000_000, count: 5 }, 1)
    expect(takeEpochs(one, 1_000_000, 5)).toBe(1_000_001)
    for (let i = 0, now = 1_000; i < 30; i += 1, now += 1_000) {
      expect(takeEpochs(one, 0, 1_000)).toBeDefined()
      run(api, one, { type: 'tick' }, now)
    }
  })

  test('[LE4] more are named as soon as fewer than 10,000 are in hand, or than two for each slot', () => {
    for (const [slots, inHand] of [
      [128, epochsInHand],
      [16_384, 32_768],
    ] as const) {
      const [api, one] = [new Api(), startElection('one', floor, slots)]
      run(api, one, { type: 'tick' }, 0)
      expect(api.lease?.epochs).toBe(floor + inHand)
      run(api, one, { type: 'tick' }, 1_000)
      expect(api.lease?.epochs).toBe(floor + inHand)
      takeEpochs(one, 0, 1)
      run(api, one, { type: 'tick' }, 2_000)
      expect(api.lease?.epochs).toBe(floor + 1 + 2 * inHand)
    }
  })

  test('[LE1] a leader renews with one write; it reads when somebody else wrote, once', () => {
    const [api, one] = [new Api(), startElection('one', floor)]
    run(api, one, { type: 'tick' }, 0)
    const [renewal, ...more] = stepElection(one, { type: 'tick' }, 1_000)
    expect([renewal?.type, more]).toEqual(['replace', []])
    if (api.lease !== null) api.lease = { ...api.lease, version: 'labelled' }
    expect(stepElection(one, { type: 'conflict' }, 1_001)).toEqual([{ type: 'read' }])
    const again = stepElection(one, { type: 'found', lease: api.lease }, 1_002)
    expect(again).toMatchObject([{ type: 'replace', version: 'labelled' }])
    expect(stepElection(one, { type: 'conflict' }, 1_003)).toEqual([])
    expect([one.term, one.asking]).toEqual([1, false])
  })

  test('[LE5] of a Lease that was deleted, or has lost its numbers, who saw it goes on above', () => {
    const [api, one, two] = [new Api(), startElection('one', floor), startElection('two', floor)]
    run(api, one, { type: 'tick' }, 0)
    run(api, one, { type: 'wanted', above: 500_000, count: 1 }, 1)
    run(api, two, { type: 'tick' }, 2)
    const named = api.lease?.epochs ?? 0
    api.lease = null
    run(api, two, { type: 'tick' }, 1_002)
    expect(two.term).toBe(2)
    expect(takeEpochs(two, 0, 1)).toBe(named + 1)
    // The annotation is taken away, and who wrote it goes on.
    const next = two.epochs.next
    if (api.lease !== null) api.lease = { ...(api.lease as StoredLease), epochs: 0, version: 'stripped' }
    run(api, two, { type: 'tick' }, 2_002)
    expect([two.term, takeEpochs(two, 0, 1)]).toEqual([2, next])
    expect(api.lease?.epochs).toBeGreaterThan(named + epochsInHand)
    // A copy of its first term is brought back: it leads in a new one.
    api.lease = { ...(api.lease as StoredLease), transitions: 0, version: 'restored' }
    run(api, two, { type: 'tick' }, 3_002)
    expect(two.term).toBe(3)
  })

  const step = fc.record({
    who: fc.nat({ max: 2 }),
    afterMs: fc.constantFrom(0, 10, 500, 1_000, 4_000),
    /** What becomes of the call: answered, lost before or after it was done, or left waiting for a while. */
    fate: fc.constantFrom('answered', 'answered', 'answered', 'lost', 'reply lost', 'late', 'deleted', 'stripped'),
    above: fc.constantFrom(0, 0, 5_000, 200_000),
  })

  /** One step of one of them; what was left waiting before is answered now. */
  function take(world: World, { who, afterMs, fate, above }: Step): void {
    world.now += afterMs
    const one = world.all[who]
    if (one === undefined) return
    if (fate === 'deleted' || fate === 'stripped') return damage(world, fate)
    const waiting = world.late.get(one)
    world.late.delete(one)
    let effects = waiting === undefined ? stepElection(one, { type: 'wanted', above, count: 3 }, world.now) : [waiting]
    for (let [effect] = effects; effect !== undefined; [effect] = effects) {
      if (fate === 'late' && waiting === undefined) return void world.late.set(one, effect)
      const answer = fate === 'lost' ? undefined : world.api.take(effect)
      const input: ElectionInput = answer === undefined || fate === 'reply lost' ? { type: 'failed' } : answer
      effects = stepElection(one, input, world.now)
    }
    judge(world, one, above)
  }

  /** Somebody takes the Lease away, or what is written on it, after all have seen it once more. */
  function damage({ api, all, late, now }: World, what: string): void {
    late.clear()
    for (const each of all) {
      stepElection(each, { type: 'failed' }, now)
      if (api.lease !== null) stepElection(each, { type: 'found', lease: api.lease }, now)
      stepElection(each, { type: 'failed' }, now)
    }
    if (api.lease !== null)
      api.lease = what === 'deleted' ? null : { ...api.lease, epochs: 0, version: `${what} ${now}` }
  }

  function judge({ terms, given }: World, one: Election, above: number): void {
    if (one.term === null) return
    expect(terms.get(one.term) ?? one.identity).toBe(one.identity)
    terms.set(one.term, one.identity)
    const first = takeEpochs(one, above, 3)
    for (let epoch = first ?? 0; first !== undefined && epoch < first + 3; epoch += 1) {
      expect(given.has(epoch)).toBe(false)
      expect(epoch).toBeGreaterThan(above)
      given.add(epoch)
    }
  }

  test('[LE5] whatever is lost, late or done twice: no two lead in one term, terms grow, and no epoch is given twice', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 150 }), (steps) => {
        const all = ['a', 'b', 'c'].map((name) => startElection(name, floor))
        const world: World = { api: new Api(), all, late: new Map(), terms: new Map(), given: new Set(), now: 0 }
        for (const each of steps) take(world, each)
        // In the end, when all is answered, one leads and the others know it.
        for (const each of all) if (each.asking) stepElection(each, { type: 'failed' }, world.now)
        for (let i = 0; i < 10; i += 1, world.now += 1_000)
          for (const each of all) run(world.api, each, { type: 'tick' }, world.now)
        const leaders = all.filter(({ term }) => term !== null).map(({ identity }) => identity)
        expect(leaders).toEqual([world.api.lease?.holder])
      }),
      { numRuns: 2_000 },
    )
  })
})

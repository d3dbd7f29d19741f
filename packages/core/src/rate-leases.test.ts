import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatSlotValue, outText } from './commit.ts'
import { consume } from './consume.ts'
import { decodeInput, decodeOut, encodeInput, encodeOut, lengthOf } from './entry.ts'
import type { InputMessage, OutRecord } from './entry.ts'
import { keyOf } from './producer-queue.ts'
import type { RateMessage } from './rate-entry.ts'
import { leaseRate } from './rate-leases.ts'
import { createRateStore } from './rates.ts'
import { ownSlot } from './slot-state.ts'
import type { SlotState } from './slot-state.ts'

const head = { boot: 'edge-1#a', generation: 0, k: 0 }
const ask = (more: Partial<RateMessage> = {}): RateMessage => ({
  ...{ type: 'rate', room: 'user:ann', nonce: '1', user: 'acme\nann', name: 'default' },
  ...{ limit: 50, periodMs: 60_000, wanted: 5, ...more },
})

/** A worker's slot, and what it answers to questions that came in one commit, by edge. */
function own(): SlotState {
  const value = { epoch: 3, owner: 'shard-1#s', n: 10, token: 'c3', inc: 1, run: 'r1', cursor: '5-0', marks: new Map() }
  return ownSlot(7, formatSlotValue(value), [])
}
let ids = 0
function answers(state: SlotState, asked: readonly (readonly [boot: string, message: InputMessage])[], now: number) {
  for (const [boot, message] of asked) {
    const body = encodeInput({ ...head, boot }, [message])
    state.pending.push({ id: `${10 + ids++}-0`, body, entry: decodeInput(body) })
  }
  const budget = { messages: 100, bytes: 1e6 }
  const world = { alive: () => 'yes' as const, isListed: () => true, budget }
  const { commit } = consume(state, { ...world, now, wallMs: 1_000, token: `t${ids++}` })
  return (boot: string): OutRecord[] => {
    const out = commit?.outs.get(boot)
    return out === undefined || commit === undefined ? [] : decodeOut(outText(out, commit.logs))
  }
}

describe('leases of rates', () => {
  it('[RL8] as many as are wanted and there are, then none and the time until there is one', () => {
    const store = createRateStore()
    const lease = (wanted: number, now: number) => {
      const { granted, retryAfterMs } = leaseRate(store, ask({ wanted }), now)
      return [granted, retryAfterMs]
    }
    expect(lease(30, 0)).toEqual([30, 0])
    expect(lease(30, 0)).toEqual([20, 0])
    expect(lease(30, 0)).toEqual([0, 1_200])
    expect(lease(30, 1_199)).toEqual([0, 1])
    expect(lease(30, 1_200)).toEqual([1, 0])
    expect(lease(30, 1_200 + 60_000)).toEqual([30, 0])
  })

  it('[RL8] edges share what there is, and each is told of its own', () => {
    const state = own()
    const told = answers(
      state,
      [
        ['edge-1#a', ask({ nonce: '1', wanted: 40 })],
        ['edge-2#b', ask({ nonce: '2', wanted: 40 })],
        ['edge-3#c', ask({ nonce: '3', wanted: 40 })],
      ],
      5_000,
    )
    const record = { type: 'rate', room: 'user:ann' } as const
    expect(told('edge-1#a')).toEqual([{ ...record, nonce: '1', granted: 40, retryAfterMs: 0 }])
    expect(told('edge-2#b')).toEqual([{ ...record, nonce: '2', granted: 10, retryAfterMs: 0 }])
    expect(told('edge-3#c')).toEqual([{ ...record, nonce: '3', granted: 0, retryAfterMs: 1_200 }])
  })

  it('[RL8] never more than the limit and what came since, whoever asks when, also twice', () => {
    const question = fc.record({
      afterMs: fc.integer({ min: 0, max: 5_000 }),
      wanted: fc.integer({ min: 1, max: 100 }),
      isTwice: fc.boolean(),
    })
    const rate = fc.record({
      limit: fc.integer({ min: 1, max: 1_000 }),
      periodMs: fc.integer({ min: 1, max: 100_000 }),
    })
    fc.assert(
      fc.property(rate, fc.array(question, { maxLength: 100 }), ({ limit, periodMs }, questions) => {
        const store = createRateStore()
        let now = 0
        const leases: { readonly now: number; readonly granted: number }[] = []
        for (const { afterMs, wanted, isTwice } of questions) {
          now += afterMs
          for (let i = 0; i < (isTwice ? 2 : 1); i++) {
            const { granted, retryAfterMs } = leaseRate(store, ask({ limit, periodMs, wanted }), now)
            expect(granted).toBeLessThanOrEqual(wanted)
            expect(granted === 0).toBe(retryAfterMs > 0)
            leases.push({ now, granted })
          }
        }
        // In every window, not only in the first one.
        for (const [i, first] of leases.entries()) {
          let sum = 0
          for (const lease of leases.slice(i)) {
            sum += lease.granted
            const allowed = limit + ((lease.now - first.now) * limit) / periodMs
            expect(sum).toBeLessThanOrEqual(allowed * (1 + 1e-6))
          }
        }
      }),
    )
  })

  it('[RL8] who waits as long as it is told is leased something', () => {
    const rate = fc.record({
      limit: fc.integer({ min: 1, max: 500 }),
      periodMs: fc.integer({ min: 1, max: 86_400_000 }),
    })
    fc.assert(
      fc.property(rate, ({ limit, periodMs }) => {
        const store = createRateStore()
        const message = ask({ limit, periodMs, wanted: limit })
        expect(leaseRate(store, message, 0).granted).toBe(limit)
        const { granted, retryAfterMs } = leaseRate(store, message, 0)
        expect(granted).toBe(0)
        expect(leaseRate(store, message, retryAfterMs).granted).toBeGreaterThan(0)
      }),
    )
  })

  it('[RL9] another tenant, class, limit or time has its own', () => {
    const store = createRateStore()
    const all = { wanted: 50 }
    expect(leaseRate(store, ask(all), 0).granted).toBe(50)
    expect(leaseRate(store, ask(all), 0).granted).toBe(0)
    expect(leaseRate(store, ask({ ...all, user: 'other\nann' }), 0).granted).toBe(50)
    expect(leaseRate(store, ask({ ...all, name: 'cursor' }), 0).granted).toBe(50)
    expect(leaseRate(store, ask({ ...all, limit: 60 }), 0).granted).toBe(50)
    expect(leaseRate(store, ask({ ...all, periodMs: 30_000 }), 0).granted).toBe(50)
    expect(leaseRate(store, ask(all), 0).granted).toBe(0)
  })

  it('[RL10] the next owner begins with the whole rate, and writes no row of it', () => {
    const message = ask({ wanted: 50 })
    for (const state of [own(), own()]) {
      expect(answers(state, [['edge-1#a', message]], 5_000)('edge-1#a')).toMatchObject([{ granted: 50 }])
      expect(answers(state, [['edge-1#a', message]], 5_000)('edge-1#a')).toMatchObject([{ granted: 0 }])
      expect(state.chain.at(-1)?.interest).toEqual([])
    }
  })

  it('[RL10] of who asked nothing for a while nothing is kept', () => {
    const store = createRateStore()
    for (let i = 0; i < 1_024; i++) leaseRate(store, ask({ user: `acme\nu${i}` }), 0)
    expect(store.buckets.size).toBe(1_024)
    leaseRate(store, ask(), 60_000)
    expect(store.buckets.size).toBe(1)
  })
})

describe('questions and leases on their way', () => {
  it('[RL11] come back as they were; a worker that cannot read one takes it for an ephemeral event for nobody', () => {
    const message = ask({ user: '\nann "1"\u001f', name: 'a\u001eb' })
    const body = encodeInput(head, [message])
    expect(decodeInput(body)?.messages).toEqual([message])
    expect(lengthOf(message)).toBe(body.length - encodeInput(head, []).length)
    for (const options of [
      '',
      'null',
      '[]',
      '[1,"1","u","c",1,1,1]',
      '["r",1,"u","c",1,1,1]',
      '["r","1",1,"c",1,1,1]',
      '["r","1","u",1,1,1,1]',
      '["r","1","u","c",1,1]',
      '["r","1","u","c",1,1,1,1]',
      '["r","1","u","c",0,1,1]',
      '["r","1","u","c",1,0.5,1]',
      '["r","1","u","c",1,1,"1"]',
    ]) {
      const strange = { type: 'ephemeral', room: '!rate', options, tail: '' } as const
      expect(decodeInput(encodeInput(head, [strange]))?.messages).toEqual([strange])
    }
    // As a worker takes it that does not know of rates.
    const event = { type: 'ephemeral', room: '!later', options: '["user:ann"]', tail: '' } as const
    expect(answers(own(), [['edge-1#a', event]], 0)('edge-1#a')).toEqual([])
  })

  it('[RL11] a lease grants something or says when to ask again; an edge passes over anything else', () => {
    const record = { type: 'rate', room: 'user:ann', nonce: '7' } as const
    for (const each of [
      { ...record, granted: 3, retryAfterMs: 0 },
      { ...record, granted: 0, retryAfterMs: 1 },
    ])
      expect(decodeOut(encodeOut(each))).toEqual([each])
    for (const counts of [[], ['1'], ['0', '0'], ['3', '5'], ['-1', '0'], ['0.5', '0'], ['x', '0'], ['0', 'x']])
      expect(decodeOut(['r', 'user:ann', '7', ...counts].join('\u001f'))).toEqual([])
  })

  it('[RL11] one about a rate does not take the place of one about a lock that waits to be sent', () => {
    const lock = { change: 'lock', name: '', user: 'ann', holder: 'h', ttlMs: 1_000 } as const
    expect(keyOf(ask())).not.toBe(keyOf({ type: 'lock', room: 'user:ann', nonce: '1', ...lock }))
    expect(keyOf(ask({ nonce: '2' }))).not.toBe(keyOf(ask()))
  })
})

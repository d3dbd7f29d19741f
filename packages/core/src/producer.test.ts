import { describe, expect, it } from 'vitest'
import type { ConnectionMessage } from './connection-entry.ts'
import { decodeInput, publishOf } from './entry.ts'
import type { InputEntry, PublishMessage } from './entry.ts'
import { dedupeMs, maxEntryBytes, maxWindowEntries, publishDeadlineMs, resendAfterMs } from './limits.ts'
import type { ProducerEffect, ProducerInput, ProducerState, Settlement } from './producer-state.ts'
import { rewindQuietMs } from './producer-window.ts'
import { createProducer, isIdle, stepProducer } from './producer.ts'

function message(key: string, size = 10): PublishMessage {
  return { type: 'publish', room: 'public:a', key, sender: 'u', options: '', tail: `"event":"${'x'.repeat(size)}"` }
}

interface Append {
  readonly attempt: number
  readonly entry: InputEntry
}

/** A producer with its effects sorted, driven by hand. */
function harness(max = 1e9) {
  const budget = { used: 0, max }
  const state: ProducerState = createProducer('edge-1#a', budget)
  const settled = new Map<number, Settlement>()
  let now = 1_000
  let nextId = 1
  const run = (input: ProducerInput): readonly Append[] => {
    const appends: Append[] = []
    for (const effect of stepProducer(state, input, now)) {
      if (effect.type === 'settle') {
        if (settled.has(effect.id)) throw new Error(`settled twice: ${effect.id}`)
        settled.set(effect.id, effect.outcome)
      } else appends.push({ attempt: effect.attempt, entry: decoded(effect) })
    }
    return appends
  }
  const publish = (key: string, size?: number): number => {
    const id = nextId++
    run({ type: 'publish', id, message: message(key, size), deadlineAtMs: now + publishDeadlineMs })
    return id
  }
  const tick = (ms = 0): readonly Append[] => {
    now += ms
    return run({ type: 'tick' })
  }
  const interest = (room: string, on: boolean, nonce = 'n'): void => {
    run({ type: 'declare', message: { type: 'interest', room, on, nonce } })
  }
  return { budget, state, settled, run, publish, tick, interest }
}

function decoded(effect: Extract<ProducerEffect, { type: 'append' }>): InputEntry {
  const entry = decodeInput(effect.body)
  if (entry === undefined) throw new Error('an entry that cannot be read')
  return entry
}

const keys = (append: Append | undefined): readonly string[] =>
  append?.entry.messages.map((m) =>
    m.type === 'publish' ? publishOf(m).key : m.type === 'interest' ? `${m.on ? '+' : '-'}${m.room}` : 'e',
  ) ?? []
const ks = (appends: readonly Append[]): readonly number[] => appends.map((append) => append.entry.k)
const ok = (seq: number) => ({ ok: true, epoch: '1.1', seq }) as const
const overloaded: Settlement = { type: 'refused', code: 'OVERLOADED', retryAfterMs: 1_000 }
const unknown: Settlement = { type: 'unknown', retryAfterMs: 1_000 }

describe('connections of users', () => {
  const connection = (id: string, change: ConnectionMessage['change']): ConnectionMessage => ({
    ...{ type: 'connection', room: 'user:ann', connection: id, change, replaces: '', limit: 1 },
  })
  const changes = (append: Append | undefined): readonly string[] =>
    append?.entry.messages.map((m) => (m.type === 'connection' ? `${m.connection} ${m.change}` : m.type)) ?? []

  it('[UC8] what is told of them is kept until it is acknowledged; of what was not sent yet the last word counts', () => {
    const p = harness()
    const declare = (...of: readonly ConnectionMessage[]): void => {
      for (const message of of) p.run({ type: 'declare', message })
    }
    declare(connection('c1', 'open'), connection('c2', 'open'), connection('c1', 'closed'))
    p.interest('user:ann', true)
    const [first] = p.tick()
    expect(changes(first)).toEqual(['c2 open', 'c1 closed', 'interest'])
    declare(connection('c2', 'closed'))
    const [second] = p.tick()
    expect(changes(second)).toEqual(['c2 closed'])
    p.run({ type: 'rewind', generation: 0, from: 1 })
    expect(p.tick(rewindQuietMs).map(changes)).toEqual([changes(first), changes(second)])
    p.run({ type: 'ack', generation: 0, k: 2, results: [] })
    expect(p.budget.used).toBe(0)
  })

  it('[UC8] under a new boot only the last word on a connection is sent again: one that ended takes nobody’s place any more', () => {
    const p = harness()
    const declare = (message: ConnectionMessage): void => void p.run({ type: 'declare', message })
    declare(connection('c1', 'open'))
    declare(connection('c2', 'open'))
    p.tick()
    declare(connection('c1', 'closed'))
    p.tick()
    declare(connection('c2', 'kept'))
    const again = p.run({ type: 'reboot', boot: 'edge-1#b' })
    expect(again.map(changes)).toEqual([['c1 closed']])
    expect(p.tick().map(changes)).toEqual([['c2 kept']])
  })
})

describe('sending', () => {
  it('[PR1] what was queued since the last tick travels in one entry, and k is contiguous from 1', () => {
    const p = harness()
    p.publish('a')
    p.publish('b')
    const [first, ...none] = p.tick()
    expect(none).toEqual([])
    expect(first?.entry).toMatchObject({ boot: 'edge-1#a', generation: 0, k: 1 })
    expect(keys(first)).toEqual(['a', 'b'])
    p.publish('c')
    expect(ks(p.tick())).toEqual([2])
    expect(p.tick()).toEqual([])
  })

  it('[PR1] a message that would make an entry too large starts the next one; a larger one travels alone', () => {
    const p = harness()
    p.publish('a', maxEntryBytes / 2)
    p.publish('b', maxEntryBytes / 2)
    p.publish('c', maxEntryBytes * 2)
    p.publish('d')
    expect(p.tick().map(keys)).toEqual([['a'], ['b'], ['c'], ['d']])
  })

  it('[PR2] while acknowledgements are late entries grow instead of multiplying', () => {
    const p = harness()
    for (let i = 0; i < 64; i += 1) {
      p.publish(`k${i}`)
      expect(p.tick()).toHaveLength(1)
    }
    p.publish('x')
    expect(p.tick(1)).toEqual([])
    p.publish('y')
    expect(p.tick(9).map(keys)).toEqual([['x', 'y']])
    p.publish('big', maxEntryBytes)
    expect(p.tick(1).map(keys)).toEqual([['big']])
  })

  it('[PR3] a full window refuses at once, appends nothing, and opens again when acknowledgements move', () => {
    const p = harness()
    for (let i = 0; i < maxWindowEntries; i += 1) {
      p.publish(`k${i}`)
      expect(p.tick(i < 64 ? 0 : 10)).toHaveLength(1)
    }
    const refused = p.publish('late')
    expect(p.settled.get(refused)).toEqual(overloaded)
    p.run({ type: 'ack', generation: 0, k: 1, results: [ok(1)] })
    const taken = p.publish('again')
    expect(p.settled.has(taken)).toBe(false)
    expect(p.tick(10).map(keys)).toEqual([['again']])
  })

  it('[PR3] the byte budget is shared by all producers of a process and given back', () => {
    const p = harness(1_000)
    const other = createProducer('edge-1#a', p.budget)
    p.publish('a', 600)
    const effects = stepProducer(
      other,
      { type: 'publish', id: 9, message: message('b', 600), deadlineAtMs: 9_999 },
      1_000,
    )
    expect(effects).toEqual([{ type: 'settle', id: 9, outcome: overloaded }])
    p.tick()
    p.run({ type: 'ack', generation: 0, k: 1, results: [ok(1)] })
    expect(p.budget.used).toBe(0)
    expect(
      stepProducer(other, { type: 'publish', id: 9, message: message('b', 600), deadlineAtMs: 9_999 }, 1_000),
    ).toEqual([])
  })

  it('[PR4] interest keeps its order with publishes, is never refused, and is sent again until acknowledged', () => {
    const p = harness(500)
    p.interest('public:a', true)
    p.publish('a')
    p.interest('public:b', true)
    p.publish('refused', 500)
    expect(p.tick().map(keys)).toEqual([['+public:a', 'a', '+public:b']])
    expect(p.run({ type: 'resync' }).map(keys)).toEqual([['+public:a', 'a', '+public:b']])
    p.run({ type: 'ack', generation: 0, k: 1, results: [ok(1)] })
    expect(p.run({ type: 'resync' })).toEqual([])
    expect(p.budget.used).toBe(0)
  })

  it('[PR4] of declarations of one room that were never sent only the newest is kept', () => {
    const p = harness()
    for (let i = 0; i < 1_000; i += 1) p.interest('public:a', i % 2 === 1, `n${i}`)
    expect(p.state.queue.length).toBeLessThan(200)
    const [entry] = p.tick()
    expect(entry?.entry.messages).toEqual([{ type: 'interest', room: 'public:a', on: true, nonce: 'n999' }])
    p.run({ type: 'ack', generation: 0, k: 1, results: [] })
    expect(p.budget.used).toBe(0)
  })

  it('[PR5] ephemeral messages travel without k and are never sent again', () => {
    const p = harness()
    p.publish('a')
    p.run({ type: 'ephemeral', message: { type: 'ephemeral', room: 'public:a', options: '', tail: '' } })
    const appends = p.tick()
    expect(ks(appends).toSorted()).toEqual([0, 1])
    expect(appends.find((append) => append.entry.k === 0)?.attempt).toBe(0)
    expect(ks(p.run({ type: 'resync' }))).toEqual([1])
  })
})

describe('acknowledgements', () => {
  it('[PR6] results settle the publishes of their entry; a refusal of the worker is a refusal', () => {
    const p = harness()
    const a = p.publish('a')
    p.interest('public:b', true)
    const b = p.publish('b')
    p.tick()
    p.run({ type: 'ack', generation: 0, k: 1, results: [ok(7), { ok: false, code: 'RATE_LIMITED', retryAfterMs: 50 }] })
    expect(p.settled.get(a)).toEqual({ type: 'committed', epoch: '1.1', seq: 7 })
    expect(p.settled.get(b)).toEqual({ type: 'refused', code: 'RATE_LIMITED', retryAfterMs: 50 })
    expect(isIdle(p.state)).toBe(true)
  })

  it('[PR7] a publish whose entry was acknowledged without its results goes out again under its key in a new entry', () => {
    const p = harness()
    const a = p.publish('a')
    p.tick()
    const b = p.publish('b')
    p.tick()
    p.publish('c')
    p.run({ type: 'ack', generation: 0, k: 2, results: [ok(2)] })
    expect(p.settled.get(b)).toEqual({ type: 'committed', epoch: '1.1', seq: 2 })
    expect(p.settled.has(a)).toBe(false)
    const [again] = p.tick()
    expect([again?.entry.k, keys(again)]).toEqual([3, ['a', 'c']])
    p.run({ type: 'ack', generation: 0, k: 3, results: [ok(1), ok(3)] })
    expect(p.settled.get(a)).toEqual({ type: 'committed', epoch: '1.1', seq: 1 })
  })

  it('[PR7] such a publish is bounded by its deadline, and then its outcome is unknown', () => {
    const p = harness()
    const a = p.publish('a')
    p.tick()
    p.run({ type: 'ack', generation: 0, k: 1, results: [] })
    p.tick(publishDeadlineMs)
    expect(p.settled.get(a)).toEqual(unknown)
    expect(p.budget.used).toBe(0)
  })

  it('[PR6] an acknowledgement of another generation or of what is not kept changes nothing', () => {
    const p = harness()
    const a = p.publish('a')
    p.tick()
    p.run({ type: 'ack', generation: 1, k: 1, results: [ok(1)] })
    p.run({ type: 'ack', generation: 0, k: 0, results: [ok(1)] })
    expect(p.settled.has(a)).toBe(false)
    expect(p.state.window).toHaveLength(1)
  })
})

describe('rewinds and resending', () => {
  function sent(count: number) {
    const p = harness()
    for (let i = 1; i <= count; i += 1) {
      p.publish(`k${i}`)
      for (const { attempt } of p.tick()) p.run({ type: 'appended', attempt })
    }
    return p
  }

  it('[PR8] a rewind sends everything from there again, unchanged', () => {
    const p = sent(4)
    p.tick(60)
    const again = p.run({ type: 'rewind', generation: 0, from: 2 })
    expect(again.map((append) => [append.entry.k, ...keys(append)])).toEqual([
      [2, 'k2'],
      [3, 'k3'],
      [4, 'k4'],
    ])
  })

  it('[PR8] repeated rewinds do not send an entry again within 50 ms', () => {
    const p = sent(2)
    p.tick(60)
    expect(p.run({ type: 'rewind', generation: 0, from: 1 })).toHaveLength(2)
    expect(p.run({ type: 'rewind', generation: 0, from: 1 })).toEqual([])
    expect(p.tick(49)).toEqual([])
    expect(ks(p.tick(1))).toEqual([1, 2])
  })

  it('[PR8] a rewind that was put off is dropped when the worker moves on meanwhile', () => {
    const p = sent(2)
    p.run({ type: 'rewind', generation: 0, from: 1 })
    p.run({ type: 'ack', generation: 0, k: 1, results: [ok(1)] })
    expect(p.tick(50)).toEqual([])
  })

  it('[PR9] a stale rewind is ignored: an older generation, or an entry that was never sent', () => {
    const p = sent(2)
    p.tick(60)
    expect(p.run({ type: 'rewind', generation: 0, from: 3 })).toEqual([])
    p.run({ type: 'rewind', generation: 3, from: 1 })
    expect(p.state.generation).toBe(4)
    p.tick(60)
    expect(p.run({ type: 'rewind', generation: 0, from: 1 })).toEqual([])
    expect(p.state.generation).toBe(4)
  })

  it('[PR10] a rewind to what was acknowledged opens a new generation: k from 1, the un-acknowledged again', () => {
    const p = sent(3)
    p.run({ type: 'ack', generation: 0, k: 1, results: [ok(1)] })
    const again = p.run({ type: 'rewind', generation: 0, from: 1 })
    expect(again.map((append) => [append.entry.generation, append.entry.k, ...keys(append)])).toEqual([
      [1, 1, 'k2'],
      [1, 2, 'k3'],
    ])
    p.publish('k4')
    expect(p.tick().map((append) => append.entry.k)).toEqual([3])
  })

  it('[PR10] with nothing un-acknowledged a new generation begins empty', () => {
    const p = sent(1)
    p.run({ type: 'ack', generation: 0, k: 1, results: [ok(1)] })
    expect(p.run({ type: 'rewind', generation: 0, from: 1 })).toEqual([])
    p.publish('k2')
    expect(p.tick()[0]?.entry).toMatchObject({ generation: 1, k: 1 })
  })

  it('[PR10] a publish answered unknown so long ago that its key may be forgotten is not sent under a new number', () => {
    const p = sent(2)
    p.tick(publishDeadlineMs)
    expect([...p.settled.values()]).toEqual([unknown, unknown])
    expect(p.run({ type: 'resync' })).toHaveLength(2)
    p.tick(dedupeMs / 2)
    expect(p.run({ type: 'reboot', boot: 'edge-1#b' })).toEqual([])
    expect(p.budget.used).toBe(0)
  })

  it('[PR11] a new boot id sends everything un-acknowledged again from generation 0, k 1', () => {
    const p = sent(3)
    p.run({ type: 'ack', generation: 0, k: 2, results: [ok(2)] })
    const again = p.run({ type: 'reboot', boot: 'edge-1#b' })
    expect(again.map(({ entry }) => entry)).toMatchObject([{ boot: 'edge-1#b', generation: 0, k: 1 }])
  })

  it('[PR12] when no acknowledgement moves for a second the window is sent again, then ever more rarely', () => {
    const p = sent(2)
    const reply = (appends: readonly Append[]) => {
      for (const { attempt } of appends) p.run({ type: 'appended', attempt })
      return ks(appends)
    }
    expect(p.tick(resendAfterMs - 1)).toEqual([])
    expect(reply(p.tick(1))).toEqual([1, 2])
    expect(p.tick(resendAfterMs * 2 - 1)).toEqual([])
    expect(reply(p.tick(1))).toEqual([1, 2])
    p.run({ type: 'ack', generation: 0, k: 1, results: [ok(1)] })
    expect(reply(p.tick(resendAfterMs))).toEqual([2])
  })

  it('[PR12] a stalled window is sent again a megabyte at a time', () => {
    const p = harness()
    for (let i = 0; i < 10; i += 1) p.publish(`k${i}`, 300_000)
    for (const { attempt } of p.tick()) p.run({ type: 'appended', attempt })
    expect(ks(p.tick(resendAfterMs))).toEqual([1, 2, 3, 4])
  })
})

import { afterEach, describe, expect, it } from 'vitest'
import { formatSlotValue, parseSlotValue, slotPrefix } from '@flotilla/core/commit'
import type { LogAppend, Mark, SlotValue } from '@flotilla/core/commit'
import { decodeInput, encodeLog, encodeOut, publishOf } from '@flotilla/core/entry'
import type { InputRecord, OutRecord, PublishResult } from '@flotilla/core/entry'
import { laneOf, slotOf } from '@flotilla/core/slot'
import type { Endpoint, PublishOutcome } from './endpoint-port.ts'
import { createEndpoint, published } from './endpoint.ts'
import type { EndpointOptions } from './endpoint.ts'
import { createLog } from './log.ts'
import { createMetrics } from './metrics.ts'
import { createScope } from './scope.ts'
import type { Scope } from './scope.ts'
import { createMemoryStore } from './store/memory.ts'
import { StoreError } from './store/port.ts'
import type { Store, StreamEntry } from './store/port.ts'

const log = createLog({ service: 'test', level: 'silent' })
const room = 'public:a'
const scopes: Scope[] = []
afterEach(async () => {
  for (const scope of scopes.splice(0)) await scope.close()
})

function newScope(): Scope {
  const scope = createScope(log)
  scopes.push(scope)
  return scope
}
function newStore(): Store {
  return createMemoryStore({ slots: 8, lanes: 2 })
}

/** A port with some of its calls replaced. */
function alter(store: Store, changes: { readonly [K in keyof Store]?: Partial<Store[K]> | Store[K] }): Store {
  const part = <K extends 'inputs' | 'outboxes' | 'fleet'>(name: K): Store[K] => {
    const base = store[name]
    const own: Record<string, unknown> = {}
    for (const key of Object.keys(base) as (keyof Store[K])[]) {
      const value = base[key]
      own[String(key)] = typeof value === 'function' ? value.bind(base) : value
    }
    return Object.assign(own, changes[name]) as Store[K]
  }
  return {
    inputs: part('inputs'),
    outboxes: part('outboxes'),
    fleet: part('fleet'),
    slots: store.slots,
    rooms: store.rooms,
    places: store.places,
    shape: store.shape,
    ackReplicas: typeof changes.ackReplicas === 'number' ? changes.ackReplicas : store.ackReplicas,
    primaryOf: (lane) => store.primaryOf(lane),
    watchRuns:
      changes.watchRuns === undefined
        ? (listener) => store.watchRuns(listener)
        : (changes.watchRuns as Store['watchRuns']),
    close: () => store.close(),
  }
}

/** Owns one slot and does with its input what a worker does, one entry per commit. */
async function work(store: Store, slot: number, scope: Scope): Promise<void> {
  const lane = laneOf(slot, store.shape.lanes)
  const keys: string[] = []
  const claimed = await store.slots.claim({ slot, epoch: 1, owner: 'worker-1#a', confirmed: 0, boots: [] })
  if (!claimed.ok) throw new Error('not claimed')
  let value = parseSlotValue(claimed.value)

  const judge = (messages: readonly InputRecord[], logs: LogAppend[]): PublishResult[] =>
    messages.flatMap((message) => {
      if (message.type !== 'publish') return []
      const found = keys.indexOf(publishOf(message).key)
      if (found >= 0) return [{ ok: true, epoch: '1.1', seq: found + 1 }]
      const seq = keys.push(publishOf(message).key)
      const body = encodeLog(message.room, { inc: 1, tag: 1, first: seq, timeMs: Date.now() }, [message.text])
      logs.push({ room: message.room, lastSeq: seq, body, keepFromSeq: 1 })
      return [{ ok: true, epoch: '1.1', seq }]
    })

  const take = (entry: StreamEntry) => {
    const input = decodeInput(entry.body)
    if (input === undefined) throw new Error('poison')
    const { boot, generation, k, messages } = input
    const mark: Mark = value.marks.get(boot) ?? { generation, k: 0 }
    const last = generation > mark.generation ? 0 : mark.k
    const logs: LogAppend[] = []
    const records: Parameters<typeof encodeOut>[0][] = []
    const marks = new Map(value.marks)
    if (k === last + 1 && generation >= mark.generation) {
      marks.set(boot, { generation, k })
      records.push({ type: 'ack', slot, generation, k, results: judge(messages, logs) })
      for (const each of messages) {
        if (each.type === 'interest')
          records.push({ type: 'interest', room: each.room, epoch: '1.1', head: keys.length, nonce: each.nonce })
      }
    } else if (k > 0 && k <= last) records.push({ type: 'ack', slot, generation, k: last, results: [] })
    else if (k > 0) records.push({ type: 'rewind', slot, generation, from: last + 1 })
    const next: SlotValue = { ...value, n: value.n + 1, token: `t${value.n}`, cursor: entry.id, marks }
    const outs = new Map(
      records.length === 0 ? [] : [[boot, { records: records.map(encodeOut).join('\u001e'), logs: [] }]],
    )
    return { next, commit: { slot, expect: slotPrefix(value), value: formatSlotValue(next), logs, outs, interest: [] } }
  }

  scope.loop('worker', async (signal) => {
    const read = await store.inputs.read(lane, new Map([[slot, value.cursor]]), { blockMs: 100, count: 100, signal })
    for (const entry of read.get(slot) ?? []) {
      const { next, commit } = take(entry)
      const reply = await store.slots.commit(lane, [commit])
      if (reply.statuses[0] !== 'ok') throw new Error(`commit: ${reply.statuses[0]}`)
      value = next
    }
  })
}

async function harness(store: Store, more: Partial<EndpointOptions> = {}) {
  const records: OutRecord[] = []
  const resyncs: string[] = []
  const scope = newScope()
  const metrics = createMetrics({ service: 'test' })
  const endpoint = await createEndpoint({
    role: 'edge',
    memberId: 'edge-1',
    version: '0',
    store,
    log,
    scope,
    metrics,
    onRecords: (_lane, some) => void records.push(...some),
    onResync: (lane, reason) => void resyncs.push(`${reason} ${lane}`),
    ...more,
  })
  return { endpoint, records, resyncs, scope, metrics }
}

const slot = slotOf(room, 8)
const lane = laneOf(slot, 2)
function publish(endpoint: Endpoint, key: string): Promise<PublishOutcome> {
  const message = { room, key, sender: 'u', options: '', tail: `"event":"e","data":"${key}"` }
  return published(endpoint, message)
}
async function logOf(store: Store): Promise<readonly string[]> {
  return (await store.rooms.range(room, 0, 1_000)).flatMap((entry) => entry.messages.map(({ key }) => key))
}
const committed = (seq: number): PublishOutcome => ({ type: 'committed', epoch: '1.1', seq })
const patient = { timeout: 5_000, interval: 20 }

describe('publishing', () => {
  it('[EP1] outboxes exist before the member is registered, and both before anything is appended', async () => {
    const base = newStore()
    const calls: string[] = []
    const store = alter(base, {
      outboxes: { open: (at, boot) => base.outboxes.open(at, boot).then(() => void calls.push('open')) },
      fleet: { register: (member) => base.fleet.register(member).then(() => void calls.push('register')) },
      inputs: { append: (at, body) => base.inputs.append(at, body).then(() => void calls.push('append')) },
    })
    const { endpoint } = await harness(store)
    endpoint.interest(room, true, 'n')
    await expect.poll(() => calls, patient).toEqual(['open', 'open', 'register', 'append'])
    expect(endpoint.boot).toMatch(/^edge-1#[0-9a-z]+$/)
    const { members } = await store.fleet.read()
    expect(members).toMatchObject([{ boot: endpoint.boot, role: 'edge', state: 'live' }])
  })

  it('[RA4] where replicas have to confirm, a publish is answered when they did, and delivered before', async () => {
    const base = newStore()
    let confirmed: (run: string) => void = () => undefined
    const store = alter(base, {
      ackReplicas: 1,
      outboxes: {
        read: async (...args) => ({ ...(await base.outboxes.read(...args)), run: 'run' }),
        confirm: () => new Promise((resolve) => (confirmed = resolve)),
      },
    })
    const { endpoint, records, scope } = await harness(store)
    await work(store, slot, scope)
    let outcome: PublishOutcome | undefined
    void publish(endpoint, 'a').then((settled) => (outcome = settled))
    await expect.poll(() => records.some(({ type }) => type === 'ack'), patient).toBe(true)
    expect(await logOf(store)).toEqual(['a'])
    expect(outcome).toBeUndefined()
    confirmed('run')
    await expect.poll(() => outcome, patient).toEqual(committed(1))
  })

  it('[EP1] a store that is away at boot is waited for', async () => {
    const base = newStore()
    let fails = 3
    const open: Store['outboxes']['open'] = (at, boot) =>
      fails-- > 0 ? Promise.reject(new StoreError('refused', 'away')) : base.outboxes.open(at, boot)
    const { endpoint } = await harness(alter(base, { outboxes: { open } }))
    expect([endpoint.healthy, fails]).toEqual([true, expect.any(Number)])
  })

  it('[EP2] publishes resolve with their positions, in order', async () => {
    const store = newStore()
    const { endpoint, scope, metrics, records } = await harness(store)
    await work(store, slot, scope)
    const keys = Array.from({ length: 300 }, (_, i) => `k${i}`)
    const outcomes = await Promise.all(keys.map((key) => publish(endpoint, key)))
    expect(outcomes).toEqual(keys.map((_, i) => committed(i + 1)))
    expect(await logOf(store)).toEqual(keys)
    expect(await publish(endpoint, 'k7')).toEqual(committed(8))
    endpoint.interest(room, true, 'n1')
    await expect
      .poll(() => records.filter(({ type }) => type === 'interest'), patient)
      .toMatchObject([{ nonce: 'n1', head: 300 }])
    expect((await metrics.render()).body).toContain(
      'flotilla_endpoint_publishes_total{role="edge",outcome="committed",service="test"} 301',
    )
  })

  it('[EP3] a publish that was appended and is not committed is unknown at its deadline', async () => {
    const { endpoint } = await harness(newStore(), { publishDeadlineMs: 100 })
    expect(await publish(endpoint, 'a')).toMatchObject({ type: 'unknown' })
  })

  it('[EP3] a publish that was certainly not appended is OVERLOADED at its deadline, and never committed', async () => {
    const base = newStore()
    const state = { away: true }
    const append: Store['inputs']['append'] = (at, body) =>
      state.away ? Promise.reject(new StoreError('refused', 'away')) : base.inputs.append(at, body)
    const { endpoint, scope } = await harness(alter(base, { inputs: { append } }), { publishDeadlineMs: 300 })
    await work(base, slot, scope)
    expect(await publish(endpoint, 'a')).toMatchObject({ type: 'refused', code: 'OVERLOADED' })
    state.away = false
    await expect.poll(() => publish(endpoint, 'b'), patient).toEqual(committed(1))
    expect(await logOf(base)).toEqual(['b'])
  })

  it('[EP3] an append whose outcome is not known is sent again, and the message stays one', async () => {
    const base = newStore()
    let calls = 0
    const append: Store['inputs']['append'] = async (at, body) => {
      await base.inputs.append(at, body)
      if (++calls % 2 === 1) throw new StoreError('unknown', 'timeout')
    }
    const { endpoint, scope } = await harness(alter(base, { inputs: { append } }))
    await work(base, slot, scope)
    const outcomes = await Promise.all(['a', 'b', 'c'].map((key) => publish(endpoint, key)))
    expect(outcomes).toEqual([committed(1), committed(2), committed(3)])
    expect(await logOf(base)).toEqual(['a', 'b', 'c'])
  })
})

describe('making good', () => {
  it('[EP4] a hole in the outbox is told before what follows, and the publish whose answer was in it still resolves', async () => {
    const base = newStore()
    let lost = ''
    const read: Store['outboxes']['read'] = async (at, boot, after, options) => {
      const answer = await base.outboxes.read(at, boot, after, options)
      for (const entry of answer.entries) if (lost === '' && entry.body.startsWith('a')) lost = entry.id
      return { ...answer, entries: answer.entries.filter(({ id }) => id !== lost) }
    }
    const { endpoint, scope, resyncs } = await harness(alter(base, { outboxes: { read } }))
    await work(base, slot, scope)
    const first = publish(endpoint, 'a')
    await expect.poll(() => lost, patient).toBe('1-1')
    expect(resyncs).toEqual([])
    expect(await publish(endpoint, 'b')).toEqual(committed(2))
    expect(resyncs).toEqual([`hole ${lane}`])
    expect(await first).toEqual(committed(1))
    expect(await logOf(base)).toEqual(['a', 'b'])
  })

  it('[EP5] after a change of run the lanes of that primary are read from their oldest entry and sent again', async () => {
    const base = newStore()
    const reads: string[] = []
    const listeners: ((primary: number, run: string) => void)[] = []
    const appended: string[] = []
    const store = alter(base, {
      outboxes: {
        read: (at, boot, after, options) => {
          reads.push(`${at} ${after}`)
          return base.outboxes.read(at, boot, after, options)
        },
      },
      inputs: {
        append: (at, body) => {
          appended.push(body)
          return base.inputs.append(at, body)
        },
      },
      watchRuns: (listener) => {
        listener(0, 'run-1')
        listeners.push(listener)
        return () => {}
      },
    })
    const { endpoint, resyncs } = await harness(store)
    void publish(endpoint, 'a')
    await expect
      .poll(() => [reads, appended], patient)
      .toEqual([expect.arrayContaining(['0 1-0', '1 1-0']), [expect.any(String)]])
    reads.length = 0
    for (const listener of listeners) listener(0, 'run-1')
    expect(resyncs).toEqual([])
    for (const listener of listeners) listener(0, 'run-2')
    expect(resyncs).toEqual(['run 0', 'run 1'])
    expect(appended).toEqual([appended[0], appended[0]])
    await expect.poll(() => reads, patient).toEqual(expect.arrayContaining(['0 0-0', '1 0-0']))
  })

  it.each([
    ['member record', (store: Store, boot: string) => store.fleet.remove(boot)],
    ['outboxes', (store: Store, boot: string) => store.outboxes.remove(boot)],
  ])(
    '[EP6] without its %s it takes a new boot id, and what was accepted is committed under it',
    async (_name, remove) => {
      const store = newStore()
      const { endpoint, scope, resyncs } = await harness(store)
      const { boot } = endpoint
      const outcome = publish(endpoint, 'a')
      await remove(store, boot)
      await expect.poll(() => endpoint.boot, patient).not.toBe(boot)
      expect(resyncs).toEqual(['boot 0', 'boot 1'])
      await work(store, slot, scope)
      expect(await outcome).toEqual(committed(1))
      expect(await publish(endpoint, 'b')).toEqual(committed(2))
      expect(endpoint.healthy).toBe(true)
      await expect
        .poll(async () => (await store.fleet.read()).members.map((member) => member.boot), patient)
        .toEqual([endpoint.boot])
      expect(await logOf(store)).toEqual(['a', 'b'])
    },
  )

  it('[EP7] what was processed is trimmed', async () => {
    const store = newStore()
    const { endpoint, scope } = await harness(store)
    await work(store, slot, scope)
    const options = { blockMs: 0, count: 10_000, signal: new AbortController().signal }
    let published = 0
    const kept = async (): Promise<number> => {
      await publish(endpoint, `k${published++}`)
      return (await store.outboxes.read(lane, endpoint.boot, '0-0', options)).entries.length
    }
    await expect.poll(async () => published - (await kept()), patient).toBeGreaterThan(1)
  })

  it('[EP8] without an answered heartbeat for 3 s it is not healthy, and is again when one is answered', async () => {
    const base = newStore()
    const state = { away: false }
    const heartbeat: Store['fleet']['heartbeat'] = (member, version) =>
      state.away ? Promise.reject(new StoreError('unknown', 'away')) : base.fleet.heartbeat(member, version)
    const { endpoint } = await harness(alter(base, { fleet: { heartbeat } }))
    expect(endpoint.healthy).toBe(true)
    state.away = true
    await expect.poll(() => endpoint.healthy, patient).toBe(false)
    state.away = false
    await expect.poll(() => endpoint.healthy, patient).toBe(true)
  }, 10_000)

  it('[EP9] closing waits for what was accepted, refuses what is new, and signs off', async () => {
    const store = newStore()
    const { endpoint, scope } = await harness(store)
    const accepted = publish(endpoint, 'a')
    const closed = endpoint.close()
    expect(await publish(endpoint, 'late')).toMatchObject({ type: 'refused', code: 'OVERLOADED' })
    await work(store, slot, scope)
    expect(await accepted).toEqual(committed(1))
    await closed
    expect(endpoint.healthy).toBe(false)
    const options = { blockMs: 0, count: 1, signal: new AbortController().signal }
    expect((await store.outboxes.read(lane, endpoint.boot, '0-0', options)).exists).toBe(false)
    expect((await store.fleet.read()).members).toEqual([])
  })

  it('[EP9] what is not committed in time is answered, truly', async () => {
    const { endpoint } = await harness(newStore(), { closeFlushMs: 50 })
    const outcome = publish(endpoint, 'a')
    await endpoint.close()
    expect(await outcome).toMatchObject({ type: 'unknown' })
  })

  it('[EP10] a fault in processing records is made good like a hole, and reading goes on', async () => {
    const store = newStore()
    const seen: OutRecord[] = []
    let faults = 1
    const onRecords = (_lane: number, records: readonly OutRecord[]): void => {
      if (records.some(({ type }) => type === 'interest') && faults-- > 0) throw new Error('a fault')
      seen.push(...records)
    }
    const { endpoint, scope, resyncs } = await harness(store, { onRecords })
    await work(store, slot, scope)
    endpoint.interest(room, true, 'n1')
    await expect.poll(() => resyncs, patient).toEqual([`hole ${lane}`])
    endpoint.interest(room, true, 'n2')
    await expect.poll(() => seen, patient).toContainEqual(expect.objectContaining({ type: 'interest', nonce: 'n2' }))
  })
})

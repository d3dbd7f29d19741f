import { describe, expect, it } from 'vitest'
import { decodeInput, publishOf } from './entry.ts'
import type { InputEntry } from './entry.ts'
import { publishDeadlineMs } from './limits.ts'
import type { ProducerInput, Settlement } from './producer-state.ts'
import { createProducer, isIdle, stepProducer } from './producer.ts'

interface Append {
  readonly attempt: number
  readonly entry: InputEntry | undefined
}

function harness() {
  const budget = { used: 0, max: 1e9 }
  const state = createProducer('edge-1#a', budget)
  const settled = new Map<number, Settlement>()
  let now = 1_000
  let nextId = 1
  const run = (input: ProducerInput): readonly Append[] =>
    stepProducer(state, input, now).flatMap((effect) => {
      if (effect.type === 'append') return [{ attempt: effect.attempt, entry: decodeInput(effect.body) }]
      settled.set(effect.id, effect.outcome)
      return []
    })
  const publish = (key: string, tail = ''): number => {
    const id = nextId++
    const message = { type: 'publish', room: 'public:a', key, sender: 'u', options: '', tail } as const
    run({ type: 'publish', id, message, deadlineAtMs: now + publishDeadlineMs })
    return id
  }
  const tick = (ms = 0): readonly Append[] => {
    now += ms
    return run({ type: 'tick' })
  }
  return { budget, state, settled, run, publish, tick }
}

const keys = (append: Append | undefined): readonly string[] =>
  append?.entry?.messages.map((message) => (message.type === 'publish' ? publishOf(message).key : '')) ?? []
const ks = (appends: readonly Append[]): readonly (number | undefined)[] => appends.map(({ entry }) => entry?.k)
const ok = (seq: number) => ({ ok: true, epoch: '1.1', seq }) as const
const overloaded: Settlement = { type: 'refused', code: 'OVERLOADED', retryAfterMs: 1_000 }
const unknown: Settlement = { type: 'unknown', retryAfterMs: 1_000 }

describe('failed appends and deadlines', () => {
  it('[PR13] a failed append is tried again alone, then everything after it', () => {
    const p = harness()
    p.publish('a')
    const [a] = p.tick()
    p.publish('b')
    const [b] = p.tick()
    p.run({ type: 'appendFailed', attempt: a?.attempt ?? 0, outcome: 'refused' })
    p.run({ type: 'appendFailed', attempt: b?.attempt ?? 0, outcome: 'unknown' })
    p.publish('c')
    expect(p.tick(49)).toEqual([])
    const [probe, ...none] = p.tick(1)
    expect([probe?.entry?.k, none]).toEqual([1, []])
    expect(p.tick(500)).toEqual([])
    p.run({ type: 'appended', attempt: probe?.attempt ?? 0 })
    expect(ks(p.tick())).toEqual([2, 3])
  })

  it('[PR13] an acknowledgement past one failed entry leaves the next one to be tried again', () => {
    const p = harness()
    const attempts: number[] = []
    for (const key of ['a', 'b', 'c']) {
      p.publish(key)
      for (const { attempt } of p.tick()) attempts.push(attempt)
    }
    p.run({ type: 'appendFailed', attempt: attempts[0] ?? 0, outcome: 'unknown' })
    p.run({ type: 'appended', attempt: attempts[1] ?? 0 })
    p.run({ type: 'appendFailed', attempt: attempts[2] ?? 0, outcome: 'refused' })
    p.run({ type: 'ack', generation: 0, k: 1, results: [ok(1)] })
    expect(ks(p.tick(50))).toEqual([3])
  })

  it('[PR13] attempts back off while they keep failing', () => {
    const p = harness()
    p.publish('a')
    let appends = p.tick()
    const waits: number[] = []
    for (let i = 0; i < 7; i += 1) {
      p.run({ type: 'appendFailed', attempt: appends[0]?.attempt ?? 0, outcome: 'refused' })
      let waited = 0
      do {
        waited += 50
        appends = p.tick(50)
      } while (appends.length === 0)
      waits.push(waited)
    }
    expect(waits).toEqual([50, 100, 200, 400, 800, 1_000, 1_000])
  })

  it('[PR14] past its deadline a publish of which certainly nothing was appended is refused and never sent', () => {
    const p = harness()
    const a = p.publish('a')
    const b = p.publish('b')
    const [append] = p.tick()
    p.run({ type: 'appendFailed', attempt: append?.attempt ?? 0, outcome: 'refused' })
    const c = p.publish('c')
    expect(p.tick(publishDeadlineMs).map(({ entry }) => entry)).toMatchObject([{ k: 1, messages: [] }])
    expect([a, b, c].map((id) => p.settled.get(id))).toEqual([overloaded, overloaded, overloaded])
    expect(p.budget.used).toBe(0)
    p.publish('d')
    expect(p.tick()).toEqual([])
    expect(p.state.nextK).toBe(2)
  })

  it('[PR14] past its deadline a publish that may have been appended is unknown and stays until acknowledged', () => {
    const p = harness()
    const a = p.publish('a')
    const [append] = p.tick()
    p.run({ type: 'appendFailed', attempt: append?.attempt ?? 0, outcome: 'unknown' })
    const [again] = p.tick(publishDeadlineMs)
    expect(p.settled.get(a)).toEqual(unknown)
    expect(keys(again)).toEqual(['a'])
    p.run({ type: 'ack', generation: 0, k: 1, results: [ok(1)] })
    expect([p.settled.get(a), isIdle(p.state), p.budget.used]).toEqual([unknown, true, 0])
  })

  it('[PR14] an attempt whose outcome is not known yet may have been executed', () => {
    const p = harness()
    const a = p.publish('a')
    const [append] = p.tick()
    p.tick(publishDeadlineMs)
    expect(p.settled.get(a)).toEqual(unknown)
    p.run({ type: 'appendFailed', attempt: append?.attempt ?? 0, outcome: 'refused' })
    expect(keys(p.tick(50)[0])).toEqual(['a'])
  })

  it('[PR15] the outcome of an attempt made under an older numbering is not taken for one of the new', () => {
    const p = harness()
    p.publish('a')
    const [old] = p.tick()
    p.publish('b')
    p.tick()
    p.run({ type: 'ack', generation: 0, k: 1, results: [ok(1)] })
    p.run({ type: 'rewind', generation: 0, from: 1 })
    p.run({ type: 'appendFailed', attempt: old?.attempt ?? 0, outcome: 'refused' })
    expect(p.tick(500)).toEqual([])
  })
})

describe('a slot that nobody serves', () => {
  it('[PR17] gets the window again twice, a megabyte at a time, and then one entry every 15 s', () => {
    const p = harness()
    const size = 50_000
    let now = 0
    const sentAtMs: number[] = []
    const take = (appends: readonly Append[]) => {
      for (const { attempt } of appends) {
        sentAtMs.push(now)
        p.run({ type: 'appended', attempt })
      }
    }
    for (let i = 0; i < 40; i += 1) p.publish(`k${i}`, 'x'.repeat(size))
    take(p.tick())
    expect(sentAtMs).toHaveLength(40)
    for (; now < 600_000; now += 50) take(p.tick(50))
    const again = sentAtMs.filter((at) => at > 0)
    const atMost = Math.ceil(1_048_576 / size)
    expect(again.filter((at) => at < 4_000)).toHaveLength(2 * atMost)
    expect(again.filter((at) => at >= 4_000).length).toBeLessThanOrEqual(600 / 15 + 2)
    const late = again.filter((at) => at >= 60_000)
    expect(late.length).toBeGreaterThan(30)
    expect(late.slice(1).every((at, i) => at - (late[i] ?? 0) === 15_000)).toBe(true)
  })
})

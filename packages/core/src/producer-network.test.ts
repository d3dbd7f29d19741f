import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeInput, publishOf } from './entry.ts'
import type { PublishResult } from './entry.ts'
import { publishDeadlineMs } from './limits.ts'
import type { ProducerEffect, ProducerInput, Settlement } from './producer-state.ts'
import { createProducer, isIdle, stepProducer } from './producer.ts'

type Answer = Extract<ProducerInput, { type: 'ack' | 'rewind' }>

/**
 * What a producer relies on in a worker, and no more: marks per boot, a gap answered by a rewind, and a room's log
 * whose keys are remembered. Its answers are for one producer's slot.
 */
interface FakeWorker {
  /** Keys in the order of their commit; one room. */
  readonly log: string[]
  readonly interest: string[]
  readonly refuse: Set<string>
  take(body: string): readonly Answer[]
  /** The marks are those of an older moment, the log stays: the owner lives and re-applied what it held. */
  forgetMarks(): void
}

function createFakeWorker(): FakeWorker {
  const marks = new Map<string, { generation: number; k: number }>()
  const log: string[] = []
  const interest: string[] = []
  const refuse = new Set<string>()
  const judge = (key: string): PublishResult => {
    if (refuse.has(key)) return { ok: false, code: 'FORBIDDEN', retryAfterMs: 0 }
    const at = log.indexOf(key)
    if (at < 0) log.push(key)
    return { ok: true, epoch: '1.1', seq: at < 0 ? log.length : at + 1 }
  }
  const take = (body: string): readonly Answer[] => {
    const entry = decodeInput(body)
    if (entry === undefined) throw new Error(`not an entry: ${body}`)
    const { boot, generation, k, messages } = entry
    if (k === 0) return []
    const mark = marks.get(boot) ?? { generation, k: 0 }
    if (generation < mark.generation) return []
    const last = generation > mark.generation ? 0 : mark.k
    if (k <= last) return [{ type: 'ack', generation, k: last, results: [] }]
    if (k > last + 1) return [{ type: 'rewind', generation, from: last + 1 }]
    marks.set(boot, { generation, k })
    const results: PublishResult[] = []
    for (const message of messages) {
      if (message.type === 'publish') results.push(judge(publishOf(message).key))
      if (message.type === 'interest') interest.push(`${message.on ? '+' : '-'}${message.room}`)
    }
    return [{ type: 'ack', generation, k, results }]
  }
  return { log, interest, refuse, take, forgetMarks: () => marks.clear() }
}

type Append = Extract<ProducerEffect, { type: 'append' }>
type Op =
  | {
      readonly type: 'publish' | 'interest' | 'answer' | 'reread' | 'loseAnswers' | 'forgetMarks' | 'resync' | 'reboot'
    }
  | { readonly type: 'tick'; readonly ms: number }
  | { readonly type: 'append'; readonly fate: 'ok' | 'refused' | 'unknownDone' | 'unknownLost' | 'twice' }

const fair: fc.Arbitrary<Op> = fc.oneof(
  { weight: 6, arbitrary: fc.constant<Op>({ type: 'publish' }) },
  { weight: 1, arbitrary: fc.constant<Op>({ type: 'interest' }) },
  { weight: 6, arbitrary: fc.constant<Op>({ type: 'answer' }) },
  { weight: 6, arbitrary: fc.nat(400).map((ms): Op => ({ type: 'tick', ms })) },
  { weight: 1, arbitrary: fc.constant<Op>({ type: 'tick', ms: 6_000 }) },
  {
    weight: 8,
    arbitrary: fc
      .constantFrom('ok', 'ok', 'refused', 'unknownDone', 'unknownLost', 'twice')
      .map((fate): Op => ({ type: 'append', fate })),
  },
  { weight: 1, arbitrary: fc.constantFrom<Op[]>({ type: 'loseAnswers' }, { type: 'reread' }, { type: 'resync' }) },
)
const hostile = fc.oneof(
  { weight: 20, arbitrary: fair },
  { weight: 1, arbitrary: fc.constantFrom<Op[]>({ type: 'forgetMarks' }, { type: 'reboot' }) },
)

/** One producer, one worker, a network between them that does what the operations say, then calms down. */
function play(ops: readonly Op[]) {
  const budget = { used: 0, max: 1e9 }
  const state = createProducer('edge-1#a', budget)
  const worker = createFakeWorker()
  const published = new Map<number, string>()
  const settled = new Map<number, Settlement>()
  const rooms: string[] = []
  const outgoing: Append[] = []
  const incoming: Answer[] = []
  const seen: Answer[] = []
  const contents = new Map<string, string>()
  let boots = 0
  let now = 0
  const run = (input: ProducerInput): void => {
    for (const effect of stepProducer(state, input, now)) {
      if (effect.type === 'append') {
        outgoing.push(effect)
        continue
      }
      expect(settled.has(effect.id)).toBe(false)
      settled.set(effect.id, effect.outcome)
    }
  }
  const execute = ({ body }: Append): void => {
    const entry = decodeInput(body)
    const name = `${entry?.boot}.${entry?.generation}.${entry?.k}`
    expect(contents.get(name) ?? body).toBe(body)
    contents.set(name, body)
    const answers = worker.take(body)
    // They go to the outbox of the boot that asked, and an older one is not read any more.
    if (entry?.boot === state.boot) incoming.push(...answers)
  }
  const append = (fate: Extract<Op, { type: 'append' }>['fate']): void => {
    const next = outgoing.shift()
    if (next === undefined) return
    if (fate === 'ok' || fate === 'unknownDone' || fate === 'twice') execute(next)
    if (fate === 'twice') execute(next)
    const failed = fate === 'refused' ? 'refused' : fate.startsWith('unknown') ? 'unknown' : undefined
    const { attempt } = next
    run(failed === undefined ? { type: 'appended', attempt } : { type: 'appendFailed', attempt, outcome: failed })
  }
  const answer = (): void => {
    const next = incoming.shift()
    if (next === undefined) return
    seen.push(next)
    run(next)
  }
  const apply = (op: Op): void => {
    switch (op.type) {
      case 'publish': {
        const id = published.size + 1
        const key = `k${id}`
        published.set(id, key)
        if (id % 5 === 0) worker.refuse.add(key)
        const message = { type: 'publish', room: 'public:a', key, sender: 'u', options: '', tail: '' } as const
        run({ type: 'publish', id, message, deadlineAtMs: now + publishDeadlineMs })
        break
      }
      case 'interest':
        rooms.push(`+public:${rooms.length}`)
        run({
          type: 'declare',
          message: { type: 'interest', room: `public:${rooms.length - 1}`, on: true, nonce: '' },
        })
        break
      case 'tick':
        now += op.ms
        run({ type: 'tick' })
        break
      case 'append':
        append(op.fate)
        break
      case 'answer':
        answer()
        break
      case 'loseAnswers':
        incoming.length = 0
        run({ type: 'resync' })
        break
      case 'reread':
        incoming.unshift(...seen.filter((old) => old.type === 'ack').slice(-5))
        break
      case 'resync':
        run({ type: 'resync' })
        break
      case 'forgetMarks':
        worker.forgetMarks()
        break
      case 'reboot':
        boots += 1
        incoming.length = 0
        seen.length = 0
        run({ type: 'reboot', boot: `edge-1#b${boots}` })
        break
    }
  }
  for (const op of ops) apply(op)
  for (let round = 0; round < 2_000 && !(isIdle(state) && outgoing.length === 0 && incoming.length === 0); round += 1) {
    apply({ type: 'tick', ms: 20 })
    while (outgoing.length > 0) append('ok')
    while (incoming.length > 0) answer()
  }
  return { state, budget, settled, worker, published, rooms }
}

function check(run: ReturnType<typeof play>): void {
  const { state, budget, settled, worker, published, rooms } = run
  expect(isIdle(state)).toBe(true)
  expect(budget.used).toBe(0)
  expect([...settled.keys()].toSorted((a, b) => a - b)).toEqual([...published.keys()])
  expect(new Set(worker.log).size).toBe(worker.log.length)
  for (const [id, key] of published) {
    const outcome = settled.get(id)
    if (outcome?.type === 'committed') expect(worker.log[outcome.seq - 1]).toBe(key)
    if (outcome?.type === 'refused') expect(worker.log).not.toContain(key)
  }
  for (const room of rooms) expect(worker.interest).toContain(room)
}

/** What was appended under an older boot is taken after the new one began. */
const lateAppend: Op[] = [
  ...[{ type: 'publish' } as const, { type: 'tick', ms: 0 } as const, { type: 'reboot' } as const],
  ...[{ type: 'append', fate: 'ok' } as const, { type: 'answer' } as const, { type: 'publish' } as const],
  { type: 'reboot' },
]

describe('over a hostile network', () => {
  it('[PR16] every publish is settled truly and committed once, in order, whatever is dropped, doubled or re-read', () => {
    fc.assert(
      fc.property(fc.array(fair, { maxLength: 200 }), (ops) => {
        const run = play(ops)
        check(run)
        const order = [...run.published.values()].filter((key) => run.worker.log.includes(key))
        expect(run.worker.log).toEqual(order)
        expect(run.state.generation).toBe(0)
      }),
      { numRuns: 400 },
    )
  })

  it('[PR16] the same, order apart, when the worker forgets marks and the process gets new boot ids', () => {
    fc.assert(
      fc.property(fc.array(hostile, { maxLength: 200 }), (ops) => check(play(ops))),
      { numRuns: 400, examples: [[lateAppend]] },
    )
  })
})

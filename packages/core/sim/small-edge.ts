import { decodeOut } from '../src/entry.ts'
import { createProducer, isIdle, stepProducer } from '../src/producer.ts'
import type { ProducerEffect, ProducerInput, ProducerState } from '../src/producer-state.ts'
import { copyOf, Machine, memoOf, Parts, textOf } from './small-parts.ts'
import type { Memo } from './small-parts.ts'
import type { SmallStore } from './small-store.ts'

const sender = 'alice'
/** Entries that one read brings: all. */
const readCount = 1_000

interface Acknowledged {
  readonly message: string
  readonly epoch: string
  readonly seq: number
}
interface Standing {
  readonly producer: number
  readonly acknowledged: readonly Acknowledged[]
  readonly published: number
  /** Of its outbox, and of the server that it read it from. */
  readonly cursor: string
  readonly run: string
}
interface Edge extends Standing {
  /** Everything is acknowledged. */
  readonly rests: boolean
}
/** What a step of the edge leads to. */
export interface EdgeTurn {
  readonly edge: number
  readonly store: number
  readonly faults: readonly string[]
}
interface Step {
  readonly input: ProducerInput
  readonly name: string
  readonly now: number
}

/** The states that the one edge comes to: the real producer, and what it was told. */
export class SmallEdge {
  readonly #boot: string
  readonly #room: string
  readonly #store: SmallStore
  readonly #producers = new Machine<ProducerState, ProducerEffect>({ copy: (state) => copyOf(state), text: textOf })
  readonly #edges = new Parts<Edge>()
  readonly #publishes = new Map<number, Memo<EdgeTurn>>()
  readonly #reads = new Map<number, Memo<EdgeTurn>>()
  readonly #ticks = new Map<number, Memo<EdgeTurn>>()

  constructor(store: SmallStore, { boot, room }: { readonly boot: string; readonly room: string }) {
    this.#store = store
    this.#boot = boot
    this.#room = room
  }

  static keyOf(published: number): string {
    return `${sender}\u001fm${published}`
  }

  create(run: string): number {
    const producer = this.#producers.number(createProducer(this.#boot, { used: 0, max: 1_000_000 }))
    return this.#number({ producer, acknowledged: [], published: 0, cursor: '0-0', run })
  }

  at(edge: number): Edge {
    return this.#edges.at(edge)
  }

  publish(edge: number, store: number, now: number): EdgeTurn {
    return memoOf(this.#publishes, now).get(edge, store, () => {
      const published = this.at(edge).published + 1
      const key = `m${published}`
      const message = { type: 'publish', room: this.#room, key, sender, options: '', tail: key } as const
      const input = { type: 'publish', id: published, message, deadlineAtMs: Infinity } as const
      const at = { edge: this.#number({ ...this.at(edge), published }), store, faults: [] }
      return this.tick(this.#produce(at, { input, name: `publish ${key}`, now }), now)
    })
  }

  /** All there is; of another run from the oldest entry. The same edge where there is nothing. */
  read(edge: number, store: number, now: number): EdgeTurn {
    return memoOf(this.#reads, now).get(edge, store, () => {
      const { run } = this.#store.at(store)
      let at: EdgeTurn = { edge, store, faults: [] }
      if (this.at(edge).run !== run) {
        const anew = this.#number({ ...this.at(edge), run, cursor: '0-0' })
        at = this.#produce({ ...at, edge: anew }, { input: { type: 'resync' }, name: 'resync', now })
      }
      const { cursor } = this.at(at.edge)
      for (const { id, body } of this.#store.at(at.store).readOutbox(0, this.#boot, cursor, readCount).entries) {
        at = { ...at, edge: this.#number({ ...this.at(at.edge), cursor: id }) }
        for (const record of decodeOut(body))
          if (record.type === 'ack' || record.type === 'rewind')
            at = this.#produce(at, { input: record, name: textOf(record), now })
      }
      return at
    })
  }

  tick({ edge, store, faults }: EdgeTurn, now: number): EdgeTurn {
    const turn = memoOf(this.#ticks, now).get(edge, store, () =>
      this.#produce({ edge, store, faults: [] }, { input: { type: 'tick' }, name: 'tick', now }),
    )
    return turn.faults.length + faults.length === 0 ? turn : { ...turn, faults: [...faults, ...turn.faults] }
  }

  #produce(at: EdgeTurn, { input, name, now }: Step): EdgeTurn {
    const it = this.at(at.edge)
    const { next, effects } = this.#producers.step(it.producer, `${now} ${name}`, (state) =>
      stepProducer(state, input, now),
    )
    let to: EdgeTurn = { ...at, edge: this.#number({ ...it, producer: next }) }
    for (const effect of effects) {
      if (effect.type === 'append') {
        const { attempt, body } = effect
        const appended = { type: 'appended', attempt } as const
        to = { ...to, store: this.#store.append(to.store, body) }
        to = this.#produce(to, { input: appended, name: `appended ${attempt}`, now })
      } else to = this.#settled(to, effect)
    }
    return to
  }

  #settled(at: EdgeTurn, { id, outcome }: Extract<ProducerEffect, { type: 'settle' }>): EdgeTurn {
    const message = `m${id}`
    if (outcome.type !== 'committed') return { ...at, faults: [...at.faults, `outcome: ${message} is ${outcome.type}`] }
    const it = this.at(at.edge)
    const { epoch, seq } = outcome
    return { ...at, edge: this.#number({ ...it, acknowledged: [...it.acknowledged, { message, epoch, seq }] }) }
  }

  #number({ producer, acknowledged, published, cursor, run }: Standing): number {
    const rests = acknowledged.length === published && isIdle(this.#producers.at(producer))
    const text = `${producer} ${published} ${cursor} ${run} ${textOf(acknowledged)}`
    return this.#edges.number(text, { producer, acknowledged, published, cursor, run, rests })
  }
}

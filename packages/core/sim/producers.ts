import { US } from '../src/entry.ts'
import type { OutRecord } from '../src/entry.ts'
import { createProducer, isIdle, stepProducer } from '../src/producer.ts'
import type {
  ByteBudget,
  Declaration,
  ProducerEffect,
  ProducerInput,
  ProducerState,
  Settlement,
} from '../src/producer-state.ts'
import { slotOf } from '../src/slot.ts'
import type { Connection, Process } from './network.ts'
import type { World } from './world.ts'

export interface ProducersOptions {
  readonly budget: ByteBudget
  /** By lane. */
  readonly commands: readonly Connection[]
  boot(): string
}

type Publish = Omit<Extract<ProducerInput, { type: 'publish' }>, 'type'>

/** The real producers of a simulated edge, in a shell like packages/node's endpoint-producers.ts. */
export class Producers {
  readonly all = new Map<number, ProducerState>()
  readonly #world: World
  readonly #process: Process
  readonly #options: ProducersOptions
  readonly #publishes = new Map<number, (outcome: Settlement) => void>()
  readonly #dirty = new Set<number>()
  #closed = false

  constructor(world: World, process: Process, options: ProducersOptions) {
    this.#world = world
    this.#process = process
    this.#options = options
  }

  publish(publish: Publish, settled: (outcome: Settlement) => void): void {
    this.#publishes.set(publish.id, settled)
    this.#stepOf(publish.message.room, { type: 'publish', ...publish })
  }

  declare(message: Declaration): void {
    this.#stepOf(message.room, { type: 'declare', message })
  }

  take(record: Extract<OutRecord, { type: 'ack' | 'rewind' }>): void {
    const producer = this.all.get(record.slot)
    if (producer !== undefined) this.#step(record.slot, producer, record)
  }

  /** Those of one lane where one is given. */
  stepAll(input: ProducerInput, lane?: number): void {
    for (const [slot, producer] of this.all)
      if (lane === undefined || slot % this.#world.shape.lanes === lane) this.#step(slot, producer, input)
  }

  /** All that are not idle. */
  tick(): void {
    for (const [slot, producer] of this.all) if (!isIdle(producer)) this.#step(slot, producer, { type: 'tick' })
  }

  /** Nothing durable waits for an acknowledgement. */
  get isIdle(): boolean {
    return Array.from(this.all.values()).every(isIdle)
  }

  /** Answers every publish that still waits; nothing is appended any more. */
  close(): void {
    this.#closed = true
    // Past every deadline, so each publish gets the answer that is true of it.
    for (const [slot, producer] of this.all) this.#step(slot, producer, { type: 'tick' }, Infinity)
    if (this.#publishes.size > 0) throw new Error(`${this.#publishes.size} publishes are left without an answer`)
  }

  #stepOf(room: string, input: ProducerInput): void {
    const slot = slotOf(room, this.#world.shape.slots)
    let producer = this.all.get(slot)
    const { boot, budget } = this.#options
    if (producer === undefined) this.all.set(slot, (producer = createProducer(boot(), budget)))
    this.#step(slot, producer, input)
  }

  #step(slot: number, producer: ProducerState, input: ProducerInput, now = this.#world.network.clock.now): void {
    const world = this.#world
    const { budget } = this.#options
    const { generation } = producer
    const effects = stepProducer(producer, input, now)
    if (producer.generation > generation) world.reach('generation')
    if (producer.window.length >= world.knobs.window.entries) world.reach('window full')
    if (budget.used > budget.max - 100) world.reach('bytes full')
    for (const effect of effects) {
      if (effect.type === 'append') this.#append(slot, producer, effect)
      else {
        this.#publishes.get(effect.id)?.(effect.outcome)
        this.#publishes.delete(effect.id)
      }
    }
    // What a tick leaves, because appends fail or a window is full, waits for the next regular one.
    if (producer.queue.length > 0 && input.type !== 'tick') this.#touch(slot)
  }

  #append(slot: number, producer: ProducerState, effect: Extract<ProducerEffect, { type: 'append' }>): void {
    const world = this.#world
    const { attempt } = effect
    if (this.#closed) return
    const body = world.rewrite?.(effect.body) ?? effect.body
    const answer = (told: ProducerInput): void => {
      if (attempt === 0) return
      this.#step(slot, producer, told)
      if (producer.resend !== null) this.#touch(slot)
    }
    this.#options.commands[slot % world.shape.lanes]?.(
      () => {
        world.log(`${producer.boot} appends to slot ${slot}, attempt ${attempt}: ${body.split(US).join(' ')}`)
        world.append(slot, body)
      },
      () => answer({ type: 'appended', attempt }),
      (outcome) => answer({ type: 'appendFailed', attempt, outcome }),
    )
  }

  #touch(slot: number): void {
    if (this.#dirty.has(slot)) return
    this.#dirty.add(slot)
    const { clock, random } = this.#world.network
    clock.at(clock.now + random.next(), () =>
      this.#process.run(() => {
        this.#dirty.delete(slot)
        const producer = this.all.get(slot)
        if (producer !== undefined) this.#step(slot, producer, { type: 'tick' })
      }),
    )
  }
}

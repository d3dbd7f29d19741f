import { createClock } from './clock.ts'
import type { Clock } from './clock.ts'
import { createRandom } from './random.ts'
import type { Random } from './random.ts'

/**
 * A process of the simulated world. A crashed one never runs again; a paused one (SIGSTOP, a long collection) finds
 * everything that happened meanwhile waiting when it goes on.
 */
export interface Process {
  readonly name: string
  readonly alive: boolean
  readonly paused: boolean
  run(event: () => void): void
  every(ms: number, event: () => void): void
  crash(): void
  pause(): void
  goOn(): void
}

export interface Network {
  readonly clock: Clock
  readonly random: Random
  process(name: string): Process
  /**
   * One connection of `process` to the store: calls are executed in order, replies come in order. A call is refused
   * (`onFail('refused')`) while the store is away, and fails as `unknown` when its reply, or it itself, is lost.
   */
  connection(process: Process, primary?: number): Connection
  /** A connection of its own for reads that wait. */
  reader(process: Process, primary?: number): Reader
  /** What readers of `topic` wait for may be there now. */
  wake(topic: string): void
  /** Every connection to the primary, or to all, is cut: what is under way fails as unknown, executed or not. */
  cut(primary?: number): void
  /** The primaries as the network has them. */
  readonly lines: readonly Line[]
  line(primary: number): Line
  /** Probability that a call's reply is lost. */
  loss: number
}
/** `server` counts the servers there have been: a call never reaches another than the one it was sent to. */
interface Line {
  away: boolean
  stalledUntil: number
  server: number
  cuts: number
}
/** One read that waits until `ready`, for `blockMs` at the most. */
interface Reading<T> {
  readonly topic: string
  readonly blockMs: number
  call(): T
  ready(reply: T): boolean
  onReply(reply: T): void
  onFail(): void
}
export interface Reader {
  read<T>(reading: Reading<T>): void
  /** A read under way is answered with what there is. */
  interrupt(): void
}
export type Connection = <T>(
  call: () => T,
  onReply: (reply: T) => void,
  onFail: (outcome: 'refused' | 'unknown') => void,
) => void

export function createNetwork(seed: number, primaries: number): Network {
  const clock = createClock()
  const random = createRandom(seed)
  const network: Network = {
    clock,
    random,
    loss: 0,
    lines: Array.from({ length: primaries }, () => ({ away: false, stalledUntil: 0, server: 1, cuts: 0 })),
    line: (primary) => {
      const line = network.lines[primary]
      if (line === undefined) throw new RangeError(`no primary ${primary}`)
      return line
    },
    process: (name) => createProcess(name, clock, random),
    connection: (process, primary = 0) => connect(process, network, network.line(primary)),
    reader: (process, primary = 0) => createReader(process, network, { line: network.line(primary), waiting }),
    wake: (topic) => wakeAll(topic),
    cut: (primary) => {
      network.lines.forEach((line, i) => {
        if (primary === undefined || primary === i) line.cuts += 1
      })
      for (const topic of waiting.keys()) wakeAll(topic)
    },
  }
  const waiting: Waiting = new Map()
  function wakeAll(topic: string): void {
    const woken = waiting.get(topic)
    if (woken === undefined || woken.size === 0) return
    waiting.set(topic, new Set())
    for (const attempt of woken) attempt()
  }
  return network
}

function createProcess(name: string, clock: Clock, random: Random): Process {
  const waiting: (() => void)[] = []
  const state = { alive: true, paused: false }
  const run = (event: () => void): void => {
    if (!state.alive) return
    if (state.paused) waiting.push(event)
    else event()
  }
  return {
    name,
    get alive() {
      return state.alive
    },
    get paused() {
      return state.paused
    },
    run,
    every: (ms, event) => {
      const turn = (): void => {
        if (!state.alive) return
        if (!state.paused) event()
        clock.at(clock.now + ms, turn)
      }
      clock.at(clock.now + random.next() * ms, turn)
    },
    crash: () => {
      state.alive = false
    },
    pause: () => {
      state.paused = true
    },
    goOn: () => {
      state.paused = false
      for (const event of waiting.splice(0)) run(event)
    },
  }
}

type Waiting = Map<string, Set<() => void>>

function createReader(process: Process, network: Network, at: { line: Line; waiting: Waiting }): Reader {
  const { clock, random } = network
  const { line } = at
  const slow = (): number => 0.1 + random.next() * 3
  let interrupt: (() => void) | undefined
  function read<T>(reading: Reading<T>): void {
    const asOf = line.cuts
    const fail = (): void => {
      interrupt = undefined
      clock.at(clock.now + random.int(1, 20), () => process.run(reading.onFail))
    }
    if (line.away) return fail()
    const until = clock.now + reading.blockMs
    let done = false
    let forced = false
    const attempt = (): void => {
      if (done) return
      if (line.cuts !== asOf || line.away) {
        done = true
        return fail()
      }
      if (line.stalledUntil > clock.now) return clock.at(line.stalledUntil + random.next(), attempt)
      const reply = reading.call()
      if (!forced && clock.now < until && !reading.ready(reply)) {
        let topic = at.waiting.get(reading.topic)
        if (topic === undefined) at.waiting.set(reading.topic, (topic = new Set()))
        topic.add(attempt)
        return
      }
      done = true
      at.waiting.get(reading.topic)?.delete(attempt)
      if (random.chance(network.loss)) return fail()
      interrupt = undefined
      clock.at(clock.now + slow(), () =>
        process.run(() => (line.cuts === asOf ? reading.onReply(reply) : reading.onFail())),
      )
    }
    interrupt = () => {
      forced = true
      attempt()
    }
    clock.at(clock.now + slow(), attempt)
    clock.at(until, attempt)
  }
  return { read, interrupt: () => interrupt?.() }
}

/** Deadline of a call whose reply never comes, ms. */
const callDeadlineMs = 2_000

function connect(process: Process, network: Network, line: Line): Connection {
  const { clock, random } = network
  let lastCall = 0
  let lastReply = 0
  return (call, onReply, onFail) => {
    const sentAt = clock.now
    const asOf = line.cuts
    const server = line.server
    let failed = false
    const fail = (outcome: 'refused' | 'unknown', at: number): void => {
      if (failed) return
      failed = true
      lastReply = Math.max(lastReply, at)
      clock.at(lastReply, () => process.run(() => onFail(outcome)))
    }
    if (line.away) return fail('refused', sentAt + 1)
    lastCall = Math.max(lastCall, sentAt + 0.1 + random.next() * 3)
    let arrived = false
    const execute = (): void => {
      // A process that died may have had it still in its buffers.
      if (!arrived && !process.alive && random.chance(0.5)) return
      arrived = true
      if (line.away || line.server !== server) return fail('unknown', clock.now + 1)
      if (line.stalledUntil > clock.now) {
        // The caller has given up when it is executed after all.
        if (line.stalledUntil > sentAt + callDeadlineMs) fail('unknown', sentAt + callDeadlineMs)
        return clock.at(line.stalledUntil + 0.1, execute)
      }
      if (line.cuts !== asOf && !failed) {
        fail('unknown', clock.now + 1)
        // What the old connection carried may still be executed, behind what the new one brings.
        if (random.chance(0.5)) clock.at(clock.now + random.next() * 40, execute)
        return
      }
      const reply = call()
      // A client library may send again what was executed: every call must bear it.
      if (random.chance(network.loss / 2))
        clock.at(clock.now + random.next() * 20, () => line.server === server && !line.away && call())
      if (failed) return
      const late = clock.now - sentAt > callDeadlineMs
      if (late || random.chance(network.loss))
        return fail('unknown', Math.max(clock.now, sentAt + random.int(5, callDeadlineMs)))
      lastReply = Math.max(lastReply, clock.now + 0.1 + random.next() * 3)
      clock.at(lastReply, () => process.run(() => (line.cuts === asOf ? onReply(reply) : onFail('unknown'))))
    }
    clock.at(lastCall, execute)
  }
}

/** The delay before the next attempt, ms, as the shells' back-off has it. */
export function backoff(random: Random, tries: number): number {
  return (0.5 + random.next() / 2) * Math.min(2_000, 50 * 2 ** tries)
}

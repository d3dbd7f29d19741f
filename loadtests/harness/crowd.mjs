// The sockets of a run: load processes with a part of them each, asked together.
import { constants, setPriority } from 'node:os'
import { secret } from './fleet.mjs'
import { until } from './processes.mjs'

/** One socket in so many reads its frames. A prime, so that the sample meets all rooms and is no pattern. */
const sampleEvery = 47
/** Connections that one load process makes at a time. */
const atOnce = 100
/** Crowds so far. Ports of closed connections stay taken for a minute, and looking for a free one costs the more of them there are. */
let crowds = 0

export class Crowd {
  #clients
  #first
  size

  constructor(clients, first, size) {
    this.#clients = clients
    this.#first = first
    this.size = size
  }

  /** Starts the processes and signs the tokens, of a user per connection or of `one`; nothing is connected yet. */
  static async prepare(fleet, { size, processes = 1, first = 0, users = 'own' }) {
    const share = Math.ceil(size / processes)
    const counts = Array.from({ length: processes }, (_, i) => Math.min(share, size - i * share))
    const clients = counts.map((_, i) => fleet.load('load-client.mjs', { id: `clients-${first + i * share}` }))
    await Promise.all(
      clients.map((each, i) => each.ask('prepare', { secret, count: counts[i], first: first + i * share, users })),
    )
    return new Crowd(clients, { share, first }, size)
  }

  /**
   * Connects and subscribes all; each process from an address of its own. `everyone`: all of them read their frames. `filters`: each subscribes
   * with one of so many, which let everything through.
   */
  async open({ port, rooms, prefix, everyone = false, filters = 0 }) {
    const { share, first } = this.#first
    const crowd = (crowds += 1) % 250
    await this.#all('open', (i) => ({
      port,
      rooms,
      prefix,
      first: first + i * share,
      localAddress: `127.0.${crowd}.${10 + i}`,
      sampleEvery: everyone ? 1 : sampleEvery,
      filters,
      atOnce,
    }))
  }

  /** All go on in other rooms: `prefix-0` and so on. */
  async move({ prefix, rooms }) {
    const { share, first } = this.#first
    await this.#all('move', (i) => ({ prefix, rooms, first: first + i * share }))
  }

  #all(call, message = () => ({})) {
    return Promise.all(this.#clients.map((each, i) => each.ask(call, message(i))))
  }

  /** What thousands of clients need to connect at once is not to be taken from the servers: theirs would be other machines. */
  giveWay() {
    for (const { pid } of this.#clients) setPriority(pid, constants.priority.PRIORITY_LOW)
  }

  /** Each moves its cursor so often in its room, under a conflation key (`''`: without one) until `restCursors` says how many moves that were. */
  moveCursors = (message) => this.#all('moveCursors', () => message)

  async restCursors() {
    const parts = await this.#all('restCursors')
    return { sent: parts.reduce((sum, { sent }) => sum + sent, 0) }
  }

  reset = () => this.#all('reset')
  drop = () => this.#all('drop')

  /** Half of each room's subscribers miss `back` events more; says how many that makes together. */
  async forget(message) {
    const parts = await this.#all('forget', () => message)
    return parts.reduce((sum, { missed }) => sum + missed, 0)
  }

  /** All connect again with their positions, all at once. `again`: connects that were turned away first. */
  async resume({ port, missed }) {
    const startedAt = performance.now()
    const parts = await this.#all('resume', () => ({ port }))
    await until('everything that was missed has come', async () => (await this.report()).events >= missed)
    const again = parts.reduce((sum, part) => sum + part.again, 0)
    return { seconds: (performance.now() - startedAt) / 1_000, again }
  }

  /** As `resume`, but only until all are told where they stand. */
  comeBack = (port) => this.#all('resume', () => ({ port }))

  /** Latencies since the last look, ms. */
  async samples() {
    const parts = await this.#all('samples')
    return parts.flatMap(({ samples }) => samples)
  }

  /** `room seq` of every client. */
  async positions() {
    const parts = await this.#all('positions')
    return parts.flatMap(({ positions }) => positions)
  }

  /** Events so far, sockets that the server closed, faults seen by the sample. */
  async report() {
    const reports = await this.#all('report')
    return {
      events: reports.reduce((sum, { events }) => sum + events, 0),
      closed: reports.reduce((sum, { closed }) => sum + closed, 0),
      faults: reports.flatMap(({ faults }) => faults),
    }
  }

  /** Everything that was seen: by room the least and the most that a connection got. */
  async verify() {
    const parts = await this.#all('verify')
    const rooms = new Map()
    for (const [room, [least, most]] of parts.flatMap((part) => part.rooms)) {
      const known = rooms.get(room) ?? [least, most]
      rooms.set(room, [Math.min(least, known[0]), Math.max(most, known[1])])
    }
    return { rooms, samples: parts.flatMap(({ samples }) => samples), faults: parts.flatMap(({ faults }) => faults) }
  }
}

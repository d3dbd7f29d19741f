// The sockets of a run: load processes with a part of them each, asked together.
import { secret } from './fleet.mjs'

/** One socket in so many reads its frames. A prime, so that the sample meets all rooms and is no pattern. */
const sampleEvery = 47
/** Connections that one load process makes at a time. */
const atOnce = 100

export class Crowd {
  #clients
  #first
  size

  constructor(clients, first, size) {
    this.#clients = clients
    this.#first = first
    this.size = size
  }

  /** Starts the processes and signs the tokens; nothing is connected yet. */
  static async prepare(fleet, { size, processes = 1, first = 0 }) {
    const share = Math.ceil(size / processes)
    const counts = Array.from({ length: processes }, (_, i) => Math.min(share, size - i * share))
    const clients = counts.map((_, i) => fleet.load('load-client.mjs', { id: `clients-${first + i * share}` }))
    await Promise.all(
      clients.map((each, i) => each.ask('prepare', { secret, count: counts[i], first: first + i * share })),
    )
    return new Crowd(clients, { share, first }, size)
  }

  /** Connects and subscribes all; each process from an address of its own. `everyone`: all of them read their frames. */
  async open({ port, rooms, everyone = false }) {
    const { share, first } = this.#first
    await this.#all('open', (i) => ({
      port,
      rooms,
      first: first + i * share,
      localAddress: `127.0.0.${10 + i}`,
      sampleEvery: everyone ? 1 : sampleEvery,
      atOnce,
    }))
  }

  #all(call, message = () => ({})) {
    return Promise.all(this.#clients.map((each, i) => each.ask(call, message(i))))
  }

  reset = () => this.#all('reset')
  drop = () => this.#all('drop')
  forget = (message) => this.#all('forget', () => message)
  /** `missed`: events that each process is to get. */
  resume = (port, missed) => this.#all('resume', (i) => ({ port, atOnce: 1_000, missed: missed[i] }))

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

import { WebSocket } from 'ws'
import { connect } from '@flotilla/client'
import type { Client, Position, Subscription } from '@flotilla/client'
import { signToken } from '@flotilla/node/jwt'
import type { Acknowledged, ViewStep } from '../../packages/core/sim/checks.ts'
import { secret } from '../fleet/fleet.ts'
import { postBatch, publishAs } from './publishers.ts'
import type { Refusals } from './publishers.ts'
import { clients as clientCount, messageAt, roomsOf, tenant, userOf } from './rooms.ts'
import type { Message } from './rooms.ts'
import { until } from '../fleet/until.ts'

/** What one client saw of one room. */
export interface Watch {
  readonly client: string
  readonly room: string
  readonly steps: ViewStep[]
  events: number
}

export interface Traffic {
  readonly clients: readonly Client[]
  readonly watches: readonly Watch[]
  readonly acknowledged: readonly Acknowledged[]
  /** Told with `recovered: false`: each names client, room and reason. */
  readonly losses: readonly string[]
  /** What publishers were answered besides `ok`, by code; they tried again. */
  readonly refusals: Refusals
  /** How often a client's connection came back. */
  readonly reconnects: number
  /** Publishes the messages up to number `total`, half from clients and half through ingest, until all are acknowledged. */
  publish(total: number): Promise<void>
  /** Resolves as soon as so many are acknowledged. */
  reached(total: number): Promise<void>
  /** Resolves when every client has seen as many events of each of its rooms as were acknowledged there. */
  delivered(withinMs?: number): Promise<void>
  connected(withinMs?: number): Promise<void>
  close(): void
}

export interface TrafficOptions {
  /** Where clients connect: `ws://…/ws`. */
  readonly url: string
  readonly ingestPort: number
}

/** Publishes under way at once: per client, and batches through ingest. */
const perClient = 6
const batches = 4
const batchSize = 50

/** Connects all clients, subscribes them, and returns what makes them publish. */
export async function startTraffic(options: TrafficOptions): Promise<Traffic> {
  const opened = await Promise.allSettled(Array.from({ length: clientCount }, (_, i) => open(i, options)))
  const clients = opened.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
  const traffic = new RunningTraffic(clients, options)
  try {
    for (const each of opened) if (each.status === 'rejected') throw each.reason
    await traffic.subscribe()
  } catch (error) {
    traffic.close()
    throw error
  }
  return traffic
}

function open(i: number, { url }: TrafficOptions): Promise<Client> {
  return connect({
    url,
    token: signToken({ secret, sub: userOf(i), tenant, ttlSeconds: 3_600 }),
    WebSocket,
    reconnect: { minMs: 100, maxMs: 1_000 },
    timeoutMs: 30_000,
  })
}

class RunningTraffic implements Traffic {
  readonly clients: readonly Client[]
  readonly watches: Watch[] = []
  readonly acknowledged: Acknowledged[] = []
  readonly losses: string[] = []
  readonly refusals: Refusals = new Map()
  reconnects = 0
  readonly #options: TrafficOptions
  readonly #perRoom = new Map<string, number>()
  readonly #waiting: { total: number; resolve(): void }[] = []
  #issued = 0

  constructor(clients: readonly Client[], options: TrafficOptions) {
    this.clients = clients
    this.#options = options
    for (const client of clients) {
      client.onState((state) => {
        if (state === 'connected') this.reconnects += 1
      })
    }
  }

  async subscribe(): Promise<void> {
    await Promise.all(
      this.clients.flatMap((client, i) => roomsOf(i).map((room) => this.#watch(client, userOf(i), room))),
    )
  }

  async #watch(client: Client, name: string, room: string): Promise<void> {
    const watch: Watch = { client: name, room, steps: [], events: 0 }
    this.watches.push(watch)
    const subscription: Subscription = await client.subscribe(room, {
      onEvent: ({ position, data }) => {
        if (position === undefined) return
        watch.events += 1
        watch.steps.push({ type: 'event', ...position, message: (data as { message: string }).message })
      },
      onPosition: ({ position, recovered, missed, reason }) => {
        if (!recovered) this.losses.push(`${name} ${room}: ${reason}`)
        // What was missed follows: the client stands before it.
        watch.steps.push({ type: 'position', epoch: position.epoch, seq: position.seq - missed, recovered })
      },
    })
    watch.steps.unshift({ type: 'position', ...subscription.position, recovered: true })
  }

  async publish(total: number): Promise<void> {
    const messages = Array.from({ length: total - this.#issued }, (_, i) => messageAt(this.#issued + i))
    this.#issued = total
    const [ofClients, ofIngest] = [messages.filter((_, i) => i % 2 === 0), messages.filter((_, i) => i % 2 === 1)]
    const work = [
      ...this.clients.flatMap((client) =>
        Array.from({ length: perClient }, () => this.#publishFrom(client, ofClients)),
      ),
      ...Array.from({ length: batches }, () => this.#post(ofIngest)),
    ]
    await Promise.all(work)
  }

  async #publishFrom(client: Client, queue: Message[]): Promise<void> {
    for (let message = queue.shift(); message !== undefined; message = queue.shift()) {
      this.#told(message, await publishAs(client, message, this.refusals))
    }
  }

  async #post(queue: Message[]): Promise<void> {
    while (queue.length > 0) {
      const batch = queue.splice(0, batchSize)
      await postBatch(
        this.#options.ingestPort,
        batch,
        (message, position) => this.#told(message, position),
        this.refusals,
      )
    }
  }

  #told({ name, room }: Message, position: Position): void {
    this.acknowledged.push({ room, message: name, ...position })
    this.#perRoom.set(room, (this.#perRoom.get(room) ?? 0) + 1)
    for (const each of this.#waiting) if (this.acknowledged.length >= each.total) each.resolve()
  }

  reached(total: number): Promise<void> {
    if (this.acknowledged.length >= total) return Promise.resolve()
    return new Promise((resolve) => this.#waiting.push({ total, resolve }))
  }

  async delivered(withinMs = 30_000): Promise<void> {
    const behind = (): Watch[] => this.watches.filter(({ room, events }) => events < (this.#perRoom.get(room) ?? 0))
    await until('every client saw everything', () => behind().length === 0, withinMs).catch((error: unknown) => {
      const some = behind().slice(0, 5)
      const shown = some.map(({ client, room, events }) => `${client} ${room}: ${events} of ${this.#perRoom.get(room)}`)
      throw new Error(`${String(error)}; ${behind().length} subscriptions are behind: ${shown.join(', ')}`)
    })
  }

  async connected(withinMs = 30_000): Promise<void> {
    await until('every client is connected', () => this.clients.every((each) => each.state === 'connected'), withinMs)
  }

  close(): void {
    for (const client of this.clients) client.close()
  }
}

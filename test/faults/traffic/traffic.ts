import type { Client } from '@flotilla/client'
import type { Random } from '../../../packages/core/sim/random.ts'
import { until } from '../../fleet/until.ts'
import type { Recorder } from '../recorder.ts'
import { openLibraryClient } from './library-client.ts'
import type { Dial } from './library-client.ts'
import { postBatch, publishAs } from './publishers.ts'
import type { Message } from './publishers.ts'
import { RawClient } from './raw-client.ts'
import { nextRoom, roomsOf } from './rooms.ts'
import { createSeen } from './seen.ts'

export interface TrafficOptions {
  /** Where client number `i` connects: `ws://…/ws`. */
  readonly urlOf: (i: number) => string
  readonly ingestPorts: readonly number[]
  readonly libraryClients: number
  readonly rawClients: number
  /** Publishes begun per second. */
  readonly rate: number
  /** Share of the publishes that go to one room. */
  readonly hotShare: number
  /** What every message carries besides its name. */
  readonly padding: string
  /** In front of every message's name. */
  readonly prefix: string
  readonly recorder: Recorder
  readonly random: Random
}

export interface Traffic {
  readonly library: readonly Client[]
  readonly raw: readonly RawClient[]
  /** Resolves when so many more are acknowledged than now. */
  more(acknowledged: number, withinMs?: number): Promise<void>
  /** Resolves when every client is connected and its rooms are resumed. */
  connected(withinMs?: number): Promise<void>
  /** Resolves when `cut`, which ends every connection, has been called and every client is connected anew. */
  reconnected(cut: () => number, withinMs?: number): Promise<number>
  /** Of every client, by its name, which is its user's too, the connection that it has now. */
  connections(): ReadonlyMap<string, string | undefined>
  /** Where a client was told otherwise than it is who is in its rooms; all clients have to be connected. */
  absent(): readonly string[]
  /** Begins no further publish; resolves when every one that was begun has its outcome. */
  stop(): Promise<void>
  close(): void
}

const tickMs = 20
/** Publishes without an outcome; while there are so many, none is begun. */
const maxInFlight = 3_000

/** Opens the clients, lets them subscribe, and begins to publish: half through the library, half through ingest. */
export async function startTraffic(options: TrafficOptions): Promise<Traffic> {
  const { recorder, libraryClients, rawClients, urlOf } = options
  const seen = createSeen()
  const dial = (kind: string, i: number): Dial => ({
    ...{ name: nameOf(kind, i), url: urlOf(i), rooms: roomsOf(i), recorder, seen },
  })
  const raw = Array.from({ length: rawClients }, (_, i) => new RawClient(dial('raw', libraryClients + i)))
  const library = await Promise.all(
    Array.from({ length: libraryClients }, (_, i) => openLibraryClient(dial('library', i))),
  )
  await until('raw clients have their rooms', () => raw.every((each) => each.connected))
  const publishing = publish(options, library)

  return {
    library,
    raw,
    more: (acknowledged, withinMs = 60_000) => {
      const goal = recorder.acknowledged + acknowledged
      return until(`${acknowledged} more are acknowledged`, () => recorder.acknowledged >= goal, withinMs).then(
        () => {},
      )
    },
    connected: async (withinMs = 30_000) => {
      const all = (): boolean =>
        library.every(({ state }) => state === 'connected') && raw.every((each) => each.connected)
      await until('every client is connected', all, withinMs)
    },
    reconnected: async (cut, withinMs = 30_000) => {
      const goal = countConnects(recorder) + library.length + raw.length
      const count = cut()
      await until('every client is back', () => countConnects(recorder) >= goal, withinMs)
      return count
    },
    connections: () =>
      new Map([
        ...raw.map(({ name, connected, connectionId }) => [name, connected ? connectionId : undefined] as const),
        ...library.map(({ state, session }, i) => {
          return [nameOf('library', i), state === 'connected' ? session?.connectionId : undefined] as const
        }),
      ]),
    absent: () => {
      const named = [
        ...library.map((_, i) => [nameOf('library', i), roomsOf(i)] as const),
        ...raw.map(({ name }, i) => [name, roomsOf(libraryClients + i)] as const),
      ]
      return seen.differs(new Map(named))
    },
    stop: publishing.stop,
    close: () => {
      publishing.halt()
      for (const client of [...library, ...raw]) client.close()
    },
  }
}

/** Of a client, and of its user. */
export const nameOf = (kind: string, i: number): string => `${kind}-${i}`

/** The edge that took a connection in: `edge-1` of `edge-1.<boot>.<number>`. */
export const edgeOf = (connectionId: string): string => connectionId.split('.').slice(0, -2).join('.')

const countConnects = ({ lines }: Recorder): number =>
  lines.reduce((count, { type }) => count + Number(type === 'connect'), 0)

function publish(options: TrafficOptions, clients: readonly Client[]): { stop(): Promise<void>; halt(): void } {
  const { rate, hotShare, prefix, ingestPorts, random } = options
  const named = clients.map((client, i) => ({ client, name: nameOf('library', i) }))
  const inFlight = new Set<Promise<void>>()
  let waiting = 0
  let issued = 0
  let due = 0
  let last = performance.now()

  function track(work: Promise<void>, count: number): void {
    waiting += count
    inFlight.add(work)
    void work.finally(() => {
      waiting -= count
      inFlight.delete(work)
    })
  }
  function next(): Message {
    issued += 1
    return { id: `${prefix}-${issued}`, room: nextRoom(random, hotShare) }
  }
  function tick(): void {
    const now = performance.now()
    // After a pause of this process it does not catch up with a burst.
    due = Math.min(due + ((now - last) * rate) / 1_000, rate / 5)
    last = now
    const count = Math.min(Math.floor(due), maxInFlight - waiting)
    if (count <= 0) return
    due -= count
    const ofClients = Math.floor(count / 2)
    for (let i = 0; i < ofClients; i += 1) track(publishAs(random.pick(named), next(), options), 1)
    const batch = Array.from({ length: count - ofClients }, next)
    if (batch.length > 0) track(postBatch(random.pick(ingestPorts), batch, options), batch.length)
  }

  const timer = setInterval(tick, tickMs)
  return {
    halt: () => clearInterval(timer),
    stop: async () => {
      clearInterval(timer)
      await Promise.all(inFlight)
    },
  }
}

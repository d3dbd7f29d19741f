import { Writable } from 'node:stream'
import type { Duplex } from 'node:stream'
import type { LogEntry, OutRecord } from '@flotilla/core/entry'
import type { ServerFrame } from '@flotilla/core/frames'
import { serverFrame } from '@flotilla/core/frames'
import { slotOf } from '@flotilla/core/slot'
import { createRateStore } from '@flotilla/core/rates'
import { defaultSessionLimits } from '@flotilla/core/session'
import type { Endpoint } from '@flotilla/node/endpoint-port'
import { createLog } from '@flotilla/node/log'
import { createMetrics } from '@flotilla/node/metrics'
import { createScope } from '@flotilla/node/scope'
import { Connection } from '../src/connection.ts'
import { noDenials } from '@flotilla/core/denials'
import { fixedPolicy } from '@flotilla/node/policy'
import { noTracing } from '@flotilla/node/tracing'
import type { ConnectionDeps } from '../src/connection.ts'
import type { ConnectionSocket } from '../src/connection-socket.ts'
import { createHub } from '../src/hub.ts'
import type { Hub } from '../src/hub.ts'
import { edgeMetrics } from '../src/metrics.ts'

const slots = 8

/** A socket of which the test decides when the kernel takes what was written. */
class Wire extends Writable {
  readonly taken: Buffer[] = []
  #waiting: (() => void) | undefined
  reads = true

  override _write(chunk: Buffer, _: string, done: () => void): void {
    if (this.reads) {
      this.taken.push(chunk)
      done()
    } else
      this.#waiting = () => {
        this.taken.push(chunk)
        done()
      }
  }
  /** Everything that was written is read now, and what comes later too. */
  read(): void {
    this.reads = true
    const waiting = this.#waiting
    this.#waiting = undefined
    waiting?.()
  }
}

export interface Client {
  readonly connection: Connection
  readonly wire: Wire
  readonly closed: () => number | undefined
  readonly paused: () => boolean
  send(frame: object): void
  frames(): ServerFrame[]
}

/** A hub with connections whose sockets, worker and log the test plays. */
export function startHub(): {
  readonly hub: Hub
  slotOf(room: string): number
  readonly declared: { readonly room: string; readonly nonce: string }[]
  readonly reads: { readonly room: string; answer(entries: readonly LogEntry[]): void }[]
  open(user: string): Promise<Client>
  /** The worker's answer to every declaration so far that has none. */
  join(head?: number): void
  records(...records: OutRecord[]): void
  close(): Promise<void>
} {
  const log = createLog({ service: 'test', level: 'silent' })
  const scope = createScope(log)
  const metrics = edgeMetrics(createMetrics({ service: 'test' }), {
    ...{ connections: () => 0, rooms: () => 0, limit: 1, subscriptions: () => 0, drains: () => false },
  })
  const declared: { room: string; nonce: string }[] = []
  const reads: { room: string; answer(entries: readonly LogEntry[]): void }[] = []
  const unheard = (): never => {
    throw new Error('not asked for')
  }
  const endpoint: Endpoint = {
    ...{ boot: 'edge#1', healthy: true, plan: null, publish: unheard, ephemeral: unheard, tail: unheard },
    tell: unheard,
    drain: () => undefined,
    close: () => Promise.resolve(),
    interest: (room, on, nonce) => {
      if (on) declared.push({ room, nonce })
    },
    history: (room) => new Promise((answer) => reads.push({ room, answer })),
  }
  const policy = fixedPolicy()
  const connections = new Set<Connection>()
  const hub = createHub({
    ...{ shape: { slots, lanes: 1 }, log, scope, metrics, tracing: noTracing, policy },
    endpoint: () => endpoint,
    connections: () => connections,
  })
  let count = 0
  let joined = 0

  async function open(user: string): Promise<Client> {
    const wire = new Wire()
    let [closed, paused]: [number | undefined, boolean] = [undefined, false]
    const socket: ConnectionSocket = {
      isOpen: true,
      close: (code) => (closed = code),
      cutAfter: () => undefined,
      pause: () => (paused = true),
      resume: () => (paused = false),
    }
    const deps: ConnectionDeps = {
      limits: { ...defaultSessionLimits, framesAtOnce: 100_000 },
      tokens: {
        verdictOf: () => Promise.resolve({ ok: true, identity: { userId: user } }),
        roomVerdictOf: () => Promise.resolve({ ok: false, retryable: false, expired: false }),
      },
      metrics,
      policy,
      denials: { current: noDenials },
      rates: { userRates: createRateStore() },
      age: { ageMs: 0, graceMs: 0 },
      onOpened: () => undefined,
      ...{
        onRooms: hub.onRooms,
        onRegister: () => undefined,
        onPresence: () => undefined,
        onHook: () => {},
        onLock: () => undefined,
        onRate: () => undefined,
        onRefused: (_, refusals) => refusals.forEach(({ code }) => metrics.refusals.inc({ code })),
        onDirty: hub.onDirty,
        onClosed: hub.onClosed,
      },
    }
    // The hub writes only.
    const connection = new Connection({ id: `c${(count += 1)}` }, socket, wire as unknown as Duplex, deps)
    connections.add(connection)
    connection.step({ type: 'token', token: 't' })
    await turn()
    return {
      ...{ connection, wire, closed: () => closed, paused: () => paused },
      send: (frame) => connection.onMessage(Buffer.from(JSON.stringify(frame)), false),
      frames: () => decode(Buffer.concat(wire.taken)),
    }
  }

  return {
    ...{ hub, declared, reads, open },
    slotOf: (room) => slotOf(room, slots),
    join: (head = 0) => {
      for (const { room, nonce } of declared.slice(joined))
        hub.onRecords([{ type: 'interest', room, epoch: head === 0 ? '5.0' : '5.1', head, nonce }])
      joined = declared.length
    },
    records: (...records) => hub.onRecords(records),
    close: () => scope.close(),
  }
}

/** Everything that was asked for in this turn of the event loop is done, ticks too. */
export async function turn(): Promise<void> {
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve))
}

/** The frames of a server: not masked, not fragmented; control frames are left out. */
function decode(bytes: Buffer): ServerFrame[] {
  const frames: ServerFrame[] = []
  for (let at = 0; at < bytes.length;) {
    const short = bytes.readUInt8(at + 1)
    const [start, length] =
      short < 126
        ? [at + 2, short]
        : short === 126
          ? [at + 4, bytes.readUInt16BE(at + 2)]
          : [at + 10, Number(bytes.readBigUInt64BE(at + 2))]
    const end = start + length
    if (bytes[at] === 0x81) frames.push(serverFrame.parse(JSON.parse(bytes.toString('utf8', start, end))))
    at = end
  }
  return frames
}

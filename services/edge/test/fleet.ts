import { createEndpoint } from '@flotilla/node/endpoint'
import type { Endpoint } from '@flotilla/node/endpoint-port'
import { createVerifier, DEVELOPMENT_SECRET, signToken } from '@flotilla/node/jwt'
import { createLog } from '@flotilla/node/log'
import { createMetrics } from '@flotilla/node/metrics'
import { fixedPolicy } from '@flotilla/node/policy'
import type { PolicySource } from '@flotilla/node/policy'
import { createScope } from '@flotilla/node/scope'
import type { Scope } from '@flotilla/node/scope'
import { createMemoryStore } from '@flotilla/node/store/memory'
import type { Store } from '@flotilla/node/store/port'
import type { ServerFrame } from '@flotilla/core/frames'
import { serverFrame } from '@flotilla/core/frames'
import { afterAll, beforeAll, vi } from 'vitest'
import { WebSocket } from 'ws'
import { startControl } from '../../control/src/control.ts'
import { startShard } from '../../shard/src/shard.ts'
import { startEdge } from '../src/edge.ts'
import type { Edge, EdgeOptions } from '../src/edge.ts'
import { tokenPlaces } from '../src/token-places.ts'

const log = createLog({ service: 'test', level: 'silent' })
/** Lines of the audits of all edges. */
export const audited: string[] = []
const auditLog = createLog({
  service: 'edge',
  level: 'info',
  destination: { write: (line) => void audited.push(line) },
})
const host = '127.0.0.1'
const deadlineMs = 15_000

/** Control, a worker, and a producer that is no edge, in this process over the memory store; edges are started by tests. */
export interface Fleet {
  readonly store: Store
  readonly publisher: Endpoint
  /** Port of control's API. */
  readonly controlPort: number
  readonly edge: (options?: Partial<EdgeOptions>, policy?: PolicySource) => Promise<Edge>
  readonly close: () => Promise<void>
}

/** For all tests of a file: a fleet with one edge, which has a plan. There from the first test on. */
export function useReadyEdge(): { readonly fleet: Fleet; readonly edge: Edge } {
  // Waits have a deadline of their own.
  vi.setConfig({ testTimeout: 60_000 })
  let ready: { fleet: Fleet; edge: Edge } | undefined
  const there = (): { fleet: Fleet; edge: Edge } => {
    if (ready === undefined) throw new Error('no test has begun')
    return ready
  }
  beforeAll(async () => {
    ready = await startReadyEdge()
  }, 30_000)
  afterAll(() => there().fleet.close(), 30_000)
  return {
    get fleet() {
      return there().fleet
    },
    get edge() {
      return there().edge
    },
  }
}

/** A fleet of one edge that would take its time to drain. */
export async function startAlone(): Promise<{ readonly edge: Edge; readonly close: () => Promise<void> }> {
  const { fleet, edge } = await startReadyEdge({
    drain: { timeoutMs: 60_000, settleMs: 60_000, graceMs: 60_000, perSecond: 1 },
  })
  return { edge, close: fleet.close }
}

async function startReadyEdge(options: Partial<EdgeOptions> = {}): Promise<{ fleet: Fleet; edge: Edge }> {
  const fleet = await startFleet()
  const edge = await fleet.edge(options)
  await until('a plan is there', () => edge.ready)
  return { fleet, edge }
}

async function startFleet(): Promise<Fleet> {
  const scopes: Scope[] = []
  const scope = (): Scope => {
    const own = createScope(log)
    scopes.push(own)
    return own
  }
  const store = createMemoryStore({ slots: 16, lanes: 2 })
  const deps = (service: string) => ({ store, log, scope: scope(), metrics: createMetrics({ service }) })
  const control = await startControl({ memberId: 'control-1', version: '0', host, port: 0 }, deps('control'))
  await startShard({ memberId: 'shard-1', version: '0', drainTimeoutMs: 100 }, deps('shard'))
  const publisher = await createEndpoint({
    ...{ role: 'ingest', memberId: 'ingest-1', version: '0', store, log, scope: scope() },
    ...{ onRecords: () => undefined, onResync: () => undefined },
  })
  const edges: Edge[] = []
  let count = 0
  return {
    store,
    publisher,
    controlPort: control.port,
    edge: async (options = {}, policy = fixedPolicy()) => {
      count += 1
      const limits = {
        maxSubscriptions: 1_000,
        maxPublishesInFlight: 256,
        framesPerSecond: 500,
        connectionsPerUser: 0,
        connectionsPerTenant: 0,
        idleMs: 0,
      }
      const usual = {
        host,
        port: 0,
        origins: [],
        maxConnections: 1_000,
        tokenFrom: tokenPlaces,
        anonymous: false,
        connectionsPerAddress: 0,
        acceptsPerSecond: 1_000,
        resumesPerSecond: 1_000,
        connectionAgeMs: 0,
        version: '0',
        drain: { timeoutMs: 5_000, settleMs: 0, graceMs: 500, perSecond: 1_000, ...options.drain },
      }
      const verifier = createVerifier({ keys: { type: 'secret', secrets: [DEVELOPMENT_SECRET] }, log })
      const edge = await startEdge(
        { ...usual, limits, memberId: `edge-${count}`, ...options },
        { ...deps('edge'), verifier, policy, auditLog },
      )
      edges.push(edge)
      return edge
    },
    close: async () => {
      await Promise.all(edges.map((edge) => edge.drain()))
      for (const each of scopes.toReversed()) await each.close()
    },
  }
}

export const token = (sub: string, ttlSeconds = 3_600, tenant = 'acme', roles: readonly string[] = []): string =>
  signToken({ secret: DEVELOPMENT_SECRET, sub, tenant, ttlSeconds, roles })

/** Resolves when the condition holds; looks again whenever the event loop has turned. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + deadlineMs
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`not in time: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

export type Of<T extends ServerFrame['type']> = Extract<ServerFrame, { type: T }>

/** A socket of which every frame is checked against the protocol and kept, in order. */
export class Client {
  readonly socket: WebSocket
  readonly frames: ServerFrame[] = []
  closed: { readonly code: number; readonly reason: string } | undefined
  #ids = 0

  constructor(
    port: number,
    options: { readonly query?: string; readonly protocols?: string[]; readonly headers?: Record<string, string> } = {},
  ) {
    const { query = '', protocols = [], headers = {} } = options
    this.socket = new WebSocket(`ws://${host}:${port}/ws${query}`, protocols, { headers, perMessageDeflate: false })
    this.socket.on('message', (data: Buffer) => this.frames.push(serverFrame.parse(JSON.parse(data.toString('utf8')))))
    this.socket.on('close', (code, reason) => (this.closed = { code, reason: reason.toString() }))
    this.socket.on('error', () => undefined)
  }

  /** Connected as `sub`, and live in the rooms that the server joins. */
  static async open(port: number, sub = 'alice'): Promise<Client> {
    const client = new Client(port, { headers: { authorization: `Bearer ${token(sub)}` } })
    await until('the own rooms are live', () => client.of('position').length === 3)
    return client
  }

  of<T extends ServerFrame['type']>(type: T): Of<T>[] {
    return this.frames.filter((frame): frame is Of<T> => frame.type === type)
  }
  events(room: string): Of<'event'>[] {
    return this.of('event').filter((frame) => frame.room === room)
  }
  send(frame: object | string | Buffer): void {
    if (typeof frame === 'string' || Buffer.isBuffer(frame)) this.socket.send(frame)
    else this.socket.send(JSON.stringify(frame))
  }
  /** The answer to a frame, which gets an id. */
  async ask(frame: object): Promise<Of<'ok'> | Of<'error'>> {
    const id = `q${(this.#ids += 1)}`
    this.send({ ...frame, id })
    const answer = (): (Of<'ok'> | Of<'error'>) | undefined =>
      [...this.of('ok'), ...this.of('error')].find((each) => each.id === id)
    await until(
      `an answer to ${JSON.stringify(frame).slice(0, 200)}`,
      () => answer() !== undefined || this.closed !== undefined,
    )
    const given = answer()
    if (given === undefined) throw new Error(`closed: ${JSON.stringify(this.closed)}`)
    return given
  }
  async ok(frame: object): Promise<Of<'ok'>> {
    const answer = await this.ask(frame)
    if (answer.type !== 'ok') throw new Error(JSON.stringify(answer))
    return answer
  }
  subscribe(room: string, more: object = {}): Promise<Of<'ok'>> {
    return this.ok({ type: 'subscribe', room, ...more })
  }
  publish(room: string, data: unknown, more: object = {}): Promise<Of<'ok'>> {
    return this.ok({ type: 'publish', room, event: 'e', data, ...more })
  }
  async end(): Promise<void> {
    this.socket.close()
    await until('the socket is closed', () => this.closed !== undefined)
  }
  async closedWith(): Promise<number> {
    await until('the socket is closed', () => this.closed !== undefined)
    return this.closed?.code ?? 0
  }
}

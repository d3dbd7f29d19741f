import { randomBytes } from 'node:crypto'
import type { LogEntry, OutEvent, OutRecord, StateMessage } from '@flotilla/core/entry'
import { endpointHeartbeatMs, ephemeralPerSecond } from '@flotilla/core/limits'
import { learn } from '@flotilla/core/plan'
import type { Knowledge, Member, Plan } from '@flotilla/core/plan'
import { createBackoff, wait } from './backoff.ts'
import type { Endpoint, PublishOutcome, PublishRequest } from './endpoint-port.ts'
import { createEphemerals } from './endpoint-ephemerals.ts'
import { createAcks } from './endpoint-acks.ts'
import type { Acks } from './endpoint-acks.ts'
import { readOutbox } from './endpoint-outbox.ts'
import type { OutboxDeps, OutboxReader } from './endpoint-outbox.ts'
import { endpointMetrics } from './endpoint-metrics.ts'
import type { EndpointMetrics } from './endpoint-metrics.ts'
import { Producers } from './endpoint-producers.ts'
import type { Log } from './log.ts'
import type { Metrics } from './metrics.ts'
import type { Scope } from './scope.ts'
import type { Store } from './store/port.ts'
import { withTrace } from './trace-context.ts'
import { noTracing } from './tracing.ts'
import type { Tracing } from './tracing.ts'

/** Without an answered heartbeat for so long an endpoint is not healthy, ms. */
const unhealthyAfterMs = 3_000
/** How long closing waits for acknowledgements of what was appended, by default, ms. */
const defaultCloseFlushMs = 5_000

/**
 * Why everything about a lane must be made good: entries of its outbox were lost (`hole`), its server's state is
 * another (`run`), or this process was declared dead and has a new boot id (`boot`).
 */
export type ResyncReason = 'hole' | 'run' | 'boot'

export interface EndpointOptions {
  readonly role: 'edge' | 'ingest'
  readonly memberId: string
  readonly version: string
  readonly store: Store
  readonly log: Log
  readonly scope: Scope
  readonly admin?: string
  readonly metrics?: Metrics
  readonly tracing?: Tracing
  readonly maxWindowBytes?: number
  readonly publishDeadlineMs?: number
  /** How long closing waits for acknowledgements, ms. */
  readonly closeFlushMs?: number
  /** Ephemeral events that it passes on to a room per second; 5,000 when it is left out. */
  ephemeralPerSecond?(room: string): number
  /** What `GET /v1/fleet` shows of this process. */
  figures?(): Readonly<Record<string, number>>
  /** Records of consecutive outbox entries, in order; the endpoint has taken its own (acks, rewinds) already. */
  onRecords(lane: number, records: readonly OutRecord[]): void
  /** Declare all interest of the lane again, and fill every room of it from its last seq. */
  onResync(lane: number, reason: ResyncReason): void
}

/** Resolves when the outboxes exist and the member is registered; waits for a store that is away. */
export async function createEndpoint(options: EndpointOptions): Promise<Endpoint> {
  const endpoint = new StoreEndpoint(options)
  await endpoint.start()
  return endpoint
}

/** Publishes, and resolves with the outcome. Never rejects. */
export function published(endpoint: Endpoint, message: PublishRequest): Promise<PublishOutcome> {
  return new Promise((settled) => endpoint.publish(message, settled))
}

class StoreEndpoint implements Endpoint {
  readonly #options: EndpointOptions
  readonly #lanes: readonly number[]
  readonly #metrics: EndpointMetrics | undefined
  readonly #producers: Producers
  readonly #ephemeral: (room: string, event: OutEvent) => void
  readonly #runs = new Map<number, string>()
  readonly #startedAtMs = Date.now()
  #readers: readonly OutboxReader[] = []
  #acks: readonly Acks[] = []
  #boot: string
  #plan: Plan | null = null
  #knows: Knowledge = { plan: 0, epoch: 0 }
  #state: 'live' | 'rebooting' | 'closing' = 'live'
  #closed: Promise<void> | undefined
  #draining = false
  #beat = 0
  #beatAtMs = performance.now()

  constructor(options: EndpointOptions) {
    const { store, scope, maxWindowBytes, publishDeadlineMs } = options
    this.#options = options
    this.#lanes = Array.from({ length: store.shape.lanes }, (_, lane) => lane)
    this.#metrics = options.metrics === undefined ? undefined : endpointMetrics(options.metrics, options.role)
    this.#boot = newBoot(options.memberId)
    this.#producers = new Producers({
      boot: this.#boot,
      store,
      scope,
      ...(this.#metrics === undefined ? {} : { metrics: this.#metrics }),
      ...(maxWindowBytes === undefined ? {} : { maxWindowBytes }),
      ...(publishDeadlineMs === undefined ? {} : { publishDeadlineMs }),
    })
    this.#ephemeral = createEphemerals({
      scope,
      perSecond: (room) => options.ephemeralPerSecond?.(room) ?? ephemeralPerSecond,
      send: (room, event) => this.#producers.ephemeral(room, event.options, event.tail),
      counted: (reason) => this.#metrics?.leftOut(reason),
    })
  }

  async start(): Promise<void> {
    const { store, scope } = this.#options
    await this.#enter(this.#boot)
    this.#beatAtMs = performance.now()
    scope.defer(store.watchRuns((primary, run) => this.#runIs(primary, run)))
    this.#startReaders()
    await this.#heartbeat()
    scope.every(endpointHeartbeatMs, () => this.#heartbeat())
  }

  get boot(): string {
    return this.#boot
  }
  get healthy(): boolean {
    return this.#state === 'live' && performance.now() - this.#beatAtMs <= unhealthyAfterMs
  }
  get plan(): Plan | null {
    return this.#plan
  }

  publish(request: PublishRequest, settled: (outcome: PublishOutcome) => void): void {
    const { tracing = noTracing } = this.#options
    if (tracing.on) this.#publishTraced(tracing, request, settled)
    else this.#producers.publish(request, settled)
  }
  /** From here until the outcome is known is one span; what follows elsewhere finds it in the options of the event. */
  #publishTraced(tracing: Tracing, request: PublishRequest, settled: (outcome: PublishOutcome) => void): void {
    const span = tracing.begin('publish', {
      kind: 'producer',
      parent: request.traceparent,
      attributes: {
        'messaging.system': 'flotilla',
        'messaging.operation.type': 'send',
        // Not its name: who is meant may be nobody else's business.
        'flotilla.room.type': request.room.split(':', 1)[0] ?? '',
        'flotilla.role': this.#options.role,
      },
    })
    if (span === undefined) return this.#producers.publish(request, settled)
    const options = withTrace(request.options, span.traceparent)
    this.#producers.publish({ ...request, options }, (outcome) => {
      const failed = outcome.type === 'committed' ? undefined : outcome.type
      span.end({ 'flotilla.outcome': outcome.type }, failed)
      settled(outcome)
    })
  }
  ephemeral(room: string, event: OutEvent): void {
    this.#ephemeral(room, event)
  }
  interest(room: string, on: boolean, nonce: string): void {
    this.#producers.interest(room, on, nonce)
  }
  tell(message: StateMessage): boolean {
    return this.#producers.tell(message)
  }
  history(room: string, after: number, limit: number): Promise<readonly LogEntry[]> {
    return this.#options.store.rooms.range(room, after, limit)
  }
  tail(room: string, before: number, limit: number): Promise<readonly LogEntry[]> {
    return this.#options.store.rooms.tail(room, before, limit)
  }
  drain(): void {
    this.#draining = true
    // Control is to hear of it now.
    void this.#heartbeat()
  }
  close(): Promise<void> {
    return (this.#closed ??= this.#close())
  }

  #member(boot: string): Member {
    const { role, version, admin } = this.#options
    const figures = this.#options.figures?.()
    return {
      boot,
      role,
      state: this.#closed === undefined && !this.#draining ? 'live' : 'draining',
      beat: this.#beat,
      knows: this.#knows,
      startedAtMs: this.#startedAtMs,
      version,
      ...(figures === undefined ? {} : { figures }),
      ...(admin === undefined ? {} : { admin }),
    }
  }

  /** Outboxes first: from the registration on workers write to them. Rejects only when the scope closes. */
  async #enter(boot: string): Promise<void> {
    const { store, scope, log } = this.#options
    const backoff = createBackoff({ baseMs: 50, maxMs: 2_000, random: Math.random })
    for (;;) {
      scope.signal.throwIfAborted()
      try {
        await Promise.all(this.#lanes.map((lane) => store.outboxes.open(lane, boot)))
        await store.fleet.register(this.#member(boot))
        return
      } catch (error) {
        log.warn('could not register, trying again', { err: error })
      }
      await wait(backoff.next(), scope.signal)
    }
  }

  #startReaders(): void {
    const { store, log, scope } = this.#options
    const acks = this.#lanes.map((lane) =>
      createAcks(lane, {
        ...{ store, log, scope },
        confirmed: (ms) => this.#metrics?.confirmed(ms),
        onAcks: (records) => this.#producers.take(records),
        onDropped: (of) => this.#producers.resync(of),
      }),
    )
    this.#acks = acks
    const deps: OutboxDeps = {
      store,
      log,
      scope,
      onRecords: (lane, records, run) => {
        acks[lane]?.take(records, run)
        this.#options.onRecords(lane, records)
      },
      onHole: (lane) => this.#resync(lane, 'hole'),
      onGone: () => void this.#reboot('its outbox is gone'),
    }
    this.#readers = this.#lanes.map((lane) => readOutbox(lane, this.#boot, deps))
  }

  #stopReaders(): void {
    for (const reader of this.#readers) reader.stop()
    for (const acks of this.#acks) acks.stop()
  }

  #resync(lane: number, reason: ResyncReason): void {
    this.#metrics?.resynced(reason)
    this.#producers.resync(lane)
    this.#options.onResync(lane, reason)
  }

  /** The fleet takes this boot for dead, or lost it: everything begins again under a new id. Sockets stay. */
  async #reboot(reason: string): Promise<void> {
    if (this.#state !== 'live') return
    const before = this.#boot
    const boot = newBoot(this.#options.memberId)
    this.#options.log.warn('taking a new boot id', { reason, before, boot })
    this.#state = 'rebooting'
    this.#stopReaders()
    try {
      await this.#enter(boot)
    } catch {
      return
    }
    if (this.#isClosing()) return this.#forget(boot)
    this.#state = 'live'
    this.#boot = boot
    this.#beatAtMs = performance.now()
    this.#producers.reboot(boot)
    this.#startReaders()
    for (const lane of this.#lanes) {
      this.#metrics?.resynced('boot')
      this.#options.onResync(lane, 'boot')
    }
    await this.#forget(before)
  }

  /** Asked for by a call, because a property that is compared twice is not expected to change in between. */
  #isClosing(): boolean {
    return this.#state === 'closing'
  }

  /** What stays because the store is away is reaped by control. */
  async #forget(boot: string): Promise<void> {
    const { store, log } = this.#options
    const results = await Promise.allSettled([store.outboxes.remove(boot), store.fleet.remove(boot)])
    for (const result of results) {
      if (result.status === 'rejected') log.warn('could not sign off', { boot, err: result.reason })
    }
  }

  async #heartbeat(): Promise<void> {
    if (this.#state !== 'live') return
    const boot = this.#boot
    this.#beat += 1
    try {
      const answer = await this.#options.store.fleet.heartbeat(this.#member(boot), this.#plan?.version ?? 0)
      this.#beatAtMs = performance.now()
      if (answer.plan !== undefined) {
        this.#plan = answer.plan
        this.#knows = learn(this.#knows, answer.plan)
      }
      if (!answer.known && boot === this.#boot) void this.#reboot('its member record is gone')
    } catch (error) {
      this.#options.log.warn('heartbeat failed', { err: error })
    }
  }

  /** Another state of a server may lack what was read from it: its lanes begin at their oldest entry again. */
  #runIs(primary: number, run: string): void {
    const before = this.#runs.get(primary)
    this.#runs.set(primary, run)
    if (before === undefined || before === run || this.#state !== 'live') return
    this.#options.log.warn('the store is another than before', { primary, before, run })
    for (const lane of this.#lanes) {
      if (this.#options.store.primaryOf(lane) !== primary) continue
      this.#readers[lane]?.restart()
      this.#resync(lane, 'run')
    }
  }

  async #close(): Promise<void> {
    this.#producers.refuse()
    const flushMs = this.#options.closeFlushMs ?? defaultCloseFlushMs
    const timer = new AbortController()
    await Promise.race([this.#producers.whenIdle(), wait(flushMs, timer.signal).catch(() => undefined)])
    timer.abort()
    this.#state = 'closing'
    this.#stopReaders()
    this.#producers.close()
    await this.#forget(this.#boot)
  }
}

/** A boot id is never used twice, whatever else two processes share. */
function newBoot(memberId: string): string {
  return `${memberId}#${BigInt(`0x${randomBytes(9).toString('hex')}`).toString(36)}`
}

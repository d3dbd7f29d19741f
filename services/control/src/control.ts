import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import { isLeading } from '@flotilla/core/control'
import { endpointHeartbeatMs } from '@flotilla/core/limits'
import type { Pods } from '@flotilla/core/control-pods'
import type { Member } from '@flotilla/core/plan'
import { serverLimits } from '@flotilla/node/http'
import type { CheckState } from '@flotilla/node/http'
import { createApp } from './api.ts'
import { fleetHealth, staleAfterMs } from './health.ts'
import type { FleetHealth } from './health.ts'
import { runLoop } from './loop.ts'
import type { ControlDeps, ControlLoop } from './loop.ts'
import type { ControlMetrics } from './metrics.ts'
import { fleetView, orphanedSlots } from './view.ts'
import type { FleetView } from './view.ts'

const maxConnections = 256

export interface ControlOptions {
  readonly memberId: string
  readonly version: string
  /** Address and port of the API; port 0 takes a free one. */
  readonly host: string
  readonly port: number
  readonly admin?: string
  /** That all draining edges together may cause; a default of the core's otherwise. */
  readonly reconnectsPerSecond?: number
}

export interface Control {
  readonly boot: string
  readonly port: number
  readonly leading: boolean
  view(): FleetView
  /** Empties a worker or an edge while it runs on. */
  drain(boot: string): void
  /** All pods of the fleet that are there now. */
  tell(pods: Pods): void
  readonly counters: ControlMetrics
  /** For `/readyz`. */
  ready(): CheckState
  /** Gives up the lease, takes the member record away and closes the API. */
  stop(): Promise<void>
}

/** Starts a control process: the loop, its own heartbeat, and the API. */
export async function startControl(options: ControlOptions, deps: ControlDeps): Promise<Control> {
  const { store, scope } = deps
  const boot = `${options.memberId}#${BigInt(`0x${randomBytes(6).toString('hex')}`).toString(36)}`
  const log = deps.log.child({ boot })
  const { reconnectsPerSecond } = options
  const loop = runLoop(boot, { ...deps, log }, reconnectsPerSecond === undefined ? {} : { reconnectsPerSecond })
  const self = { boot, version: options.version }
  const view = (): FleetView => fleetView(loop.state(), self, performance.now())
  const health = (): FleetHealth => fleetHealth(view(), loop.state())
  const leading = (): boolean => isLeading(loop.state(), performance.now())
  const stopHeartbeat = beatFor(options, boot, { ...deps, log, loop })
  const app = createApp({ view, health, log, leading, drain: loop.drain })
  const server = await listen(createServer(serverLimits, app), options)
  scope.defer(() => close(server.server))
  return {
    boot,
    port: server.port,
    get leading() {
      return leading()
    },
    view,
    drain: loop.drain,
    tell: loop.tell,
    counters: loop.counters,
    ready: () => readiness(view(), loop.state().mismatch),
    stop: async () => {
      await close(server.server)
      await stopHeartbeat()
      await loop.stop()
      for (const ended of await Promise.allSettled([loop.leadership.release(), store.fleet.remove(boot)])) {
        // Without the store the lease runs out, and the next leader removes the record.
        if (ended.status === 'rejected')
          log.warn('the lease or the record could not be given up', { err: ended.reason })
      }
    },
  }
}

/** A process without the lease is ready too: it takes over. */
function readiness({ observedMsAgo }: FleetView, mismatch: boolean): CheckState {
  if (mismatch) return { ok: false, detail: 'the stored plan has another number of slots' }
  if (observedMsAgo === null) return { ok: false, detail: 'the fleet was not read yet' }
  return { ok: observedMsAgo <= staleAfterMs, detail: `fleet read ${observedMsAgo} ms ago` }
}

interface HeartbeatDeps extends ControlDeps {
  readonly loop: ControlLoop
}

/** Keeps this process's own member record. Returns what stops it, says that it leaves, and resolves when none is under way. */
function beatFor(options: ControlOptions, boot: string, deps: HeartbeatDeps): () => Promise<void> {
  const { store, scope, loop, log } = deps
  const startedAtMs = Date.now()
  let beat = 0
  let memberState: Member['state'] = 'live'
  function member(): Member {
    const state = loop.state()
    const figures = {
      leading: isLeading(state, performance.now()) ? 1 : 0,
      orphans: orphanedSlots(state).length,
      inFlight: state.waits.size,
    }
    const { version, admin } = options
    const record = { boot, role: 'control', state: memberState, beat, figures, startedAtMs, version } as const
    return admin === undefined ? record : { ...record, admin }
  }
  async function heartbeat(): Promise<void> {
    beat += 1
    try {
      const { known } = await store.fleet.heartbeat(member(), loop.state().plan.version)
      if (!known) await store.fleet.register(member())
    } catch (error) {
      log.debug('heartbeat failed', { err: error })
    }
  }
  let underWay = heartbeat()
  const cancel = scope.every(endpointHeartbeatMs, () => (underWay = underWay.then(heartbeat)))
  return () => {
    cancel()
    memberState = 'draining'
    return underWay.then(heartbeat)
  }
}

async function listen(server: Server, { host, port }: ControlOptions): Promise<{ server: Server; port: number }> {
  server.maxHeadersCount = 64
  server.maxConnections = maxConnections
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      resolve()
    })
  })
  const address = server.address()
  return { server, port: typeof address === 'object' && address !== null ? address.port : port }
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    // An error here says that it was closed before, which is what is wanted.
    server.close(() => resolve())
    server.closeAllConnections()
  })
}

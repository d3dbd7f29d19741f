import { createServer } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import type { Server } from 'node:http'
import { createEndpoint } from '@flotilla/node/endpoint'
import type { EndpointOptions } from '@flotilla/node/endpoint'
import { serverLimits } from '@flotilla/node/http'
import type { Log } from '@flotilla/node/log'
import type { Metrics } from '@flotilla/node/metrics'
import type { Scope } from '@flotilla/node/scope'
import type { Store } from '@flotilla/node/store/port'
import { noTracing } from '@flotilla/node/tracing'
import type { Tracing } from '@flotilla/node/tracing'
import { createApp } from './app.ts'
import type { IngestKeys } from './keys.ts'
import { ingestMetrics } from './metrics.ts'

export interface IngestConfig {
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
  readonly keys: IngestKeys
  readonly memberId: string
  readonly version: string
  readonly maxInFlight: number
  /** Limits of the endpoint that are not the default ones. */
  readonly limits?: Pick<EndpointOptions, 'publishDeadlineMs' | 'closeFlushMs'>
}
export interface IngestDeps {
  readonly store: Store
  readonly log: Log
  readonly scope: Scope
  readonly metrics: Metrics
  readonly tracing?: Tracing
}
export interface Ingest {
  /** The port it listens on. */
  readonly port: number
  /** Whether the store answers: then it makes sense to send requests here. */
  readonly healthy: boolean
  /**
   * Answers new requests for `settleMs` more, each with `Connection: close`, while balancers learn that it goes. Then it takes none, answers
   * those under way, and signs off.
   */
  close(settleMs?: number): Promise<void>
}

/** Connections a process accepts at the same time. */
const maxConnections = 10_000
/** How long requests under way may take once the process drains, ms. */
const drainMs = 12_000
const closeIdleEveryMs = 100

/** Resolves when it listens; waits for a store that is away. */
export async function startIngest(config: IngestConfig, deps: IngestDeps): Promise<Ingest> {
  const { store, log, scope, metrics, tracing = noTracing } = deps
  const endpoint = await createEndpoint({
    role: 'ingest',
    memberId: config.memberId,
    version: config.version,
    store,
    log,
    scope,
    metrics,
    tracing,
    ...config.limits,
    // It has no subscribers: whatever concerns rooms is for edges.
    onRecords: () => {},
    onResync: () => {},
  })
  const { keys, maxInFlight, version } = config
  const app = createApp({ endpoint, keys, log, metrics: ingestMetrics(metrics), maxInFlight, version })
  const server = createServer(serverLimits, app)
  server.maxConnections = maxConnections
  const port = await listen(server, config)
  let leaving = false
  server.prependListener('request', (_, response) => {
    if (leaving) response.setHeader('Connection', 'close')
  })
  log.info('ingest listens', { host: config.host, port })
  return {
    port,
    get healthy() {
      return endpoint.healthy
    },
    close: async (settleMs = 0) => {
      leaving = true
      if (settleMs > 0) await delay(settleMs)
      await closeServer(server)
      await endpoint.close()
    },
  }
}

function listen(server: Server, { port, host }: IngestConfig): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : port)
    })
  })
}

/** Connections kept alive by clients are closed as they become idle. */
function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const idle = setInterval(() => server.closeIdleConnections(), closeIdleEveryMs)
    const late = setTimeout(() => server.closeAllConnections(), drainMs)
    server.close(() => {
      clearInterval(idle)
      clearTimeout(late)
      resolve()
    })
  })
}

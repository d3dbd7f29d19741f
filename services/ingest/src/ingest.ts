import { createServer } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import type { Server } from 'node:http'
import { ephemeralPerSecondOf } from '@flotilla/core/policy'
import { createEndpoint } from '@flotilla/node/endpoint'
import type { EndpointOptions } from '@flotilla/node/endpoint'
import type { Endpoint } from '@flotilla/node/endpoint-port'
import { refuseUnread, requireHost, serverLimits } from '@flotilla/node/http'
import type { Log } from '@flotilla/node/log'
import type { Metrics } from '@flotilla/node/metrics'
import { fixedPolicy } from '@flotilla/node/policy'
import type { PolicySource } from '@flotilla/node/policy'
import type { Scope } from '@flotilla/node/scope'
import type { Store } from '@flotilla/node/store/port'
import { noTracing } from '@flotilla/node/tracing'
import type { Tracing } from '@flotilla/node/tracing'
import { createApp } from './app.ts'
import type { IngestKeys } from './keys.ts'
import { ingestMetrics } from './metrics.ts'
import { createReader } from './outgoing/reader.ts'
import type { Webhook } from './outgoing/webhook-file.ts'
import { startWebhooks, webhookFigures } from './outgoing/webhooks.ts'
import type { WebhooksDeps } from './outgoing/webhooks.ts'
import { createQuestions } from './questions.ts'
import type { Source } from './sources/schema.ts'
import { sourceFigures, startSources } from './sources/sources.ts'

export interface IngestConfig {
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
  readonly keys: IngestKeys
  readonly memberId: string
  readonly version: string
  readonly maxInFlight: number
  /** What events are taken from besides requests. */
  readonly sources?: readonly Source[]
  /** What outgoing events are sent to, and the delays of what is not taken. */
  readonly webhooks?: readonly Webhook[]
  readonly webhookRetryMs?: WebhooksDeps['retryMs']
  /** Limits of the endpoint that are not the default ones. */
  readonly limits?: Pick<EndpointOptions, 'publishDeadlineMs' | 'closeFlushMs'>
}
export interface IngestDeps {
  readonly store: Store
  readonly log: Log
  /** What the audit is written to; `log` by default. */
  readonly auditLog?: Log
  readonly scope: Scope
  readonly metrics: Metrics
  readonly tracing?: Tracing
  /** Says how old events are served; the default one when it is left out. */
  readonly policy?: PolicySource
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
  const { store, log, auditLog, scope, metrics, tracing = noTracing, policy = fixedPolicy() } = deps
  const { webhooks = [] } = config
  const figures = { ...sourceFigures(config.sources ?? []), ...webhookFigures(webhooks) }
  const closing = new AbortController()
  let started: Endpoint | undefined
  const questions = createQuestions(() => {
    if (started === undefined) throw new Error('the endpoint is not there yet')
    return started
  })
  const endpoint = await createEndpoint({
    role: 'ingest',
    memberId: config.memberId,
    version: config.version,
    store,
    log,
    scope,
    metrics,
    tracing,
    ephemeralPerSecond: (room) => ephemeralPerSecondOf(policy.current, room),
    ...config.limits,
    ...(Object.keys(figures).length === 0 ? {} : { figures: () => figures }),
    // It has no subscribers: what else concerns rooms is for edges.
    onRecords: (_lane, records) => questions.onRecords(records),
    onResync: () => {},
  })
  started = endpoint
  const { keys, maxInFlight, version } = config
  const parts = {
    endpoint,
    fleet: store.fleet,
    keys,
    log,
    auditLog,
    policy,
    questions,
    metrics: ingestMetrics(metrics),
  }
  const outgoing = { store, webhooks, closing: closing.signal }
  const app = requireHost(createApp({ ...parts, ...outgoing, maxInFlight, version }))
  const server = createServer({ ...serverLimits, requireHostHeader: false }, app)
  server.maxConnections = maxConnections
  refuseUnread(server)
  // An expectation that is not known is none: the answer says the same either way.
  server.on('checkExpectation', app)
  const port = await listen(server, config)
  const { memberId } = config
  const sources = startSources(config.sources ?? [], { endpoint, store, memberId, log, scope, metrics, policy })
  const reader = createReader({ store, policy })
  const retryMs = config.webhookRetryMs
  const sending = startWebhooks(webhooks, { endpoint, store, reader, log, scope, metrics, retryMs })
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
      // Another process may take the sources' messages from now on, and send to the webhooks.
      endpoint.drain()
      const stopped = Promise.all([sources.close(), sending.close()])
      closing.abort()
      if (settleMs > 0) await delay(settleMs)
      await Promise.all([closeServer(server), stopped])
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

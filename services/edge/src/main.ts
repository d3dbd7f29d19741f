import { readFileSync } from 'node:fs'
import { parseConfig, renderHelp } from '@flotilla/node/config'
import type { ConfigOf } from '@flotilla/node/config'
import { createAdminServer } from '@flotilla/node/http'
import { createVerifier } from '@flotilla/node/jwt'
import { createLog } from '@flotilla/node/log'
import type { Log } from '@flotilla/node/log'
import { createMetrics } from '@flotilla/node/metrics'
import { openPolicy } from '@flotilla/node/policy'
import { createScope, onShutdown } from '@flotilla/node/scope'
import type { Scope } from '@flotilla/node/scope'
import { openStore } from '@flotilla/node/store/open'
import { openTracing } from '@flotilla/node/tracing'
import { hostMemberId } from '@flotilla/node/store/settings'
import { edgeConfig } from './config.ts'
import { secretProblems } from './hooks/secrets.ts'
import { startEdge } from './edge.ts'
import type { Edge } from './edge.ts'
import { verifierOptions } from './keys.ts'

/** On top of the drain's own deadline, before the process exits all the same, ms. */
const shutdownSlackMs = 10_000

async function run(config: ConfigOf<typeof edgeConfig>, log: Log, scope: Scope): Promise<void> {
  const metrics = createMetrics({ service: 'edge', version: packageVersion() })
  const verifier = createVerifier({ ...verifierOptions(config), log })
  let edge: Edge | undefined
  const admin = await createAdminServer({
    port: config.adminPort,
    host: config.adminHost,
    metrics,
    log,
    live: {},
    // For load balancers, which cut whoever is not well: a store that is away for a moment is none of theirs.
    pages: {
      '/healthz/lb': () => {
        const state = edge === undefined ? 'starting' : edge.drains ? 'draining' : 'ok'
        return { status: state === 'ok' ? 200 : 503, json: { state } }
      },
    },
    posts: {
      '/drain': () => {
        if (edge === undefined) return { status: 409, json: { state: 'starting' } }
        void edge.drain()
        return { status: 202, json: { state: 'draining', connections: edge.connections } }
      },
    },
    ready: {
      edge: () => ({ ok: edge?.ready === true, detail: 'the store answers, a plan is there, and it does not drain' }),
    },
  })
  scope.defer(() => admin.close())
  onShutdown(scope, log, async () => edge?.drain(), { deadlineMs: config.drainTimeoutMs + shutdownSlackMs })
  const store = await openStore(config, { log, scope })
  const memberId = config.memberId ?? hostMemberId()
  const tracing = await openTracing('edge', { config, memberId, version: packageVersion(), log, scope })
  const policy = await openPolicy(config.policyFile, { log, scope, metrics, check: secretProblems })
  const { maxSubscriptions, maxPublishesInFlight, framesPerSecond, connectionsPerUser, connectionsPerTenant, idleMs } =
    config
  const { drainTimeoutMs, drainSettleMs, drainGraceMs, drainPerSecond } = config
  edge = await startEdge(
    {
      ...config,
      memberId,
      version: packageVersion(),
      limits: {
        maxSubscriptions,
        maxPublishesInFlight,
        framesPerSecond,
        connectionsPerUser,
        connectionsPerTenant,
        idleMs,
      },
      drain: {
        timeoutMs: drainTimeoutMs,
        settleMs: drainSettleMs,
        graceMs: drainGraceMs,
        perSecond: drainPerSecond,
      },
    },
    { store, log, auditLog: createLog({ service: 'edge', level: 'info' }), scope, metrics, verifier, tracing, policy },
  )
  log.info('edge listens', { host: config.host, port: edge.port, adminPort: admin.port })
}

function packageVersion(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}

async function main(): Promise<void> {
  const config = parseConfig(edgeConfig, process.env)
  const log = createLog({ service: 'edge', level: config.logLevel })
  const scope = createScope(log)
  try {
    await run(config, log, scope)
  } catch (error) {
    await scope.close()
    throw error
  }
}

if (process.argv.includes('--help')) {
  process.stdout.write(`Flotilla edge: clients connect here.\n\n${renderHelp(edgeConfig)}`)
} else {
  main().catch((error: unknown) => {
    // There may be no log yet, and it is for people: what is wrong, without a stack.
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode = 1
  })
}

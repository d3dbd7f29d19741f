import { readFileSync } from 'node:fs'
import { ConfigError, parseConfig, renderHelp } from '@flotilla/node/config'
import type { ConfigOf } from '@flotilla/node/config'
import { createAdminServer } from '@flotilla/node/http'
import { createLog } from '@flotilla/node/log'
import type { Log } from '@flotilla/node/log'
import { createMetrics } from '@flotilla/node/metrics'
import { openPolicy } from '@flotilla/node/policy'
import { createScope, onShutdown } from '@flotilla/node/scope'
import type { Scope } from '@flotilla/node/scope'
import { openStore } from '@flotilla/node/store/open'
import { openTracing } from '@flotilla/node/tracing'
import { hostMemberId } from '@flotilla/node/store/settings'
import { ingestConfig } from './config.ts'
import { startIngest } from './ingest.ts'
import type { Ingest } from './ingest.ts'
import { openKeys } from './keyring-file.ts'
import type { OpenedKeys } from './keyring-file.ts'
import { readWebhooks } from './outgoing/webhook-file.ts'
import type { Webhook } from './outgoing/webhook-file.ts'
import { readSources } from './sources/file.ts'
import type { Source } from './sources/schema.ts'

/** Time for a drain before the process exits all the same, ms. */
const shutdownMs = 25_000

interface Parts {
  readonly keys: OpenedKeys
  readonly sources: readonly Source[]
  readonly webhooks: readonly Webhook[]
  readonly log: Log
  readonly scope: Scope
}

async function run(config: ConfigOf<typeof ingestConfig>, parts: Parts): Promise<void> {
  const { keys, sources, webhooks, log, scope } = parts
  const metrics = createMetrics({ service: 'ingest', version: version() })
  keys.watch({ log, scope, metrics })
  let ingest: Ingest | undefined
  let draining = false
  const ready = () => ({
    ok: ingest?.healthy === true && !draining,
    detail: draining ? 'draining' : 'the store answers',
  })
  const admin = await createAdminServer({
    port: config.adminPort,
    host: config.adminHost,
    metrics,
    log,
    live: {},
    ready: { store: ready },
  })
  scope.defer(() => admin.close())
  const drain = async (): Promise<void> => {
    draining = true
    await ingest?.close(config.drainSettleMs)
  }
  onShutdown(scope, log, drain, { deadlineMs: shutdownMs + config.drainSettleMs })
  const store = await openStore(config, { log, scope })
  const { host, port, maxInFlight } = config
  const memberId = config.memberId ?? hostMemberId()
  const tracing = await openTracing('ingest', { config, memberId, version: version(), log, scope })
  const policy = await openPolicy(config.policyFile, { log, scope, metrics })
  ingest = await startIngest(
    { host, port, keys, memberId, version: version(), maxInFlight, sources, webhooks },
    { store, log, auditLog: createLog({ service: 'ingest', level: 'info' }), scope, metrics, tracing, policy },
  )
}

async function main(): Promise<void> {
  const config = parseConfig(ingestConfig, process.env)
  const inputs = {
    keys: openKeys(config),
    sources: readSources(config.sourcesFile),
    webhooks: readWebhooks(config.webhooksFile),
  }
  const log = createLog({ service: 'ingest', level: config.logLevel })
  const scope = createScope(log)
  try {
    await run(config, { ...inputs, log, scope })
  } catch (error) {
    await scope.close()
    throw error
  }
}

function version(): string {
  const { version: text } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  return text
}

if (process.argv.includes('--help')) {
  process.stdout.write(`Flotilla ingest: other services post events here.\n\n${renderHelp(ingestConfig)}`)
} else {
  try {
    await main()
  } catch (error) {
    // Before the log exists, and for people: what is wrong with the configuration, without a stack.
    process.stderr.write(`${error instanceof ConfigError ? error.message : String(error)}\n`)
    process.exitCode = 1
  }
}

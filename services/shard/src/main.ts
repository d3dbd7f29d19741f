import { readFileSync } from 'node:fs'
import { parseConfig, renderHelp } from '@flotilla/node/config'
import type { ConfigOf } from '@flotilla/node/config'
import { createAdminServer } from '@flotilla/node/http'
import { createLog } from '@flotilla/node/log'
import type { Log } from '@flotilla/node/log'
import { createMetrics } from '@flotilla/node/metrics'
import { openPolicy } from '@flotilla/node/policy'
import { createScope, onShutdown } from '@flotilla/node/scope'
import type { Scope } from '@flotilla/node/scope'
import { withFailpoints } from '@flotilla/node/store/failpoints'
import { openStore } from '@flotilla/node/store/open'
import { tracedStore } from '@flotilla/node/store/traced'
import { openTracing } from '@flotilla/node/tracing'
import { hostMemberId } from '@flotilla/node/store/settings'
import { shardConfig } from './config.ts'
import { startShard } from './shard.ts'
import type { Shard } from './shard.ts'

/** On top of the drain's own deadline, before the process exits all the same, ms. */
const shutdownSlackMs = 5_000

async function run(config: ConfigOf<typeof shardConfig>, log: Log, scope: Scope): Promise<void> {
  const metrics = createMetrics({ service: 'shard', version: packageVersion() })
  let shard: Shard | undefined
  const admin = await createAdminServer({
    port: config.adminPort,
    host: config.adminHost,
    metrics,
    log,
    live: {},
    ready: { store: () => ({ ok: shard?.healthy === true, detail: 'heartbeats reach the store' }) },
  })
  scope.defer(() => admin.close())
  onShutdown(scope, log, async () => shard?.drain(), { deadlineMs: config.drainTimeoutMs + shutdownSlackMs })
  const memberId = config.memberId ?? hostMemberId()
  const tracing = await openTracing('shard', { config, memberId, version: packageVersion(), log, scope })
  const opened = await openStore(config, { log, scope })
  const store = withFailpoints(tracedStore(opened, tracing), config.failpoints, {
    log,
    nodeEnv: process.env['NODE_ENV'],
    kill: () => process.kill(process.pid, 'SIGKILL'),
  })
  const policy = await openPolicy(config.policyFile, { log, scope, metrics })
  const { drainTimeoutMs } = config
  const version = packageVersion()
  shard = await startShard({ memberId, version, drainTimeoutMs }, { store, log, scope, metrics, policy })
  log.info('shard serves', { boot: shard.boot, adminPort: admin.port })
}

function packageVersion(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}

async function main(): Promise<void> {
  const config = parseConfig(shardConfig, process.env)
  const log = createLog({ service: 'shard', level: config.logLevel })
  const scope = createScope(log)
  try {
    await run(config, log, scope)
  } catch (error) {
    await scope.close()
    throw error
  }
}

if (process.argv.includes('--help')) {
  process.stdout.write(`Flotilla shard: a worker that owns slots and orders their rooms.\n\n${renderHelp(shardConfig)}`)
} else {
  main().catch((error: unknown) => {
    // There may be no log yet, and it is for people: what is wrong, without a stack.
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode = 1
  })
}

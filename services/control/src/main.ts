import { readFileSync } from 'node:fs'
import { parseConfig, renderHelp } from '@flotilla/node/config'
import type { ConfigOf } from '@flotilla/node/config'
import { createAdminServer } from '@flotilla/node/http'
import { createLog } from '@flotilla/node/log'
import type { Log } from '@flotilla/node/log'
import { createMetrics } from '@flotilla/node/metrics'
import { createScope, onShutdown } from '@flotilla/node/scope'
import type { Scope } from '@flotilla/node/scope'
import { withFailpoints } from '@flotilla/node/store/failpoints'
import { openStore } from '@flotilla/node/store/open'
import { openTracing } from '@flotilla/node/tracing'
import { hostMemberId } from '@flotilla/node/store/settings'
import { controlConfig } from './config.ts'
import { startControl } from './control.ts'
import type { Control } from './control.ts'
import { clusterApi } from './kubernetes/client.ts'
import { kubernetesLeadership } from './kubernetes/leadership.ts'
import { leasesOf } from './kubernetes/leases.ts'
import { joinPlatform } from './kubernetes/platform.ts'

/** Time to give up the lease and end before the process exits all the same, ms. */
const shutdownMs = 10_000

async function run(config: ConfigOf<typeof controlConfig>, log: Log, scope: Scope): Promise<void> {
  const metrics = createMetrics({ service: 'control', version: packageVersion() })
  let control: Control | undefined
  const admin = await createAdminServer({
    port: config.adminPort,
    host: config.adminHost,
    metrics,
    log,
    live: {},
    ready: { store: () => control?.ready() ?? { ok: false, detail: 'starting' } },
  })
  scope.defer(() => admin.close())
  onShutdown(scope, log, async () => control?.stop(), { deadlineMs: shutdownMs })
  const store = withFailpoints(await openStore(config, { log, scope }), config.failpoints, {
    log,
    nodeEnv: process.env['NODE_ENV'],
    kill: () => process.kill(process.pid, 'SIGKILL'),
  })
  const { host, port, reconnectsPerSecond } = config
  const memberId = config.memberId ?? hostMemberId()
  const tracing = await openTracing('control', { config, memberId, version: packageVersion(), log, scope })
  const options = { memberId, version: packageVersion(), host, port, reconnectsPerSecond }
  const api = config.kubernetes ? clusterApi() : undefined
  control = await startControl(options, {
    ...{ store, log, scope, metrics, tracing },
    ...(api !== undefined && {
      leadership: (boot, counted) =>
        kubernetesLeadership(boot, { store, leases: leasesOf(api, config.lease), log, scope, metrics: counted }),
    }),
  })
  if (api !== undefined)
    joinPlatform({ api, selector: config.podSelector, control, log, scope, metrics: control.counters })
  log.info('control listens', { host, port: control.port, adminPort: admin.port })
}

function packageVersion(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}

async function main(): Promise<void> {
  const config = parseConfig(controlConfig, process.env)
  const log = createLog({ service: 'control', level: config.logLevel })
  const scope = createScope(log)
  try {
    await run(config, log, scope)
  } catch (error) {
    await scope.close()
    throw error
  }
}

if (process.argv.includes('--help')) {
  process.stdout.write(`Flotilla control: decides which worker owns which slot.\n\n${renderHelp(controlConfig)}`)
} else {
  main().catch((error: unknown) => {
    // There may be no log yet, and it is for people: what is wrong, without a stack.
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode = 1
  })
}

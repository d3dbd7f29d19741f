// The whole fleet in one process: `make run`. On the memory of this process, or on the Redis of FLOTILLA_REDIS_URL.
import { parseConfig } from '@flotilla/node/config'
import { createVerifier, DEVELOPMENT_SECRET, signToken } from '@flotilla/node/jwt'
import { createLog } from '@flotilla/node/log'
import { createMetrics } from '@flotilla/node/metrics'
import { openPolicy } from '@flotilla/node/policy'
import { createScope, onShutdown } from '@flotilla/node/scope'
import { openStore } from '@flotilla/node/store/open'
import { controlConfig } from '@flotilla/control/config'
import { startControl } from '@flotilla/control/control'
import { edgeConfig } from '@flotilla/edge/config'
import { startEdge } from '@flotilla/edge/edge'
import { secretProblems } from '@flotilla/edge/hooks/secrets'
import { verifierOptions } from '@flotilla/edge/keys'
import { ingestConfig } from '@flotilla/ingest/config'
import { startIngest } from '@flotilla/ingest/ingest'
import { openKeys } from '@flotilla/ingest/keyring-file'
import { developmentKey } from '@flotilla/ingest/keys'
import { readWebhooks } from '@flotilla/ingest/outgoing/webhook-file'
import { readSources } from '@flotilla/ingest/sources/file'
import { startShard } from '@flotilla/shard/shard'

const version = '0.1.0'
const host = '127.0.0.1'
const room = 'public:lobby'
const env = {
  FLOTILLA_JWT_SECRET: DEVELOPMENT_SECRET,
  FLOTILLA_LOG_LEVEL: 'warn',
  FLOTILLA_EDGE_HOST: host,
  ...process.env,
}
if (env.FLOTILLA_JWKS_URL !== undefined) delete env.FLOTILLA_JWT_SECRET

async function main() {
  const edgeSettings = parseConfig(edgeConfig, env)
  const ingestSettings = parseConfig(ingestConfig, env)
  const controlSettings = parseConfig(controlConfig, env)
  const log = createLog({ service: 'flotilla', level: edgeSettings.logLevel })
  const scope = createScope(log)
  const parts = []
  onShutdown(
    scope,
    log,
    async () => {
      for (const stop of parts.toReversed()) await stop()
    },
    { deadlineMs: 20_000 },
  )

  const store = await openStore(edgeSettings, { log, scope })
  const metrics = createMetrics({ service: 'flotilla' })
  const policy = await openPolicy(edgeSettings.policyFile, { log, scope, metrics, check: secretProblems })
  const deps = (service) => ({
    ...{ store, log: log.child({ part: service }), scope, policy },
    metrics: createMetrics({ service }),
  })
  const control = await startControl(
    { memberId: 'control-1', version, host, port: controlSettings.port },
    deps('control'),
  )
  parts.push(() => control.stop())
  const shard = await startShard({ memberId: 'shard-1', version, drainTimeoutMs: 1_000 }, deps('shard'))
  parts.push(() => shard.drain())
  const keyText = ingestSettings.keys ?? developmentKey()
  const keys = openKeys({ keys: keyText, keyring: ingestSettings.keyring })
  const ingestDeps = deps('ingest')
  keys.watch(ingestDeps)
  const ingest = await startIngest(
    {
      host,
      port: ingestSettings.port,
      keys,
      memberId: 'ingest-1',
      version,
      maxInFlight: ingestSettings.maxInFlight,
      sources: readSources(ingestSettings.sourcesFile),
      webhooks: readWebhooks(ingestSettings.webhooksFile),
    },
    ingestDeps,
  )
  parts.push(() => ingest.close())
  const verifier = createVerifier({ ...verifierOptions(edgeSettings), log })
  const edge = await startEdge(
    {
      ...edgeSettings,
      memberId: 'edge-1',
      version,
      limits: sessionLimits(edgeSettings),
      drain: { timeoutMs: 1_000, settleMs: 0, graceMs: 1_000, perSecond: 1_000 },
    },
    { ...deps('edge'), verifier },
  )
  parts.push(() => edge.drain())
  print({
    edge,
    ingest,
    control,
    key: keyText.split(',')[0].replace(/^[^:]*:/, ''),
    secret: env.FLOTILLA_JWT_SECRET,
    redis: edgeSettings.redisUrl !== null,
  })
}

const sessionLimits = (settings) => {
  const { maxSubscriptions, maxPublishesInFlight, framesPerSecond, idleMs } = settings
  const { connectionsPerUser, connectionsPerTenant } = settings
  return { maxSubscriptions, maxPublishesInFlight, framesPerSecond, idleMs, connectionsPerUser, connectionsPerTenant }
}

function print({ edge, ingest, control, key, secret, redis }) {
  const token = secret === undefined ? undefined : signToken({ secret, sub: 'you', tenant: 'acme', ttlSeconds: 86_400 })
  const event = JSON.stringify({ room, event: 'message', data: { text: 'hello from curl' } })
  const page = `http://localhost:${edge.port}/`
  console.log(`
Flotilla runs: the whole fleet in this process, on ${redis ? 'Redis' : 'the memory of this process'}.

  page     ${page}${token === undefined ? '' : `#token=${token}`}
  sockets  ws://localhost:${edge.port}/ws
  ingest   http://localhost:${ingest.port}/v1/events
  fleet    http://localhost:${control.port}/v1/fleet

A token (user "you", tenant "acme", one day; others: npm run token -- --sub alice --tenant acme):
${token ?? '(made by your own issuer: FLOTILLA_JWKS_URL is set)'}

Open the page, then post an event, and see it arrive:
curl -sS http://localhost:${ingest.port}/v1/events -H 'Authorization: Bearer ${key}' -H 'Content-Type: application/json' -d '${event}'

Ctrl-C ends it.`)
}

main().catch((error) => {
  console.error(error instanceof Error ? error.message : String(error))
  process.exit(1)
})

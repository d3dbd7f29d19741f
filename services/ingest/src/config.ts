import { defineConfig, durationMs, integer, optional, secret, text } from '@flotilla/node/config'
import {
  durabilitySettings,
  logSettings,
  memberSettings,
  policySettings,
  storeSettings,
  traceSettings,
} from '@flotilla/node/store/settings'

/** The settings of an ingest process. */
export const ingestConfig = defineConfig({
  ...storeSettings,
  ...durabilitySettings,
  ...logSettings,
  ...traceSettings,
  ...memberSettings,
  ...policySettings,
  host: text('FLOTILLA_INGEST_HOST', { default: '0.0.0.0', description: 'Address that the API listens on' }),
  port: integer('FLOTILLA_INGEST_PORT', { default: 8081, max: 65_535, unit: 'port', description: 'Port of the API' }),
  adminHost: text('FLOTILLA_ADMIN_HOST', { default: '0.0.0.0', description: 'Address the admin port listens on' }),
  adminPort: integer('FLOTILLA_INGEST_ADMIN_PORT', {
    default: 9081,
    max: 65_535,
    unit: 'port',
    description: 'Port of /livez, /readyz and /metrics',
  }),
  keys: optional(
    secret('FLOTILLA_INGEST_KEYS', {
      description: 'Comma list of name:key or bare keys, each of at least 16 characters, that may post events',
    }),
  ),
  keyring: optional(
    text('FLOTILLA_INGEST_KEYRING', {
      description:
        'Path of a YAML or JSON file of keys with scopes, times and rates (docs/ingest.md); read again every 2 s',
    }),
  ),
  sourcesFile: optional(
    text('FLOTILLA_SOURCES_FILE', {
      description:
        'Path of a YAML or JSON file with sources of events: NATS JetStream and Redis Streams (docs/sources.md)',
    }),
  ),
  webhooksFile: optional(
    text('FLOTILLA_WEBHOOKS_FILE', {
      description: 'Path of a YAML or JSON file with webhooks that outgoing events are sent to (docs/webhooks.md)',
    }),
  ),
  drainSettleMs: durationMs('FLOTILLA_INGEST_DRAIN_SETTLE', {
    default: 1_000,
    min: 0,
    max: 600_000,
    unit: 'ms',
    description: 'Time after SIGTERM in which requests are still answered while balancers hear that /readyz fails',
  }),
  maxInFlight: integer('FLOTILLA_INGEST_MAX_IN_FLIGHT', {
    default: 20_000,
    min: 1,
    max: 1_000_000,
    unit: 'publishes',
    description:
      'Publishes (one per room of an event) that may wait for their commit; above it requests answer OVERLOADED',
  }),
})

import { defineConfig, durationMs, integer, optional, text } from '@flotilla/node/config'
import {
  logSettings,
  memberSettings,
  policySettings,
  storeSettings,
  traceSettings,
} from '@flotilla/node/store/settings'

/** The settings of a shard worker. */
export const shardConfig = defineConfig({
  ...storeSettings,
  ...logSettings,
  ...traceSettings,
  ...memberSettings,
  ...policySettings,
  adminHost: text('FLOTILLA_ADMIN_HOST', { default: '0.0.0.0', description: 'Address the admin port listens on' }),
  adminPort: integer('FLOTILLA_SHARD_ADMIN_PORT', {
    default: 9083,
    min: 0,
    max: 65_535,
    unit: 'port',
    description: 'Port of /livez, /readyz and /metrics',
  }),
  drainTimeoutMs: durationMs('FLOTILLA_SHARD_DRAIN_TIMEOUT', {
    default: 20_000,
    min: 0,
    max: 600_000,
    unit: 'ms',
    description:
      'Time for the slots to move away after SIGTERM; the first one moves 1.5 s after control has heard of it',
  }),
  failpoints: optional(
    text('FLOTILLA_FAILPOINTS', {
      description:
        'For tests: where this process fails, as `before-commit=kill@200`; refused unless `NODE_ENV` is `test`',
    }),
  ),
})

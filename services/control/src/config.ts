import { reconnectsPerSecond } from '@flotilla/core/control-drains'
import { defineConfig, integer, text } from '@flotilla/node/config'
import { logSettings, memberSettings, storeSettings } from '@flotilla/node/store/settings'

/** The settings of a control process. */
export const controlConfig = defineConfig({
  ...storeSettings,
  ...logSettings,
  ...memberSettings,
  host: text('FLOTILLA_CONTROL_HOST', {
    default: '127.0.0.1',
    description: 'Address that the API listens on. Its answers name every process: open it to an inner network only',
  }),
  port: integer('FLOTILLA_CONTROL_PORT', {
    default: 8082,
    max: 65_535,
    unit: 'port',
    description: 'Port of the API (GET /v1/fleet)',
  }),
  reconnectsPerSecond: integer('FLOTILLA_CONTROL_RECONNECTS_PER_SECOND', {
    default: reconnectsPerSecond,
    min: 1,
    max: 100_000,
    description:
      'Clients that all draining edges together tell to move per second; fewer while an edge that stays does not keep up',
  }),
  adminHost: text('FLOTILLA_ADMIN_HOST', { default: '0.0.0.0', description: 'Address the admin port listens on' }),
  adminPort: integer('FLOTILLA_CONTROL_ADMIN_PORT', {
    default: 9082,
    max: 65_535,
    unit: 'port',
    description: 'Port of /livez, /readyz and /metrics',
  }),
})

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
  adminHost: text('FLOTILLA_ADMIN_HOST', { default: '0.0.0.0', description: 'Address the admin port listens on' }),
  adminPort: integer('FLOTILLA_CONTROL_ADMIN_PORT', {
    default: 9082,
    max: 65_535,
    unit: 'port',
    description: 'Port of /livez, /readyz and /metrics',
  }),
})

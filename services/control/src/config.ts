import { reconnectsPerSecond } from '@flotilla/core/control-drains'
import { boolean, defineConfig, integer, optional, text } from '@flotilla/node/config'
import { logSettings, memberSettings, storeSettings, traceSettings } from '@flotilla/node/store/settings'

/** The settings of a control process. */
export const controlConfig = defineConfig({
  ...storeSettings,
  ...logSettings,
  ...traceSettings,
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
  kubernetes: boolean('FLOTILLA_CONTROL_KUBERNETES', {
    default: false,
    description: 'Whether the leader is elected, and epochs are kept, in the Kubernetes API, and pods are watched',
  }),
  lease: text('FLOTILLA_CONTROL_LEASE', {
    default: 'flotilla',
    description: 'With Kubernetes: name of the Lease, one for each fleet of a namespace',
  }),
  podSelector: text('FLOTILLA_CONTROL_POD_SELECTOR', {
    default: 'app.kubernetes.io/name=flotilla',
    description: 'With Kubernetes: label selector of the fleet’s pods, whose names are the names of its processes',
  }),
  adminHost: text('FLOTILLA_ADMIN_HOST', { default: '0.0.0.0', description: 'Address the admin port listens on' }),
  adminPort: integer('FLOTILLA_CONTROL_ADMIN_PORT', {
    default: 9082,
    max: 65_535,
    unit: 'port',
    description: 'Port of /livez, /readyz and /metrics',
  }),
  failpoints: optional(
    text('FLOTILLA_FAILPOINTS', {
      description: 'For tests: where this process fails, as `before-plan=stop@2`; refused unless `NODE_ENV` is `test`',
    }),
  ),
})

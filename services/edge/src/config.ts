import { maxPublishesInFlight, maxSubscriptions } from '@flotilla/core/limits'
import { boolean, defineConfig, durationMs, integer, list, someOf, text } from '@flotilla/node/config'
import {
  durabilitySettings,
  jwtSettings,
  logSettings,
  memberSettings,
  policySettings,
  storeSettings,
  traceSettings,
} from '@flotilla/node/store/settings'
import { tokenPlaces } from './token-places.ts'

/** The settings of an edge. */
export const edgeConfig = defineConfig({
  ...storeSettings,
  ...durabilitySettings,
  ...logSettings,
  ...traceSettings,
  ...memberSettings,
  ...policySettings,
  ...jwtSettings,
  host: text('FLOTILLA_EDGE_HOST', { default: '0.0.0.0', description: 'Address that clients connect to' }),
  port: integer('FLOTILLA_EDGE_PORT', {
    default: 8080,
    min: 0,
    max: 65_535,
    unit: 'port',
    description: 'Port of /ws and of the page to try it',
  }),
  adminHost: text('FLOTILLA_ADMIN_HOST', { default: '0.0.0.0', description: 'Address the admin port listens on' }),
  adminPort: integer('FLOTILLA_EDGE_ADMIN_PORT', {
    default: 9080,
    min: 0,
    max: 65_535,
    unit: 'port',
    description: 'Port of /livez, /readyz, /healthz/lb, /metrics and POST /drain',
  }),
  origins: list('FLOTILLA_ORIGINS', {
    default: [],
    maxItems: 100,
    description:
      'Origins of pages that may connect, exactly as browsers send them; empty: the edge’s own host only. Clients that send no Origin are not browsers and are not held back by it',
  }),
  tokenFrom: someOf('FLOTILLA_EDGE_TOKEN_FROM', {
    values: tokenPlaces,
    default: tokenPlaces,
    description:
      'Where a token is looked for, in this order: subprotocol, `Authorization`, `?token=` (addresses end up in logs), and, when no other place had one, the first frame. A place that is left out is not looked at; without `frame` a connection whose handshake has no token is closed with 4401 at once. A newer token for an open connection may always come in a frame',
  }),
  anonymous: boolean('FLOTILLA_EDGE_ANONYMOUS', {
    default: false,
    description:
      'Whether clients without a token are taken in that ask for it (docs/protocol.md); the policy says what they may. To be the same on all edges, and set when all of them run a version that knows it',
  }),
  maxConnections: integer('FLOTILLA_EDGE_MAX_CONNECTIONS', {
    default: 20_000,
    min: 1,
    max: 1_000_000,
    description: 'Connections of one edge; further ones are answered 503',
  }),
  acceptsPerSecond: integer('FLOTILLA_EDGE_ACCEPTS_PER_SECOND', {
    default: 300,
    min: 1,
    max: 100_000,
    description:
      'New connections that one edge accepts per second; as many as make it within 4 s wait, further ones are answered 503 with Retry-After',
  }),
  resumesPerSecond: integer('FLOTILLA_EDGE_RESUMES_PER_SECOND', {
    default: 780,
    min: 1,
    max: 100_000,
    description:
      'The same for clients that were connected before, beside those; they offer `flotilla.resume`. A crowd of them begins at 30 % of it, and has all of it after 4 s',
  }),
  connectionAgeMs: durationMs('FLOTILLA_EDGE_CONNECTION_AGE', {
    default: 14_400_000,
    min: 0,
    max: 2_592_000_000,
    unit: 'ms',
    description:
      'Age at which a client is told to move, give or take a quarter, so that edges which were added get their share; only where three edges or more serve; 0: never',
  }),
  maxSubscriptions: integer('FLOTILLA_EDGE_MAX_SUBSCRIPTIONS', {
    default: maxSubscriptions,
    min: 1,
    max: 100_000,
    description: 'Rooms that one connection may be subscribed to',
  }),
  connectionsPerUser: integer('FLOTILLA_CONNECTIONS_PER_USER', {
    default: 0,
    min: 0,
    max: 100_000,
    description:
      'Connections that one user may have over the whole fleet, counted by the worker of the user’s room; 0: no limit. To be the same on all edges, and set when all workers run a version that knows it',
  }),
  connectionsPerTenant: integer('FLOTILLA_CONNECTIONS_PER_TENANT', {
    default: 0,
    min: 0,
    max: 20_000,
    description:
      'The same of one tenant, by the worker of the tenant’s room, which reads all of them when it takes the room over; 0: no limit',
  }),
  connectionsPerAddress: integer('FLOTILLA_EDGE_CONNECTIONS_PER_ADDRESS', {
    default: 0,
    min: 0,
    max: 1_000_000,
    description:
      'Connections that one edge takes from one address; further ones are answered 429. Only where the edge sees the clients’ own addresses; 0: no limit',
  }),
  idleMs: durationMs('FLOTILLA_EDGE_IDLE_TIMEOUT', {
    default: 0,
    min: 0,
    max: 86_400_000,
    unit: 'ms',
    description:
      'A connection whose client asks for nothing for so long is closed with 4408; pings do not count, nor does what it hears. 0: never, as most clients only listen',
  }),
  maxPublishesInFlight: integer('FLOTILLA_EDGE_MAX_PUBLISHES_IN_FLIGHT', {
    default: maxPublishesInFlight,
    min: 1,
    max: 10_000,
    description: 'Publishes of one connection that may wait for their answer',
  }),
  framesPerSecond: integer('FLOTILLA_EDGE_FRAMES_PER_SECOND', {
    default: 500,
    min: 1,
    max: 1_000_000,
    description: 'Frames per second that one connection may send in the long run; four times as many at once',
  }),
  drainTimeoutMs: durationMs('FLOTILLA_EDGE_DRAIN_TIMEOUT', {
    default: 60_000,
    min: 0,
    max: 3_600_000,
    unit: 'ms',
    description: 'Time after SIGTERM, or POST /drain, from which on whoever has not moved is closed',
  }),
  drainSettleMs: durationMs('FLOTILLA_EDGE_DRAIN_SETTLE', {
    default: 1_000,
    min: 0,
    max: 600_000,
    unit: 'ms',
    description:
      'Of that, time in which new connections are still taken while balancers hear that /readyz fails; below 1 s the first of two edges that drain may for a moment use the share of both',
  }),
  drainGraceMs: durationMs('FLOTILLA_EDGE_DRAIN_GRACE', {
    // Where it moves to it may have to wait behind a crowd: 5 s until it is read, 4 s until it is accepted (gates.ts), 5 s until it is counted.
    default: 15_000,
    min: 0,
    max: 600_000,
    unit: 'ms',
    description:
      'Time that a client has to move once it was told to, or five times what a move lately took, if that is longer; then it is closed with 1012',
  }),
  drainPerSecond: integer('FLOTILLA_EDGE_DRAIN_PER_SECOND', {
    default: 500,
    min: 1,
    max: 100_000,
    description: 'Clients per second that an edge which drains tells to move where control is away and grants nothing',
  }),
})

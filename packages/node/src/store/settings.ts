import { hostname } from 'node:os'
import { maxLanes } from '@flotilla/core/slot'
import { boolean, durationMs, integer, list, oneOf, optional, secret, text, url } from '../config.ts'
import { defaultClaimNames } from '../jwt-identity.ts'
import type { ClaimNames } from '../jwt-identity.ts'
import { logLevels } from '../log.ts'

/** The settings that several services have in common; each spreads the groups it needs into its own table. */

/** Where the store is, and the shape of the fleet: the same in every process, for ever (architecture 3). */
export const storeSettings = {
  redisUrl: optional(
    // Credentials may be in it, so it is treated as a secret.
    secret('FLOTILLA_REDIS_URL', {
      description: 'redis:// or rediss:// URL; several with commas: independent primaries over which the lanes spread',
    }),
  ),
  redisCluster: boolean('FLOTILLA_REDIS_CLUSTER', {
    default: false,
    description: 'Whether the URLs are nodes of one Redis Cluster',
  }),
  redisPrefix: text('FLOTILLA_REDIS_PREFIX', {
    default: '',
    maxLength: 64,
    description: 'In front of every key, so that several fleets can share a server',
  }),
  redisCommandTimeoutMs: durationMs('FLOTILLA_REDIS_COMMAND_TIMEOUT', {
    default: 2_000,
    min: 50,
    max: 60_000,
    description: 'Deadline of every call to Redis; a call not answered by then has an unknown outcome',
  }),
  slots: integer('FLOTILLA_SLOTS', {
    default: 128,
    min: 1,
    max: 65_536,
    description: 'Slots of the fleet, a power of two; fixed at install',
  }),
  lanes: optional(
    integer('FLOTILLA_LANES', {
      min: 1,
      max: maxLanes,
      description:
        'Lanes of the fleet, never fewer than primaries; fixed at install. When it is not set: one per primary, 16 for a Redis Cluster',
    }),
  ),
} as const

/** Where publishes are acknowledged. */
export const durabilitySettings = {
  ackReplicas: integer('FLOTILLA_ACK_REPLICAS', {
    default: 0,
    min: 0,
    max: 100,
    description:
      'Redis replicas that must have a publish before it is acknowledged; 0: the primary’s word is enough. As many as there are, unless the one with most is always promoted',
  }),
} as const

/** Traces of events, sent to a collector. */
export const traceSettings = {
  otlpUrl: optional(
    url('FLOTILLA_OTLP_URL', {
      protocols: ['http:', 'https:'],
      description:
        'OTLP/HTTP collector that traces go to, as http://collector:4318/v1/traces; no traces when it is not set',
    }),
  ),
  tracesPerMillion: integer('FLOTILLA_TRACES_PER_MILLION', {
    default: 1_000,
    min: 0,
    max: 1_000_000,
    description: 'Of a million events that come without a sampled traceparent, so many are traced',
  }),
} as const

export const logSettings = {
  logLevel: oneOf('FLOTILLA_LOG_LEVEL', {
    values: logLevels,
    default: 'info',
    description: 'Least level that is logged',
  }),
} as const

export const memberSettings = {
  memberId: optional(
    text('FLOTILLA_MEMBER_ID', {
      pattern: { regex: /^[A-Za-z0-9._-]{1,64}$/, saying: '1–64 letters, digits, dots, dashes or underscores' },
      description: 'Name of this process in the fleet; the host name when it is not set',
    }),
  ),
} as const

/** Who may do what in which rooms, and how much they keep. */
export const policySettings = {
  policyFile: optional(
    text('FLOTILLA_POLICY_FILE', {
      description:
        'Policy of rooms, YAML or JSON (docs/policy.md); read again when it changes. The same for edges, shards and ingest; the default policy when it is not set',
    }),
  ),
} as const

const claims = (env: string, of: keyof ClaimNames, what: string) =>
  list(env, {
    default: defaultClaimNames[of],
    ...{ minItems: 1, maxItems: 16, maxLength: 256 },
    description: `Names of the claims with the ${what}`,
  })

/** How tokens are checked: by a secret (HS256) or by the keys of a JWKS. */
export const jwtSettings = {
  jwtSecret: optional(
    secret('FLOTILLA_JWT_SECRET', { minBytes: 32, description: 'Secret that tokens are signed with (HS256)' }),
  ),
  jwksUrl: optional(
    url('FLOTILLA_JWKS_URL', {
      protocols: ['https:'],
      description: 'Where the keys of RS256, ES256 or EdDSA tokens are',
    }),
  ),
  jwtIssuers: list('FLOTILLA_JWT_ISSUERS', { default: [], description: 'Accepted iss values; any when empty' }),
  jwtAudiences: list('FLOTILLA_JWT_AUDIENCES', { default: [], description: 'Accepted aud values; any when empty' }),
  userClaims: claims('FLOTILLA_JWT_USER_CLAIMS', 'user', 'user id: the first that the token has counts'),
  tenantClaims: claims('FLOTILLA_JWT_TENANT_CLAIMS', 'tenant', 'tenant: the first that the token has counts'),
  emailClaims: claims('FLOTILLA_JWT_EMAIL_CLAIMS', 'email', 'e-mail address: the first that the token has counts'),
  roleClaims: claims('FLOTILLA_JWT_ROLE_CLAIMS', 'roles', 'roles: those of all of them are united'),
  permissionClaims: claims(
    'FLOTILLA_JWT_PERMISSION_CLAIMS',
    'permissions',
    'permissions: those of all of them are united',
  ),
} as const

/** The member id of a process that was given none. A pod's host name is its name. */
export function hostMemberId(): string {
  const name = hostname()
    .replaceAll(/[^A-Za-z0-9._-]/g, '-')
    .slice(0, 64)
  return name === '' ? 'host' : name
}

import type { KeySource, VerifierOptions } from '@flotilla/node/jwt'

export interface JwtConfig {
  readonly jwtSecret: string | null
  readonly jwksUrl: string | null
  readonly jwtIssuers: readonly string[]
  readonly jwtAudiences: readonly string[]
  readonly userClaims: readonly string[]
  readonly tenantClaims: readonly string[]
  readonly emailClaims: readonly string[]
  readonly roleClaims: readonly string[]
  readonly permissionClaims: readonly string[]
}

/** How this edge checks tokens. An empty list of issuers or audiences accepts any. */
export function verifierOptions(config: JwtConfig): Omit<VerifierOptions, 'log'> {
  return {
    keys: keySource(config),
    claims: {
      user: config.userClaims,
      tenant: config.tenantClaims,
      email: config.emailClaims,
      roles: config.roleClaims,
      permissions: config.permissionClaims,
    },
    ...(config.jwtIssuers.length === 0 ? {} : { issuers: config.jwtIssuers }),
    ...(config.jwtAudiences.length === 0 ? {} : { audiences: config.jwtAudiences }),
  }
}

/** What tokens are checked against. Throws when neither a secret nor a JWKS is set, or both are. */
function keySource({ jwtSecret, jwksUrl }: JwtConfig): KeySource {
  if (jwtSecret !== null && jwksUrl !== null) throw new Error('set FLOTILLA_JWT_SECRET or FLOTILLA_JWKS_URL, not both')
  if (jwtSecret !== null) return { type: 'secret', secrets: [jwtSecret] }
  if (jwksUrl !== null) return { type: 'jwks', url: jwksUrl }
  throw new Error('set FLOTILLA_JWT_SECRET (HS256) or FLOTILLA_JWKS_URL: without a key no token can be checked')
}

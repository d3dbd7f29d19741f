import type { KeySource } from '@flotilla/node/jwt'

export interface JwtConfig {
  readonly jwtSecret: string | null
  readonly jwksUrl: string | null
}

/** What tokens are checked against. Throws when neither a secret nor a JWKS is set, or both are. */
export function keySource({ jwtSecret, jwksUrl }: JwtConfig): KeySource {
  if (jwtSecret !== null && jwksUrl !== null) throw new Error('set FLOTILLA_JWT_SECRET or FLOTILLA_JWKS_URL, not both')
  if (jwtSecret !== null) return { type: 'secret', secrets: [jwtSecret] }
  if (jwksUrl !== null) return { type: 'jwks', url: jwksUrl }
  throw new Error('set FLOTILLA_JWT_SECRET (HS256) or FLOTILLA_JWKS_URL: without a key no token can be checked')
}

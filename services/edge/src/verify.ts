import { randomUUID } from 'node:crypto'
import { anonymousRole } from '@flotilla/core/policy'
import type { RoomTokenVerdict, SessionVerdict } from '@flotilla/core/session-state'
import type { Verifier } from '@flotilla/node/jwt'

/** Who connections are, and what tokens for rooms are worth. Neither rejects. */
export interface Tokens {
  /** Null: there is none. */
  verdictOf(token: string | null): Promise<SessionVerdict>
  roomVerdictOf(token: string): Promise<RoomTokenVerdict>
}

/** `anonymous`: whether those without a token are taken in. */
export function createTokens(verifier: Verifier, anonymous: boolean): Tokens {
  return {
    verdictOf: async (token) => {
      if (token !== null) return verdictOf(verifier, token)
      return anonymous ? { ok: true, identity: nobody() } : { ok: false, retryable: false }
    },
    roomVerdictOf: (token) => roomVerdictOf(verifier, token),
  }
}

/** One for all who are anonymous: it is kept as long as the connection. */
const anonymousRoles = [anonymousRole]

/** Nobody can guess its user id, so that no token and no room is for it by chance. */
const nobody = () => ({ userId: `anonymous-${randomUUID()}`, roles: anonymousRoles, anonymous: true })

/** Whom a token names, with what is needed of its claims: they are kept as long as the connection. */
async function verdictOf(verifier: Verifier, token: string): Promise<SessionVerdict> {
  const verdict = await verifier.verify(token)
  if (!verdict.ok) return { ok: false, retryable: verdict.retryable }
  const { userId, tenantId, expiresAtMs, issuedAtMs, tokenId, roles, permissions } = verdict.claims
  const grants = roles.length + permissions.length === 0 ? {} : { roles, permissions }
  return { ok: true, identity: { userId, tenantId, expiresAtMs, issuedAtMs, tokenId, ...grants } }
}

/** Which rooms a token opens, and for whom. */
async function roomVerdictOf(verifier: Verifier, token: string): Promise<RoomTokenVerdict> {
  const verdict = await verifier.verifyRoom(token)
  if (verdict.ok) return { ok: true, ...verdict.grant }
  return { ok: false, retryable: verdict.retryable, expired: verdict.reason === 'expired' }
}

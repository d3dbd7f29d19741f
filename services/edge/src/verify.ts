import type { RoomTokenVerdict, SessionVerdict } from '@flotilla/core/session-state'
import type { Verifier } from '@flotilla/node/jwt'

/** Whom a token names, with what is needed of its claims: they are kept as long as the connection. */
export async function verdictOf(verifier: Verifier, token: string): Promise<SessionVerdict> {
  const verdict = await verifier.verify(token)
  if (!verdict.ok) return { ok: false, retryable: verdict.retryable }
  const { userId, tenantId, expiresAtMs, issuedAtMs, tokenId, roles, permissions } = verdict.claims
  const grants = roles.length + permissions.length === 0 ? {} : { roles, permissions }
  return { ok: true, identity: { userId, tenantId, expiresAtMs, issuedAtMs, tokenId, ...grants } }
}

/** Which rooms a token opens, and for whom. */
export async function roomVerdictOf(verifier: Verifier, token: string): Promise<RoomTokenVerdict> {
  const verdict = await verifier.verifyRoom(token)
  if (verdict.ok) return { ok: true, ...verdict.grant }
  return { ok: false, retryable: verdict.retryable, expired: verdict.reason === 'expired' }
}

import { signatureHeader, signedHeader } from '@flotilla/node/signed-header'

/** What came of one request. `refused`: 4xx, `failed`: 5xx or a status that is none of HTTP's usual ones. */
export type PostOutcome = 'delivered' | 'refused' | 'failed' | 'redirected' | 'timeout' | 'unreachable'
export interface Posted {
  readonly outcome: PostOutcome
  /** A status, or what went wrong; for people. */
  readonly detail: string
  /** What the receiver asks to wait, ms. */
  readonly retryAfterMs: number
}

export interface Request {
  readonly url: string
  readonly body: string
  readonly secrets: readonly string[]
  readonly timeoutMs: number
  /** Gives it up; then it may have been received or not. */
  readonly signal: AbortSignal
}

/** What a receiver may ask to wait, ms. */
const maxRetryAfterMs = 3_600_000

/** Posts signed JSON. Never rejects; follows no redirect, and reads no answer but its status. */
export async function post({ url, body, secrets, timeoutMs, signal }: Request): Promise<Posted> {
  const timeout = AbortSignal.timeout(timeoutMs)
  try {
    const response = await fetch(url, {
      method: 'POST',
      redirect: 'manual',
      headers: {
        'content-type': 'application/json',
        'user-agent': 'flotilla',
        [signatureHeader]: signedHeader(secrets, body, Date.now()),
      },
      body,
      signal: AbortSignal.any([timeout, signal]),
    })
    await response.body?.cancel()
    const { status } = response
    const retryAfterMs = retryAfterOf(response.headers.get('retry-after'), Date.now())
    return { outcome: outcomeOf(status), detail: String(status), retryAfterMs }
  } catch (error) {
    if (timeout.aborted) return { outcome: 'timeout', detail: `no answer within ${timeoutMs} ms`, retryAfterMs: 0 }
    return { outcome: 'unreachable', detail: causeOf(error), retryAfterMs: 0 }
  }
}

function outcomeOf(status: number): PostOutcome {
  if (status >= 200 && status < 300) return 'delivered'
  if (status >= 300 && status < 400) return 'redirected'
  return status >= 400 && status < 500 ? 'refused' : 'failed'
}

/** Seconds, or a date (RFC 9110); 0 when it is neither. */
export function retryAfterOf(header: string | null, nowMs: number): number {
  if (header === null) return 0
  const ms = /^\d{1,9}$/.test(header) ? Number(header) * 1_000 : Date.parse(header) - nowMs
  return Number.isNaN(ms) ? 0 : Math.min(maxRetryAfterMs, Math.max(0, ms))
}

/** The cause tells more than `fetch failed`; neither has anything of the request. */
function causeOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  if (!(cause instanceof Error)) return 'unknown'
  return 'code' in cause ? String(cause.code) : cause.name
}

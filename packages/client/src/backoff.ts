import { closeCodes, reconnectPolicy } from '@flotilla/core/codes'

/** How long to wait before trying again, in ms, and how often. */
export interface ReconnectOptions {
  readonly minMs: number
  readonly maxMs: number
  /** Consecutive attempts without a stable connection after which the client closes; Infinity: never. */
  readonly maxAttempts: number
}

/** What is known when a connection, or an attempt to make one, has ended. */
export interface Ended {
  readonly closeCode: number
  /** The server's `retryAfterMs`, if an error frame before the close had one. */
  readonly hintMs: number | undefined
  /** Attempts made since the last stable connection, this one not counted. */
  readonly attempt: number
  /** Whether a new token may be asked for once more. */
  readonly canRefreshToken: boolean
}

/** `wait` may carry `refresh`: the attempt is the one that a 4401 is worth with a new token. */
export type NextStep =
  | { readonly type: 'wait'; readonly ms: number; readonly refresh: boolean }
  | { readonly type: 'stop' }

/** A restarting server's clients come back at once, spread over this time. */
export const restartJitterMs = 200

/** Full jitter: anywhere between 0 and min(maxMs, minMs × 2^attempt). */
export function fullJitterMs(
  attempt: number,
  options: Pick<ReconnectOptions, 'minMs' | 'maxMs'>,
  random: number,
): number {
  return random * Math.min(options.maxMs, options.minMs * 2 ** Math.min(attempt, 30))
}

/** Never before the server's hint; spread over as much again, so that those who were told together do not come together. */
export function hintedMs(hintMs: number, random: number): number {
  return hintMs + random * Math.max(hintMs, 100)
}

/** `random` is a number in [0, 1). */
export function nextStep(ended: Ended, options: ReconnectOptions, random: number): NextStep {
  const refresh = ended.closeCode === closeCodes.unauthorized.code && ended.canRefreshToken
  if (reconnectPolicy(ended.closeCode) === 'terminal' && !refresh) return { type: 'stop' }
  if (ended.attempt >= options.maxAttempts) return { type: 'stop' }
  if (ended.hintMs !== undefined) return { type: 'wait', ms: hintedMs(ended.hintMs, random), refresh }
  if (ended.closeCode === closeCodes.goingAway.code && ended.attempt === 0) {
    return { type: 'wait', ms: random * restartJitterMs, refresh }
  }
  return { type: 'wait', ms: fullJitterMs(ended.attempt, options, random), refresh }
}

/** Starts a timer and returns what stops it. */
export function after(ms: number, run: () => void): () => void {
  const timer = setTimeout(run, ms)
  return () => clearTimeout(timer)
}

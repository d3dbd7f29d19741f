import { performance } from 'node:perf_hooks'
import { createBackoff } from './backoff.ts'
import type { Log } from './log.ts'
import { jwkSetKeys } from './jwt-keys.ts'
import type { Algorithm, VerifyKey } from './jwt-keys.ts'

export interface JwksOptions {
  /** https, or http on a loopback address. Redirects are not followed. */
  readonly url: string
  /** The least time between two fetches after a good one, ms; after failures a growing part of it. */
  readonly cooldownMs?: number
  /** Keys older than this are fetched again, in the background, ms. */
  readonly maxAgeMs?: number
  /** Keys older than this are not used any more, even while the endpoint is down, ms. */
  readonly maxStaleMs?: number
  /** Time for one fetch, ms. */
  readonly timeoutMs?: number
  /** A monotonic clock, ms. */
  readonly clock?: () => number
  /** Ends a fetch under way. */
  readonly signal?: AbortSignal
}

/** `unknown`: the set was fetched anew for this question. `unavailable`: it could not be, so nobody can tell. */
export type KeyLookup =
  | { readonly type: 'found'; readonly keys: readonly VerifyKey[] }
  | { readonly type: 'unknown' }
  | { readonly type: 'unavailable' }

export interface Jwks {
  /** The keys that may have signed a token with this header. Waits for a fetch only when no cached key fits. */
  find(alg: Algorithm, kid: string | undefined): Promise<KeyLookup>
}

const defaults = { cooldownMs: 30_000, maxAgeMs: 600_000, maxStaleMs: 21_600_000, timeoutMs: 3_000 }
const failedCooldownMs = 1_000
const maxSetBytes = 262_144

type Cache = { readonly keys: readonly VerifyKey[]; readonly fetchedAt: number } | null

/**
 * A cache of a JWK set that an attacker cannot use to flood the issuer: tokens with unknown key ids cause one fetch per
 * cooldown at the most, and all who wait share it. While the endpoint is down the keys at hand are used, up to a cap.
 */
export function createJwks(options: JwksOptions, log: Log): Jwks {
  const url = checkedUrl(options.url)
  const { cooldownMs, maxAgeMs, maxStaleMs, timeoutMs } = { ...defaults, ...options }
  const clock = options.clock ?? (() => performance.now())
  const backoff = createBackoff({ baseMs: failedCooldownMs, maxMs: cooldownMs, random: Math.random })
  let cache: Cache = null
  let fetching: Promise<boolean> | null = null
  let nextFetchAt = Number.NEGATIVE_INFINITY

  async function refresh(): Promise<boolean> {
    try {
      const keys = await fetchKeys(url, timeoutMs, options.signal)
      cache = { keys, fetchedAt: clock() }
      nextFetchAt = clock() + cooldownMs
      backoff.reset()
      return true
    } catch (error) {
      // Not longer than the cooldown, not so short that every token knocks at a door that is shut.
      nextFetchAt = clock() + Math.min(cooldownMs, Math.max(failedCooldownMs, backoff.next()))
      log.warn('the JWK set could not be fetched', { url: url.href, err: error })
      return false
    }
  }
  /** Null: not yet, because of the cooldown. */
  function mayRefresh(): Promise<boolean> | null {
    if (fetching === null && clock() >= nextFetchAt) fetching = refresh().finally(() => (fetching = null))
    return fetching
  }
  function cached(alg: Algorithm, kid: string | undefined): readonly VerifyKey[] {
    if (cache === null || clock() - cache.fetchedAt > maxStaleMs) return []
    return matching(cache.keys, alg, kid)
  }

  async function find(alg: Algorithm, kid: string | undefined): Promise<KeyLookup> {
    const keys = cached(alg, kid)
    if (keys.length > 0) {
      if (cache !== null && clock() - cache.fetchedAt > maxAgeMs) void mayRefresh()
      return { type: 'found', keys }
    }
    const fetched = await mayRefresh()
    const fresh = cached(alg, kid)
    if (fresh.length > 0) return { type: 'found', keys: fresh }
    return { type: fetched === true ? 'unknown' : 'unavailable' }
  }
  return { find }
}

/** The keys of that algorithm which the token's `kid` does not rule out. */
export function matching(keys: readonly VerifyKey[], alg: Algorithm, kid: string | undefined): readonly VerifyKey[] {
  return keys.filter((key) => key.alg === alg && (kid === undefined || key.kid === null || key.kid === kid))
}

function checkedUrl(text: string): URL {
  const url = new URL(text)
  const { hostname } = url
  const loopback = hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname)
  if (url.protocol === 'https:' || (url.protocol === 'http:' && loopback)) return url
  throw new TypeError('a JWKS URL is https; http is allowed for a loopback address only')
}

async function fetchKeys(url: URL, timeoutMs: number, signal: AbortSignal | undefined): Promise<readonly VerifyKey[]> {
  const deadline = AbortSignal.timeout(timeoutMs)
  const response = await fetch(url, {
    headers: { accept: 'application/jwk-set+json, application/json' },
    redirect: 'error',
    signal: signal === undefined ? deadline : AbortSignal.any([deadline, signal]),
  })
  if (!response.ok) {
    await response.body?.cancel()
    throw new Error(`the JWKS endpoint answered ${response.status}`)
  }
  const keys = await jwkSetKeys(JSON.parse(await readBounded(response)))
  if (keys.length === 0) throw new Error('the JWK set has no usable key')
  return keys
}

async function readBounded(response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  const body: AsyncIterable<Uint8Array> | Iterable<Uint8Array> = response.body ?? []
  for await (const chunk of body) {
    bytes += chunk.byteLength
    if (bytes > maxSetBytes) throw new Error(`the JWK set is larger than ${maxSetBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

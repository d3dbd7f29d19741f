import { maxHookAnswerBytes } from '@flotilla/core/limits'
import type { SecretPlace } from '@flotilla/core/policy-hooks'
import { readSecret } from '@flotilla/node/secret'
import { signatureHeader, signedHeader } from '@flotilla/node/signed-header'

/** `failed`: nothing came that could be an answer. `sent`: the service may have begun to do what it was asked. */
export type Posted =
  | { readonly type: 'answered'; readonly value: unknown }
  | { readonly type: 'failed'; readonly sent: boolean; readonly detail: string }

export interface Request {
  readonly url: string
  readonly body: string
  readonly secrets: readonly SecretPlace[]
  /** Ends it when its time is over. */
  readonly signal: AbortSignal
}

/** What is thrown before a byte has left: the service did not hear of it. */
const unsentCodes: ReadonlySet<unknown> = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'UND_ERR_CONNECT_TIMEOUT'])

/**
 * Posts signed JSON and reads the JSON of a 200. Never rejects. Follows no redirect, and reads no more than 64 KiB: neither can be used to
 * have this process ask, or hold, something else.
 */
export async function post({ url, body, secrets, signal }: Request): Promise<Posted> {
  let signature: string
  try {
    signature = signedHeader(secrets.map(readSecret), body, Date.now())
  } catch (error) {
    return { type: 'failed', sent: false, detail: `no secret to sign with: ${messageOf(error)}` }
  }
  try {
    const response = await fetch(url, {
      method: 'POST',
      redirect: 'manual',
      headers: { 'content-type': 'application/json', 'user-agent': 'flotilla', [signatureHeader]: signature },
      body,
      signal,
    })
    if (response.status !== 200) {
      await response.body?.cancel()
      return { type: 'failed', sent: true, detail: `status ${response.status}` }
    }
    const text = await readAtMost(response, maxHookAnswerBytes)
    return text === null
      ? { type: 'failed', sent: true, detail: `an answer of more than ${maxHookAnswerBytes} bytes` }
      : { type: 'answered', value: JSON.parse(text) }
  } catch (error) {
    if (signal.aborted) return { type: 'failed', sent: true, detail: 'no answer in time' }
    const code = codeOf(error)
    return { type: 'failed', sent: !unsentCodes.has(code), detail: code ?? messageOf(error) }
  }
}

async function readAtMost(response: Response, maxBytes: number): Promise<string | null> {
  const parts: Uint8Array[] = []
  let bytes = 0
  const body: AsyncIterable<Uint8Array> | null = response.body
  for await (const part of body ?? []) {
    bytes += part.length
    // Leaving the loop ends the stream.
    if (bytes > maxBytes) return null
    parts.push(part)
  }
  return Buffer.concat(parts).toString('utf8')
}

/** The cause tells more than `fetch failed`; neither has anything of the request. */
function codeOf(error: unknown): string | undefined {
  const cause = error instanceof Error ? error.cause : undefined
  return cause instanceof Error && 'code' in cause ? String(cause.code) : undefined
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

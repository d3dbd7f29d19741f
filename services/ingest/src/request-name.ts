import { createHash } from 'node:crypto'
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'

/** The draft standard writes the key as a quoted text, most clients as it is. */
export function idempotencyKey({ headers }: IncomingMessage): string | undefined {
  const key = headers['idempotency-key']
  if (typeof key !== 'string') return undefined
  const quoted = /^"(.*)"$/.exec(key)?.[1]
  return quoted === undefined ? key : quoted.replaceAll(/\\(["\\])/g, '$1')
}

interface Asked {
  readonly route: string
  readonly mode: string
  readonly headers: IncomingHttpHeaders
  readonly body: unknown
}

/** What two requests have in common when they ask the same: way, form and body, and with a CloudEvent's headers those too. */
export function fingerprintOf({ route, mode, headers, body }: Asked): string {
  const digest = createHash('sha256').update(`${route}\n${mode}\n`)
  if (mode === 'binary') {
    for (const name of Object.keys(headers).toSorted()) {
      if (name.startsWith('ce-') || name === 'content-type') digest.update(`${JSON.stringify([name, headers[name]])}\n`)
    }
  }
  return digest.update(Buffer.isBuffer(body) ? body : '').digest('base64url')
}

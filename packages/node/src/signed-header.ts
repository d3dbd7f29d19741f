import { createHmac } from 'node:crypto'

/** Lower case, as Node has it. */
export const signatureHeader = 'flotilla-signature'

/**
 * The header of a body that is sent now: `t=<seconds since 1970>,v1=<HMAC-SHA256 of t + '.' + body, hexadecimal>`, one `v1` for each secret.
 */
export function signedHeader(secrets: readonly string[], body: string, nowMs: number): string {
  const time = Math.floor(nowMs / 1_000)
  const signatures = secrets.map((secret) => createHmac('sha256', secret).update(`${time}.`).update(body).digest('hex'))
  return [`t=${time}`, ...signatures.map((hex) => `v1=${hex}`)].join(',')
}

import { createHmac, timingSafeEqual } from 'node:crypto'
import { dedupeMs } from '@flotilla/core/limits'

/**
 * How far a signature's time may be from ours, ms. From the first moment that it may be used to the last is less than publish keys are
 * remembered for, so whoever sends a signed request again within that time finds its key taken.
 */
export const signatureWindowMs = dedupeMs / 2 - 5_000
/** Signatures of one header: of the old secret and of the new one. */
const maxSignatures = 4

const timePattern = /^t=(\d{1,12})$/
const signaturePattern = /^v1=([0-9a-f]{64})$/

/**
 * Whether the header is `t=<seconds since 1970>,v1=<HMAC-SHA256 of t + '.' + body, hexadecimal>` by that secret and of our time; several
 * `v1` may be given. The signature that fits, or undefined.
 */
export function verifiedSignature(
  secret: string,
  { header, body, nowMs }: { readonly header: unknown; readonly body: Buffer; readonly nowMs: number },
): string | undefined {
  if (typeof header !== 'string') return undefined
  const [first = '', ...rest] = header.split(',', maxSignatures + 2).map((part) => part.trim())
  const time = timePattern.exec(first)?.[1]
  const given = rest.map((part) => signaturePattern.exec(part)?.[1])
  if (time === undefined || given.length > maxSignatures) return undefined
  if (Math.abs(nowMs - Number(time) * 1_000) > signatureWindowMs) return undefined
  const wanted = createHmac('sha256', secret).update(`${time}.`).update(body).digest()
  return given.find((hex) => hex !== undefined && timingSafeEqual(Buffer.from(hex, 'hex'), wanted))
}

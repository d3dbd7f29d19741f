import type { IncomingHttpHeaders } from 'node:http'
import { isJsonType } from './cloud-event.ts'
import { refusal } from './publish.ts'
import type { Refusal } from './publish.ts'

/** How a request carries its events: in our form, or as CloudEvents (HTTP protocol binding 1.0.2). */
export type ContentMode = 'plain' | 'binary' | 'structured' | 'batched'

export const structuredType = 'application/cloudevents+json'
export const batchedType = 'application/cloudevents-batch+json'
const anyType = /^application\/cloudevents/i
const shortestType = 'application/cloudevents'.length
const modes: ReadonlyMap<string, ContentMode> = new Map([
  [structuredType, 'structured'],
  [batchedType, 'batched'],
])
const headerPrefix = 'ce-'
const notAttributes = new Set(['data', 'data_base64', 'datacontenttype'])

/** The mode, or undefined for a CloudEvents format other than JSON. Costs a plain request three looks at its headers. */
export function contentMode(headers: IncomingHttpHeaders): ContentMode | undefined {
  const type = headers['content-type']
  if (type !== undefined && type.length >= shortestType && anyType.test(type)) {
    const [name = ''] = type.split(';')
    return isJsonType(type) ? modes.get(name.trim().toLowerCase()) : undefined
  }
  return headers['ce-specversion'] === undefined && headers['ce-id'] === undefined ? 'plain' : 'binary'
}

type ReadHeaders = { readonly ok: true; readonly attributes: Readonly<Record<string, string>> } | Refusal

/** The attributes of an event in binary mode, its content type among them. */
export function readHeaders(headers: IncomingHttpHeaders): ReadHeaders {
  const type = headers['content-type']
  if (type !== undefined && !isJsonType(type)) {
    return refusal('UNSUPPORTED_MEDIA_TYPE', 'Content-Type: only JSON in UTF-8 is taken as the data of a CloudEvent')
  }
  const attributes: Record<string, string> = type === undefined ? {} : { datacontenttype: type }
  for (const [header, value] of Object.entries(headers)) {
    if (!header.startsWith(headerPrefix) || typeof value !== 'string') continue
    const name = header.slice(headerPrefix.length)
    if (notAttributes.has(name)) return refusal('VALIDATION_ERROR', `${header}: no such attribute in binary mode`)
    const decoded = decode(value)
    if (decoded === undefined) return refusal('VALIDATION_ERROR', `${header}: not percent-encoded UTF-8`)
    attributes[name] = decoded
  }
  return { ok: true, attributes }
}

/** Quotes first, then one round of percent-decoding. */
function decode(value: string): string | undefined {
  const quoted = /^"(.*)"$/s.exec(value)?.[1]
  try {
    return decodeURIComponent(quoted === undefined ? value : quoted.replaceAll(/\\(.)/gs, '$1'))
  } catch {
    return undefined
  }
}

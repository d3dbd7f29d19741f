import { isUtf8 } from 'node:buffer'
import type { IncomingHttpHeaders } from 'node:http'
import { jsonLimits, parseJson } from '@flotilla/core/json-guard'
import type { JsonLimits } from '@flotilla/core/json-guard'
import { readHeaders } from './cloud-headers.ts'
import { refusal } from './publish.ts'
import type { Refusal } from './publish.ts'
import { batchEnvelope, describeIssues, maxBatchEvents } from './schema.ts'

/** A batch's events are inside an object and an array, and share the keys. */
const batchJsonLimits: JsonLimits = { maxDepth: jsonLimits.maxDepth + 2, maxKeys: maxBatchEvents * 100 }

type Read<T> = { readonly ok: true; readonly value: T } | Refusal

/** The one event of a body: ours, or a CloudEvent in its JSON form. */
export function readEvent(body: unknown): Read<unknown> {
  return parseBody(body, jsonLimits)
}

/** The CloudEvent of a request in binary mode, in its JSON form. */
export function readBinaryEvent(headers: IncomingHttpHeaders, body: unknown): Read<unknown> {
  const read = readHeaders(headers)
  if (!read.ok) return read
  if (!Buffer.isBuffer(body) || body.length === 0) return { ok: true, value: read.attributes }
  const data = parseBody(body, jsonLimits)
  return data.ok ? { ok: true, value: { ...read.attributes, data: data.value } } : data
}

/** The events of a batch of ours, each still to be judged. */
export function readBatch(body: unknown): Read<readonly unknown[]> {
  const parsed = parseBody(body, batchJsonLimits)
  if (!parsed.ok) return parsed
  const batch = batchEnvelope.safeParse(parsed.value)
  if (!batch.success) return refusal('VALIDATION_ERROR', describeIssues(batch.error))
  return { ok: true, value: batch.data.events }
}

/** The events of a batch of CloudEvents, which may be empty. */
export function readCloudBatch(body: unknown): Read<readonly unknown[]> {
  const parsed = parseBody(body, batchJsonLimits)
  if (!parsed.ok) return parsed
  const { value } = parsed
  if (Array.isArray(value) && value.length <= maxBatchEvents) return { ok: true, value }
  return refusal('VALIDATION_ERROR', `a batch of CloudEvents is a JSON array of at most ${maxBatchEvents}`)
}

function parseBody(body: unknown, limits: JsonLimits): Read<unknown> {
  // Without a body the parser leaves none.
  if (!Buffer.isBuffer(body) || !isUtf8(body)) return refusal('VALIDATION_ERROR', 'The body is not JSON text in UTF-8.')
  const parsed = parseJson(body.toString('utf8'), limits)
  if (parsed.ok) return parsed
  if (parsed.code === 'BAD_JSON') return refusal('VALIDATION_ERROR', 'The body is not valid JSON.')
  return refusal('UNSAFE_JSON', 'The body is nested too deep, has too many keys, or a forbidden one.')
}

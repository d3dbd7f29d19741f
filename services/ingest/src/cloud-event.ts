import { hash } from 'node:crypto'
import { parseRoomName, maxEventChars, maxRoomChars, validKey } from '@flotilla/core/room-name'
import { z } from 'zod'
import { refusal } from './publish.ts'
import type { Refusal } from './publish.ts'
import { describeIssues } from './schema.ts'

/** An event's attribute, UTF-16 units. */
const maxAttributeChars = 1_024
const prefix = 'flotilla'
const targets = ['flotillaroom', 'flotillauser', 'flotillatenant', 'flotillaall'] as const
const attributes = ['flotillaroom', 'flotillauser', 'flotillatenant', 'flotillarole', 'flotillaall']

// What an attribute's text may not have, and what may be in a URI reference (RFC 3986).
const unprintable = /[\p{Cc}\p{Cs}]/u
const uriReference = /^[\w\-.~:/?#[\]@!$&'()*+,;=%]+$/
const jsonType = /^[\w!#$&^.+-]+\/(?:[\w!#$&^.+-]+\+)?json$/i

const text = z
  .string()
  .min(1)
  .max(maxAttributeChars)
  .refine((value) => !unprintable.test(value), 'has a character that is not allowed')
const uri = text.regex(uriReference, 'a URI reference is expected')
const room = text.max(maxRoomChars)

/** The JSON form (CloudEvents 1.0.2, JSON event format). Attributes that are not named here are not passed on. */
export const cloudEvent = z
  .looseObject({
    specversion: z.literal('1.0'),
    id: text.describe('With `source` the name of the event: the same two by the same key are one event.'),
    source: uri.describe('A URI reference.'),
    type: text.max(maxEventChars).describe('Name of the event.'),
    subject: text.optional().describe('The room, where no `flotilla…` attribute names the target.'),
    time: z.iso.datetime({ offset: true }).optional().describe('Not passed on.'),
    datacontenttype: text.optional().describe('`application/json`, or a type that ends in `+json`.'),
    dataschema: uri.optional().describe('Not passed on.'),
    flotillaroom: room.optional().describe('The room, `type:id` or `type:tenant:id`.'),
    flotillauser: room.optional().describe('A user: the room `user:<id>`.'),
    flotillatenant: room.optional().describe('A tenant: the room `tenant:<id>`.'),
    flotillarole: room
      .optional()
      .describe('With `flotillatenant`: who has this role there, the room `role:<tenant>:<role>`.'),
    flotillaall: z
      .union([z.literal(true), z.literal('true')], 'true is expected')
      .optional()
      .describe('Everybody: the room `public:all`.'),
    data: z.unknown().optional().describe('Any JSON; null when absent.'),
  })
  .meta({ title: 'CloudEvent' })
type Attributes = z.infer<typeof cloudEvent>

/** What an event of ours would say (`eventRequest`), or why it cannot be one. */
export type ReadEvent = { readonly ok: true; readonly value: unknown } | Refusal

/** Whether a media type is one of JSON in UTF-8. */
export function isJsonType(type: string): boolean {
  const [name = '', ...parameters] = type.split(';')
  const charset = parameters.map((each) => /^\s*charset\s*=\s*"?([^"\s]*)"?\s*$/i.exec(each)?.[1]).find(Boolean)
  return jsonType.test(name.trim()) && (charset === undefined || charset.toLowerCase() === 'utf-8')
}

/** Reads an event in its JSON form. Nulls stand for attributes that are not there. */
export function readCloudEvent(value: unknown): ReadEvent {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return refusal('VALIDATION_ERROR', 'a CloudEvent is a JSON object')
  }
  const given = Object.entries(value).filter(([name, each]) => each !== null || name === 'data')
  for (const [name, each] of given) {
    if (name === 'data_base64') {
      return refusal('UNSUPPORTED_MEDIA_TYPE', 'data_base64: only JSON is taken, in data')
    }
    const fault = name === 'data' ? undefined : attributeFault(name, each)
    if (fault !== undefined) return refusal('VALIDATION_ERROR', fault)
  }
  const parsed = cloudEvent.safeParse(Object.fromEntries(given))
  if (!parsed.success) return refusal('VALIDATION_ERROR', describeIssues(parsed.error))
  const event = parsed.data
  if (event.datacontenttype !== undefined && !isJsonType(event.datacontenttype)) {
    return refusal('UNSUPPORTED_MEDIA_TYPE', 'datacontenttype: only JSON in UTF-8 is taken')
  }
  return eventOf(event)
}

function attributeFault(name: string, value: unknown): string | undefined {
  if (!/^[a-z0-9]+$/.test(name)) return 'the names of attributes are lower-case letters and digits'
  if (typeof value === 'object') return `${name}: a text, a number or a boolean is expected`
  if (!name.startsWith(prefix) || attributes.includes(name)) return undefined
  return `${name}: no such attribute; there are ${attributes.join(', ')}`
}

function eventOf(event: Attributes): ReadEvent {
  const { flotillatenant, flotillarole, subject } = event
  const named = targets.filter((target) => event[target] !== undefined)
  if (named.length > 1) return refusal('VALIDATION_ERROR', `one target is expected, not ${named.join(' and ')}`)
  if (named.length === 0 && (subject === undefined || !parseRoomName(subject).ok)) {
    const why = `a target is needed: one of ${targets.join(', ')}, or a subject that is a room`
    return subject === undefined ? refusal('VALIDATION_ERROR', why) : refusal('INVALID_ROOM', `subject: ${why}`)
  }
  if (flotillarole !== undefined && flotillatenant === undefined)
    return refusal('VALIDATION_ERROR', 'flotillarole: a flotillatenant is needed')
  return { ok: true, value: { ...targetOf(event), event: event.type, id: publishKey(event), data: event.data ?? null } }
}

function targetOf({
  flotillaroom,
  flotillauser,
  flotillatenant,
  flotillarole,
  flotillaall,
  subject,
}: Attributes): object {
  if (flotillauser !== undefined) return { user: flotillauser }
  if (flotillatenant !== undefined)
    return { tenant: flotillatenant, ...(flotillarole !== undefined && { role: flotillarole }) }
  if (flotillaall !== undefined) return { all: true }
  return { room: flotillaroom ?? subject }
}

/** A source has no space, so that no two pairs are one text; where that is too long or cannot be printed, its hash. */
function publishKey({ source, id }: Attributes): string {
  const key = `${source} ${id}`
  return validKey(key) ? key : `ce:${hash('sha256', key, 'base64url')}`
}

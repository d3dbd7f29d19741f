import { matchWithout, without } from '@flotilla/core/sensitive'
import type { Sensitive } from '@flotilla/core/sensitive'
import { isUtf8 } from 'node:buffer'
import { parseJson } from '@flotilla/core/json-guard'
import { maxDataBytes, maxExcept, maxMatchChars } from '@flotilla/core/limits'
import { maxRoomChars, parseRoomName, validEventName } from '@flotilla/core/room-name'
import { maxTargets } from '../schema.ts'
import type { SourceRule } from './schema.ts'
import { MissingFieldError, parsePattern, parseTemplate, textOf, textsOf, valueOf } from './template.ts'
import type { MessageFields, SubjectPattern, Template } from './template.ts'

/** A message as a source hands it over. */
export interface SourceMessage {
  readonly subject: string
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string>>
  /** JSON text in UTF-8, or nothing; or what was read already. */
  readonly payload: Uint8Array | { readonly value: unknown }
  /** When its source stored it, ms since 1970: the same at every delivery. */
  readonly timeMs: number
}

/** An event, ready to be published to each of its rooms. */
export interface MappedEvent {
  readonly rooms: readonly string[]
  readonly options: string
  readonly tail: string
  readonly ephemeral: boolean
}

/** Why a message can never be published. */
export const misfits = ['no_rule', 'bad_payload', 'missing_field', 'bad_name', 'too_large', 'refused'] as const
export type Misfit = (typeof misfits)[number]
export type Mapped =
  | { readonly ok: true; readonly event: MappedEvent }
  | { readonly ok: false; readonly reason: Misfit; readonly detail: string }
export type Mapping = (message: SourceMessage) => Mapped

interface CompiledRule {
  readonly pattern: SubjectPattern
  readonly rooms: readonly RoomTemplate[]
  readonly event: Template
  readonly data: Template
  readonly match: readonly (readonly [string, Template])[]
  readonly except: readonly Template[]
  readonly ephemeral: boolean
}
/** `prefix` is in front of every text that the template gives. */
interface RoomTemplate {
  readonly prefix: string
  readonly template: Template
}

/** The rules of a source, first fit first. `sender` is who its events are from. */
export function createMapping(
  rules: readonly SourceRule[],
  sender: string,
  sensitive: () => Sensitive | null = () => null,
): Mapping {
  const compiled = rules.map(compile)
  return (message) => {
    for (const rule of compiled) {
      const tokens = rule.pattern.match(message.subject)
      if (tokens !== undefined) return apply(rule, tokens, { message, sender, sensitive: sensitive() })
    }
    return { ok: false, reason: 'no_rule', detail: 'no rule has this subject' }
  }
}

function compile({ subject, to, event, data, match = {}, except = [], ephemeral }: SourceRule): CompiledRule {
  const named = (prefix: string, texts: readonly (string | undefined)[]): readonly RoomTemplate[] =>
    texts.flatMap((text) => (text === undefined ? [] : [{ prefix, template: parseTemplate(text) }]))
  return {
    pattern: parsePattern(subject),
    rooms: [
      ...named('', [to.room, ...(to.rooms ?? [])]),
      ...named('user:', [to.user, ...(to.users ?? [])]),
      ...named('tenant:', [to.tenant]),
    ],
    event: parseTemplate(event),
    data: parseTemplate(data),
    match: Object.entries(match).map(([name, text]) => [name, parseTemplate(text)]),
    except: except.map(parseTemplate),
    ephemeral,
  }
}

interface Given {
  readonly message: SourceMessage
  readonly sender: string
  readonly sensitive: Sensitive | null
}

function apply(rule: CompiledRule, tokens: Readonly<Record<string, string>>, given: Given): Mapped {
  const { message } = given
  const payload = payloadOf(message)
  if (!payload.ok) return payload
  // Before anything is taken out of it: a rule may name the field itself.
  const value = without(payload.value, given.sensitive)
  const fields: MessageFields = { subject: message.subject, tokens, headers: message.headers, payload: value }
  try {
    return build(rule, fields, given)
  } catch (error) {
    if (error instanceof MissingFieldError) return misfit('missing_field', error.message)
    throw error
  }
}

function build(rule: CompiledRule, fields: MessageFields, { message, sender, sensitive }: Given): Mapped {
  const rooms = [...new Set(rule.rooms.flatMap((each) => roomsOf(each, fields)))]
  if (rooms.length === 0 || rooms.length > maxTargets) return misfit('bad_name', `it would go to ${rooms.length} rooms`)
  const wrong = rooms.find((room) => !parseRoomName(room).ok)
  if (wrong !== undefined) return misfit('bad_name', 'a room is of the form type:id or type:tenant:id')
  const event = textOf(rule.event, fields)
  if (!validEventName(event))
    return misfit('bad_name', 'the event has too long a name, or a character that is not allowed')
  const value = valueOf(rule.data, fields)
  if (value === undefined) return misfit('missing_field', `${rule.data.text} is absent`)
  const data = JSON.stringify(value)
  if (Buffer.byteLength(data) > maxDataBytes) return misfit('too_large', `data is larger than ${maxDataBytes} bytes`)
  const options = optionsOf(rule, fields, sensitive)
  if (options === undefined) return misfit('too_large', 'match or except is larger than it may be')
  const meta = JSON.stringify({ userId: sender, timestamp: new Date(message.timeMs).toISOString() })
  const tail = `"event":${JSON.stringify(event)},"data":${data},"meta":${meta}`
  return { ok: true, event: { rooms, options, tail, ephemeral: rule.ephemeral } }
}

/** A colon in a user's or tenant's id would name a room of another form than the one meant. */
function roomsOf({ prefix, template }: RoomTemplate, fields: MessageFields): readonly string[] {
  const names = textsOf(template, fields, ':')
  if (prefix === '') return names
  return names.map((name) => {
    if (name.includes(':')) throw new MissingFieldError(template.text, 'has a : in it')
    return `${prefix}${name}`
  })
}

/** Undefined when it is too large. */
function optionsOf(
  { match, except }: CompiledRule,
  fields: MessageFields,
  sensitive: Sensitive | null,
): string | undefined {
  const named = match.flatMap(([name, template]) => {
    const value = valueOf(template, fields)
    return value === undefined ? [] : [[name, value] as const]
  })
  const attributes = Object.entries(matchWithout(Object.fromEntries(named), sensitive))
  const left = except.flatMap((template) => (valueOf(template, fields) == null ? [] : textsOf(template, fields)))
  const attributesText = JSON.stringify(Object.fromEntries(attributes))
  if (left.some((id) => id.length > maxRoomChars)) return undefined
  if (left.length > maxExcept || attributesText.length > maxMatchChars) return undefined
  const parts = [
    ...(left.length === 0 ? [] : [`"except":${JSON.stringify(left)}`]),
    ...(attributes.length === 0 ? [] : [`"match":${attributesText}`]),
  ]
  return parts.length === 0 ? '' : `{${parts.join(',')}}`
}

type Payload = { readonly ok: true; readonly value: unknown } | Extract<Mapped, { ok: false }>

function payloadOf({ payload }: SourceMessage): Payload {
  if ('value' in payload) return { ok: true, value: payload.value }
  if (payload.length === 0) return { ok: true, value: null }
  if (!isUtf8(payload)) return misfit('bad_payload', 'the payload is not UTF-8')
  const parsed = parseJson(Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString('utf8'))
  if (parsed.ok) return parsed
  if (parsed.code === 'BAD_JSON') return misfit('bad_payload', 'the payload is not JSON')
  return misfit('bad_payload', 'the payload is nested too deep, has too many keys, or a forbidden one')
}

function misfit(reason: Misfit, detail: string): Extract<Mapped, { ok: false }> {
  return { ok: false, reason, detail }
}

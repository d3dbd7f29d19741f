/** What a message brings, for the placeholders of a rule. */
export interface MessageFields {
  readonly subject: string
  /** Parts of the subject by the names that the rule's pattern gives them, and `rest` for what `>` stands for. */
  readonly tokens: Readonly<Record<string, string>>
  readonly headers: Readonly<Record<string, string>>
  readonly payload: unknown
}

/** A text with placeholders, as a list of what it is made of. */
export interface Template {
  readonly text: string
  readonly parts: readonly (string | Placeholder)[]
}
interface Placeholder {
  readonly text: string
  readonly from: 'token' | 'payload' | 'header' | 'subject' | 'last'
  readonly path: readonly string[]
}

/** A message lacks what a rule needs of it. */
export class MissingFieldError extends Error {
  constructor(placeholder: string, fault: string) {
    super(`${placeholder} ${fault}`)
    this.name = 'MissingFieldError'
  }
}

const placeholderPattern = /\{([^{}]*)\}/g
const tokenName = /^[A-Za-z][A-Za-z0-9_]*$/
const ownNames: ReadonlySet<string> = new Set(['payload', 'header', 'subject', 'last'])

/**
 * `{name}` is a part of the subject, `{payload.a.b}` a field of the payload, `{header.Name}` a header, `{subject}` the subject and `{last}`
 * its last part.
 * @throws Error that says which placeholder is wrong.
 * @example parseTemplate('agent:{payload.tenantId}:{agentId}')
 */
export function parseTemplate(text: string): Template {
  const parts: (string | Placeholder)[] = []
  let end = 0
  for (const match of text.matchAll(placeholderPattern)) {
    if (match.index > end) parts.push(text.slice(end, match.index))
    parts.push(parsePlaceholder(match[0], match[1] ?? ''))
    end = match.index + match[0].length
  }
  if (end < text.length) parts.push(text.slice(end))
  const stray = parts.find((part) => typeof part === 'string' && /[{}]/.test(part))
  if (stray !== undefined) throw new Error('a brace has no partner')
  return { text, parts }
}

function parsePlaceholder(text: string, inside: string): Placeholder {
  const [first = '', ...path] = inside.split('.')
  if (path.includes('')) throw new Error(`${text} has an empty part`)
  if (first === 'payload') return { text, from: 'payload', path }
  if (first === 'header') {
    if (path.length === 0) throw new Error(`${text} names no header`)
    return { text, from: 'header', path: [path.join('.')] }
  }
  if (path.length > 0) throw new Error(`${text}: only payload and header have parts`)
  if (first === 'subject' || first === 'last') return { text, from: first, path: [] }
  if (!tokenName.test(first)) throw new Error(`${text} is no placeholder`)
  return { text, from: 'token', path: [first] }
}

/** Names of the parts of the subject that a template needs. */
export function tokensOf({ parts }: Template): readonly string[] {
  return parts.flatMap((part) => (typeof part !== 'string' && part.from === 'token' ? part.path : []))
}

/** The value where the template is one placeholder and nothing else, its text otherwise. Undefined where there is no such value. */
export function valueOf(template: Template, fields: MessageFields): unknown {
  const [only] = template.parts
  if (template.parts.length === 1 && typeof only === 'object') return lookUp(only, fields)
  return textOf(template, fields)
}

/**
 * The text with every placeholder replaced. With `within`, a value must not have this character in it where the template has more
 * than the placeholder: it would be a name of another form than the one meant.
 * @throws MissingFieldError where a value is absent, empty, or no text, number or boolean.
 */
export function textOf(template: Template, fields: MessageFields, within?: string): string {
  const alone = template.parts.length === 1
  return template.parts
    .map((part) => {
      if (typeof part === 'string') return part
      const text = asText(part, lookUp(part, fields))
      if (!alone && within !== undefined && text.includes(within))
        throw new MissingFieldError(part.text, `has a ${within} in it`)
      return text
    })
    .join('')
}

/** As {@link textOf}; a template that is one placeholder for a list gives a text per item. */
export function textsOf(template: Template, fields: MessageFields, within?: string): readonly string[] {
  const value = valueOf(template, fields)
  if (!Array.isArray(value)) return [textOf(template, fields, within)]
  const items: readonly unknown[] = value
  return items.map((item) => asText({ text: `${template.text} (an item)` }, item))
}

function asText({ text }: Pick<Placeholder, 'text'>, value: unknown): string {
  if (typeof value === 'string' && value !== '') return value
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  throw new MissingFieldError(text, value === undefined ? 'is absent' : 'is no text, number or boolean')
}

function lookUp({ from, path }: Placeholder, fields: MessageFields): unknown {
  switch (from) {
    case 'subject':
      return fields.subject
    case 'last':
      return fields.subject.slice(fields.subject.lastIndexOf('.') + 1)
    case 'token':
      return fields.tokens[path[0] ?? '']
    case 'header':
      return fields.headers[(path[0] ?? '').toLowerCase()]
    case 'payload':
      return path.reduce<unknown>(memberOf, fields.payload)
  }
}

function memberOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
  return (value as Readonly<Record<string, unknown>>)[name]
}

/** A subject with named parts: `agent.{agentId}.>`. */
export interface SubjectPattern {
  readonly names: readonly string[]
  /** The parts by name; undefined when the subject is another. */
  match(subject: string): Readonly<Record<string, string>> | undefined
}

/**
 * Parts are separated by dots; `{name}` and `*` stand for one part, `>` at the end for one or more.
 * @throws Error that says what is wrong.
 */
export function parsePattern(text: string): SubjectPattern {
  const parts = text.split('.')
  const names = parts.flatMap((part) => (part.startsWith('{') ? [part.slice(1, -1)] : part === '>' ? ['rest'] : []))
  for (const [i, part] of parts.entries()) {
    if (part === '') throw new Error('a part of the subject is empty')
    if (part === '>' && i < parts.length - 1) throw new Error('> is only the last part')
    if (part === '*' || part === '>') continue
    if (/[\s*>]/.test(part)) throw new Error(`${part}: wildcards are parts of their own, and there are no spaces`)
    if (!/[{}]/.test(part)) continue
    const name = /^\{(.*)\}$/.exec(part)?.[1] ?? ''
    if (!tokenName.test(name)) throw new Error(`${part}: a name is letters, digits and _ in braces`)
    if (ownNames.has(name) || name === 'rest') throw new Error(`${part}: the name has a meaning of its own`)
  }
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  if (twice !== undefined) throw new Error(`{${twice}} is there twice`)
  return { names, match: (subject) => matchParts(parts, subject.split('.')) }
}

function matchParts(parts: readonly string[], given: readonly string[]): Record<string, string> | undefined {
  const open = parts.at(-1) === '>'
  if (open ? given.length < parts.length : given.length !== parts.length) return undefined
  const tokens: Record<string, string> = {}
  for (const [i, part] of parts.entries()) {
    const actual = given[i] ?? ''
    if (part === '>') tokens['rest'] = given.slice(i).join('.')
    else if (part.startsWith('{')) tokens[part.slice(1, -1)] = actual
    else if (part !== '*' && part !== actual) return undefined
  }
  return tokens
}

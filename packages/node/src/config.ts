import { readFileSync } from 'node:fs'
import { redactUrl } from './log.ts'

/**
 * One setting of a process: the row of a table that is parsed, printed by `--help`, and rendered into docs/config.md.
 */
export interface Setting<T> {
  readonly env: string
  /** What a value looks like, in messages and documentation: `integer 0–65535`. */
  readonly accepts: string
  /** Unit of the value; empty for none. */
  readonly unit: string
  readonly description: string
  /** Never shown; may also come from the file that `<env>_FILE` names. */
  readonly secret: boolean
  /** The value when the variable is absent or empty; null: it must be given. */
  readonly fallback: { readonly value: T } | null
  readonly parse: (given: string) => Parsed<T>
}

type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false }
type Table = Readonly<Record<string, Setting<unknown>>>
/** The typed values of a table. */
export type ConfigOf<T extends Table> = { readonly [K in keyof T]: T[K] extends Setting<infer V> ? V : never }
export type Environment = Readonly<Record<string, string | undefined>>

interface Common<T> {
  readonly description: string
  /** Left out: the setting must be given. See {@link optional} for one that may be absent. */
  readonly default?: T
  readonly unit?: string
}

/** All problems at once, one line each; secrets are not in it. */
export class ConfigError extends Error {
  readonly problems: readonly string[]
  constructor(problems: readonly string[]) {
    super(`the configuration is wrong:\n${problems.map((problem) => `  ${problem}`).join('\n')}`)
    this.name = 'ConfigError'
    this.problems = problems
  }
}

interface Kind<T> {
  readonly accepts: string
  readonly unit?: string
  readonly secret?: boolean
  readonly parse: (given: string) => Parsed<T>
}

function setting<T>(env: string, options: Common<T>, kind: Kind<T>): Setting<T> {
  return {
    env,
    accepts: kind.accepts,
    unit: options.unit ?? kind.unit ?? '',
    description: options.description,
    secret: kind.secret ?? false,
    fallback: options.default === undefined ? null : { value: options.default },
    parse: kind.parse,
  }
}

const ok = <T>(value: T): Parsed<T> => ({ ok: true, value })
const refused = { ok: false } as const

interface Range {
  readonly min?: number
  readonly max?: number
}

/** A whole number within `min` and `max`, both included. */
export function integer(env: string, options: Common<number> & Range): Setting<number> {
  const { min = 0, max = Number.MAX_SAFE_INTEGER } = options
  const accepts = max === Number.MAX_SAFE_INTEGER ? `integer ≥ ${min}` : `integer ${min}–${max}`
  return setting(env, options, {
    accepts,
    parse: (value) => {
      const number = Number(value.trim())
      return /^\s*-?\d{1,16}\s*$/.test(value) && number >= min && number <= max ? ok(number) : refused
    },
  })
}

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }

/** A time in ms: a whole number, or one with a unit (`250ms`, `5s`, `2m`, `1h`). */
export function durationMs(env: string, options: Common<number> & Range): Setting<number> {
  const { min = 0, max = 2_147_483_647 } = options
  return setting(env, options, {
    accepts: `duration ${min}–${max} ms, as \`1500\`, \`250ms\`, \`5s\`, \`2m\` or \`1h\``,
    unit: 'ms',
    parse: (value) => {
      const match = /^(\d{1,12})(ms|s|m|h)?$/.exec(value.trim())
      if (match === null) return refused
      const ms = Number(match[1]) * (unitMs[match[2] ?? 'ms'] ?? 1)
      return ms >= min && ms <= max ? ok(ms) : refused
    },
  })
}

interface TextOptions extends Common<string> {
  readonly maxLength?: number
  /** The form of the text, and the words for it. */
  readonly pattern?: { readonly regex: RegExp; readonly saying: string }
}

/** Any text, taken as it is. */
export function text(env: string, options: TextOptions): Setting<string> {
  const { maxLength = 4_096, pattern } = options
  return setting(env, options, {
    accepts: pattern === undefined ? 'text' : pattern.saying,
    parse: (value) =>
      value.length <= maxLength && (pattern === undefined || pattern.regex.test(value)) ? ok(value) : refused,
  })
}

/** An absolute URL with one of the protocols, `['redis:', 'rediss:']`; its password is not shown anywhere. */
export function url(env: string, options: Common<string> & { readonly protocols: readonly string[] }): Setting<string> {
  const { protocols } = options
  return setting(env, options, {
    accepts: `URL with ${protocols.join(' or ')}`,
    parse: (value) => (URL.canParse(value) && protocols.includes(new URL(value).protocol) ? ok(value) : refused),
  })
}

const yes = ['true', 'yes', 'on', '1']
const no = ['false', 'no', 'off', '0']

export function boolean(env: string, options: Common<boolean>): Setting<boolean> {
  return setting(env, options, {
    accepts: '`true` or `false` (also yes/no, on/off, 1/0)',
    parse: (value) => {
      const word = value.trim().toLowerCase()
      if (yes.includes(word)) return ok(true)
      return no.includes(word) ? ok(false) : refused
    },
  })
}

interface ListOptions extends Common<readonly string[]> {
  readonly minItems?: number
  readonly maxItems?: number
  /** Characters of one item. */
  readonly maxLength?: number
}

const itemsOf = (value: string): readonly string[] =>
  value
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')

/** Items separated by commas; space around them and empty items are dropped. */
export function list(env: string, options: ListOptions): Setting<readonly string[]> {
  const { minItems = 0, maxItems = 1_000, maxLength = Infinity } = options
  const count = minItems === 0 ? `≤ ${maxItems}` : `${minItems}–${maxItems}`
  return setting(env, options, {
    accepts: `comma-separated list, ${count} items${maxLength === Infinity ? '' : ` of ≤ ${maxLength} characters`}`,
    parse: (value) => {
      const items = itemsOf(value)
      const fits = items.length >= minItems && items.length <= maxItems
      return fits && items.every((item) => item.length <= maxLength) ? ok(items) : refused
    },
  })
}

interface SomeOptions<V extends string> extends Common<readonly NoInfer<V>[]> {
  readonly values: readonly V[]
}

/** Some of the words, each once, in the order that is given. */
export function someOf<const V extends string>(env: string, options: SomeOptions<V>): Setting<readonly V[]> {
  const { values } = options
  return setting<readonly V[]>(env, options, {
    accepts: `comma-separated list of one or more of ${values.map((value) => `\`${value}\``).join(', ')}, each once`,
    parse: (value) => {
      const items = itemsOf(value)
      const found = items.flatMap((item) => values.filter((candidate) => candidate === item))
      const isWhole = found.length === items.length && new Set(found).size === found.length
      return found.length > 0 && isWhole ? ok(found) : refused
    },
  })
}

interface ChoiceOptions<V extends string> extends Common<NoInfer<V>> {
  readonly values: readonly V[]
}

/** One of the words. */
export function oneOf<const V extends string>(env: string, options: ChoiceOptions<V>): Setting<V> {
  return setting<V>(env, options, {
    accepts: `one of ${options.values.map((value) => `\`${value}\``).join(', ')}`,
    parse: (value) => {
      const found = options.values.find((candidate) => candidate === value.trim())
      return found === undefined ? refused : ok(found)
    },
  })
}

/** A text that is never shown. `<env>_FILE` may name a file that holds it instead. */
export function secret(env: string, options: Common<string> & { readonly minBytes?: number }): Setting<string> {
  const { minBytes = 1 } = options
  return setting(env, options, {
    accepts: minBytes > 1 ? `secret of ≥ ${minBytes} bytes` : 'secret',
    secret: true,
    parse: (value) => (Buffer.byteLength(value) >= minBytes ? ok(value) : refused),
  })
}

/** The same setting, null when it is not given. */
export function optional<T>(of: Setting<T>): Setting<T | null> {
  return { ...of, fallback: { value: null } }
}

/**
 * Declares a table; throws when it contradicts itself (a name twice or not of our form).
 *
 * @example
 * const table = defineConfig({ port: integer('FLOTILLA_EDGE_PORT', { default: 8080, max: 65535, description: '…' }) })
 * const config = parseConfig(table, process.env) // { readonly port: number }
 */
export function defineConfig<const T extends Table>(table: T): T {
  const seen = new Set<string>()
  for (const { env } of Object.values(table)) {
    if (!/^FLOTILLA_[A-Z0-9]+(_[A-Z0-9]+)*$/.test(env)) throw new TypeError(`${env} is not of the form FLOTILLA_NAME`)
    if (seen.has(env)) throw new TypeError(`${env} is declared twice`)
    seen.add(env)
  }
  return table
}

/** Every variable that the table reads, the `_FILE` names of secrets included. */
export function namesOf(table: Table): readonly string[] {
  return Object.values(table).flatMap(({ env, secret: hasFile }) => (hasFile ? [env, `${env}_FILE`] : [env]))
}

export interface ParseOptions {
  /**
   * The names of all processes' tables. Given, any other `FLOTILLA_*` variable is a problem: a misspelt setting must
   * not be a default silently.
   */
  readonly knownNames?: readonly string[]
  /** Reads a secret's file; the file system by default. */
  readonly readFile?: (path: string) => string
}

/** The values of a table from an environment. Throws {@link ConfigError} with every problem there is. */
export function parseConfig<T extends Table>(table: T, env: Environment, options: ParseOptions = {}): ConfigOf<T> {
  const { knownNames, readFile = (path: string) => readFileSync(path, 'utf8') } = options
  const problems: string[] = []
  const values: Record<string, unknown> = {}
  for (const [key, row] of Object.entries(table)) {
    const read = row.secret ? readSecret(row.env, env, readFile) : given(env[row.env])
    if (read.type === 'problem') problems.push(read.problem)
    else if (read.type === 'given') {
      const parsed = row.parse(read.text)
      if (parsed.ok) values[key] = parsed.value
      else problems.push(refusal(row, read.text))
    } else if (row.fallback === null) problems.push(`${row.env}: not set; expected ${row.accepts}`)
    else values[key] = row.fallback.value
  }
  if (knownNames !== undefined) problems.push(...unknownNames(env, [...knownNames, ...namesOf(table)]))
  if (problems.length > 0) throw new ConfigError(problems)
  // Every key of the table was set from its own row's parse or default, or was a problem.
  return values as ConfigOf<T>
}

type Read =
  | { readonly type: 'given'; readonly text: string }
  | { readonly type: 'absent' }
  | { readonly type: 'problem'; readonly problem: string }

// A template that renders a value nobody set leaves an empty variable: that is "not set".
const given = (value: string | undefined): Read =>
  value === undefined || value === '' ? { type: 'absent' } : { type: 'given', text: value }

function readSecret(name: string, env: Environment, readFile: (path: string) => string): Read {
  const direct = given(env[name])
  const path = given(env[`${name}_FILE`])
  if (path.type !== 'given') return direct
  if (direct.type === 'given')
    return { type: 'problem', problem: `${name}: set together with ${name}_FILE; expected one` }
  try {
    // Editors and `echo` end a file with a line break that is no part of the secret.
    const content = readFile(path.text).replace(/\r?\n$/, '')
    return content === ''
      ? { type: 'problem', problem: `${name}_FILE: "${path.text}" is empty; expected a file with the secret` }
      : { type: 'given', text: content }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    return {
      type: 'problem',
      problem: `${name}_FILE: "${path.text}" cannot be read (${why}); expected a file with the secret`,
    }
  }
}

function refusal(row: Setting<unknown>, value: string): string {
  const shown = row.secret ? '[redacted]' : JSON.stringify(redactUrl(value).slice(0, 100))
  const unit = row.unit === '' ? '' : ` (${row.unit})`
  const hint = serviceLink.test(value)
    ? '; Kubernetes set it for a Service of that name: use enableServiceLinks: false'
    : ''
  return `${row.env}: ${shown} is not accepted; expected ${row.accepts}${unit}${hint}`
}

// A Service called flotilla-edge makes Kubernetes set FLOTILLA_EDGE_PORT=tcp://10.0.0.7:8080 and more in every pod.
const serviceLink = /^(?:tcp|udp):\/\/[\d.:[\]a-f]+$/
const serviceLinkName = /_SERVICE_HOST$|_SERVICE_PORT(?:_\w+)?$|_PORT_\d+_(?:TCP|UDP)(?:_(?:PROTO|PORT|ADDR))?$/

function unknownNames(env: Environment, known: readonly string[]): string[] {
  const names = new Set(known)
  return Object.keys(env)
    .filter((name) => name.startsWith('FLOTILLA_') && !names.has(name))
    .filter((name) => !serviceLinkName.test(name) && !serviceLink.test(env[name] ?? ''))
    .map((name) => `${name}: no such setting; the nearest is ${nearest(name, known)}`)
}

function nearest(name: string, known: readonly string[]): string {
  const ranked = known.map((candidate) => ({ candidate, distance: editDistance(name, candidate) }))
  return ranked.reduce((best, other) => (other.distance < best.distance ? other : best), {
    candidate: '',
    distance: Number.POSITIVE_INFINITY,
  }).candidate
}

/** Levenshtein's distance, one row at a time. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i]
    for (let j = 1; j <= b.length; j += 1) {
      const replace = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(replace, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}

/** The table for `--help`: one setting per paragraph, plain text. */
export function renderHelp(table: Table): string {
  const rows = Object.values(table).map((row) => {
    const unit = row.unit === '' || row.fallback === null || row.fallback.value === null ? '' : ` ${row.unit}`
    const file = row.secret ? `; or ${row.env}_FILE` : ''
    const accepts = row.accepts.replaceAll('`', '')
    return `  ${row.env}\n      ${row.description}\n      ${accepts}${file}; default: ${shownDefault(row)}${unit}`
  })
  return `Settings (environment variables):\n\n${rows.join('\n\n')}\n`
}

const cell = (value: string): string => value.replaceAll('|', '\\|').replaceAll('\n', ' ')

/** The table for docs/config.md. */
export function renderMarkdown(table: Table): string {
  const rows = Object.values(table).map((row) => {
    const name = row.secret ? `\`${row.env}\`, \`${row.env}_FILE\`` : `\`${row.env}\``
    return `| ${[name, row.accepts, `\`${shownDefault(row)}\``, row.unit, row.description].map(cell).join(' | ')} |`
  })
  return `| variable | value | default | unit | meaning |\n|---|---|---|---|---|\n${rows.join('\n')}\n`
}

function shownDefault(row: Setting<unknown>): string {
  if (row.fallback === null) return '(required)'
  const { value } = row.fallback
  if (value === null) return '(unset)'
  if (row.secret) return '(hidden)'
  const shown = Array.isArray(value) ? value.join(',') : typeof value === 'string' ? value : JSON.stringify(value)
  return shown === '' ? '(empty)' : redactUrl(shown)
}

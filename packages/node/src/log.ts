import { pino } from 'pino'
import type { Logger } from 'pino'

/**
 * What the code logs with. Passed as a parameter and narrowed by `child`, never imported as a global. Fields are
 * cleaned of secrets before they are written (rules LG1–LG4), so a caller may pass a request's headers as they are.
 *
 * @example log.warn('redis is slow', { latencyMs: 420 })
 */
export interface Log {
  debug(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  error(message: string, fields?: LogFields): void
  /** The same log with fields that every line carries. */
  child(fields: LogFields): Log
}

export type LogFields = Readonly<Record<string, unknown>>
export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof logLevels)[number]

export interface LogOptions {
  readonly service: string
  readonly level: LogLevel
  /**
   * Where the lines go; standard output, written synchronously, by default: the last line before an exit is not lost.
   */
  readonly destination?: { write(line: string): void }
}

/** Nesting, items of a list or object, values altogether, and characters of a text that a line carries. */
const maxDepth = 6
const maxItems = 100
const maxValues = 1_000
const maxTextLength = 4_096

const hidden = '[redacted]'
/**
 * A key is sensitive when it ends with one of these, case, `-` and `_` aside: `jwtSecret`, `Set-Cookie`,
 * `access_token`.
 */
const sensitive = [
  'token',
  'authorization',
  'password',
  'secret',
  'jwt',
  'cookie',
  'secwebsocketprotocol',
  'apikey',
  'ticket',
]
/** Keys of the line itself: a field of that name must not be able to forge them. */
const reserved = new Set(['level', 'time', 'service', 'msg'])

/** JSON lines: `level` by name, `time` in ISO 8601, `service`, the fields, `msg`. */
export function createLog(options: LogOptions): Log {
  const settings = {
    level: options.level,
    base: { service: options.service },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  }
  return wrap(options.destination === undefined ? pino(settings) : pino(settings, options.destination))
}

function wrap(logger: Logger): Log {
  const at = (level: 'debug' | 'info' | 'warn' | 'error') => (message: string, fields?: LogFields) => {
    if (!logger.isLevelEnabled(level)) return
    logger[level](fields === undefined ? {} : cleanFields(fields), redactText(message))
  }
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (fields) => wrap(logger.child(cleanFields(fields))),
  }
}

/**
 * The text without the password of any URL, without the values of secret query parameters, and without anything that
 * looks like a JWT. `redactUrl('redis://app:pw@cache:6379')` is `'redis://app:***@cache:6379'`.
 */
export function redactUrl(text: string): string {
  return text
    .replace(redisUserInfo, hideUserInfo)
    .replace(userInfo, hideUserInfo)
    .replace(secretParameter, '$1***')
    .replace(compactToken, '***')
}

// A Redis URL has no path that could hold an @, so everything up to the last one is credentials, encoded or not.
const redisUserInfo = /(rediss?:\/\/)(\S*)@/gi
const userInfo = /(:\/\/)([^\s/?#]*)@/g
const secretParameter =
  /([?&](?:token|access_token|id_token|refresh_token|auth_token|jwt|ticket|password|secret)=)[^&#\s"']*/gi
const compactToken = /\beyJ[\w-]{5,}\.[\w-]+\.[\w-]*/g

function hideUserInfo(_match: string, scheme: string, user: string): string {
  const colon = user.indexOf(':')
  return colon < 0 ? `${scheme}***@` : `${scheme}${user.slice(0, colon)}:***@`
}

function redactText(text: string): string {
  // Redacted before it is cut, so that a secret that straddles the cut is whole; bounded, so that no text costs much.
  const clean = redactUrl(text.length > 2 * maxTextLength ? text.slice(0, 2 * maxTextLength) : text)
  return clean.length > maxTextLength ? `${clean.slice(0, maxTextLength)}…` : clean
}

/** Values that a line may still carry: lists in lists must not multiply. */
interface Budget {
  left: number
}

function cleanFields(fields: LogFields): Record<string, unknown> {
  try {
    const clean = cleanObject(fields, 0, { left: maxValues })
    return Object.fromEntries(Object.entries(clean).map(([key, value]) => [reserved.has(key) ? `${key}_` : key, value]))
  } catch {
    // A getter or a proxy threw. The message is still worth a line.
    return { fields: '[unreadable]' }
  }
}

function isSensitive(key: string): boolean {
  const plain = key.toLowerCase().replaceAll(/[-_]/g, '')
  return sensitive.some((word) => plain.endsWith(word))
}

function cleanValue(value: unknown, depth: number, budget: Budget): unknown {
  if (typeof value === 'string') return redactText(value)
  if (typeof value === 'bigint') return String(value)
  if (typeof value !== 'object' || value === null) return value
  if (depth > maxDepth) return '[too deep]'
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'invalid date' : value.toISOString()
  if (value instanceof URL) return redactText(value.href)
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`
  return cleanNested(value, depth, budget)
}

function cleanNested(value: object, depth: number, budget: Budget): unknown {
  if (value instanceof Error) return cleanError(value, depth, budget)
  if (value instanceof Map) return cleanObject(Object.fromEntries<unknown>(value), depth, budget)
  if (value instanceof Set || Array.isArray(value)) {
    const clean: unknown[] = []
    for (const item of value) {
      if (clean.length >= maxItems || budget.left <= 0) break
      budget.left -= 1
      clean.push(cleanValue(item, depth + 1, budget))
    }
    return clean
  }
  return cleanObject(value, depth, budget)
}

function cleanObject(value: object, depth: number, budget: Budget): Record<string, unknown> {
  const clean: Record<string, unknown> = {}
  for (const [key, item] of Object.entries(value).slice(0, maxItems)) {
    if (budget.left <= 0) break
    budget.left -= 1
    clean[key] = isSensitive(key) ? hidden : cleanValue(item, depth + 1, budget)
  }
  return clean
}

function cleanError(error: Error, depth: number, budget: Budget): Record<string, unknown> {
  return {
    ...cleanObject(error, depth, budget),
    type: error.name,
    message: redactText(error.message),
    ...(error.stack === undefined ? {} : { stack: redactText(error.stack) }),
    ...(error.cause === undefined ? {} : { cause: cleanValue(error.cause, depth + 1, budget) }),
  }
}

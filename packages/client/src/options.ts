import type { ReconnectOptions } from './backoff.ts'
import { FlotillaError } from './errors.ts'
import type { SocketConstructor } from './socket.ts'

/** How the token travels: in the first frame, as a WebSocket subprotocol, or as `?token=` (it may end up in logs). */
export type Carriage = 'frame' | 'subprotocol' | 'query'
export type TokenSource = string | (() => string | Promise<string>)
export type Log = (message: string, detail?: unknown) => void

export interface ConnectOptions {
  /** `wss://host/ws`; `https:` is read as `wss:`. */
  readonly url: string
  /**
   * A function is asked again at each connection, and once more when the server says that the token is not good. Left out: an anonymous
   * connection, where the server takes those.
   */
  readonly token?: TokenSource
  /** Default: `frame`, which is the only one without a token. */
  readonly carriage?: Carriage
  /** The constructor to use where there is no global one: `ws` on Node 20. */
  readonly WebSocket?: SocketConstructor
  /** Time for `connect()` as a whole, ms; default 20,000. */
  readonly timeoutMs?: number
  /** Time for one attempt, from asking for the token to `connected`, and for the answer to a subscription, ms; default 10,000. */
  readonly attemptTimeoutMs?: number
  /** Silence after which the connection is dead, ms; default 60,000. */
  readonly pingTimeoutMs?: number
  /** Default: 500 ms, 30,000 ms, no limit of attempts. */
  readonly reconnect?: Partial<ReconnectOptions>
  /** Publishes without an answer that are kept; default 1,000 and 1 MiB. Beyond: `QueueFullError`. */
  readonly queue?: Partial<QueueOptions>
  /** How long a publish is retried, ms; default 30,000, at the most 100,000. */
  readonly publishTimeoutMs?: number
  /** Publishes of one room that may be on their way at once; default 32. With 1 a refusal can never change the order. */
  readonly pipeline?: number
  /** A number in [0, 1), for jitter. */
  readonly random?: () => number
  /** Told of what the application cannot see otherwise: handlers that throw, frames that make no sense. */
  readonly log?: Log
}

export interface QueueOptions {
  readonly maxItems: number
  readonly maxBytes: number
}

export type Settings = Required<Omit<ConnectOptions, 'reconnect' | 'queue' | 'token'>> & {
  readonly token?: TokenSource | undefined
  readonly reconnect: ReconnectOptions
  readonly queue: QueueOptions
}

/** A publish key is remembered for 120 s at the least; retries must end well before. */
export const maxPublishTimeoutMs = 100_000
/** Rooms one client keeps, whatever the server allows. */
export const maxRooms = 10_000

function globalSocket(): SocketConstructor {
  const found: SocketConstructor | undefined = globalThis.WebSocket
  if (found === undefined)
    throw new FlotillaError('VALIDATION_ERROR', 'no global WebSocket here: pass one as `WebSocket`')
  return found
}

function requirePositive(values: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(values)) {
    if (!(value > 0)) throw new FlotillaError('VALIDATION_ERROR', `${name} must be a positive number`)
  }
}

/** Fills in the defaults. Throws `FlotillaError('VALIDATION_ERROR')` on a setting that cannot be. */
export function settle(options: ConnectOptions): Settings {
  const settings: Settings = {
    timeoutMs: 20_000,
    attemptTimeoutMs: 10_000,
    pingTimeoutMs: 60_000,
    publishTimeoutMs: 30_000,
    pipeline: 32,
    random: Math.random,
    log: (message, detail) => console.error(`flotilla: ${message}`, detail),
    ...options,
    carriage: (options.token && options.carriage) || 'frame',
    WebSocket: options.WebSocket ?? globalSocket(),
    reconnect: { minMs: 500, maxMs: 30_000, maxAttempts: Infinity, ...options.reconnect },
    queue: { maxItems: 1_000, maxBytes: 1_048_576, ...options.queue },
  }
  const { timeoutMs, attemptTimeoutMs, pingTimeoutMs, publishTimeoutMs, pipeline } = settings
  requirePositive({ timeoutMs, attemptTimeoutMs, pingTimeoutMs, publishTimeoutMs, pipeline, ...settings.queue })
  requirePositive({ minMs: settings.reconnect.minMs, maxMs: settings.reconnect.maxMs })
  checkPublishTimeout(publishTimeoutMs)
  return settings
}

export function checkPublishTimeout(timeoutMs: number): void {
  if (timeoutMs > 0 && timeoutMs <= maxPublishTimeoutMs) return
  throw new FlotillaError('VALIDATION_ERROR', `a publish is retried for 1 to ${maxPublishTimeoutMs} ms`)
}

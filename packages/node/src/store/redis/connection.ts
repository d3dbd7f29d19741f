import { Redis } from 'ioredis'
import type { Command, RedisOptions } from 'ioredis'
import { createBackoff } from '../../backoff.ts'
import { redactUrl } from '../../log.ts'
import type { Log } from '../../log.ts'
import { StoreError } from '../port.ts'
import { FlatCommand } from './command.ts'
import type { Arg } from './command.ts'

export interface ConnectionOptions {
  /** `redis://`, `rediss://`, `unix:///path` or a path. */
  readonly url: string
  /** What it is for: appears in the log. */
  readonly name: string
  readonly log: Log
  /** Deadline of a call, ms. */
  readonly commandTimeoutMs: number
  /** A connection that has calls under way and hears nothing for so long is given up, ms. Absent: it may be silent. */
  readonly silenceMs?: number
  /** After each connect, before any caller's next call. */
  onReady?(): void
}

/** One connection to one server. It comes back by itself, for ever. */
export interface Connection {
  readonly ready: boolean
  /**
   * Settles within the deadline, whatever becomes of the connection; nothing is queued while there is none, and nothing
   * is sent twice. Rejects with a `StoreError`, or with the server's reply when that is an error.
   */
  send(name: string, args: readonly Arg[], deadlineMs?: number): Promise<unknown>
  /** Rejects with `refused` when there is no connection within `ms`. */
  whenReady(ms: number): Promise<void>
  /** Gives this connection up for a new one: calls under way are unknown. */
  renew(): void
  close(): void
}

/** First, and longest, delay before connecting again, ms: as long may pass on top after a server is back. A little is always waited: it may take and drop. */
const reconnectBaseMs = 50
const reconnectMaxMs = 500
const reconnectLeastMs = 20
/** A server that is away for longer is an error, and said again as often, ms. */
const awayErrorMs = 10_000
/** Less than the time after which a worker that is not heard counts as dead: an attempt may hit a node that is gone. */
const connectTimeoutMs = 2_000
const keepAliveMs = 10_000

export function connect(options: ConnectionOptions): Connection {
  const backoff = createBackoff({ baseMs: reconnectBaseMs, maxMs: reconnectMaxMs, random: Math.random })
  const settings = {
    ...endpoint(options.url),
    // RESP 3 answers XREAD with a map, whose form depends on the client library.
    protocol: 2,
    // By default ioredis queues without a bound and sends again what may have been executed.
    autoResendUnfulfilledCommands: false,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResubscribe: false,
    connectTimeout: connectTimeoutMs,
    keepAlive: keepAliveMs,
    ...(options.silenceMs === undefined ? {} : { socketTimeout: options.silenceMs }),
    retryStrategy: () => reconnectLeastMs + backoff.next(),
  } satisfies RedisOptions
  const redis = new Redis(settings)
  const calls = createCalls(options.commandTimeoutMs)
  watch(redis, options)
  let closed = false
  redis.on('ready', () => {
    backoff.reset()
    options.onReady?.()
  })
  // ioredis may leave a command that was sent without an answer when its connection breaks.
  redis.on('close', () => calls.rejectAll('the connection was lost'))

  const write = corked(redis)
  return {
    get ready() {
      return redis.status === 'ready'
    },
    send: (name, args, deadlineMs) => {
      if (redis.status !== 'ready') return Promise.reject(new StoreError('refused', 'not connected'))
      return calls.track(write(name, args), deadlineMs)
    },
    whenReady: (ms) => whenReady(redis, ms),
    renew: () => {
      // Without a farewell: a server that does not answer does not answer that either, and ioredis waits for it.
      if (!closed && redis.status === 'ready') redis.stream.destroy()
    },
    close: () => {
      closed = true
      redis.disconnect()
      calls.rejectAll('the store was closed')
    },
  }
}

/** Everything that is sent in one turn of the event loop goes out in one write. */
function corked(redis: Redis): (name: string, args: readonly Arg[]) => Command {
  let held: Redis['stream'] | undefined
  const release = (): void => {
    held?.uncork()
    held = undefined
  }
  return (name, args) => {
    if (held === undefined) {
      held = redis.stream
      held.cork()
      process.nextTick(release)
    }
    const command = new FlatCommand(name, args)
    // Its promise is the command's own.
    void redis.sendCommand(command)
    return command
  }
}

interface Call {
  readonly command: Command
  readonly until: number
}

/**
 * The calls under way. Those with the usual deadline become due, and are answered, in the order in which they were sent:
 * one timer is enough for all of them, and an answer need not be taken note of.
 */
function createCalls(usualMs: number) {
  let usual: Call[] = []
  let first = 0
  const special = new Set<Command>()
  let timer: NodeJS.Timeout | undefined

  /** Lets go of what is answered. */
  function advance(): void {
    while (first < usual.length && usual[first]?.command.isSettled === true) first += 1
    if (first < 64 || first * 2 < usual.length) return
    usual = usual.slice(first)
    first = 0
  }

  function expire(): void {
    timer = undefined
    const now = performance.now()
    for (; first < usual.length; first += 1) {
      const call = usual[first]
      if (call === undefined || call.command.isSettled) continue
      if (call.until > now) {
        timer = setTimeout(expire, call.until - now + 1)
        return
      }
      call.command.reject(overdue(usualMs))
    }
    advance()
  }

  function track(command: Command, deadlineMs: number | undefined): Promise<unknown> {
    if (deadlineMs === undefined) {
      advance()
      usual.push({ command, until: performance.now() + usualMs })
      timer ??= setTimeout(expire, usualMs + 1)
      return command.promise
    }
    special.add(command)
    const own = setTimeout(() => command.reject(overdue(deadlineMs)), deadlineMs)
    return command.promise.finally(() => {
      special.delete(command)
      clearTimeout(own)
    })
  }

  function rejectAll(why: string): void {
    for (const { command } of usual.slice(first)) if (!command.isSettled) command.reject(new StoreError('unknown', why))
    for (const command of special) command.reject(new StoreError('unknown', why))
    usual = []
    first = 0
    clearTimeout(timer)
    timer = undefined
  }

  return { track, rejectAll }
}

const overdue = (ms: number): StoreError => new StoreError('unknown', `no answer within ${ms} ms`)

/** Says once that the server is away, says it as an error when it stays away, and says when it is back. */
function watch(redis: Redis, { url, name, log }: ConnectionOptions): void {
  const own = log.child({ redis: redactUrl(url), connection: name })
  let awaySince: number | undefined
  let saidAt = 0
  let reason = 'closed'
  redis.on('error', (error: Error) => (reason = error.message))
  redis.on('reconnecting', () => {
    const now = performance.now()
    if (awaySince === undefined) {
      awaySince = saidAt = now
      own.warn('redis is away', { reason })
    } else if (now - saidAt >= awayErrorMs) {
      saidAt = now
      own.error('redis is still away', { reason, awayMs: Math.round(now - awaySince) })
    }
  })
  redis.on('ready', () => {
    if (awaySince !== undefined) own.info('redis is back', { awayMs: Math.round(performance.now() - awaySince) })
    awaySince = undefined
    reason = 'closed'
  })
}

function whenReady(redis: Redis, ms: number): Promise<void> {
  if (redis.status === 'ready') return Promise.resolve()
  return new Promise((resolve, reject) => {
    const settle = (error?: Error): void => {
      clearTimeout(timer)
      redis.off('ready', ready)
      redis.off('end', ended)
      if (error === undefined) resolve()
      else reject(error)
    }
    const ready = (): void => settle()
    const ended = (): void => settle(new StoreError('refused', 'the store was closed'))
    const timer = setTimeout(() => settle(new StoreError('refused', 'not connected')), ms)
    redis.once('ready', ready)
    redis.once('end', ended)
  })
}

/** ioredis knows redis:// and rediss:// URLs; a socket's URL may carry credentials and a database as theirs do. */
export function endpoint(
  url: string,
): Pick<RedisOptions, 'path' | 'host' | 'port' | 'username' | 'password' | 'db' | 'tls'> {
  if (url.startsWith('/')) return { path: url }
  const parsed = new URL(url)
  const credentials = {
    ...(parsed.username === '' ? {} : { username: decodeURIComponent(parsed.username) }),
    ...(parsed.password === '' ? {} : { password: decodeURIComponent(parsed.password) }),
  }
  if (parsed.protocol === 'unix:') {
    const db = Number(parsed.searchParams.get('db') ?? '0')
    return { path: decodeURIComponent(parsed.pathname), ...credentials, db }
  }
  if (parsed.protocol !== 'redis:' && parsed.protocol !== 'rediss:') {
    throw new Error(`${redactUrl(url)} is not a redis://, rediss:// or unix:// URL`)
  }
  const host = parsed.hostname.replace(/^\[(.*)\]$/, '$1')
  const db = Number(parsed.pathname.slice(1) === '' ? '0' : parsed.pathname.slice(1))
  if (!Number.isInteger(db)) throw new Error(`${redactUrl(url)} names no database by number`)
  return {
    host: host === '' ? '127.0.0.1' : host,
    port: parsed.port === '' ? 6379 : Number(parsed.port),
    ...credentials,
    db,
    ...(parsed.protocol === 'rediss:' ? { tls: {} } : {}),
  }
}

import { Redis, ReplyError as RedisReplyError } from 'ioredis'
import type { RedisOptions } from 'ioredis'
import { createBackoff } from '../../backoff.ts'
import type { Log } from '../../log.ts'
import { redactUrl } from '../../log.ts'
import { StoreError } from '../port.ts'
import { serverRun } from './scripts.ts'
import type { Script } from './scripts.ts'

// The package types this class as any.
const ReplyError: new (message: string) => Error = RedisReplyError as new (message: string) => Error

export interface NodeOptions {
  readonly url: string
  readonly log: Log
  /** Deadline of every call, ms; what is not answered by then is unknown. */
  readonly commandTimeoutMs: number
  /** Told of the server's run after each connect, and when a reply shows another. */
  onRun(run: string): void
  /** Told of a reply that says that the keys are elsewhere (Redis Cluster). */
  onMoved?(): void
}

/** One Redis server: a connection for calls, and one for each reader that blocks. */
export interface Node {
  readonly url: string
  /** The server's run as last seen; '' before the first connect. */
  readonly run: string
  readonly ready: boolean
  /** Runs a script. The first item of its reply is the run; the rest is returned. */
  script(script: Script, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown[]>
  command(name: string, args: readonly (string | number)[]): Promise<unknown>
  /** A blocking XREAD on the connection of that name. Resolves with null after `blockMs` or when it is woken. */
  blockingRead(name: string, args: readonly (string | number)[], blockMs: number): Promise<unknown>
  wake(name: string): void
  close(): void
}

/** The server certainly did not execute it. */
const refusals = /^(OOM|MISCONF|READONLY|LOADING|NOREPLICAS|CLUSTERDOWN|MASTERDOWN|MOVED|ASK|TRYAGAIN|BUSY|NOSCRIPT|NOAUTH|WRONGPASS|NOPERM)\b/
/** Reads a lost wake-up is looked for, ms. */
const wakeRetryMs = 5

export function connectNode(options: NodeOptions): Node {
  const { url, log } = options
  const calls = connect(options, 'calls')
  const readers = new Map<string, Reader>()
  const loaded = new Set<string>()
  let run = ''

  function saw(next: unknown): void {
    if (typeof next !== 'string' || next === run) return
    run = next
    options.onRun(next)
  }

  // A server that was away may be another now, and then it has no scripts either.
  calls.on('ready', () => {
    loaded.clear()
    void script(serverRun, [], []).catch((error: unknown) => log.debug('run not read', { error: String(error) }))
  })

  function fail(error: unknown): StoreError {
    const message = error instanceof Error ? error.message : String(error)
    if (error instanceof StoreError) return error
    if (error instanceof ReplyError) {
      if (/^(MOVED|ASK|CLUSTERDOWN)\b/.test(message)) options.onMoved?.()
      return new StoreError(refusals.test(message) ? 'refused' : 'unknown', message, { cause: error })
    }
    const unsent = message.includes("isn't writeable") || message.includes('not connected')
    return new StoreError(unsent ? 'refused' : 'unknown', message, { cause: error })
  }

  async function script(what: Script, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown[]> {
    let reply: unknown
    try {
      try {
        reply = loaded.has(what.sha)
          ? await deadline(calls.evalsha(what.sha, keys.length, ...keys, ...args), options.commandTimeoutMs)
          : await deadline(calls.eval(what.text, keys.length, ...keys, ...args), options.commandTimeoutMs)
      } catch (error) {
        if (!(error instanceof ReplyError) || !error.message.startsWith('NOSCRIPT')) throw error
        reply = await deadline(calls.eval(what.text, keys.length, ...keys, ...args), options.commandTimeoutMs)
      }
    } catch (error) {
      throw fail(error)
    }
    loaded.add(what.sha)
    const [seen, ...rest] = Array.isArray(reply) ? (reply as unknown[]) : []
    saw(seen)
    return rest
  }

  async function command(name: string, args: readonly (string | number)[]): Promise<unknown> {
    try {
      return await deadline(calls.call(name, ...args), options.commandTimeoutMs)
    } catch (error) {
      throw fail(error)
    }
  }

  function reader(name: string): Reader {
    let found = readers.get(name)
    if (found === undefined) readers.set(name, (found = { connection: connect(options, name), reading: 0, id: undefined }))
    const { connection } = found
    const created = found
    if (connection.listenerCount('ready') === 0) {
      connection.on('ready', () => {
        created.id = undefined
        connection.client('ID').then((id) => (created.id = id)).catch((error: unknown) => log.debug('no client id', { error: String(error) }))
      })
    }
    return found
  }

  async function blockingRead(name: string, args: readonly (string | number)[], blockMs: number): Promise<unknown> {
    const on = reader(name)
    on.reading += 1
    try {
      await ready(on.connection, options.commandTimeoutMs)
      return await deadline(on.connection.call('XREAD', ...args), blockMs + options.commandTimeoutMs)
    } catch (error) {
      // A reader whose reply is overdue is not asked again: its answer would be that of the wrong call.
      if (!(error instanceof ReplyError) && on.connection.status === 'ready') on.connection.disconnect(true)
      throw fail(error)
    } finally {
      on.reading += 1
    }
  }

  function wake(name: string): void {
    const on = readers.get(name)
    if (on === undefined || on.reading % 2 === 0 || on.id === undefined) return
    const { reading } = on
    calls
      .client('UNBLOCK', on.id)
      .then((woken) => {
        // The read may not have reached the server yet.
        if (woken === 0 && on.reading === reading) setTimeout(() => wake(name), wakeRetryMs).unref()
      })
      .catch((error: unknown) => log.debug('reader not woken', { error: String(error) }))
  }

  return {
    url,
    get run() {
      return run
    },
    get ready() {
      return calls.status === 'ready'
    },
    script,
    command,
    blockingRead,
    wake,
    close: () => {
      calls.disconnect()
      for (const { connection } of readers.values()) connection.disconnect()
    },
  }
}

/** A reader has nothing better to do than to wait for its connection. */
async function ready(connection: Redis, ms: number): Promise<void> {
  if (connection.status === 'ready') return
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => {
      connection.off('ready', done)
      reject(new StoreError('refused', 'not connected'))
    }, ms)
    const done = (): void => {
      clearTimeout(timer)
      resolve()
    }
    connection.once('ready', done)
  })
}

interface Reader {
  readonly connection: Redis
  /** Odd while a read is under way. */
  reading: number
  id: number | undefined
}

/** Nothing is queued while the server is away, and nothing is sent twice behind the caller's back. */
function connect({ url, log }: NodeOptions, name: string): Redis {
  const backoff = createBackoff({ baseMs: 50, maxMs: 2_000, random: Math.random })
  const settings = {
    // RESP 3 answers XREAD with a map, whose form depends on the client library.
    protocol: 2,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    connectTimeout: 5_000,
    keepAlive: 10_000,
    retryStrategy: () => 20 + backoff.next(),
  } satisfies RedisOptions
  const connection = new Redis(url, settings)
  const log2 = log.child({ redis: redactUrl(url), connection: name })
  let away = false
  connection.on('error', (error: Error) => {
    if (!away) log2.warn('redis is away', { error: error.message })
    away = true
  })
  connection.on('ready', () => {
    backoff.reset()
    if (away) log2.info('redis is back')
    away = false
  })
  return connection
}

/** ioredis leaves a command without an answer when its connection breaks; so every call has a deadline of ours. */
function deadline<T>(call: Promise<T>, ms: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new StoreError('unknown', `no answer within ${ms} ms`)), ms)
    call.then(
      (value) => {
        clearTimeout(timer)
        resolve(value)
      },
      (error: unknown) => {
        clearTimeout(timer)
        reject(error instanceof Error ? error : new Error(String(error)))
      },
    )
  })
}

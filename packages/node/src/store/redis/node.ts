import { ReplyError as RedisReplyError } from 'ioredis'
import type { Log } from '../../log.ts'
import { StoreError } from '../port.ts'
import { connect, deadline } from './connection.ts'
import { createReaders } from './readers.ts'
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
  /** Runs a script. Resolves with its reply, whose first item is the run of the server that executed it. */
  script(script: Script, keys: readonly string[], args: readonly (string | number)[]): Promise<readonly [string, ...unknown[]]>
  command(name: string, args: readonly (string | number)[]): Promise<unknown>
  /** A blocking XREAD, on a connection of its own while it lasts. Resolves with null after `blockMs` or when woken. */
  blockingRead(name: string, args: readonly (string | number)[], blockMs: number): Promise<unknown>
  /** Ends the reads of that name which are under way. */
  wake(name: string): void
  close(): void
}

/** The server certainly did not execute it. */
const refusals = /^(OOM|MISCONF|READONLY|LOADING|NOREPLICAS|CLUSTERDOWN|MASTERDOWN|MOVED|ASK|TRYAGAIN|BUSY|NOSCRIPT|NOAUTH|WRONGPASS|NOPERM)\b/

export function connectNode(options: NodeOptions): Node {
  const { url, log } = options
  const calls = connect(options, 'calls')
  const readers = createReaders(options, calls)
  const loaded = new Set<string>()
  let run = ''
  let closed = false
  let answeredAt = 0

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

  /** A connection that has been silent for a whole deadline is given up: what is sent into it would only pile up. */
  async function timed<T>(call: () => Promise<T>): Promise<T> {
    if (closed) throw new StoreError('refused', 'the store is closed')
    const sentAt = performance.now()
    try {
      const reply = await deadline(call(), options.commandTimeoutMs)
      answeredAt = performance.now()
      return reply
    } catch (error) {
      if (error instanceof ReplyError) answeredAt = performance.now()
      else if (error instanceof StoreError && answeredAt < sentAt && calls.status === 'ready') calls.disconnect(true)
      throw error
    }
  }

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

  async function script(
    what: Script,
    keys: readonly string[],
    args: readonly (string | number)[],
  ): Promise<readonly [string, ...unknown[]]> {
    let reply: unknown
    try {
      try {
        reply = loaded.has(what.sha)
          ? await timed(() => calls.evalsha(what.sha, keys.length, ...keys, ...args))
          : await timed(() => calls.eval(what.text, keys.length, ...keys, ...args))
      } catch (error) {
        if (!(error instanceof ReplyError) || !error.message.startsWith('NOSCRIPT')) throw error
        reply = await timed(() => calls.eval(what.text, keys.length, ...keys, ...args))
      }
    } catch (error) {
      throw fail(error)
    }
    loaded.add(what.sha)
    const [seen, ...rest] = Array.isArray(reply) ? (reply as unknown[]) : []
    saw(seen)
    return [String(seen), ...rest]
  }

  async function command(name: string, args: readonly (string | number)[]): Promise<unknown> {
    try {
      return await timed(() => calls.call(name, ...args))
    } catch (error) {
      throw fail(error)
    }
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
    blockingRead: (name, args, blockMs) => readers.read(name, args, blockMs).catch((error: unknown) => Promise.reject(fail(error))),
    wake: (name) => readers.wake(name),
    close: () => {
      closed = true
      calls.disconnect()
      readers.close()
    },
  }
}

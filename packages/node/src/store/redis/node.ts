import type { Log } from '../../log.ts'
import { connect } from './connection.ts'
import type { Arg } from './command.ts'
import { isNoScript, saysElsewhere, saysReadOnly, storeError } from './errors.ts'
import type { Script } from './lua/script.ts'
import { serverRun } from './lua/server-run.ts'
import { createReaders } from './readers.ts'

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

/** What a script answered, and the run of the server at that moment. */
export interface ScriptReply {
  readonly run: string
  readonly rest: readonly unknown[]
}

/** One Redis server: a connection for calls, and one for each read that blocks. Every call rejects with a StoreError. */
export interface Node {
  readonly url: string
  /** The server's run as last seen; '' before the first connect. */
  readonly run: string
  readonly ready: boolean
  script(script: Script, keys: readonly string[], args: readonly Arg[]): Promise<ScriptReply>
  command(name: string, args: readonly Arg[]): Promise<unknown>
  /** XREAD, see readers.ts. */
  read(
    name: string,
    args: readonly Arg[],
    wait: { readonly blockMs: number; readonly signal: AbortSignal },
  ): Promise<unknown>
  wake(name: string): void
  whenReady(ms: number): Promise<void>
  close(): void
}

/** A server that says that it is a replica is connected to anew, but not more often than this, ms. */
const renewEveryMs = 1_000

export function connectNode(options: NodeOptions): Node {
  const { url, log, commandTimeoutMs } = options
  const loaded = new Set<string>()
  let run = ''
  let renewedAt = -Infinity
  // A server that was away may be another now, and then it has no scripts either.
  const onReady = (): void => {
    loaded.clear()
    script(serverRun, [], []).catch((error: unknown) => log.debug('run not read', { error: String(error) }))
  }
  const calls = connect({ url, log, name: 'calls', commandTimeoutMs, silenceMs: commandTimeoutMs, onReady })
  const unblock = async (id: number): Promise<boolean> => (await calls.send('CLIENT', ['UNBLOCK', id])) === 1
  const readers = createReaders({ url, log, commandTimeoutMs, unblock })

  function fail(error: unknown): Error {
    if (saysElsewhere(error)) options.onMoved?.()
    if (saysReadOnly(error) && performance.now() - renewedAt > renewEveryMs) {
      renewedAt = performance.now()
      calls.renew()
      readers.renew()
    }
    return storeError(error)
  }

  const rethrow = (error: unknown): never => {
    throw fail(error)
  }

  /** By its hash when the server knows the script already; by its text, which makes it known, when it does not. */
  async function evaluate(what: Script, args: readonly Arg[]): Promise<unknown> {
    if (loaded.has(what.sha)) {
      try {
        return await calls.send('EVALSHA', [what.sha, ...args])
      } catch (error) {
        if (!isNoScript(error)) throw error
      }
    }
    return calls.send('EVAL', [what.text, ...args])
  }

  async function script(what: Script, keys: readonly string[], args: readonly Arg[]): Promise<ScriptReply> {
    let reply: unknown
    try {
      reply = await evaluate(what, [keys.length, ...keys, ...args])
    } catch (error) {
      throw fail(error)
    }
    loaded.add(what.sha)
    const [seen, ...rest] = reply as [string, ...unknown[]]
    if (seen !== run) {
      run = seen
      options.onRun(seen)
    }
    return { run: seen, rest }
  }

  return {
    url,
    get run() {
      return run
    },
    get ready() {
      return calls.ready
    },
    script,
    command: (name, args) => calls.send(name, args).catch(rethrow),
    read: async (name, args, wait) => {
      try {
        return await readers.read(name, args, wait)
      } catch (error) {
        throw fail(error)
      }
    },
    wake: (name) => readers.wake(name),
    whenReady: (ms) => calls.whenReady(ms),
    close: () => {
      calls.close()
      readers.close()
    },
  }
}

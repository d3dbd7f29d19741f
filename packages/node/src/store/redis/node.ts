import type { Log } from '../../log.ts'
import { connect } from './connection.ts'
import type { Connection } from './connection.ts'
import type { Arg } from './command.ts'
import { isNoScript, isReply, saysElsewhere, saysReadOnly, storeError } from './errors.ts'
import type { Script } from './lua/script.ts'
import { markReplicated } from './lua/mark-replicated.ts'
import { serverRun } from './lua/server-run.ts'
import { createReaders } from './readers.ts'
import type { ReadReply, ReadWait } from './readers.ts'

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
  read(name: string, args: readonly Arg[], wait: ReadWait): Promise<ReadReply>
  /**
   * Writes `key` and waits until so many replicas have it: with it they have all that the server had. Resolves with the
   * server's run, or `''` when they have not confirmed it in time, or the run changed meanwhile.
   */
  confirm(key: string, replicas: number): Promise<string>
  wake(name: string): void
  whenReady(ms: number): Promise<void>
  close(): void
}

/** Replicas confirm within a round trip; after this the question is put again, ms. */
const confirmWithinMs = 500

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
    if (saysReadOnly(error)) {
      renew(() => {
        calls.renew()
        readers.renew()
        confirms?.renew()
      })
    }
    return storeError(error)
  }

  function renew(which: () => void): void {
    if (performance.now() - renewedAt <= renewEveryMs) return
    renewedAt = performance.now()
    which()
  }

  const rethrow = (error: unknown): never => {
    throw fail(error)
  }

  // A connection of its own: WAIT blocks it. One question at a time, which is about all that the server has, whoever asks.
  let confirms: Connection | undefined
  let asked: Promise<string> | undefined
  let next: Promise<string> | undefined
  function confirm(key: string, replicas: number): Promise<string> {
    if (next !== undefined) return next
    const question = (): Promise<string> => {
      next = undefined
      asked = ask(key, replicas).finally(() => (asked = undefined))
      return asked
    }
    if (asked === undefined) return question()
    next = asked.then(question, question)
    return next
  }

  async function ask(key: string, replicas: number): Promise<string> {
    confirms ??= connect({ url, log, name: 'confirms', commandTimeoutMs })
    const own = confirms
    await own.whenReady(commandTimeoutMs)
    const deadlineMs = confirmWithinMs + commandTimeoutMs
    try {
      const [[before], confirmed, [after]] = (await Promise.all([
        own.send('EVAL', [markReplicated.text, 1, key], deadlineMs),
        own.send('WAIT', [replicas, confirmWithinMs], deadlineMs),
        own.send('EVAL', [serverRun.text, 0], deadlineMs),
      ])) as [[string], number, [string]]
      return confirmed >= replicas && before === after ? before : ''
    } catch (error) {
      // An answer that is overdue would be taken for that of the next question.
      if (!isReply(error)) own.renew()
      throw fail(error)
    }
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
        const read = await readers.read(name, args, wait)
        // Of a server that calls do not go to any more.
        if (read.run !== '' && run !== '' && read.run !== run) renew(() => readers.renew())
        return read
      } catch (error) {
        throw fail(error)
      }
    },
    confirm,
    wake: (name) => readers.wake(name),
    whenReady: (ms) => calls.whenReady(ms),
    close: () => {
      calls.close()
      readers.close()
      confirms?.close()
    },
  }
}

import type { Log } from '../../log.ts'
import { StoreError } from '../port.ts'
import { connect } from './connection.ts'
import type { Arg } from './command.ts'
import type { Connection } from './connection.ts'
import { isReply, storeError } from './errors.ts'
import { serverRun } from './lua/server-run.ts'

/** Connections for reads that block: as many as there are reads at a time, each used again and again. */
export interface Readers {
  /**
   * An XREAD that waits for `blockMs` at the most. `reply` is null when nothing came, when `wake(name)` was called
   * meanwhile, and at once when the signal aborts.
   */
  read(name: string, args: readonly Arg[], wait: ReadWait): Promise<ReadReply>
  wake(name: string): void
  /** Gives every connection up for a new one: the server is not the one it was. */
  renew(): void
  close(): void
}

export interface ReadWait {
  readonly blockMs: number
  readonly signal: AbortSignal
  /** Whether the server's run is to be told: one more call after each read that brings something. */
  readonly tellRun?: boolean
}
export interface ReadReply {
  readonly reply: unknown
  /** The server's run before and after the read; `''` when it was not asked for, or not the same. */
  readonly run: string
}

export interface ReadersOptions {
  readonly url: string
  readonly log: Log
  readonly commandTimeoutMs: number
  /** Frees the connection of that client id; resolves with whether it was blocked. */
  unblock(id: number): Promise<boolean>
}

interface Reader {
  readonly connection: Connection
  /** The server's number of this connection, once it is known. */
  id: number | undefined
  /** The server's run as this connection last heard it. */
  run: string | undefined
}
/** One read under way. */
interface Reading {
  readonly name: string
  readonly reader: Reader
  woken: boolean
  over: boolean
}

/** A wake-up that came before the read reached the server, or got lost, is repeated after, ms. */
const wakeAgainMs = 5

export function createReaders(options: ReadersOptions): Readers {
  const all = new Set<Reader>()
  // Not with the first read: a worker that is given its first slots has no time for a name server that does not answer.
  const idle = [create()]
  const under = new Set<Reading>()
  let closed = false

  function create(): Reader {
    const reader: Reader = {
      id: undefined,
      run: undefined,
      connection: connect({ ...options, name: 'reader', onReady: () => (reader.id = reader.run = undefined) }),
    }
    all.add(reader)
    return reader
  }

  async function block(reading: Reading, args: readonly Arg[], wait: ReadWait): Promise<ReadReply> {
    const { reader } = reading
    const { connection } = reader
    const { blockMs, tellRun } = wait
    try {
      await connection.whenReady(options.commandTimeoutMs)
      reader.id ??= Number(await connection.send('CLIENT', ['ID']))
      if (tellRun === true) reader.run ??= await runOf(connection)
      if (reading.woken) return nothing
      const reply = await connection.send('XREAD', args, blockMs + options.commandTimeoutMs)
      if (tellRun !== true || reply === null) return { reply, run: '' }
      const [before, after] = [reader.run, await runOf(connection)]
      reader.run = after
      return { reply, run: after === before ? after : '' }
    } catch (error) {
      // An answer that is overdue would be taken for that of the next read.
      if (!isReply(error)) connection.renew()
      throw storeError(error)
    } finally {
      reading.over = true
      under.delete(reading)
      idle.push(reader)
    }
  }

  async function read(name: string, args: readonly Arg[], wait: ReadWait): Promise<ReadReply> {
    const { blockMs, signal } = wait
    if (signal.aborted) return nothing
    if (closed) throw new StoreError('refused', 'the store was closed')
    const reading: Reading = { name, reader: idle.pop() ?? create(), woken: false, over: false }
    under.add(reading)
    const blocked = blockMs > 0 ? ['BLOCK', Math.ceil(blockMs), ...args] : args
    return unlessAborted(block(reading, blocked, wait), signal, () => free(reading))
  }

  function free(reading: Reading): void {
    reading.woken = true
    const { id } = reading.reader
    const again = (): void => {
      if (!reading.over && !closed) setTimeout(() => free(reading), wakeAgainMs)
    }
    if (reading.over) return
    if (id === undefined) return again()
    options.unblock(id).then((was) => (was ? undefined : again()), again)
  }

  return {
    read,
    wake: (name) => {
      for (const reading of under) if (reading.name === name && !reading.woken) free(reading)
    },
    renew: () => {
      for (const { connection } of all) connection.renew()
    },
    close: () => {
      closed = true
      for (const { connection } of all) connection.close()
    },
  }
}

const nothing: ReadReply = { reply: null, run: '' }

async function runOf(connection: Connection): Promise<string> {
  const [run] = (await connection.send('EVAL', [serverRun.text, 0])) as [string]
  return run
}

/** The caller goes on at once; the read itself ends when the server has let go of it. */
function unlessAborted(reply: Promise<ReadReply>, signal: AbortSignal, free: () => void): Promise<ReadReply> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      free()
      resolve(nothing)
    }
    signal.addEventListener('abort', abort, { once: true })
    reply.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}

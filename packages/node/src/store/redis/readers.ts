import type { Redis } from 'ioredis'
import type { Log } from '../../log.ts'
import { StoreError } from '../port.ts'
import { connect, deadline } from './connection.ts'

/** A wake-up that came before its read is tried again after this long, ms. */
const wakeRetryMs = 5

export interface Readers {
  read(name: string, args: readonly (string | number)[], blockMs: number): Promise<unknown>
  wake(name: string): void
  close(): void
}

interface Reader {
  readonly connection: Redis
  /** By which the server knows the connection; undefined until it was asked. */
  id: number | undefined
  /** Called when the connection can be read from. */
  waiting: (() => void) | undefined
}
interface Read {
  readonly name: string
  woken: boolean
  /** Ends the wait for a connection. */
  leave: (() => void) | undefined
  /** Set while the server has the read. */
  reader: Reader | undefined
}

/** Connections for blocking reads: as many as there are reads at the same time. A read has its connection alone. */
export function createReaders(options: { url: string; log: Log; commandTimeoutMs: number }, calls: Redis): Readers {
  const { log, commandTimeoutMs } = options
  const all: Reader[] = []
  const idle: Reader[] = []
  const reads = new Set<Read>()
  let closed = false

  function open(): Reader {
    const connection = connect(options, 'reader')
    const reader: Reader = { connection, id: undefined, waiting: undefined }
    connection.on('close', () => (reader.id = undefined))
    connection.on('ready', () => {
      connection.client('ID').then(
        (id) => {
          reader.id = id
          reader.waiting?.()
        },
        (error: unknown) => log.debug('no client id', { error: String(error) }),
      )
    })
    all.push(reader)
    return reader
  }

  /** A reader has nothing better to do than to wait for its connection; a wake-up ends the wait. */
  async function ready(reader: Reader, read: Read): Promise<void> {
    if (reader.id !== undefined && reader.connection.status === 'ready') return
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new StoreError('refused', 'not connected')), commandTimeoutMs)
      read.leave = reader.waiting = () => {
        clearTimeout(timer)
        resolve()
      }
    }).finally(() => {
      read.leave = reader.waiting = undefined
    })
  }

  async function block(name: string, args: readonly (string | number)[], blockMs: number): Promise<unknown> {
    if (closed) throw new StoreError('refused', 'the store is closed')
    const read: Read = { name, woken: false, leave: undefined, reader: undefined }
    const reader = idle.pop() ?? open()
    reads.add(read)
    try {
      await ready(reader, read)
      if (read.woken) return null
      read.reader = reader
      return await deadline(reader.connection.call('XREAD', ...args), blockMs + commandTimeoutMs)
    } catch (error) {
      // A connection whose reply is overdue is not used again: the reply would be that of another read.
      if (error instanceof StoreError && reader.connection.status === 'ready') reader.connection.disconnect(true)
      throw error
    } finally {
      reads.delete(read)
      idle.push(reader)
    }
  }

  function unblock(read: Read): void {
    const id = read.reader?.id
    if (id === undefined || closed) return
    calls.client('UNBLOCK', id).then(
      (woken) => {
        // The read may not have reached the server yet.
        if (woken === 0 && reads.has(read)) setTimeout(() => unblock(read), wakeRetryMs).unref()
      },
      (error: unknown) => log.debug('reader not woken', { error: String(error) }),
    )
  }

  return {
    read: block,
    wake: (name) => {
      for (const read of reads) {
        if (read.name !== name || read.woken) continue
        read.woken = true
        read.leave?.()
        unblock(read)
      }
    },
    close: () => {
      closed = true
      for (const { connection } of all) connection.disconnect()
    },
  }
}

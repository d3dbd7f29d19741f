import { Redis } from 'ioredis'
import type { RedisOptions } from 'ioredis'
import { createBackoff } from '../../backoff.ts'
import type { Log } from '../../log.ts'
import { redactUrl } from '../../log.ts'
import { StoreError } from '../port.ts'

/** Nothing is queued while the server is away, and nothing is sent twice behind the caller's back. */
export function connect({ url, log }: { url: string; log: Log }, name: string): Redis {
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
export function deadline<T>(call: Promise<T>, ms: number): Promise<T> {
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

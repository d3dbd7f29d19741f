import { ReplyError as RedisReplyError } from 'ioredis'
import { StoreError } from '../port.ts'

// The package types this class as any.
const ReplyError = RedisReplyError as new (message: string) => Error

/** Replies after which the command certainly had no effect: the server did not begin it, or may not write at all. */
const refusals =
  /^(OOM|MISCONF|READONLY|LOADING|NOREPLICAS|CLUSTERDOWN|MASTERDOWN|MOVED|ASK|TRYAGAIN|BUSY|NOSCRIPT|NOAUTH|WRONGPASS|NOPERM)\b/
/** Replies that say that another server has the key now. */
const elsewhere = /^(MOVED|ASK|TRYAGAIN|CLUSTERDOWN)\b/
/** ioredis did not write the command: there was no connection. */
const unsent = "Stream isn't writeable"

export function isReply(error: unknown): error is Error {
  return error instanceof ReplyError
}

/** What the caller is told of a call that failed: `refused` only when it certainly had no effect. */
export function storeError(error: unknown): StoreError {
  if (error instanceof StoreError) return error
  const message = error instanceof Error ? error.message : String(error)
  const refused = isReply(error) ? refusals.test(message) : message.startsWith(unsent)
  return new StoreError(refused ? 'refused' : 'unknown', message, { cause: error })
}

export function saysElsewhere(error: unknown): boolean {
  return isReply(error) && elsewhere.test(error.message)
}

/** The server is a replica now: the name we connected to may lead to another server since. */
export function saysReadOnly(error: unknown): boolean {
  return isReply(error) && error.message.startsWith('READONLY')
}

export function isNoScript(error: unknown): boolean {
  return isReply(error) && error.message.startsWith('NOSCRIPT')
}

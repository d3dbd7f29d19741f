import { maxHistoryChars } from '@flotilla/core/limits'
import { historyOf } from '@flotilla/core/policy'
import type { SessionEffect } from '@flotilla/core/session-state'
import type { Endpoint } from '@flotilla/node/endpoint-port'
import { readHistory } from '@flotilla/node/history'
import type { Log } from '@flotilla/node/log'
import type { PolicySource } from '@flotilla/node/policy'
import type { Connection } from './connection.ts'
import { isKeptFrom } from './fanout.ts'

interface PageDeps {
  readonly log: Log
  readonly policy: PolicySource
  endpoint(): Endpoint
}

/** Reads a page of history for a connection, without what its publishers kept from it, and answers its session. */
export function readPage(
  { log, policy, endpoint }: PageDeps,
  connection: Connection,
  { request, room, before, after, limit }: Extract<SessionEffect, { type: 'history' }>,
): void {
  const { ageMs } = historyOf(policy.current, room)
  const shows = (options: string): boolean => !isKeptFrom(options, connection)
  const range = { before, after, limit, ageMs, maxChars: maxHistoryChars, nowMs: Date.now() }
  readHistory(endpoint(), { room, ...range, shows }).then(
    (page) => connection.step({ type: 'history', request, page }),
    (error: unknown) => {
      log.warn('a page of history could not be read', { room, err: error })
      connection.step({ type: 'history', request, page: null })
    },
  )
}

import type { OutRecord } from '@flotilla/core/entry'
import { lockDeadlineMs } from '@flotilla/core/limits'
import type { SessionEffect } from '@flotilla/core/session-state'
import type { Endpoint } from '@flotilla/node/endpoint-port'
import type { Connection } from './connection.ts'

/** Asks rooms' workers for locks, and answers the sessions. */
export interface EdgeLocks {
  ask(connection: Connection, effect: Extract<SessionEffect, { type: 'lock' }>): void
  onRecords(records: readonly OutRecord[]): void
  /** Once a second: who has no answer is told that the outcome is not known. */
  check(nowMs: number): void
}

/** Time that who asks while too much waits already is asked to wait, ms. */
const busyRetryMs = 1_000

interface Asked {
  readonly connection: Connection
  readonly request: number
  readonly deadlineMs: number
}

export function createEdgeLocks(deps: { endpoint(): Pick<Endpoint, 'tell'> }): EdgeLocks {
  const waiting = new Map<string, Asked>()
  let count = 0
  return {
    ask: (connection, { request, type, ...wanted }) => {
      const nonce = String((count += 1))
      waiting.set(nonce, { connection, request, deadlineMs: performance.now() + lockDeadlineMs })
      if (deps.endpoint().tell({ type, nonce, ...wanted })) return
      waiting.delete(nonce)
      // In a turn of its own: the session is still in the step that asked for this.
      const answer = { outcome: 'wait', locks: [], retryAfterMs: busyRetryMs } as const
      queueMicrotask(() => connection.step({ type: 'lock', request, answer }))
    },
    onRecords: (records) => {
      for (const record of records) {
        const asked = record.type === 'lock' ? waiting.get(record.nonce) : undefined
        if (record.type !== 'lock' || asked === undefined) continue
        waiting.delete(record.nonce)
        asked.connection.step({ type: 'lock', request: asked.request, answer: record })
      }
    },
    check: (nowMs) => {
      // In the order of their deadlines.
      for (const [nonce, { connection, request, deadlineMs }] of waiting) {
        if (nowMs < deadlineMs) return
        waiting.delete(nonce)
        connection.step({ type: 'lock', request, answer: null })
      }
    },
  }
}

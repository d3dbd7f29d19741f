import type { OutRecord } from '@flotilla/core/entry'
import type { SessionEffect } from '@flotilla/core/session-state'
import { askLease, createUserLeases, giveUp, leaseKey, overdue, takeLease } from '@flotilla/core/user-leases'
import type { UserLeases } from '@flotilla/core/user-leases'
import type { Endpoint } from '@flotilla/node/endpoint-port'
import type { Connection } from './connection.ts'

/** Asks users' workers for events of their rates, and tells the sessions that wait. */
export interface EdgeRates {
  readonly leases: UserLeases
  ask(connection: Connection, effect: Extract<SessionEffect, { type: 'rate' }>): void
  onRecords(records: readonly OutRecord[]): void
  /** Once a second: who has no answer counts for itself. */
  check(nowMs: number): void
}

/** Who waits for a lease, first come first served. */
interface Waiting {
  readonly periodMs: number
  readonly connections: Set<Connection>
}

export function createEdgeRates(deps: { endpoint(): Pick<Endpoint, 'tell'> }): EdgeRates {
  const leases = createUserLeases()
  const waiting = new Map<string, Waiting>()
  let count = 0

  function wake(key: string | undefined): void {
    const found = key === undefined ? undefined : waiting.get(key)
    if (key === undefined || found === undefined) return
    // Who has to wait for another lease asks for it meanwhile.
    waiting.delete(key)
    for (const connection of found.connections) connection.step({ type: 'leased' })
  }

  return {
    leases,
    ask: (connection, { rate }) => {
      const key = leaseKey(rate)
      const found = waiting.get(key) ?? { periodMs: rate.periodMs, connections: new Set() }
      waiting.set(key, found)
      found.connections.add(connection)
      const nonce = String((count += 1))
      const message = askLease(leases, rate, nonce, performance.now())
      if (message === undefined || deps.endpoint().tell(message)) return
      // In a turn of its own: the session is still in the step that asked for this.
      queueMicrotask(() => wake(giveUp(leases, nonce, performance.now())))
    },
    onRecords: (records) => {
      for (const record of records) {
        if (record.type !== 'rate') continue
        const periodMs = waiting.get(leases.asked.get(record.nonce) ?? '')?.periodMs ?? 0
        wake(takeLease(leases, record, periodMs, performance.now()))
      }
    },
    check: (nowMs) => {
      for (const nonce of overdue(leases, nowMs)) wake(giveUp(leases, nonce, nowMs))
    },
  }
}

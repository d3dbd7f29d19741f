import type { OutRecord } from '@flotilla/core/entry'
import type { Place, SessionEffect } from '@flotilla/core/session-state'
import { createUserConnections, stepUserConnections } from '@flotilla/core/user-connections'
import type {
  UserConnectionsEffect,
  UserConnectionsInput,
  UserConnectionsOptions,
} from '@flotilla/core/user-connections'
import type { Endpoint } from '@flotilla/node/endpoint-port'
import type { Connection } from './connection.ts'
import type { EdgeMetrics } from './metrics.ts'

export interface UserConnectionsDeps extends UserConnectionsOptions {
  /** Whose connections: those of a user count in the room `user:<id>`, those of a tenant in `tenant:<id>`. */
  readonly scope: Place['scope']
  readonly metrics: Pick<EdgeMetrics, 'replaced'>
  endpoint(): Pick<Endpoint, 'tell'>
}

/** Tells the workers of users' rooms, or of tenants', of the connections of this edge, and the connections what came of it. */
export interface CountedConnections {
  open(connection: Connection, effect: Extract<SessionEffect, { type: 'register' }>): void
  closed(connection: Connection): void
  onRecords(records: readonly OutRecord[]): void
  onResync(lane: number): void
  /** Once a second: ends connections whose place was taken and that are still there. */
  check(nowMs: number): void
}

/** Executes what `stepUserConnections` of core decides. */
export function countConnections({ scope, metrics, endpoint, ...options }: UserConnectionsDeps): CountedConnections {
  const state = createUserConnections(options)
  const open = new Map<string, Connection>()

  function step(input: UserConnectionsInput, nowMs = performance.now()): void {
    for (const effect of stepUserConnections(state, input, nowMs)) execute(effect)
  }

  function execute(effect: UserConnectionsEffect): void {
    switch (effect.type) {
      case 'tell': {
        const { connection } = effect.message
        // In a turn of its own: the session is still in the step that asked for this.
        if (!endpoint().tell(effect.message)) queueMicrotask(() => step({ type: 'untold', connection }))
        break
      }
      case 'registered':
        open.get(effect.connection)?.step({ type: 'registered', scope, outcome: effect.outcome })
        break
      case 'replaced':
        // Once for each connection, whatever it is counted for.
        if (scope === 'user') metrics.replaced.inc()
        break
      case 'close':
        open.get(effect.connection)?.close('goingAway')
    }
  }

  return {
    open: (connection, { room, replaces }) => {
      open.set(connection.id, connection)
      step({ type: 'open', connection: connection.id, room, replaces })
    },
    closed: ({ id }) => {
      if (open.delete(id)) step({ type: 'closed', connection: id })
    },
    onRecords: (records) => {
      if (options.limit === 0) return
      for (const record of records)
        if (record.type === 'reset' || (record.type === 'connection' && record.room.startsWith(`${scope}:`)))
          step(record)
    },
    onResync: (lane) => step({ type: 'resync', lane }),
    check: (nowMs) => step({ type: 'tick' }, nowMs),
  }
}

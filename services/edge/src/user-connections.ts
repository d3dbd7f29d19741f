import type { ConnectionChange, ConnectionRecord } from '@flotilla/core/connection-entry'
import type { OutRecord } from '@flotilla/core/entry'
import type { SessionEffect } from '@flotilla/core/session-state'
import { laneOf, slotOf } from '@flotilla/core/slot'
import type { Endpoint } from '@flotilla/node/endpoint-port'
import type { Connection } from './connection.ts'
import type { EdgeMetrics } from './metrics.ts'

export interface UserConnectionsDeps {
  readonly shape: { readonly slots: number; readonly lanes: number }
  /** Connections that a user may have over the whole fleet. */
  readonly limit: number
  /** Time that a connection has to end once another took its place, ms. */
  readonly graceMs: number
  readonly metrics: Pick<EdgeMetrics, 'replaced'>
  endpoint(): Pick<Endpoint, 'connection'>
}

/** Tells the workers of users' rooms of the connections of this edge, and the connections what came of it. */
export interface UserConnections {
  open(connection: Connection, effect: Extract<SessionEffect, { type: 'register' }>): void
  closed(connection: Connection): void
  onRecords(records: readonly OutRecord[]): void
  onResync(lane: number): void
  /** Once a second: ends connections whose place was taken and that are still there. */
  check(nowMs: number): void
}

interface Entry {
  readonly connection: Connection
  readonly room: string
  readonly replaces: string
  taken: boolean
}

export function createUserConnections({
  shape,
  limit,
  graceMs,
  metrics,
  endpoint,
}: UserConnectionsDeps): UserConnections {
  const entries = new Map<string, Entry>()
  /** And since when. */
  const replaced = new Map<Connection, number>()

  function tell({ connection, room, replaces }: Entry, change: Exclude<ConnectionChange, 'closed'>): boolean {
    return endpoint().connection({ type: 'connection', room, connection: connection.id, change, replaces, limit })
  }

  function take({ room, connection: id, outcome }: ConnectionRecord): void {
    const entry = entries.get(id)
    if (entry === undefined) {
      // It was told of more than once, and has ended or lost its place since: it must not keep one.
      if (outcome === 'taken') sendOff(room, id)
      return
    }
    const { connection, taken } = entry
    if (outcome === 'taken') {
      entry.taken = true
      if (!taken) connection.step({ type: 'registered', outcome })
      return
    }
    // It was told of more than once, and what was lost meanwhile took its place: it is open all the same.
    if (outcome === 'refused' && taken) return void tell(entry, 'kept')
    entries.delete(id)
    if (outcome === 'refused') return connection.step({ type: 'registered', outcome })
    metrics.replaced.inc()
    replaced.set(connection, performance.now())
  }

  function sendOff(room: string, id: string): void {
    endpoint().connection({ type: 'connection', room, connection: id, change: 'closed', replaces: '', limit })
  }

  /**
   * The worker may know nothing of those that are there, or its answers were lost. Who waits for one is closed in time; it had its place by
   * its ticket the first time, and must not take it from one that came after it.
   */
  function tellAgain(concerns: (room: string) => boolean): void {
    for (const entry of entries.values())
      if (concerns(entry.room)) tell(entry.taken ? entry : { ...entry, replaces: '' }, entry.taken ? 'kept' : 'open')
  }

  return {
    open: (connection, { room, replaces }) => {
      const entry = { connection, room, replaces, taken: false }
      entries.set(connection.id, entry)
      if (tell(entry, 'open')) return
      entries.delete(connection.id)
      // In a turn of its own: the session is still in the step that asked for this.
      queueMicrotask(() => connection.step({ type: 'registered', outcome: 'unknown' }))
    },
    closed: (connection) => {
      replaced.delete(connection)
      const entry = entries.get(connection.id)
      if (entry === undefined) return
      entries.delete(connection.id)
      sendOff(entry.room, connection.id)
    },
    onRecords: (records) => {
      if (limit === 0) return
      for (const record of records) {
        if (record.type === 'connection') take(record)
        else if (record.type === 'reset') tellAgain((room) => slotOf(room, shape.slots) === record.slot)
      }
    },
    onResync: (lane) => tellAgain((room) => laneOf(slotOf(room, shape.slots), shape.lanes) === lane),
    check: (nowMs) => {
      for (const [connection, sinceMs] of replaced) if (nowMs - sinceMs >= graceMs) connection.close('goingAway')
    },
  }
}

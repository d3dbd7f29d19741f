import { performance } from 'node:perf_hooks'
import { waitMs } from './pace.ts'
import { createPacer } from './pacer.ts'

/** When things are written: rooms first, then the sockets on which they met, each with one write (pace.ts says when). */
export interface Ticker<R, C> {
  /** The room has something for so many subscribers. Counted once per turn of the event loop and room. */
  room(room: R, subscribers: number): void
  connection(connection: C): void
  /** Another turn of the event loop begins. */
  turn(): void
}

export interface TickerDeps<R, C> {
  flushRoom(room: R): void
  /** Whether something was written. */
  flushConnection(connection: C): boolean
  onWrites(count: number): void
}

export function createTicker<R extends { turn: number }, C extends { queued: boolean }>(
  deps: TickerDeps<R, C>,
): Ticker<R, C> {
  const pacer = createPacer()
  let rooms = new Set<R>()
  let connections: C[] = []
  let planned = false
  let turn = 1
  let endedAtMs = 0

  const tick = (): void => {
    planned = false
    const startedAtMs = performance.now()
    if (rooms.size > 0) {
      const due = rooms
      rooms = new Set()
      for (const room of due) deps.flushRoom(room)
    }
    const dirty = connections
    connections = []
    let writes = 0
    for (const connection of dirty) {
      connection.queued = false
      if (deps.flushConnection(connection)) writes += 1
    }
    deps.onWrites(writes)
    endedAtMs = performance.now()
    pacer.ticked({ startedAtMs, endedAtMs, writes })
  }

  const plan = (): void => {
    if (planned) return
    planned = true
    const ms = pacer.level === 0 ? 0 : waitMs(pacer.level, performance.now() - endedAtMs)
    if (ms === 0) setImmediate(tick)
    else setTimeout(tick, ms)
  }

  return {
    room: (room, subscribers) => {
      if (room.turn !== turn) {
        room.turn = turn
        pacer.expected(subscribers)
      }
      rooms.add(room)
      plan()
    },
    connection: (connection) => {
      if (connection.queued) return
      connection.queued = true
      connections.push(connection)
      plan()
    },
    turn: () => {
      turn += 1
    },
  }
}

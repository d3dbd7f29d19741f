import { performance } from 'node:perf_hooks'
import { waitMs } from './pace.ts'
import { createPacer } from './pacer.ts'

/**
 * After so long the event loop is let turn. A room of 5,000 takes 50 ms of writes: an event that comes meanwhile is late by one
 * round over its sockets, not by the rest of that tick and all of the next one. To sockets that had nothing to be written when the
 * tick began it goes with the next one (docs/adr/0009-light-load.md).
 */
const sliceMs = 8
/** Connections between two looks at the clock. */
const betweenLooks = 32

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
  const round = createRound<C>((connection) => deps.flushConnection(connection))
  let rooms = new Set<R>()
  let connections: C[] = []
  let planned = false
  let turn = 1
  let endedAtMs = 0

  function flushRooms(): void {
    if (rooms.size === 0) return
    const dirty = rooms
    rooms = new Set()
    for (const room of dirty) deps.flushRoom(room)
  }

  /** A slice of a tick: what came since the last slice still goes out with this tick to those that it has not reached. */
  const slice = (): void => {
    const startedAtMs = performance.now()
    flushRooms()
    if (!round.open) {
      round.begin(connections)
      connections = []
      turn += 1
    }
    if (!round.write(startedAtMs)) {
      setImmediate(slice)
      return
    }
    const { writes, spentMs } = round.end()
    deps.onWrites(writes)
    endedAtMs = performance.now()
    pacer.ticked({ endedAtMs, spentMs, writes })
    planned = false
    if (connections.length > 0 || rooms.size > 0) plan()
  }

  const plan = (): void => {
    if (planned) return
    planned = true
    const ms = pacer.level === 0 ? 0 : waitMs(pacer.level, performance.now() - endedAtMs)
    if (ms === 0) setImmediate(slice)
    else setTimeout(slice, ms)
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
    // What comes between the slices of a tick counts as one turn: it would have come after a tick of one piece.
    turn: () => {
      if (!round.open) turn += 1
    },
  }
}

/** One round over connections that have something to be written, in slices. */
function createRound<C extends { queued: boolean }>(flush: (connection: C) => boolean) {
  let due: readonly C[] = []
  let next = 0
  let writes = 0
  let spentMs = 0
  return {
    get open() {
      return due.length > 0
    },
    begin: (connections: readonly C[]): void => {
      due = connections
    },
    /** Writes to the next connections for a slice of time, counted from now on; says whether all have had their turn. `startedAtMs`: the slice's own begin, for what it spent. */
    write: (startedAtMs: number): boolean => {
      let nowMs = performance.now()
      const untilMs = nowMs + sliceMs
      while (next < due.length && nowMs < untilMs) {
        for (const connection of due.slice(next, next + betweenLooks)) {
          connection.queued = false
          if (flush(connection)) writes += 1
        }
        next += betweenLooks
        nowMs = performance.now()
      }
      spentMs += nowMs - startedAtMs
      return next >= due.length
    },
    end: () => {
      const took = { writes, spentMs }
      due = []
      next = writes = spentMs = 0
      return took
    },
  }
}

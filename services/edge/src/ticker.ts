import { performance } from 'node:perf_hooks'
import { demandOf, nextLevel, waitMs, windowMs } from './pace.ts'
import type { Level } from './pace.ts'

/** When things are written: rooms first, then the sockets on which they met, each with one write (pace.ts says when). */
export interface Ticker<R, C> {
  /** The room has something for so many subscribers. Told once per turn of the event loop and room. */
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
  let rooms = new Set<R>()
  let connections: C[] = []
  let planned = false
  let turn = 1
  let level: Level = 0
  let endedAt = 0
  let spentMs = 0
  let writes = 0
  let unmerged = 0
  let judgedAt = performance.now()
  let usage = performance.eventLoopUtilization()
  let cpuBefore = process.cpuUsage()

  const tick = (): void => {
    planned = false
    const started = performance.now()
    const due = rooms
    if (due.size > 0) {
      rooms = new Set()
      for (const room of due) deps.flushRoom(room)
    }
    const dirty = connections
    connections = []
    let written = 0
    for (const connection of dirty) {
      connection.queued = false
      if (deps.flushConnection(connection)) written += 1
    }
    deps.onWrites(written)
    writes += written
    endedAt = performance.now()
    spentMs += endedAt - started
    if (endedAt - judgedAt >= windowMs) judge(endedAt)
  }

  const judge = (now: number): void => {
    const { utilization } = performance.eventLoopUtilization(usage)
    const elapsedMs = now - judgedAt
    const { user, system } = process.cpuUsage(cpuBefore)
    const [cpu, ticking] = [(user + system) / 1_000 / elapsedMs, Math.min(1, spentMs / elapsedMs)]
    level = nextLevel(level, demandOf({ utilization, cpu, ticking, writes, unmerged }))
    cpuBefore = process.cpuUsage()
    usage = performance.eventLoopUtilization()
    judgedAt = now
    spentMs = writes = unmerged = 0
  }

  const plan = (): void => {
    if (planned) return
    planned = true
    const ms = level === 0 ? 0 : waitMs(level, performance.now() - endedAt)
    if (ms === 0) setImmediate(tick)
    else setTimeout(tick, ms)
  }

  return {
    room: (room, subscribers) => {
      if (room.turn !== turn) {
        room.turn = turn
        unmerged += subscribers
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

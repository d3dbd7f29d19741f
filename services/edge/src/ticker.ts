/**
 * When things are written. Idle, everything goes out at the end of the turn of the event loop; as writing takes a larger
 * part of the time the ticks stretch to 10, 20, 40 ms, so that a write carries more frames: the kernel's cost per write
 * is the limit of fan-out (docs/performance.md).
 */
export interface Ticker<R, C> {
  room(room: R): void
  connection(connection: C): void
}

const stretches = [0, 10, 20, 40] as const
/** Share of the time spent writing above which ticks stretch, and below which they shrink. */
const busy = 0.6
const calm = 0.35
const judgeEveryMs = 100

export function createTicker<R, C>(flush: {
  flushRoom(room: R): void
  flushConnection(connection: C): void
}): Ticker<R, C> {
  let rooms = new Set<R>()
  let connections = new Set<C>()
  let planned = false
  let level = 0
  let spentMs = 0
  let judgedAt = performance.now()

  const tick = (): void => {
    planned = false
    const started = performance.now()
    const due = rooms
    rooms = new Set()
    for (const room of due) flush.flushRoom(room)
    const dirty = connections
    connections = new Set()
    for (const connection of dirty) flush.flushConnection(connection)
    judge(started)
  }

  const judge = (started: number): void => {
    const now = performance.now()
    spentMs += now - started
    if (now - judgedAt < judgeEveryMs) return
    const share = spentMs / (now - judgedAt)
    if (share > busy) level = Math.min(level + 1, stretches.length - 1)
    else if (share < calm) level = Math.max(level - 1, 0)
    spentMs = 0
    judgedAt = now
  }

  const plan = (): void => {
    if (planned) return
    planned = true
    const ms = stretches[level] ?? 0
    if (ms === 0) setImmediate(tick)
    else setTimeout(tick, ms)
  }

  return {
    room: (room) => {
      rooms.add(room)
      plan()
    },
    connection: (connection) => {
      connections.add(connection)
      plan()
    },
  }
}

import { performance } from 'node:perf_hooks'
import { demandOf, nextLevel, windowMs } from './pace.ts'
import type { Level } from './pace.ts'

/** Measures what pace.ts judges by. */
export interface Pacer {
  readonly level: Level
  /** What would be written if every turn of the event loop wrote at once. */
  expected(writes: number): void
  /** A tick has ended. */
  ticked(tick: { readonly endedAtMs: number; readonly spentMs: number; readonly writes: number }): void
}

export function createPacer(): Pacer {
  let level: Level = 0
  let window = open()

  function judge(nowMs: number): void {
    const elapsedMs = nowMs - window.sinceMs
    const { utilization } = performance.eventLoopUtilization(window.loop)
    const { user, system } = process.cpuUsage(window.cpu)
    const { writes, unmerged } = window
    const cpu = (user + system) / 1_000 / elapsedMs
    const ticking = Math.min(1, window.spentMs / elapsedMs)
    level = nextLevel(level, demandOf({ utilization, cpu, ticking, writes, unmerged }))
    window = open()
  }

  return {
    get level() {
      return level
    },
    expected: (writes) => {
      window.unmerged += writes
    },
    ticked: ({ endedAtMs, spentMs, writes }) => {
      window.spentMs += spentMs
      window.writes += writes
      if (endedAtMs - window.sinceMs >= windowMs) judge(endedAtMs)
    },
  }
}

function open() {
  return {
    sinceMs: performance.now(),
    loop: performance.eventLoopUtilization(),
    cpu: process.cpuUsage(),
    ...{ spentMs: 0, writes: 0, unmerged: 0 },
  }
}

/**
 * How long a tick waits for more. Idle, everything goes out at the end of the turn of the event loop; as the loop fills
 * ticks stretch to 10, 20, 40 ms, so that a write carries more frames: the kernel's cost per write is the limit of
 * fan-out (ADR 7).
 */
export const stretchesMs = [0, 10, 20, 40] as const
export type Level = 0 | 1 | 2 | 3
/** Demand from which each level begins, and the part of it below which it ends. */
const begins: Readonly<Record<Level, number>> = { 0: 0, 1: 0.6, 2: 1, 3: 2 }
const hysteresis = 0.75
/** A window shorter than this says too little, ms. */
export const windowMs = 100

/** What happened since the last judgement. */
export interface Window {
  /** Share of the time in which the event loop was not waiting, 0 to 1. */
  readonly utilization: number
  /** CPU of this process as a share of the time: less than the loop was busy when others had the core meanwhile. */
  readonly cpu: number
  /** Share of the time spent in ticks. */
  readonly ticking: number
  /** Writes to sockets, and how many there would have been if every turn of the loop had written at once. */
  readonly writes: number
  readonly unmerged: number
}

/**
 * The share of the time that the loop would need if nothing waited, above 1 if it could not keep up: a figure that does
 * not depend on how long ticks are now, so that stretching them does not make them look unnecessary.
 */
export function demandOf({ utilization, cpu, ticking, writes, unmerged }: Window): number {
  const merged = writes === 0 ? 1 : Math.max(1, unmerged / writes)
  // Others' work on the core looks like ours to the loop, and waiting would not make it less.
  const ours = utilization > 0 ? Math.min(1, cpu / utilization) : 1
  return ours * (Math.max(0, utilization - ticking) + ticking * merged)
}

/** The next level: up as far as it takes, down one at a time and only when it is clear. */
export function nextLevel(level: Level, demand: number): Level {
  const needed: Level = demand >= begins[3] ? 3 : demand >= begins[2] ? 2 : demand >= begins[1] ? 1 : 0
  if (needed > level) return needed
  if (level > 0 && demand < begins[level] * hysteresis) return lower[level]
  return level
}
const lower: Readonly<Record<Level, Level>> = { 0: 0, 1: 0, 2: 1, 3: 2 }

/** How long the tick that is asked for now waits, ms: none is closer to the end of the last than the stretch. */
export function waitMs(level: Level, sinceLastTickMs: number): number {
  return Math.max(0, stretchesMs[level] - sinceLastTickMs)
}

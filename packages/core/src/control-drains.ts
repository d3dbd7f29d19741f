import type { Sightings } from './control-members.ts'
import type { Drains } from './plan.ts'

/** Reconnects per second that the fleet takes while edges drain, when its edges keep up. */
export const reconnectsPerSecond = 1_000
/** An edge whose event loop is later than this does not keep up; below that, all do, ms. */
const lateMs = 200
const calmMs = 100
/** The share of the budget that is given out is halved or doubled at the most this often, ms: edges tell of themselves every second. */
const lookEveryMs = 2_000
const leastShare = 1 / 16

/** How much of the budget is given out, and since when. */
export interface DrainPace {
  readonly share: number
  readonly atMs: number
}
export const fullPace: DrainPace = { share: 1, atMs: -Infinity }

function edges(sightings: Sightings) {
  const alive = Array.from(sightings.values()).filter(({ role, present, dead }) => role === 'edge' && present && !dead)
  return {
    leaving: alive.filter(({ member }) => member?.state === 'draining'),
    staying: alive.filter(({ member }) => member?.state === 'live'),
  }
}

/** Slower while an edge that stays is late, faster again when none is; at full pace when nobody drains. */
export function paceDrains(before: DrainPace, sightings: Sightings, nowMs: number): DrainPace {
  const { leaving, staying } = edges(sightings)
  if (leaving.length === 0) return fullPace
  if (nowMs - before.atMs < lookEveryMs) return before
  const latestMs = Math.max(0, ...staying.map(({ member }) => member?.figures?.['lagMs'] ?? 0))
  if (latestMs > lateMs) return { share: Math.max(leastShare, before.share / 2), atMs: nowMs }
  if (latestMs < calmMs && before.share < 1) return { share: Math.min(1, before.share * 2), atMs: nowMs }
  return before
}

/** The budget, split evenly over the edges that drain; undefined when none does. */
export function grantDrains(sightings: Sightings, perSecond: number, { share }: DrainPace): Drains | undefined {
  const { leaving } = edges(sightings)
  if (leaving.length === 0) return undefined
  const each = Math.max(1, Math.floor((perSecond * share) / leaving.length))
  return Object.fromEntries(leaving.map(({ boot }) => [boot, each]))
}

import { idOf } from './control-members.ts'
import type { Sighting, Sightings } from './control-members.ts'
import type { Drains, Member } from './plan.ts'

/** Reconnects per second that the fleet takes while edges drain, when its edges keep up. */
export const reconnectsPerSecond = 1_000
/**
 * What edges tell of themselves, ms: one above `late` does not keep up, and all do that are below `calm`. `lagMs`: how late its event loop is;
 * `acceptMs`: how long clients wait until it accepts them.
 */
const signs = [
  { name: 'lagMs', late: 200, calm: 100 },
  { name: 'acceptMs', late: 1_000, calm: 500 },
] as const
/**
 * The share of the budget that is given out is halved or doubled at the most this often, ms: what edges tell every second is the worst of up to
 * two seconds, so one moment is seen for up to three, and counts once.
 */
const lookEveryMs = 3_000
const leastShare = 1 / 16

/** How much of the budget is given out, and since when. */
export interface DrainPace {
  readonly share: number
  readonly atMs: number
}
export const fullPace: DrainPace = { share: 1, atMs: -Infinity }

/**
 * What control was asked to drain: processes, and boots of which no record was seen yet. A process is known by its name and by when it says that
 * it started, which stay when it takes another boot id; a pod that follows under the same name started at another time.
 */
export type DrainRequests = ReadonlySet<string>
/** So many requests are remembered, the newest. */
export const maxDrainRequests = 1_000

const processOf = ({ boot, startedAtMs }: Member): string => `${idOf(boot)}@${startedAtMs}`

export function requestDrain(requests: DrainRequests, boot: string, sightings: Sightings): DrainRequests {
  return knowProcesses(new Set([...requests, boot].slice(-maxDrainRequests)), sightings)
}

/** Where a boot was asked for its process is meant, as soon as that is known. */
export function knowProcesses(requests: DrainRequests, sightings: Sightings): DrainRequests {
  const known = Array.from(requests, (request) => {
    const member = sightings.get(request)?.member ?? null
    return member === null ? request : processOf(member)
  })
  return new Set(known)
}

/** The boots to drain: of processes for which that was asked, and whose pods are to end. */
export function bootsToDrain(
  requests: DrainRequests,
  leaving: { has(boot: string): boolean },
  sightings: Sightings,
): ReadonlySet<string> {
  const asked = ({ boot, member }: Sighting): boolean =>
    requests.has(boot) || (member !== null && requests.has(processOf(member)))
  const meant = [...sightings.values()].filter((seen) => asked(seen) || leaving.has(seen.boot))
  return new Set(meant.map(({ boot }) => boot))
}

/** Boots that are to drain although they do not say so themselves; one that has a grant begins to. */
type Asked = ReadonlySet<string>

function edges(sightings: Sightings, asked: Asked) {
  const alive = Array.from(sightings.values()).filter(({ role, present, dead }) => role === 'edge' && present && !dead)
  const leaves = ({ boot, member }: Sighting): boolean => member?.state === 'draining' || asked.has(boot)
  return { leaving: alive.filter(leaves), staying: alive.filter((each) => !leaves(each)) }
}

/** Slower while an edge that stays does not keep up, faster again when all do; at full pace when nobody drains. */
export function paceDrains(
  before: DrainPace,
  { sightings, drains }: { readonly sightings: Sightings; readonly drains: Asked },
  nowMs: number,
): DrainPace {
  const { leaving, staying } = edges(sightings, drains)
  if (leaving.length === 0) return fullPace
  if (nowMs - before.atMs < lookEveryMs) return before
  const worst = (name: string): number => Math.max(0, ...staying.map(({ member }) => member?.figures?.[name] ?? 0))
  if (signs.some(({ name, late }) => worst(name) > late))
    return { share: Math.max(leastShare, before.share / 2), atMs: nowMs }
  if (before.share < 1 && signs.every(({ name, calm }) => worst(name) < calm))
    return { share: Math.min(1, before.share * 2), atMs: nowMs }
  return before
}

/** The budget, split evenly over the edges that drain or are to; undefined when none does. */
export function grantDrains(
  { sightings, drains }: { readonly sightings: Sightings; readonly drains: Asked },
  perSecond: number,
  { share }: DrainPace,
): Drains | undefined {
  const { leaving } = edges(sightings, drains)
  if (leaving.length === 0) return undefined
  const each = Math.max(1, Math.floor((perSecond * share) / leaving.length))
  return Object.fromEntries(leaving.map(({ boot }) => [boot, each]))
}

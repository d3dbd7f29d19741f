import { canTake, livingWorkers } from './control-members.ts'
import type { Sighting, Sightings } from './control-members.ts'
import { slotsToReclaim } from './control-plan.ts'
import type { Move, Waits } from './control-plan.ts'
import type { Plan } from './plan.ts'
import { pairSuccessors, planSlots } from './slot-plan.ts'
import type { PlanWorker } from './slot-plan.ts'

/** Before the first plan control waits this long for more workers to join, ms. */
const firstPlanAfterMs = 500

/**
 * The first slot of a worker that drains moves so much later, ms: where a node is emptied, Redis may leave with the worker, and whoever claims while it is
 * replaced tells of a loss (docs/adr/0016-hear-before-deciding.md).
 */
export const drainSettleMs = 1_500

/** Since when each living worker has been draining, or is to, as far as control has seen. */
export function noteDrains(
  before: ReadonlyMap<string, number>,
  {
    living,
    drains,
    nowMs,
  }: { readonly living: ReadonlyMap<string, Sighting>; readonly drains: ReadonlySet<string>; readonly nowMs: number },
): ReadonlyMap<string, number> {
  const leaving = [...living.values()].filter(({ boot, member }) => member?.state === 'draining' || drains.has(boot))
  return new Map(leaving.map(({ boot }) => [boot, before.get(boot) ?? nowMs]))
}

/** What the decision is made from: a part of control's state. */
export interface MoveContext {
  readonly plan: Plan
  readonly sightings: Sightings
  readonly waits: Waits
  /** Draining worker → when control saw that it drains. */
  readonly drainingSince: ReadonlyMap<string, number>
  /** What control knows of the servers, per primary. */
  readonly runs: readonly string[]
  /** Workers that are to be emptied although they do not say so themselves. */
  readonly drains: ReadonlySet<string>
  /** Draining worker → the worker that takes its place. */
  readonly successors: ReadonlyMap<string, string>
  /** When slots were last moved; null: not by this process. */
  readonly movedAtMs: number | null
}

export interface Decision {
  readonly moves: readonly Move[]
  /** Draining worker → its successor: a pair once made stays. */
  readonly successors: ReadonlyMap<string, string>
}

/** What has to move now: slots that need a new epoch where they are, and what the slot plan says. */
export function decideMoves(state: MoveContext, nowMs: number): Decision {
  const { plan } = state
  const living = livingWorkers(state.sightings)
  const successors = pairSuccessors(planWorkers(living, state, state.successors), plan.slots)
  if (isTooEarly(state, living, nowMs)) return { moves: [], successors }
  const planned = planSlots({
    slots: plan.slots.length,
    assignments: plan.slots,
    workers: planWorkers(living, state, successors),
    inFlight: state.waits.size,
    held: slotsHeld(state, living, nowMs),
    nowMs,
    lastMovedAtMs: state.movedAtMs ?? undefined,
  })
  const moves: Move[] = planned.filter(({ to }) => isTaker(living.get(to)))
  const moved = new Set(moves.map(({ slot }) => slot))
  for (const slot of slotsToReclaim(state.waits, plan.slots, living)) {
    const worker = plan.slots[slot]?.worker
    if (worker !== undefined && !moved.has(slot)) moves.push({ slot, from: worker, to: worker, reason: 'reclaim' })
  }
  return { moves, successors }
}

/** A slot planned for a suspect worker waits: soon the worker is back, or dead, and the slot goes to another. */
function isTaker(seen: Sighting | undefined): boolean {
  return seen !== undefined && canTake(seen)
}

/**
 * Where a server was replaced only the owner of a slot knows what was committed, until it has vouched for that there. Who claimed before then
 * would have to tell of a loss, also where nothing is lost. A worker that does not say what it has vouched for is an older one, and holds nothing up.
 * Nor do slots move of which the worker has only just begun to drain.
 */
function slotsHeld(state: MoveContext, living: ReadonlyMap<string, Sighting>, nowMs: number): Set<number> {
  const { plan, runs, drainingSince } = state
  const held = new Set<number>()
  for (const { member } of living.values()) {
    if (member?.vouched === undefined) continue
    for (const slot of Object.keys(member.owned ?? {})) held.add(Number(slot))
    for (const [run, slots] of Object.entries(member.vouched)) {
      const isGone = plan.replaced?.[run] !== undefined && !runs.includes(run)
      if (!isGone) for (const slot of slots) held.delete(slot)
    }
  }
  plan.slots.forEach((assignment, slot) => {
    if (nowMs - (drainingSince.get(assignment?.worker ?? '') ?? -Infinity) < drainSettleMs) held.add(slot)
  })
  return held
}

function planWorkers(
  living: ReadonlyMap<string, Sighting>,
  { drains }: MoveContext,
  successors: ReadonlyMap<string, string>,
): PlanWorker[] {
  return [...living.values()].map(({ boot, member, joinedAtMs }) => {
    const state = drains.has(boot) ? 'draining' : (member?.state ?? 'live')
    return { id: boot, state, joinedAtMs, successor: successors.get(boot) }
  })
}

function isTooEarly(state: MoveContext, living: ReadonlyMap<string, Sighting>, nowMs: number): boolean {
  if (state.plan.slots.some((assignment) => assignment !== null)) return false
  const firstAtMs = Math.min(...[...living.values()].map(({ joinedAtMs }) => joinedAtMs))
  return nowMs - firstAtMs < firstPlanAfterMs
}

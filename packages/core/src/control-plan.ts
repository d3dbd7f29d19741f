import type { Sighting } from './control-members.ts'
import { workerHeartbeatMs } from './limits.ts'
import { mergeReplaced, sameNumbers } from './plan.ts'
import type { Assignment, Plan, Replaced } from './plan.ts'

export type Slots = readonly (Assignment | null)[]

/** A worker that reports nothing for its assignment for this long gets a new epoch: its claim may have been refused, ms. */
export const claimSilenceMs = 5_000
/** A worker has heard of a new assignment, tried it and reported within this time, two heartbeats, ms. */
const hearMs = 2 * workerHeartbeatMs

/**
 * Which plan control goes on from. Memory wins over a stored plan of a lower version, for the store may have gone back
 * in time; any other stored plan is at least as new. `confirmed` never decreases.
 */
export function adoptPlan(memory: Plan | null, stored: Plan | null, count: number): Plan {
  if (stored === null) return memory ?? { version: 0, slots: Array<null>(count).fill(null), runs: [] }
  if (memory === null) return stored
  if (memory.version > stored.version) return memory
  const slots = stored.slots.map((assignment, slot) => {
    const confirmed = memory.slots[slot]?.confirmed ?? 0
    return assignment === null || assignment.confirmed >= confirmed ? assignment : { ...assignment, confirmed }
  })
  return { ...stored, slots }
}

/**
 * What living workers say that they own. It confirms epochs, and where it is newer than the assignment it replaces it:
 * the plan was lost or is older, and the worker that serves the slot, or is about to ask for it again, keeps it.
 */
export function acceptReports(slots: Slots, workers: ReadonlyMap<string, Sighting>): Slots {
  const accepted = [...slots]
  for (const { boot, member } of workers.values()) {
    for (const [name, said] of Object.entries(member?.owned ?? {})) {
      const slot = Number(name)
      const epoch = Math.abs(said)
      const assignment = accepted[slot]
      if (assignment === undefined || !Number.isSafeInteger(epoch) || epoch <= 0) continue
      const confirmed = Math.max(epoch, assignment?.confirmed ?? 0)
      if (assignment === null || epoch > assignment.epoch) accepted[slot] = { worker: boot, epoch, confirmed }
      else if (confirmed > assignment.confirmed) accepted[slot] = { ...assignment, confirmed }
    }
  }
  return accepted
}

/** The highest epoch that anybody has named: new ones must be above it, wherever the store's counter stands. */
export function highestEpoch(slots: Slots, workers: ReadonlyMap<string, Sighting>): number {
  let highest = 0
  for (const assignment of slots) highest = Math.max(highest, assignment?.epoch ?? 0, assignment?.confirmed ?? 0)
  for (const { member } of workers.values()) {
    highest = Math.max(highest, member?.knows?.epoch ?? 0)
    for (const epoch of Object.values(member?.owned ?? {}))
      if (Number.isSafeInteger(epoch)) highest = Math.max(highest, Math.abs(epoch))
  }
  return highest
}

/** The highest version of a plan that anybody has heard of: members ignore a plan below it. */
export function newestPlan(members: ReadonlyMap<string, Sighting>): number {
  let newest = 0
  for (const { member } of members.values()) newest = Math.max(newest, member?.knows?.plan ?? 0)
  return newest
}

/** The runs that anybody says were replaced. */
export function knownReplaced(
  plans: readonly (Plan | null)[],
  members: ReadonlyMap<string, Sighting>,
): Replaced | undefined {
  const heard = Array.from(members.values(), ({ member }) => member?.knows?.replaced)
  return mergeReplaced(...plans.map((plan) => plan?.replaced), ...heard)
}

/**
 * With those in whose place another is seen now. One that comes back is replaced until now: epochs that were issued meanwhile may
 * have been used on either side.
 */
export function addReplaced(
  known: Replaced | undefined,
  change: { readonly before: readonly string[]; readonly now: readonly string[]; readonly highest: number },
): Replaced | undefined {
  const { before, now, highest } = change
  const changed = now.flatMap((run, primary) => {
    const was = before[primary] ?? ''
    return run === '' || was === '' || run === was ? [] : [{ was, run }]
  })
  // In a Cluster other lanes may live on the server that one lane has left.
  const gone = changed.filter(({ was }) => !now.includes(was)).map(({ was }) => was)
  const back = changed.filter(({ run }) => known?.[run] !== undefined).map(({ run }) => run)
  return mergeReplaced(known, Object.fromEntries([...gone, ...back].map((run) => [run, highest])))
}

/** A slot in flight: its assigned epoch is not reported as owned by its worker. */
export interface Wait {
  readonly epoch: number
  /** Time under an answering store. */
  readonly ms: number
  /** A request for a new epoch counts after this time: until then the worker may not know the assignment yet. */
  readonly heardMs: number
}
export type Waits = ReadonlyMap<number, Wait>

/** The slots in flight to living workers. `elapsedMs` is null after the store was away: then waiting begins anew. */
export function awaitReports(
  before: Waits,
  slots: Slots,
  workers: ReadonlyMap<string, Sighting>,
  elapsedMs: number | null,
): Waits {
  const after = new Map<number, Wait>()
  slots.forEach((assignment, slot) => {
    const member = assignment === null ? undefined : workers.get(assignment.worker)?.member
    if (assignment === null || member === undefined || member?.owned?.[slot] === assignment.epoch) return
    const wait = before.get(slot)
    if (wait?.epoch !== assignment.epoch) after.set(slot, { epoch: assignment.epoch, ms: 0, heardMs: 0 })
    else after.set(slot, { ...wait, ms: elapsedMs === null ? 0 : wait.ms + elapsedMs })
  })
  return after
}

/** Slots whose worker needs a new epoch: it asks for one (it reports epoch 0), or it was silent about it for too long. */
export function slotsToReclaim(waits: Waits, slots: Slots, workers: ReadonlyMap<string, Sighting>): number[] {
  const reclaim: number[] = []
  for (const [slot, wait] of waits) {
    const seen = workers.get(slots[slot]?.worker ?? '')
    if (seen === undefined || !seen.present || seen.member === null) continue
    const asks = (seen.member.owned?.[slot] ?? 1) <= 0 && wait.ms >= wait.heardMs
    if (asks || wait.ms > claimSilenceMs) reclaim.push(slot)
  }
  return reclaim
}

/** Why a slot gets a new epoch: its worker died or it had none, its worker drains, for balance, or for its worker itself. */
export type MoveReason = 'orphan' | 'drain' | 'balance' | 'reclaim'

export interface Move {
  readonly slot: number
  readonly from: string | null
  readonly to: string
  readonly reason: MoveReason
}
export interface NumberedMove extends Move {
  readonly epoch: number
}

/** The slot is the worker's under the epoch. What was confirmed, and what others were given, goes with the slot. */
export function assign(before: Assignment | null, worker: string, epoch: number): Assignment {
  if (before === null) return { worker, epoch, confirmed: 0 }
  const rival = Math.max(before.rival ?? 0, before.worker === worker ? 0 : before.epoch)
  return { worker, epoch, confirmed: before.confirmed, ...(rival > 0 && { rival }) }
}

/** Applies moves with the epochs `first …`; `confirmed` goes with the slot. */
export function applyMoves(
  slots: Slots,
  moves: readonly Move[],
  first: number,
): { slots: Slots; numbered: NumberedMove[] } {
  const moved = [...slots]
  const numbered = moves.map((move, i) => ({ ...move, epoch: first + i }))
  for (const { slot, to, epoch } of numbered) moved[slot] = assign(moved[slot] ?? null, to, epoch)
  return { slots: moved, numbered }
}

/** The waits of slots that were just moved. */
export function awaitMoved(waits: Waits, moves: readonly NumberedMove[]): Waits {
  const after = new Map(waits)
  for (const { slot, epoch } of moves) after.set(slot, { epoch, ms: 0, heardMs: hearMs })
  return after
}

type Compared = Pick<Plan, 'slots' | 'runs' | 'replaced' | 'drains'>

export function samePlan(a: Compared, b: Compared): boolean {
  const sameRuns = a.runs.length === b.runs.length && a.runs.every((run, i) => run === b.runs[i])
  return (
    sameRuns &&
    sameNumbers(a.replaced, b.replaced) &&
    sameNumbers(a.drains, b.drains) &&
    a.slots.length === b.slots.length &&
    a.slots.every((x, slot) => sameAssignment(x, b.slots[slot] ?? null))
  )
}

function sameAssignment(a: Assignment | null, b: Assignment | null): boolean {
  if (a === null || b === null) return a === b
  return a.worker === b.worker && a.epoch === b.epoch && a.confirmed === b.confirmed && a.rival === b.rival
}

/** Who owns what, as control writes it and the fleet reads it. */
export interface Assignment {
  /** `id#boot` of the worker. */
  readonly worker: string
  readonly epoch: number
  /** Newest epoch that control saw a worker report as owned for this slot; 0 before the first. */
  readonly confirmed: number
  /**
   * The newest epoch of the slot that was given to another worker: who had an older one, and did not hear of that, cannot tell what was
   * committed under it where a server went back. Absent: none was.
   */
  readonly rival?: number
}

export interface Plan {
  /** Grows with each change; of two plans the higher is the newer. */
  readonly version: number
  /** Slot → assignment; null: nobody. Its length is the number of slots. */
  readonly slots: readonly (Assignment | null)[]
  /** The runs (per primary) that control had seen when it wrote the plan: an owner whose server changed waits for its own. */
  readonly runs: readonly string[]
  /** Absent while there is none. */
  readonly replaced?: Replaced
  /** Absent while no edge drains. */
  readonly drains?: Drains
  /** W3C trace context of the span of control for the moves in it, where that is sampled. */
  readonly trace?: string
}

/** Boot of an edge that drains → clients that it may tell to move per second. */
export type Drains = Readonly<Record<string, number>>

/**
 * Runs in whose place control has seen another, each with the highest epoch issued until then. A server that nobody made a replica
 * when it was replaced can come back under such a run: what was claimed under it by then may be continued elsewhere
 * (docs/adr/0010-replaced-runs.md).
 */
export type Replaced = Readonly<Record<string, number>>
/** Those with the highest epochs are kept. */
const maxReplaced = 32

/** Of each run the highest epoch; undefined when there is none. */
export function mergeReplaced(...known: readonly (Replaced | undefined)[]): Replaced | undefined {
  const merged = new Map<string, number>()
  for (const [run, epoch] of known.flatMap((each) => Object.entries(each ?? {}))) {
    merged.set(run, Math.max(epoch, merged.get(run) ?? 0))
  }
  if (merged.size === 0) return undefined
  // By name where epochs are equal, so that everybody drops the same ones.
  const order = [...merged].toSorted(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))
  return Object.fromEntries(order.slice(0, maxReplaced))
}

/** Of `replaced` and of `drains`: whether both say the same of the same names. An absent one is an empty one. */
export function sameNumbers(
  a: Readonly<Record<string, number>> | undefined,
  b: Readonly<Record<string, number>> | undefined,
): boolean {
  const [one, other] = [Object.entries(a ?? {}), b ?? {}]
  return one.length === Object.keys(other).length && one.every(([name, value]) => other[name] === value)
}

/** The newest plan, the highest epoch and the replaced runs that a member has heard of. */
export interface Knowledge {
  readonly plan: number
  readonly epoch: number
  readonly replaced?: Replaced
}

export function learn(known: Knowledge, plan: Plan): Knowledge {
  let { epoch } = known
  for (const assignment of plan.slots) epoch = Math.max(epoch, assignment?.epoch ?? 0, assignment?.confirmed ?? 0)
  const replaced = mergeReplaced(known.replaced, plan.replaced)
  for (const issued of Object.values(replaced ?? {})) epoch = Math.max(epoch, issued)
  return { plan: Math.max(known.plan, plan.version), epoch, ...(replaced === undefined ? {} : { replaced }) }
}

/**
 * The version that a member gives for the plan it holds: 0, so that it is told again, when that plan is of another
 * state of the store. After a fail-over two plans can bear the same number.
 */
export function versionHeld(plan: Plan | null, runs: readonly string[]): number {
  return plan !== null && runs.every((run, primary) => run === plan.runs[primary]) ? plan.version : 0
}

/** Run of a server → slots. */
export type Vouched = Readonly<Record<string, readonly number[]>>

/** Of slot → run of every lane. */
export function slotsByRun(lanes: Iterable<ReadonlyMap<number, string>>): Vouched {
  const slots: Record<string, number[]> = {}
  for (const lane of lanes) for (const [slot, run] of lane) (slots[run] ??= []).push(slot)
  return slots
}

export type Role = 'edge' | 'ingest' | 'shard' | 'control'

/** A process of the fleet as its heartbeat describes it. */
export interface Member {
  /** `id#boot`. */
  readonly boot: string
  readonly role: Role
  readonly state: 'live' | 'draining'
  /** Counts heartbeats of this boot: control decides by its progress, never by anybody's clock. */
  readonly beat: number
  /** Workers: slot → epoch of the slots owned and serving; 0 or the negative epoch for one that needs a new epoch. */
  readonly owned?: Readonly<Record<string, number>>
  /** Workers: server's run → slots owned that are whole and vouched for under it. Of the others nobody else could tell what was committed. */
  readonly vouched?: Vouched
  /** What it has heard of. Control goes on above it, whatever the store and control itself have forgotten. */
  readonly knows?: Knowledge
  /** What `GET /v1/fleet` shows: connections, rooms, events per second. */
  readonly figures?: Readonly<Record<string, number>>
  readonly startedAtMs: number
  /** Address of the admin port for people, if known. */
  readonly admin?: string
  readonly version: string
}

/** Who owns what, as control writes it and the fleet reads it. */
export interface Assignment {
  /** `id#boot` of the worker. */
  readonly worker: string
  readonly epoch: number
  /** Newest epoch that control saw a worker report as owned for this slot; 0 before the first. */
  readonly confirmed: number
}

export interface Plan {
  /** Grows with each change; of two plans the higher is the newer. */
  readonly version: number
  /** Slot → assignment; null: nobody. Its length is the number of slots. */
  readonly slots: readonly (Assignment | null)[]
  /** The runs (per primary) that control had seen when it wrote the plan: an owner whose server changed waits for its own. */
  readonly runs: readonly string[]
  /** Absent while no edge drains. */
  readonly drains?: Drains
}

/** Boot of an edge that drains → clients that it may tell to move per second. */
export type Drains = Readonly<Record<string, number>>

/** The newest plan and the highest epoch that a member has heard of. */
export interface Knowledge {
  readonly plan: number
  readonly epoch: number
}

export function learn(known: Knowledge, plan: Plan): Knowledge {
  let { epoch } = known
  for (const assignment of plan.slots) epoch = Math.max(epoch, assignment?.epoch ?? 0, assignment?.confirmed ?? 0)
  return { plan: Math.max(known.plan, plan.version), epoch }
}

/**
 * The version that a member gives for the plan it holds: 0, so that it is told again, when that plan is of another
 * state of the store. After a fail-over two plans can bear the same number.
 */
export function versionHeld(plan: Plan | null, runs: readonly string[]): number {
  return plan !== null && runs.every((run, primary) => run === plan.runs[primary]) ? plan.version : 0
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
  /** What it has heard of. Control goes on above it, whatever the store and control itself have forgotten. */
  readonly knows?: Knowledge
  /** What `GET /v1/fleet` shows: connections, rooms, events per second. */
  readonly figures?: Readonly<Record<string, number>>
  readonly startedAtMs: number
  /** Address of the admin port for people, if known. */
  readonly admin?: string
  readonly version: string
}

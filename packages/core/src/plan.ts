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
  /** Workers: slot → epoch of the slots owned and serving. */
  readonly owned?: Readonly<Record<string, number>>
  /** What `GET /v1/fleet` shows: connections, rooms, events per second. */
  readonly figures?: Readonly<Record<string, number>>
  readonly startedAtMs: number
  /** Address of the admin port for people, if known. */
  readonly admin?: string
  readonly version: string
}

import type { Acknowledged, History, ViewStep } from './checks.ts'

/** What a run may reach: limits, and moves of the data. The seeds together must have been at each but a `conflict` and `kept out`. */
export const landmarks = [
  'restart',
  'fail-over',
  'fail-over and back',
  'FLUSHALL',
  'long outage',
  'lag beyond what is retained',
  'take-over',
  'claim that goes on',
  'new inc',
  'fenced commit',
  'log trimmed',
  'commits written again',
  'unconfirmed run',
  'retained limit',
  'no more commits',
  'room evicted',
  'keys full',
  'refused by a worker',
  'commit full',
  'window full',
  'bytes full',
  'held dropped',
  'replay too large',
  'expired',
  'hole in an outbox',
  'generation',
  'edge drained',
  'drained unacknowledged',
  'told under a grant',
  'told without a grant',
  'client moved',
  'moved while it went on',
  'move tried again',
  'closed by a drain',
  'drained in the calm',
  'moved in the calm',
  'kept out',
  'conflict',
] as const
/** What runs with counted connections may reach besides. */
export const countedLandmarks = [
  'place taken',
  'one too many',
  'told as kept',
  'not told',
  'sent off',
  'grace over',
  'limit judged',
  'tickets judged',
  'told without its ticket',
  'refused while unsure',
  'phone moved',
] as const
export type Landmark = (typeof landmarks | typeof countedLandmarks)[number]

/** A refusal of `connection`, asked for at `sinceMs`, that named the connection `ticket`. */
interface TurnedAway {
  readonly connection: string
  readonly ticket: string
  readonly sinceMs: number
  readonly text: string
}

/** What happens in a run, as it happens. */
export interface Record {
  readonly acknowledged: Acknowledged[]
  readonly refused: { room: string; message: string }[]
  readonly views: Map<string, { client: string; room: string; steps: ViewStep[] }>
  readonly applied: History['applied'][number][]
  published: number
  /** Phones that were refused although they named the connection that they had. */
  readonly turnedAway: TurnedAway[]
  /** Users that had more connections counted than they may. */
  readonly tooMany: string[]
  /** Rooms of users of whose connections an edge told as open already: these count whatever the limit. */
  readonly kept: Set<string>
  /**
   * Connections that an edge told of again, as kept or without their ticket. Until the answer, or for ever where there was none, the worker
   * may not have known of them, and it is not known who has the place that the ticket names.
   */
  readonly unsure: Map<string, { readonly room: string; readonly ticket: string; untilMs: number }>
  /** Clients that left an edge before the one they moved to served them. */
  readonly interrupted: string[]
  /** Clients that lost a connection although nothing but a drain was under way, which gave them time. */
  readonly parted: string[]
  /** Clients that edges told to move, in order, and how many that edge was granted per second; null: it had no grant. */
  readonly tells: { readonly atMs: number; readonly boot: string; readonly granted: number | null }[]
  /** How often the run has been at each. */
  readonly reached: Map<Landmark, number>
  /** Faults that the run had, for the report. */
  readonly faults: string[]
}

export function createRecord(): Record {
  return {
    ...{ acknowledged: [], refused: [], views: new Map(), applied: [], published: 0 },
    ...{
      turnedAway: [],
      tooMany: [],
      kept: new Set(),
      unsure: new Map(),
      interrupted: [],
      parted: [],
      tells: [],
      reached: new Map(),
      faults: [],
    },
  }
}

export function see(record: Record, client: string, room: string, step: ViewStep): void {
  const key = `${client} ${room}`
  let view = record.views.get(key)
  if (view === undefined) record.views.set(key, (view = { client, room, steps: [] }))
  view.steps.push(step)
}

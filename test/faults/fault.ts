import type { LossReason } from '@flotilla/core/frames'
import type { RedisOptions } from '@flotilla/node/testing/redis-server'
import type { ServiceName } from '../fleet/process.ts'
import type { World } from './harness/world.ts'

/** What must be there for a fault, beyond the usual fleet. */
export interface Needs {
  readonly redis?: RedisOptions
  /** A replica of the first server, behind a link of its own (`world.replicaLink`). */
  readonly replica?: boolean
  /** Roles whose processes reach Redis through a proxy each (`world.linkOf`). */
  readonly linked?: readonly ServiceName[]
  /** So many clients, the first ones, reach the edges through a proxy each (`world.clientLinks`). */
  readonly clientLinks?: number
  /** How many processes; 2, 2, 1, 1 otherwise. */
  readonly edges?: number
  readonly workers?: number
  readonly controls?: number
  /** Settings of single processes. */
  readonly env?: Readonly<Record<string, Readonly<Record<string, string>>>>
  /** Every process obeys test/faults/harness/hooks.mjs. */
  readonly hooks?: boolean
  readonly rawClients?: number
  /** Publishes per second, and the share of them that go to one room. */
  readonly rate?: number
  readonly hotShare?: number
  /** Characters that every message carries besides its name. */
  readonly padding?: number
}

/** By name; a fault of which a figure is 0, or that has none, did not happen. Those that it names in `never` must be 0. */
export type Evidence = Readonly<Record<string, number>>

/** One file per fault. */
export interface Fault {
  readonly name: string
  /** What happens, in a sentence; for the report. */
  readonly about: string
  readonly needs?: Needs
  /** Whether Redis's own settings allow it to lose what it acknowledged. Then every loss must be told; else none is allowed. */
  readonly mayLose?: boolean
  /** Reasons for which a client may be told of a loss although nothing was lost. */
  readonly mayTell?: readonly LossReason[]
  /** Time from when nothing is broken by the fault any more until every room takes publishes, ms; 15 s otherwise. */
  readonly healWithinMs?: number
  /** Lets it happen and be over; resolves when nothing is broken any more but what the fleet has to mend. */
  inject(world: World): Promise<unknown>
  /** Resolves when the fleet is whole again; by default when every slot has a living owner and every process is ready. */
  healed?(world: World): Promise<void>
  /**
   * What proves that it happened, besides what it counted itself (`world.count`): figures that only grow. They are looked at
   * just before the fault and when the clients have seen everything, and each must have grown.
   */
  evidence?(world: World): Promise<Evidence>
  /** Figures of the evidence that must stay 0: what the fleet may not do because of the fault. */
  readonly never?: readonly string[]
}

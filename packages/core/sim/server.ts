import type { StoreModel, Snapshot } from '../src/store-model.ts'
import type { Network } from './network.ts'

/** How often a replica is copied, ms, and how many copies are kept: how far back it may be. */
const replicaEveryMs = 150
const replicasKept = 12

/**
 * One primary and what may take its place: copies of it as of moments of the last seconds (replication is a prefix), and the
 * server that was there before, as it was when it was left.
 */
export interface Server {
  readonly model: StoreModel
  /** How many states of it there have been. */
  runs: number
  /** Of its clock, by which it numbers input: a replica's may be behind. */
  skewMs: number
  /** Until then its replicas are cut off from it: they fall behind. */
  replicasCutUntil: number
  /** Something was written since the last copy. */
  written: boolean
  /** The newest last, each with the moment it was made. */
  readonly replicas: { readonly atMs: number; readonly snapshot: Snapshot }[]
  /** The server that a fail-over left, if it is still there. */
  left:
    | { readonly run: string; readonly snapshot: Snapshot; readonly skewMs: number; readonly atMs: number }
    | undefined
}

export function createServer(model: StoreModel): Server {
  return { model, runs: 1, skewMs: 0, replicasCutUntil: 0, written: true, replicas: [], left: undefined }
}

/** Copies it now and then, until `quiet`. */
export function replicate(network: Network, server: Server, quiet: () => boolean): void {
  const copy = (): void => {
    if (quiet()) return
    const now = network.clock.now
    if (server.written && now >= server.replicasCutUntil) {
      server.written = false
      server.replicas.push({ atMs: now, snapshot: server.model.snapshot() })
      if (server.replicas.length > replicasKept) server.replicas.shift()
    }
    network.clock.at(now + replicaEveryMs * (0.5 + network.random.next()), copy)
  }
  copy()
}

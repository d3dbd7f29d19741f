import type { LaneState } from './lane-state.ts'
import { retainMs } from './limits.ts'
import { packCommits, unpackCommits } from './retained.ts'
import type { Placed } from './retained.ts'
import type { SlotState } from './slot-state.ts'

/** What a lane keeps of the commits that the store said ok to, and how it gets them back (docs/spec.md LN14, LN23, LN24). */

/**
 * Moves what the store said ok to out of the chains of `slots` into batches of the lane. Only while the lane serves: recovery
 * counts along the chains. A slot that waits for a claim keeps its chain until the claim is there.
 */
export function retain(state: LaneState, slots: Iterable<SlotState>, now: number): void {
  const placed: Placed[] = []
  for (const own of slots) {
    if (own.needsClaim) continue
    for (;;) {
      const [commit] = own.chain
      if (commit?.okAt === undefined) break
      placed.push({ slot: own.slot, after: own.base.token, commit })
      state.retainedBytes -= commit.bytes
      own.base = { n: commit.n, token: commit.token }
      own.chain.shift()
    }
  }
  if (placed.length === 0) return
  for (const part of inBatches(placed, state.limits.commitBytes)) {
    const batch = packCommits(part, now)
    state.retained.push(batch)
    state.retainedBytes += batch.bytes
  }
  forgetRetained(state)
}

/** A batch is let go of as a whole: what a recovery leaves, seconds of all slots, must not be one, nor one per slot. */
function inBatches(placed: Placed[], mostBytes: number): readonly Placed[][] {
  placed.sort((a, b) => a.commit.composedAt - b.commit.composedAt)
  const batches: Placed[][] = []
  let bytes = Infinity
  for (const each of placed) {
    bytes += each.commit.bytes
    if (bytes > mostBytes) {
      batches.push([])
      bytes = each.commit.bytes
    }
    batches.at(-1)?.push(each)
  }
  return batches
}

/**
 * Lets go of what the store said ok to `retainMs` before it last did. Above the limit the batches reach back less far in time,
 * for all slots alike: a longer lag is then told, not repaired.
 */
export function forgetRetained(state: LaneState): void {
  let count = 0
  for (const batch of state.retained) {
    if (batch.okAt > state.lastOk - retainMs && state.retainedBytes <= state.limits.retainedBytes) break
    state.retainedBytes -= batch.bytes
    count += 1
  }
  if (count > 0) state.retained.splice(0, count)
}

/**
 * Moves all that is retained back into the chains, as far as each slot's commits follow one another without a gap. What does
 * not lead to a chain is of a slot that is not owned any more, or was claimed anew since: it is let go of.
 */
export function fetchRetained(state: LaneState): void {
  const found = new Map<number, Placed[]>()
  for (const batch of state.retained.toReversed()) {
    state.retainedBytes -= batch.bytes
    for (const placed of unpackCommits(batch).toReversed()) {
      const own = state.slots.get(placed.slot)
      if (own === undefined || own.base.n !== placed.commit.n || own.base.token !== placed.commit.token) continue
      own.base = { n: placed.commit.n - 1, token: placed.after }
      state.retainedBytes += placed.commit.bytes
      const earlier = found.get(placed.slot)
      if (earlier === undefined) found.set(placed.slot, [placed])
      else earlier.push(placed)
    }
  }
  state.retained = []
  for (const [slot, newestFirst] of found) {
    const own = state.slots.get(slot)
    if (own !== undefined) own.chain = [...newestFirst.toReversed().map(({ commit }) => commit), ...own.chain]
  }
}

/** When the oldest commit that may have to be written again was composed; Infinity when there is none. */
export function retainedSince(state: LaneState): number {
  let since = Infinity
  for (const { composedAt } of state.retained) since = Math.min(since, composedAt)
  for (const { chain } of state.slots.values()) since = Math.min(since, chain[0]?.composedAt ?? Infinity)
  return since
}

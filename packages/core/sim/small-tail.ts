import { parseSlotValue, slotPrefix } from '../src/commit.ts'
import type { SlotValue } from '../src/commit.ts'
import type { LaneState } from '../src/lane-state.ts'
import { unpackCommits } from '../src/retained.ts'

interface Commit {
  readonly n: number
  readonly token: string
}

/**
 * Whether the lane's owner of the one slot holds every commit after what is stored, and as far as it knows nobody else was given the slot
 * since: then its next claim can go on. Judged by what it keeps, not by what it does with that.
 */
export function holdsTail(lane: Readonly<LaneState>, text: string): boolean {
  const own = lane.slots.get(0)
  if (own === undefined || text === '') return false
  const assigned = lane.plan?.slots[0]
  if (assigned?.worker !== own.owner || (assigned.rival ?? 0) > own.epoch) return false
  // Newest first, each with what it follows.
  const tail: Commit[] = own.chain.toReversed()
  let base: Commit = own.base
  for (const { after, commit } of lane.retained.toReversed().flatMap((batch) => unpackCommits(batch).toReversed())) {
    if (commit.n !== base.n || commit.token !== base.token) continue
    tail.push(base)
    base = { n: commit.n - 1, token: after }
  }
  const isOf = ({ n, token }: Commit, { epoch, owner }: Pick<SlotValue, 'epoch' | 'owner'>): string =>
    slotPrefix({ epoch, owner, n, token })
  const stored = slotPrefix(parseSlotValue(text))
  const isWhole = base.n === own.claimed.n && base.token === own.claimed.token
  return [...tail, base].some((each) => isOf(each, own) === stored) || (isWhole && own.before === stored)
}

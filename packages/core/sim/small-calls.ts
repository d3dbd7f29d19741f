import { parseSlotValue, slotPrefix } from '../src/commit.ts'
import type { Claim } from '../src/commit.ts'
import type { LaneEffect, LaneInput } from '../src/lane-state.ts'
import type { StoreModel } from '../src/store-model.ts'

/** A rule left out on purpose, to see that the small model finds it. */
export type SmallBug =
  | 'no fence'
  | 'no vouching'
  | 'no rivals'
  | 'always a new inc'
  | 'loss untold'
  | 'claims for any server'

export type CallEffect = Extract<LaneEffect, { type: 'claim' | 'commit' | 'vouch' | 'values' | 'loadRoom' }>

/** What a lane asks of the store, and the input that answers it. */
export function callStore(store: StoreModel, effect: CallEffect, bug: SmallBug | undefined): LaneInput {
  switch (effect.type) {
    case 'claim': {
      if (bug === 'no vouching') vouchForAll(store)
      const reply = store.claim(withBug(effect.claim, bug, store.run))
      return { type: 'claimed', claim: effect.claim, reply, interest: store.interest(0) }
    }
    case 'commit': {
      const stored = prefixOf(store)
      const unfenced = stored === undefined ? {} : { expect: stored }
      const commits = bug === 'no fence' ? effect.commits.map((each) => ({ ...each, ...unfenced })) : effect.commits
      return { type: 'committed', id: effect.id, reply: store.commit(0, commits, 1_000, effect.run) }
    }
    case 'vouch':
      return { type: 'committed', id: effect.id, reply: store.vouch(0, effect.prefixes, effect.run) }
    case 'values':
      return { type: 'values', values: store.values(0, effect.slots) }
    case 'loadRoom': {
      const entries = store.roomTail(effect.room, Infinity, 1_000).toReversed()
      return { type: 'rooms', rooms: [{ slot: 0, read: effect.read, room: effect.room, entries }] }
    }
  }
}

function withBug(claim: Claim, bug: SmallBug | undefined, run: string): Claim {
  if (bug === 'no vouching') return { ...claim, confirmed: 0 }
  if (bug === 'loss untold') return { ...claim, boots: [] }
  if (bug === 'claims for any server' && claim.holdsAfter !== undefined)
    return { ...claim, holdsAfter: { ...claim.holdsAfter, run } }
  if (bug !== 'always a new inc') return claim
  const { holdsAfter: _, ...rest } = claim
  return { ...rest, confirmed: claim.epoch }
}

function prefixOf(store: StoreModel): string | undefined {
  const text = store.values(0, [0]).values.get(0)
  return typeof text === 'string' ? slotPrefix(parseSlotValue(text)) : undefined
}

function vouchForAll(store: StoreModel): void {
  const stored = prefixOf(store)
  if (stored !== undefined) store.vouch(0, new Map([[0, stored]]))
}

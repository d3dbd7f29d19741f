import { parseSlotValue } from '../commit.ts'
import { encodeInput } from '../entry.ts'
import { createLane } from '../lane-state.ts'
import type { LaneEffect, LaneInput } from '../lane-state.ts'
import { stepLane } from '../lane.ts'
import { laneLimits } from '../limits.ts'
import type { LaneLimits } from '../limits.ts'
import { slotOf } from '../slot.ts'
import { StoreModel } from '../store-model.ts'

export const me = 'w#b'
export const edge = 'edge-1#a'
/** A room of each slot. */
export const rooms = ['public:a', 'public:b', 'public:c', 'public:d', 'public:e'].reduce<string[]>((found, room) => {
  found[slotOf(room, 2)] ??= room
  return found
}, [])

/** A lane of two slots over the store model, which executes effects at once but for those of the types in `held`. */
export function startLane(limits: Partial<LaneLimits> = {}) {
  const store = new StoreModel({ slots: 2, lanes: 1 }, 'run-1')
  const lane = createLane(0, 1, me, { limits: { ...laneLimits, ...limits } })
  const held = new Set<LaneEffect['type']>()
  const waiting: LaneEffect[] = []
  const released: number[] = []
  const reads = new Map<number, { cursor: string; read: number }>()
  const clock = { now: 0, wallMs: 1_000 }
  const ks = [0, 0]
  let version = 0
  store.openOutbox(0, edge)

  function step(input: LaneInput): void {
    for (const effect of stepLane(lane, input, clock)) {
      if (held.has(effect.type)) waiting.push(effect)
      else execute(effect)
    }
  }
  function execute(effect: LaneEffect): void {
    switch (effect.type) {
      case 'claim': {
        const reply = store.claim(effect.claim)
        return step({ type: 'claimed', claim: effect.claim, reply, interest: store.interest(effect.claim.slot) })
      }
      case 'read':
        reads.set(effect.slot, { cursor: effect.cursor, read: effect.read })
        return
      case 'release':
        released.push(effect.slot)
        return
      case 'commit':
        return step({ type: 'committed', id: effect.id, reply: store.commit(0, effect.commits, 1_000, effect.run) })
      case 'vouch':
        return step({ type: 'committed', id: effect.id, reply: store.vouch(0, effect.prefixes, effect.run) })
      case 'values':
        return step({ type: 'values', values: store.values(0, effect.slots) })
      case 'loadRoom': {
        const { slot, read, room } = effect
        return step({ type: 'rooms', rooms: [{ slot, read, room, entries: store.roomRange(room, 0, 1_000) }] })
      }
      case 'maintain':
        return store.maintain(0, effect.work, 1_000)
      case 'deadLetter':
      case 'members':
      case 'report':
    }
  }
  function plan(epochs: readonly number[], runs = [store.run]): void {
    const slots = epochs.map((epoch) => ({ worker: me, epoch, confirmed: epoch }))
    step({ type: 'plan', plan: { version: (version += 1), slots, runs } })
  }
  /** Appends one publish to each slot given, of the slot's room unless another one of it is named, and lets the lane read all that is new. */
  function publish(key: string, slots: readonly number[] = [0, 1], of: { tail?: string; room?: string } = {}): void {
    for (const slot of slots) {
      const { tail = key, room = rooms[slot] ?? '' } = of
      const message = { type: 'publish', room, key, sender: 'alice', options: '', tail } as const
      const k = (ks[slot] ?? 0) + 1
      ks[slot] = k
      store.append(slot, encodeInput({ boot: edge, generation: 0, k }, [message]), 1_000)
    }
    readAll()
  }
  function readAll(): void {
    const found = store.read(0, new Map([...reads].map(([slot, at]) => [slot, at.cursor])), 100)
    const batch = [...found].map(([slot, entries]) => {
      const at = reads.get(slot) ?? { cursor: '0-0', read: 0 }
      at.cursor = entries.at(-1)?.id ?? at.cursor
      return { slot, read: at.read, entries }
    })
    if (batch.length > 0) step({ type: 'entries', reads: batch })
  }
  const keys = (slot: number): string[] =>
    store.roomRange(rooms[slot] ?? '', 0, 100).flatMap((entry) => entry.messages.map((each) => each.key))
  const stored = (slot: number) => parseSlotValue(store.values(0, [slot]).values.get(slot) ?? '')

  step({ type: 'members', alive: new Set([edge]) })
  plan([1, 1])
  return { store, lane, held, waiting, released, clock, step, execute, plan, publish, readAll, keys, stored }
}

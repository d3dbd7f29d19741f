import type { SlotCommit } from '../src/commit.ts'
import { decodeInput, decodeOut, encodeInput, publishOf } from '../src/entry.ts'
import type { InputMessage, InputRecord } from '../src/entry.ts'
import type { LaneState } from '../src/lane-state.ts'
import type { Edge } from './edge.ts'

/**
 * Rules left out on purpose, one at a time, to see that the simulator finds it (issue: eight planted bugs). Each is made
 * outside the production code, by changing what passes between a reducer and its world.
 */
export const bugs = [
  'no fence',
  'no producer marks',
  'no vouching',
  'no generation',
  'cursor kept',
  'ack before commit',
  'partial replay',
  'client dedupes without epoch',
] as const
/** Of clients that move away from an edge which drains. */
export const moveBugs = ['move without positions', 'move before the answers', 'move back'] as const
export type Bug = (typeof bugs)[number] | (typeof moveBugs)[number]

type Found = ReadonlyMap<number, readonly { readonly id: string; readonly body: string }[]>

/**
 * Bug: an entry that was taken before is taken again, and its messages are new ones (their keys would hide it). Such
 * an entry goes under a producer of its own, whose mark cannot stop it.
 */
export function withoutMarks(): { (lane: LaneState, found: Found): Found; readonly boots: ReadonlySet<string> } {
  const boots = new Set<string>()
  const rewrite = (lane: LaneState, found: Found): Found => {
    const rewritten = new Map<number, { id: string; body: string }[]>()
    for (const [slot, entries] of found) {
      const own = lane.slots.get(slot)
      const last = new Map(own?.marks)
      for (const { entry } of own?.pending ?? []) if (entry !== undefined) last.set(entry.boot, entry)
      rewritten.set(
        slot,
        entries.map(({ id, body }) => {
          const entry = decodeInput(body)
          const mark = entry === undefined ? undefined : last.get(entry.boot)
          if (entry === undefined || entry.k === 0) return { id, body }
          if (mark === undefined || mark.generation !== entry.generation || entry.k > mark.k) {
            last.set(entry.boot, entry)
            return { id, body }
          }
          const boot = `${entry.boot}x${boots.size}`
          boots.add(boot)
          const again = entry.messages
            .map(messageOf)
            .map((message) => (message.type === 'publish' ? { ...message, key: `${message.key} of ${boot}` } : message))
          return { id, body: encodeInput({ boot, generation: 0, k: 1 }, again) }
        }),
      )
    }
    return rewritten
  }
  return Object.assign(rewrite, { boots })
}

const messageOf = (record: InputRecord): InputMessage => (record.type === 'publish' ? publishOf(record) : record)

/** Bug: an append never carries a generation but the first. */
export function withoutGeneration(body: string): string {
  const entry = decodeInput(body)
  return entry === undefined ? body : encodeInput({ ...entry, generation: 0 }, entry.messages.map(messageOf))
}

/** Bug: the producers are told when the commit is sent. */
export function ackAtOnce(commits: readonly SlotCommit[], edges: readonly Edge[]): void {
  for (const { outs } of commits) {
    for (const [boot, { records }] of outs) {
      const acks = decodeOut(records).filter((record) => record.type === 'ack')
      edges.find((edge) => edge.boot() === boot)?.take(acks)
    }
  }
}

import { expect } from 'vitest'
import { formatSlotValue, parseSlotValue, slotPrefix } from '@flotilla/core/commit'
import type {
  Claim,
  ClaimReply,
  CommitReply,
  LogAppend,
  Mark,
  OutAppend,
  SlotCommit,
  SlotValue,
} from '@flotilla/core/commit'
import type { InterestChange } from '@flotilla/core/interest'
import { decodeOut, encodeLog, encodeLogMessage } from '@flotilla/core/entry'
import type { LogEntry, OutRecord } from '@flotilla/core/entry'
import type { Member, Plan } from '@flotilla/core/plan'
import { slotOf } from '@flotilla/core/slot'
import type { Store, StreamEntry } from './port.ts'

/** The fleet that every contract test runs on: lane 0, 1 and 2 are on three primaries where there are so many. */
export const contractShape = { slots: 16, lanes: 3 } as const

/** A store that is empty, and what a test needs beside the port. */
export interface ContractSubject {
  readonly store: Store
  /** Writes what a commit that was cut short would have left behind: an entry of a log, and one of an outbox. */
  writeHalf(
    room: string,
    lastSeq: number,
    body: string,
    out: { readonly lane: number; readonly boot: string; readonly text: string },
  ): Promise<void>
  deadLetters(lane: number): Promise<readonly { readonly body: string; readonly reason: string }[]>
  /**
   * Remembers what lane 0 has now. Resolves with what brings a store back to it, under another run, as a fail-over to a
   * replica that lags does. Absent where that cannot be had: the reason is in the test file.
   */
  readonly remember?: () => Promise<() => Promise<Store>>
  close(): Promise<void>
}
export type MakeSubject = () => Promise<ContractSubject>

/** Time in which what is awaited must come true, ms. */
const awaitMs = 10_000

export async function eventually(what: string, condition: () => Promise<boolean> | boolean): Promise<void> {
  const until = performance.now() + awaitMs
  while (!(await condition())) {
    if (performance.now() > until) throw new Error(`not within ${awaitMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** The `i`-th room whose slot is `slot`. */
export function roomIn(slot: number, i = 0): string {
  for (let n = 0, found = 0; ; n += 1) {
    const room = `public:r${n}`
    if (slotOf(room, contractShape.slots) === slot && found++ === i) return room
  }
}

export interface Change {
  readonly token?: string
  readonly cursor?: string
  readonly marks?: ReadonlyMap<string, Mark>
  readonly logs?: readonly LogAppend[]
  /** A text: records only. */
  readonly outs?: ReadonlyMap<string, string | OutAppend>
  readonly interest?: readonly InterestChange[]
}

/** The commit that follows `from`, and the value it leaves. */
export function following(
  slot: number,
  from: SlotValue,
  change: Change = {},
): { commit: SlotCommit; value: SlotValue } {
  const n = from.n + 1
  const value: SlotValue = {
    ...from,
    n,
    token: change.token ?? `t${n}`,
    cursor: change.cursor ?? from.cursor,
    marks: change.marks ?? from.marks,
  }
  const commit: SlotCommit = {
    slot,
    expect: slotPrefix(from),
    value: formatSlotValue(value),
    logs: change.logs ?? [],
    outs: new Map([...(change.outs ?? [])].map(([boot, out]) => [boot, outAppend(out)])),
    interest: change.interest ?? [],
  }
  return { commit, value }
}

const outAppend = (out: string | OutAppend): OutAppend => (typeof out === 'string' ? { records: out, logs: [] } : out)

export function logEntry(first: number, keys: readonly string[]): LogEntry {
  return {
    inc: 1,
    tag: 1,
    first,
    timeMs: 1_700_000_000_000,
    messages: keys.map((key) => ({ sender: 'alice', key, options: '', tail: `"event":"e","data":"${key}"` })),
  }
}

/** One append to a room's log: messages `first …` with those keys. */
export function logOf(room: string, first: number, keys: readonly string[], keepFromSeq = 1): LogAppend {
  const entry = logEntry(first, keys)
  const body = encodeLog(room, entry, entry.messages.map(encodeLogMessage))
  return { room, lastSeq: first + keys.length - 1, body, keepFromSeq }
}

export async function claimed(
  store: Store,
  slot: number,
  epoch: number,
  more: Pick<ClaimOptions, 'owner' | 'confirmed' | 'replaced'> = {},
): Promise<SlotValue> {
  const reply = await claim(store, slot, epoch, more)
  if (!reply.ok) throw new Error(`slot ${slot} is not claimed: ${reply.value}`)
  return parseSlotValue(reply.value)
}

export interface ClaimOptions {
  readonly owner?: string
  readonly confirmed?: number
  readonly replaced?: Readonly<Record<string, number>>
  readonly holdsAfter?: Claim['holdsAfter']
  readonly boots?: readonly string[]
}

export function claim(store: Store, slot: number, epoch: number, options: ClaimOptions = {}): Promise<ClaimReply> {
  const { owner = 'w1#a', confirmed = 0, replaced, holdsAfter, boots = [] } = options
  return store.slots.claim({
    slot,
    epoch,
    owner,
    confirmed,
    boots,
    ...(replaced === undefined ? {} : { replaced }),
    ...(holdsAfter === undefined ? {} : { holdsAfter }),
  })
}

/** Commits and expects that it is written. */
export async function commitOk(store: Store, lane: number, ...commits: readonly SlotCommit[]): Promise<CommitReply> {
  const reply = await store.slots.commit(lane, commits)
  expect(reply.statuses).toEqual(commits.map(() => 'ok'))
  return reply
}

export async function storedValue(store: Store, slot: number): Promise<SlotValue | undefined> {
  const { values } = await store.slots.values(slot % contractShape.lanes, [slot])
  const text = values.get(slot)
  return text === null || text === undefined ? undefined : parseSlotValue(text)
}

/** Publish keys of a room, oldest first. */
export async function keysIn(store: Store, room: string): Promise<string[]> {
  const entries = await store.rooms.range(room, 0, 1_000)
  return entries.flatMap((entry) => entry.messages.map((message) => message.key))
}

const never = new AbortController().signal
export const now = { blockMs: 1, count: 1_000, signal: never } as const

export async function outboxOf(store: Store, lane: number, boot: string): Promise<readonly StreamEntry[]> {
  const { exists, entries } = await store.outboxes.read(lane, boot, '0-0', now)
  expect(exists).toBe(true)
  return entries
}

export async function told(store: Store, lane: number, boot: string): Promise<OutRecord[]> {
  const entries = await outboxOf(store, lane, boot)
  return entries.flatMap((entry) => decodeOut(entry.body)).filter((record) => record.type !== 'boot')
}

export async function inputOf(store: Store, slot: number, after = '0-0'): Promise<readonly StreamEntry[]> {
  const found = await store.inputs.read(slot % contractShape.lanes, new Map([[slot, after]]), now)
  return found.get(slot) ?? []
}

export function member(boot: string, beat = 1, role: Member['role'] = 'edge'): Member {
  return { boot, role, state: 'live', beat, startedAtMs: 1, version: '0' }
}

export function planOf(version: number, worker = 'w1#a'): Plan {
  return {
    version,
    runs: ['r'],
    slots: Array.from({ length: contractShape.slots }, () => ({ worker, epoch: version, confirmed: 0 })),
  }
}

import type { Claim, ClaimReply, CommitReply, SlotCommit, SlotStatus, SlotValue, SlotValues } from './commit.ts'
import type { Interest } from './interest.ts'
import { formatSlotValue, parseSlotValue, slotPrefix } from './commit.ts'
import { decodeLog, encodeOut } from './entry.ts'
import { decodeWholeLog } from './whole-log.ts'
import type { LogEntry } from './entry.ts'
import { maxOutboxEntries, roomIdleMs } from './limits.ts'
import type { Member, Plan } from './plan.ts'
import { laneOf, slotOf } from './slot.ts'
import { entryOf, isTaken, judge, write } from './store-commit.ts'
import type { LaneData, LogLine } from './store-commit.ts'
import { append, appendNumbered, createStream, readAfter, trimThrough } from './store-streams.ts'
import type { Stream } from './store-streams.ts'

interface FleetData {
  readonly members: Map<string, Member>
  plan: Plan | null
  lead: { readonly boot: string; readonly untilMs: number; readonly term: number } | null
  epoch: number
}
export interface Snapshot {
  readonly lanes: LaneData[]
  readonly fleet: FleetData
}

export interface StoreShape {
  readonly slots: number
  readonly lanes: number
  /** Entries of an outbox at the most. */
  readonly outboxEntries?: number
}

/** Entries that a lane's dead-letter stream keeps. */
export const maxDeadLetters = 10_000

/**
 * The store as a pure, synchronous model: what the Redis scripts do, without Redis. The memory store of `make run` is
 * this model behind the port; the simulator runs fleets on it and takes it back in time. Every method is one atomic
 * step. Clock values are passed in: wall clock, ms.
 */
export class StoreModel {
  readonly shape: StoreShape
  /** Identity of the server state: every claim and vouch writes it, every reply carries it. */
  run: string
  #lanes: LaneData[]
  #fleet: FleetData

  constructor(shape: StoreShape, run = 'memory') {
    this.shape = shape
    this.run = run
    this.#lanes = Array.from({ length: shape.lanes }, emptyLane)
    this.#fleet = emptyFleet()
  }

  append(slot: number, body: string, nowMs: number): string {
    return append(entryOf(this.#of(slot).inputs, slot, createStream), body, nowMs)
  }

  read(lane: number, cursors: ReadonlyMap<number, string>, count: number): Map<number, { id: string; body: string }[]> {
    const found = new Map<number, { id: string; body: string }[]>()
    for (const [slot, cursor] of cursors) {
      const stream = this.#lane(lane).inputs.get(slot)
      const entries = stream === undefined ? [] : readAfter(stream, cursor, count)
      if (entries.length > 0) found.set(slot, entries)
    }
    return found
  }

  newestInput(slot: number, count: number): { id: string; body: string }[] {
    return (this.#of(slot).inputs.get(slot)?.entries ?? []).slice(-count).toReversed()
  }

  deadLetter(slot: number, entry: { id: string; body: string }, reason: string): void {
    const { dead } = this.#of(slot)
    dead.push({ ...entry, reason })
    if (dead.length > maxDeadLetters) dead.shift()
  }

  deadLetters(lane: number): readonly { readonly id: string; readonly body: string; readonly reason: string }[] {
    return this.#lane(lane).dead
  }

  /**
   * As the commit script: checks every slot, then writes all of them that are not written yet, or nothing. To a caller
   * that expects another run everything has regressed.
   */
  commit(lane: number, commits: readonly SlotCommit[], nowMs: number, run = ''): CommitReply {
    if (this.#isElsewhere(run)) return { run: this.run, statuses: commits.map(() => 'regressed'), missing: [] }
    const data = this.#lane(lane)
    const verdicts = commits.map((commit) => judge(data.slots.get(commit.slot), commit))
    verdicts.forEach((verdict, i) => {
      if (verdict === 'match' && commits[i]?.logs.some((log) => isTaken(data, log)) === true) verdicts[i] = 'conflict'
    })
    const statuses = verdicts.map((verdict) => (verdict === 'match' ? 'ok' : verdict))
    const missing = new Set<string>()
    if (statuses.every((status) => status === 'ok')) {
      commits.forEach((commit, i) => {
        if (verdicts[i] === 'match')
          write(data, commit, { missing, nowMs, maxOut: this.shape.outboxEntries ?? maxOutboxEntries })
      })
    }
    return { run: this.run, statuses, missing: [...missing] }
  }

  claim(claim: Claim): ClaimReply {
    const data = this.#of(claim.slot)
    const text = data.slots.get(claim.slot)
    const stored = text === undefined ? undefined : parseSlotValue(text)
    const token = `c${claim.epoch}`
    if (stored !== undefined && stored.epoch >= claim.epoch) {
      return repeatedClaim(claim, { stored, text, run: this.run })
    }
    if (claim.holdsAfter !== undefined && claim.holdsAfter.run !== this.run)
      return { ok: false, run: this.run, value: text ?? null }
    const before = stored === undefined ? undefined : slotPrefix(stored)
    const holds = claim.holdsAfter?.prefix === before ? claim.holdsAfter : undefined
    const isOld = stored !== undefined && stored.epoch <= replacedAt(claim, this.run)
    const proven = this.run !== '' && stored?.run === this.run && stored.epoch >= claim.confirmed && !isOld
    const keeps = stored !== undefined && (proven || holds !== undefined)
    const value = formatSlotValue({
      epoch: claim.epoch,
      owner: claim.owner,
      n: (stored?.n ?? 0) + 1,
      token,
      inc: keeps ? (holds?.inc ?? stored.inc) : claim.epoch,
      run: keeps && holds !== undefined ? heldRun(stored.run, isOld) : this.run,
      cursor: stored?.cursor ?? '0-0',
      marks: stored?.marks ?? new Map(),
    })
    data.slots.set(claim.slot, value)
    if (!keeps) {
      const reset = encodeOut({ type: 'reset', slot: claim.slot, inc: claim.epoch })
      for (const boot of claim.boots) {
        const outbox = data.outboxes.get(boot)
        if (outbox !== undefined) appendNumbered(outbox, reset)
      }
    }
    return { ok: true, run: this.run, value, ...(before === undefined ? {} : { before }) }
  }

  values(lane: number, slots: readonly number[]): SlotValues {
    const data = this.#lane(lane)
    return { run: this.run, values: new Map(slots.map((slot) => [slot, data.slots.get(slot) ?? null])) }
  }

  /** As for a commit, all has regressed to a caller that expects another run. */
  vouch(lane: number, prefixes: ReadonlyMap<number, string>, run = ''): CommitReply {
    if (this.#isElsewhere(run)) return { run: this.run, statuses: Array.from(prefixes, () => 'regressed'), missing: [] }
    const data = this.#lane(lane)
    const statuses = [...prefixes].map(([slot, prefix]): SlotStatus => {
      const text = data.slots.get(slot)
      if (text?.startsWith(prefix) === true) return 'ok'
      const status = judge(text, { expect: prefix, value: prefix })
      // A newer value of this owner's than it knows of is nothing that it may vouch for.
      if (status === 'ok') return 'conflict'
      const behind = text !== undefined && parseSlotValue(text).n < parseSlotValue(prefix).n
      return status === 'match' || (status === 'conflict' && behind) ? 'regressed' : status
    })
    if (statuses.every((status) => status === 'ok')) {
      for (const slot of prefixes.keys()) {
        const text = data.slots.get(slot)
        if (text !== undefined) data.slots.set(slot, formatSlotValue({ ...parseSlotValue(text), run: this.run }))
      }
    }
    return { run: this.run, statuses, missing: [] }
  }

  maintain(
    lane: number,
    work: readonly { slot: number; prefix: string; rooms: readonly string[] }[],
    nowMs: number,
  ): void {
    const data = this.#lane(lane)
    for (const { slot, prefix, rooms } of work) {
      const text = data.slots.get(slot)
      if (text?.startsWith(prefix) !== true) continue
      const stream = data.inputs.get(slot)
      if (stream !== undefined) trimThrough(stream, parseSlotValue(text).cursor)
      for (const room of rooms) {
        const log = data.logs.get(room)
        if (log !== undefined) log.expiresAtMs = nowMs + roomIdleMs
      }
    }
    for (const [room, log] of data.logs) if (log.expiresAtMs <= nowMs) data.logs.delete(room)
  }

  openOutbox(lane: number, boot: string): void {
    const { outboxes } = this.#lane(lane)
    if (outboxes.has(boot)) return
    const outbox = createStream()
    appendNumbered(outbox, encodeOut({ type: 'boot' }))
    outboxes.set(boot, outbox)
  }

  readOutbox(
    lane: number,
    boot: string,
    after: string,
    count: number,
  ): { exists: boolean; entries: { id: string; body: string }[] } {
    const outbox = this.#lane(lane).outboxes.get(boot)
    return outbox === undefined
      ? { exists: false, entries: [] }
      : { exists: true, entries: readAfter(outbox, after, count) }
  }

  trimOutbox(lane: number, boot: string, through: string): void {
    const outbox = this.#lane(lane).outboxes.get(boot)
    if (outbox !== undefined) trimThrough(outbox, through)
  }

  removeOutboxes(boot: string): void {
    for (const lane of this.#lanes) lane.outboxes.delete(boot)
  }

  /** Log entries that hold a seq above `after`, oldest first. */
  roomRange(room: string, after: number, limit: number): LogEntry[] {
    const lines = this.#log(room).filter((line) => line.lastSeq > after)
    return decodeLines(lines.slice(0, limit))
  }

  /** Log entries whose last seq is below `before`, newest first. Throws UnreadableLogError. */
  roomTail(room: string, before: number, limit: number): LogEntry[] {
    const lines = this.#log(room).filter((line) => line.lastSeq < before)
    const asked = lines.toReversed().slice(0, limit)
    return decodeWholeLog(
      room,
      asked.map(({ lastSeq, body }) => ({ id: `${lastSeq}-0`, body })),
    )
  }

  interest(slot: number): Interest[] {
    return [...(this.#of(slot).interest.get(slot)?.values() ?? [])]
  }

  register(member: Member): void {
    this.#fleet.members.set(member.boot, member)
  }

  heartbeat(member: Member, planVersion: number): { known: boolean; plan?: Plan; runs: string[] } {
    const known = this.#fleet.members.has(member.boot)
    if (known) this.#fleet.members.set(member.boot, member)
    const { plan } = this.#fleet
    return { known, runs: [this.run], ...(plan === null || plan.version === planVersion ? {} : { plan }) }
  }

  readFleet(): { members: Member[]; plan: Plan | null; runs: string[] } {
    return { members: [...this.#fleet.members.values()], plan: this.#fleet.plan, runs: [this.run] }
  }

  remove(boot: string): void {
    this.#fleet.members.delete(boot)
    if (this.#fleet.lead?.boot === boot) this.#fleet.lead = null
  }

  lead(boot: string, { ttlMs, term = 0 }: { readonly ttlMs: number; readonly term?: number }, nowMs: number): boolean {
    const { lead } = this.#fleet
    if (lead !== null && lead.boot !== boot && lead.untilMs > nowMs && term <= lead.term) return false
    this.#fleet.lead = { boot, untilMs: nowMs + ttlMs, term }
    return true
  }

  #leads(boot: string, nowMs: number): boolean {
    const { lead } = this.#fleet
    return lead?.boot === boot && lead.untilMs > nowMs
  }

  publishPlan(boot: string, plan: Plan, nowMs: number): boolean {
    if (!this.#leads(boot, nowMs) || (this.#fleet.plan?.version ?? 0) >= plan.version) return false
    this.#fleet.plan = plan
    return true
  }

  /** The first of `count` epochs that were never issued and are above `above`. */
  nextEpoch(above: number, count: number, nowMs = 0): number {
    // A counter that was lost may have stood anywhere below the clock: no epoch may come twice, for positions carry it.
    const last = this.#fleet.epoch === 0 ? Math.floor(nowMs / 1_000) : this.#fleet.epoch
    const first = Math.max(last, above) + 1
    this.#fleet.epoch = first + count - 1
    return first
  }

  /** A consistent copy, as a replica would have it at this moment. */
  snapshot(): Snapshot {
    return structuredCopy({ lanes: this.#lanes, fleet: this.#fleet })
  }

  /** Back to the copy, as after a fail-over to a replica that had just that. The caller changes `run`. */
  restore(snapshot: Snapshot): void {
    const { lanes, fleet } = structuredCopy(snapshot)
    this.#lanes = lanes
    this.#fleet = fleet
  }

  flushAll(): void {
    this.#lanes = Array.from({ length: this.shape.lanes }, emptyLane)
    this.#fleet = emptyFleet()
  }

  /** How much there is of everything, for tests of bounds. */
  sizes(): { inputs: number; outboxes: number; logs: number; interest: number } {
    const sum = (of: (lane: LaneData) => number): number => this.#lanes.reduce((total, lane) => total + of(lane), 0)
    return {
      inputs: sum((lane) => [...lane.inputs.values()].reduce((n, stream) => n + stream.entries.length, 0)),
      outboxes: sum((lane) => [...lane.outboxes.values()].reduce((n, stream) => n + stream.entries.length, 0)),
      logs: sum((lane) => [...lane.logs.values()].reduce((n, log) => n + log.lines.length, 0)),
      interest: sum((lane) => [...lane.interest.values()].reduce((n, fields) => n + fields.size, 0)),
    }
  }

  /** The caller expects another run than this server tells. */
  #isElsewhere(run: string): boolean {
    return run !== '' && this.run !== '' && run !== this.run
  }

  #lane(lane: number): LaneData {
    const data = this.#lanes[lane]
    if (data === undefined) throw new RangeError(`no lane ${lane}`)
    return data
  }

  #of(slot: number): LaneData {
    return this.#lane(laneOf(slot, this.shape.lanes))
  }

  #log(room: string): readonly LogLine[] {
    return this.#of(slotOf(room, this.shape.slots)).logs.get(room)?.lines ?? []
  }
}

const emptyLane = (): LaneData => ({
  slots: new Map(),
  inputs: new Map(),
  outboxes: new Map(),
  logs: new Map(),
  interest: new Map(),
  dead: [],
})
const emptyFleet = (): FleetData => ({ members: new Map(), plan: null, lead: null, epoch: 0 })

function decodeLines(lines: readonly LogLine[]): LogEntry[] {
  const entries: LogEntry[] = []
  for (const { body } of lines) {
    const entry = decodeLog(body)
    if (entry !== undefined) entries.push(entry)
  }
  return entries
}

/** Copies maps and arrays; what they hold at the end (texts, members, plans) is never changed in place. */
function structuredCopy(snapshot: Snapshot): Snapshot {
  return {
    fleet: { ...snapshot.fleet, members: new Map(snapshot.fleet.members) },
    lanes: snapshot.lanes.map((lane) => ({
      slots: new Map(lane.slots),
      inputs: new Map([...lane.inputs].map(([slot, stream]) => [slot, copyStream(stream)])),
      outboxes: new Map([...lane.outboxes].map(([boot, stream]) => [boot, copyStream(stream)])),
      logs: new Map(
        [...lane.logs].map(([room, log]) => [room, { lines: [...log.lines], expiresAtMs: log.expiresAtMs }]),
      ),
      interest: new Map([...lane.interest].map(([slot, fields]) => [slot, new Map(fields)])),
      dead: [...lane.dead],
    })),
  }
}

function copyStream(stream: Stream): Stream {
  return { entries: [...stream.entries], lastId: stream.lastId }
}

/** The very claim that is stored is taken again, any other is refused. */
function repeatedClaim(
  { epoch, owner }: Claim,
  { stored, text, run }: { readonly stored: SlotValue; readonly text: string | undefined; readonly run: string },
): ClaimReply {
  const mine = stored.epoch === epoch && stored.owner === owner && stored.token === `c${epoch}`
  return mine && text !== undefined ? { ok: true, run, value: text } : { ok: false, run, value: text ?? null }
}

/** The epoch up to which a claim under this run proves nothing. */
const replacedAt = (claim: Claim, run: string): number => claim.replaced?.[run] ?? -1

/** What is held is not written yet: a run that was replaced may be the server's, and would prove what is not there. */
const heldRun = (run: string, isOld: boolean): string => (isOld ? '' : run)

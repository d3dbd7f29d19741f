import type { Claim, ClaimReply, CommitReply, SlotCommit, SlotValues } from '../src/commit.ts'
import type { Interest } from '../src/interest.ts'
import type { LogEntry } from '../src/entry.ts'
import type { MaintenanceWork } from '../src/lane-state.ts'
import type { Member, Plan } from '../src/plan.ts'
import { slotOf } from '../src/slot.ts'
import type { Server } from './server.ts'

type Entries = { id: string; body: string }[]

/** The primaries as one store, as the port has it: lane i is on primary `i mod primaries`, what the fleet shares on the first. */
export class Stores {
  readonly #servers: readonly Server[]
  readonly #shape: { readonly slots: number; readonly lanes: number }

  constructor(servers: readonly Server[], shape: { readonly slots: number; readonly lanes: number }) {
    this.#servers = servers
    this.#shape = shape
  }

  primaryOf(lane: number): number {
    return lane % this.#servers.length
  }
  server(lane: number): Server {
    return this.#at(this.primaryOf(lane))
  }
  /** The first is the one that the fleet's own keys are on. */
  get runs(): string[] {
    return this.#servers.map(({ model }) => model.run)
  }

  read(lane: number, cursors: ReadonlyMap<number, string>, count: number): Map<number, Entries> {
    return this.server(lane).model.read(lane, cursors, count)
  }
  append(slot: number, body: string, nowMs: number): void {
    const server = this.#write(slot)
    server.model.append(slot, body, nowMs + server.skewMs)
  }
  commit(lane: number, commits: readonly SlotCommit[], at: { nowMs: number; run: string }): CommitReply {
    return this.#write(lane).model.commit(lane, commits, at.nowMs, at.run)
  }
  claim(claim: Claim): ClaimReply {
    return this.#write(claim.slot).model.claim(claim)
  }
  values(lane: number, slots: readonly number[]): SlotValues {
    return this.server(lane).model.values(lane, slots)
  }
  /** The stored value of one slot. */
  value(slot: number): string | undefined {
    const lane = slot % this.#shape.lanes
    return this.values(lane, [slot]).values.get(slot) ?? undefined
  }
  vouch(lane: number, prefixes: ReadonlyMap<number, string>, run?: string): CommitReply {
    return this.#write(lane).model.vouch(lane, prefixes, run)
  }
  maintain(lane: number, work: readonly MaintenanceWork[], nowMs: number): void {
    this.#write(lane).model.maintain(lane, work, nowMs)
  }
  openOutbox(lane: number, boot: string): void {
    this.#write(lane).model.openOutbox(lane, boot)
  }
  readOutbox(lane: number, boot: string, after: string, count: number): { exists: boolean; entries: Entries } {
    return this.server(lane).model.readOutbox(lane, boot, after, count)
  }
  trimOutbox(lane: number, boot: string, through: string): void {
    this.#write(lane).model.trimOutbox(lane, boot, through)
  }
  /** Of the primaries that are there. */
  removeOutboxes(boot: string, there: (primary: number) => boolean): void {
    this.#servers.forEach((_, primary) => {
      if (there(primary)) this.#write(primary).model.removeOutboxes(boot)
    })
  }
  roomRange(room: string, after: number, limit: number): LogEntry[] {
    return this.#ofRoom(room).model.roomRange(room, after, limit)
  }
  roomTail(room: string, before: number, limit: number): LogEntry[] {
    return this.#ofRoom(room).model.roomTail(room, before, limit)
  }
  interest(slot: number): readonly Interest[] {
    return this.server(slot % this.#shape.lanes).model.interest(slot)
  }
  register(member: Member): void {
    this.#write(0).model.register(member)
  }
  heartbeat(member: Member, planVersion: number): { known: boolean; plan?: Plan; runs: string[] } {
    return { ...this.#write(0).model.heartbeat(member, planVersion), runs: this.runs }
  }
  readFleet(): { members: Member[]; plan: Plan | null; runs: string[] } {
    return { ...this.#at(0).model.readFleet(), runs: this.runs }
  }
  remove(boot: string): void {
    this.#write(0).model.remove(boot)
  }
  lead(boot: string, ttlMs: number, nowMs: number): boolean {
    return this.#write(0).model.lead(boot, { ttlMs }, nowMs)
  }
  publishPlan(boot: string, plan: Plan, nowMs: number): boolean {
    return this.#write(0).model.publishPlan(boot, plan, nowMs)
  }
  /**
   * A counter that was lost goes on at the clock in seconds, which is ahead of it where a fleet has used fewer epochs than seconds have passed
   * since 1970, or since it began. Here a fleet uses hundreds within a minute: so each millisecond counts as a second.
   */
  nextEpoch(above: number, count: number, nowMs: number): number {
    return this.#write(0).model.nextEpoch(above, count, nowMs * 1_000)
  }
  inputsLeft(): number {
    return this.#servers.reduce((sum, { model }) => sum + model.sizes().inputs, 0)
  }
  /** How many slots have a value. */
  claimed(): number {
    let count = 0
    for (let slot = 0; slot < this.#shape.slots; slot += 1) if (this.value(slot) !== undefined) count += 1
    return count
  }

  #at(primary: number): Server {
    const server = this.#servers[primary]
    if (server === undefined) throw new RangeError(`no primary ${primary}`)
    return server
  }
  /** `of`: a lane, or a slot: the lanes are a multiple of the primaries. */
  #write(of: number): Server {
    const server = this.server(of % this.#shape.lanes)
    server.written = true
    return server
  }
  #ofRoom(room: string): Server {
    return this.server(slotOf(room, this.#shape.slots) % this.#shape.lanes)
  }
}

import type { Claim, ClaimReply, CommitReply, SlotCommit } from '../src/commit.ts'
import { parseSlotValue, slotPrefix } from '../src/commit.ts'
import { decodeLog } from '../src/entry.ts'
import type { LogEntry } from '../src/entry.ts'
import { StoreModel } from '../src/store-model.ts'
import type { Snapshot } from '../src/store-model.ts'
import type { Bug } from './bugs.ts'
import { createNetwork } from './network.ts'
import type { Network } from './network.ts'
import { createRecord } from './record.ts'
import type { Record } from './record.ts'

/** How far back a replica may be, ms, and how often it is copied. */
const replicaEveryMs = 150
const replicasKept = 12

/** The store with its faults, and what happened. */
export interface World {
  readonly network: Network
  readonly store: StoreModel
  readonly shape: { readonly slots: number; readonly lanes: number }
  readonly record: Record
  readonly bug: Bug | undefined
  wallMs(): number
  /** Whether a commit that put the message there was ever written. */
  committed(place: { room: string; tag: number; seq: number; message: string }): boolean
  commit(lane: number, commits: readonly SlotCommit[], run: string): CommitReply
  claim(claim: Claim): ClaimReply
  append(slot: number, body: string): void
  history(room: string, after: number, limit: number): readonly LogEntry[]
  /** Changes what a producer appends. */
  rewrite?: (body: string) => string
  removeOutboxes(boot: string): void
  /** Told of every commit before it is sent. */
  onCommit?: (commits: readonly SlotCommit[]) => void
  /** How many states of the server there have been. */
  runs(): number
  /** A fail-over took away the first claim that a slot ever had: its owner cannot prove that it holds everything. */
  firstClaimLost: boolean
  /** Claims that gave a slot a new inc although something had been committed in it. */
  readonly breaks: string[]
  /** Told of every claim that was taken. */
  onClaim?: () => void
  restart(): void
  /** To a replica that has everything up to some moment in the last seconds. */
  failOver(): void
  flushAll(): void
  log(text: string): void
  /** No more copies are made for a fail-over. */
  quiet: boolean
  /** Holes that clients saw: the edge is to leave none. */
  gaps: number
}

export interface WorldOptions {
  readonly seed: number
  readonly bug?: Bug
  readonly log?: (text: string) => void
}

const shape = { slots: 4, lanes: 2 }

export function createWorld({ seed, bug, log }: WorldOptions): World {
  const network = createNetwork(seed)
  const store = new StoreModel(shape, 'run-1')
  const record = createRecord()
  let runs = 1
  /** Of the server's clock, by which it numbers input: a replica's may be behind. */
  let skewMs = 0
  const replicas: Snapshot[] = []
  const committed = new Set<string>()
  const copy = (): void => {
    if (world.quiet) return
    replicas.push(store.snapshot())
    if (replicas.length > replicasKept) replicas.shift()
    network.clock.at(network.clock.now + replicaEveryMs * (0.5 + network.random.next()), copy)
  }
  const nextRun = (): void => {
    store.run = `run-${(runs += 1)}`
    network.store.server = runs
  }
  const wallMs = (): number => 1_700_000_000_000 + Math.floor(network.clock.now)

  const world: World = {
    network,
    store,
    shape,
    record,
    bug,
    wallMs,
    committed: ({ room, tag, seq, message }) => committed.has(`${room} ${tag}:${seq} ${message}`),
    quiet: false,
    gaps: 0,
    log: (text) => log?.(`${network.clock.now.toFixed(1).padStart(9)} ${text}`),
    append: (slot, body) => {
      store.append(slot, body, wallMs() + skewMs)
      network.wake(`in ${slot % shape.lanes}`)
    },
    history: (room, after, limit) => store.roomRange(room, after, limit),
    removeOutboxes: (boot) => {
      store.removeOutboxes(boot)
      wakeReaders()
    },
    commit: (lane, commits, run) => {
      const written = bug === 'no fence' ? commits.map((commit) => unfenced(store, lane, commit)) : commits
      const before = store.values(
        lane,
        commits.map((commit) => commit.slot),
      ).values
      const reply = store.commit(lane, written, wallMs(), run)
      for (const [i, each] of commits.entries())
        world.log(
          `commit ${each.value.split('|').slice(0, 4).join('|')} of slot ${each.slot}: ${reply.statuses[i]} ${each.interest.map((change) => `${change.on ? '+' : '-'}${change.room} ${change.boot}`).join()} ${each.logs.map((log) => `${log.room}:${log.lastSeq}`).join()}`,
        )
      network.wake(`out ${lane}`)
      if (reply.statuses.every((status) => status === 'ok')) for (const each of commits) note(each)
      const after = store.values(
        lane,
        commits.map((commit) => commit.slot),
      ).values
      for (const { slot } of commits) {
        const text = after.get(slot)
        if (text !== null && text !== undefined && text !== before.get(slot))
          record.applied.push({ slot, ...parseSlotValue(text) })
      }
      return reply
    },
    claim: (claim) => {
      if (bug === 'no vouching') vouchFor(store, claim.slot)
      const vouched = bug === 'no vouching' ? { ...claim, confirmed: 0 } : claim
      const before = store.values(claim.slot % shape.lanes, [claim.slot]).values.get(claim.slot)
      const reply = store.claim(vouched)
      network.wake(`out ${claim.slot % shape.lanes}`)
      world.log(
        `${claim.owner} claims slot ${claim.slot} at ${claim.epoch}, confirmed ${claim.confirmed}${claim.holdsAfter === undefined ? '' : `, holds after ${claim.holdsAfter.prefix}`}: ${before ?? 'nothing'} -> ${reply.ok ? reply.value : 'refused'}`,
      )
      if (reply.ok && reply.value !== before) {
        const value = parseSlotValue(reply.value)
        record.applied.push({ slot: claim.slot, ...value })
        world.onClaim?.()
        if (value.inc === claim.epoch && typeof before === 'string' && parseSlotValue(before).n > 1)
          world.breaks.push(`slot ${claim.slot} at ${claim.epoch}`)
      }
      return reply
    },
    runs: () => runs,
    firstClaimLost: false,
    breaks: [],
    restart: () => {
      world.log('restart of the store')
      nextRun()
      network.cut()
    },
    failOver: () => {
      const replica = network.random.pick(replicas)
      const claimed = slotsStored(store)
      world.log(`fail-over, ${replicas.length - replicas.indexOf(replica)} copies back`)
      store.restore(replica)
      if (slotsStored(store) < claimed) world.firstClaimLost = true
      nextRun()
      skewMs = network.random.int(-300_000, 1_000)
      record.applied.push('regress')
      replicas.splice(replicas.indexOf(replica) + 1)
      network.cut()
    },
    flushAll: () => {
      world.log('FLUSHALL')
      store.flushAll()
      record.applied.push('regress')
      replicas.splice(0)
      replicas.push(store.snapshot())
      wakeReaders()
    },
  }
  function note({ logs }: SlotCommit): void {
    for (const { room, body } of logs) {
      const entry = decodeLog(body)
      entry?.messages.forEach((message, i) => committed.add(`${room} ${entry.tag}:${entry.first + i} ${message.tail}`))
    }
  }
  function wakeReaders(): void {
    for (let lane = 0; lane < shape.lanes; lane += 1) {
      network.wake(`in ${lane}`)
      network.wake(`out ${lane}`)
    }
  }
  copy()
  return world
}

function slotsStored(store: StoreModel): number {
  let count = 0
  for (let slot = 0; slot < shape.slots; slot += 1)
    if (store.values(slot % shape.lanes, [slot]).values.get(slot) !== null) count += 1
  return count
}

/** Bug: whatever a server has is vouched for, by nobody who could know. */
function vouchFor(store: StoreModel, slot: number): void {
  const lane = slot % shape.lanes
  const text = store.values(lane, [slot]).values.get(slot)
  if (typeof text === 'string') store.vouch(lane, new Map([[slot, slotPrefix(parseSlotValue(text))]]))
}

/** Bug: whatever is stored is what the commit expects. */
function unfenced(store: StoreModel, lane: number, commit: SlotCommit): SlotCommit {
  const text = store.values(lane, [commit.slot]).values.get(commit.slot)
  return text === null || text === undefined
    ? commit
    : { ...commit, expect: text.split('|').slice(0, 4).join('|') + '|' }
}

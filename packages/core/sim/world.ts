import type { Claim, ClaimReply, CommitReply, SlotCommit } from '../src/commit.ts'
import { parseSlotValue, slotPrefix } from '../src/commit.ts'
import { decodeLog } from '../src/entry.ts'
import type { LogEntry } from '../src/entry.ts'
import { retainMs } from '../src/limits.ts'
import { StoreModel } from '../src/store-model.ts'
import type { Bug } from './bugs.ts'
import { drawDrains } from './drains.ts'
import type { Drains } from './drains.ts'
import { drawKnobs } from './knobs.ts'
import type { Knobs } from './knobs.ts'
import { createNetwork } from './network.ts'
import type { Network } from './network.ts'
import { createRecord } from './record.ts'
import type { Landmark, Record } from './record.ts'
import { createServer, replicate } from './server.ts'
import type { Server } from './server.ts'
import { Stores } from './stores.ts'

/** The store with its faults, and what happened. */
export interface World {
  readonly network: Network
  readonly knobs: Knobs
  readonly stores: Stores
  readonly shape: { readonly slots: number; readonly lanes: number }
  readonly record: Record
  readonly bug: Bug | undefined
  /** Connections that a user may have; 0: they are not counted. */
  readonly perUser: number
  /** Workers tell of rooms (told.ts). */
  readonly told: boolean
  /** Clients are members of their rooms. */
  readonly members: boolean
  /** How edges drain, if some do. */
  readonly drains: Drains | undefined
  wallMs(): number
  /** Whether a commit that put the message there was ever written. */
  committed(place: { room: string; tag: number; seq: number; message: string }): boolean
  commit(lane: number, commits: readonly SlotCommit[], run: string): CommitReply
  claim(claim: Claim): ClaimReply
  append(slot: number, body: string): void
  history(room: string, after: number, limit: number): readonly LogEntry[]
  /** Changes what a producer appends. */
  rewrite?: (body: string) => string
  /** Of the primaries that are there. */
  removeOutboxes(boot: string): void
  /** Told of every commit before it is sent. */
  onCommit?: (commits: readonly SlotCommit[]) => void
  /** Whether a primary has become another than it was at the start. */
  changed(): boolean
  /** Why continuity may be given up in this run. */
  readonly excuses: Set<string>
  /** Claims that gave a slot a new inc although something had been committed in it. */
  readonly breaks: string[]
  /** Told of every claim that was taken, and of its primary. */
  onClaim?: (primary: number) => void
  restart(primary: number): void
  /** To a replica that has everything up to some moment in the last seconds. */
  failOver(primary: number): void
  /** To the server that the last fail-over left: as it was then. */
  failBack(primary: number): void
  /** Its replicas fall behind from now on. */
  cutReplicas(primary: number, ms: number): void
  flushAll(): void
  log(text: string): void
  /** Counts that the run has been there. */
  reach(landmark: Landmark): void
  /** No more copies are made for a fail-over. */
  quiet: boolean
  /** Holes that clients saw: the edge is to leave none. */
  gaps: number
}

export interface WorldOptions {
  readonly seed: number
  readonly bug?: Bug
  readonly log?: (text: string) => void
  /**
   * A server that comes back does so under the run it had, because nobody told it that it was replaced: it does not happen
   * where every server that is not the primary is made a replica, as Sentinel and Cluster do.
   */
  readonly undemoted?: boolean
  /** Users have limited connections, and phones that contend for them. */
  readonly counted?: boolean
  /** Workers tell who is in which rooms. */
  readonly told?: boolean
  /** Clients are members of their rooms, and are told of the others. */
  readonly members?: boolean
  /** In some seeds edges drain; false: in none. */
  readonly edgeDrains?: boolean
}

const shape = { slots: 4, lanes: 2 }
/** Commits retained are surely there for a lag below this, ms. */
const coveredMs = retainMs - 2_000

export function createWorld(options: WorldOptions): World {
  const { seed, bug, log, undemoted = false, counted = false, told = false, edgeDrains = true } = options
  const { members = false } = options
  const network = createNetwork(seed, 2)
  const { clock, random } = network
  const knobs = drawKnobs(random)
  const perUser = counted ? random.int(1, 2) : 0
  const servers = Array.from({ length: knobs.primaries }, (_, i) =>
    createServer(new StoreModel({ ...shape, outboxEntries: knobs.outboxEntries }, `run-${i}.1`)),
  )
  const stores = new Stores(servers, shape)
  const record = createRecord()
  const committed = new Set<string>()
  const wallMs = (): number => 1_700_000_000_000 + Math.floor(clock.now)
  const at = (primary: number): Server => {
    const server = servers[primary]
    if (server === undefined) throw new RangeError(`no primary ${primary}`)
    return server
  }
  /** What was sent to the server before reaches none. */
  const another = (primary: number, run?: string): void => {
    const server = at(primary)
    server.runs += 1
    server.model.run = run ?? `run-${primary}.${server.runs}`
    server.written = true
    network.line(primary).server += 1
    network.cut(primary)
  }
  /** The model goes back to what it was at `sinceMs`. */
  const goBack = (primary: number, snapshot: Parameters<StoreModel['restore']>[0], sinceMs: number): void => {
    const claimed = stores.claimed()
    at(primary).model.restore(snapshot)
    if (stores.claimed() < claimed)
      world.excuses.add('a first claim was lost: its owner cannot prove that it holds everything')
    if (clock.now - sinceMs > coveredMs) {
      world.reach('lag beyond what is retained')
      world.excuses.add('more was lost than is retained')
    }
    record.applied.push('regress')
  }

  const world: World = {
    ...{
      network,
      knobs,
      stores,
      shape,
      record,
      bug,
      perUser,
      told,
      members,
      drains: edgeDrains ? drawDrains(seed) : undefined,
      wallMs,
      quiet: false,
      gaps: 0,
      excuses: new Set(),
      breaks: [],
    },
    committed: ({ room, tag, seq, message }) => committed.has(`${room} ${tag}:${seq} ${message}`),
    log: (text) => log?.(`${clock.now.toFixed(1).padStart(9)} ${text}`),
    reach: (landmark) => record.reached.set(landmark, (record.reached.get(landmark) ?? 0) + 1),
    append: (slot, body) => {
      stores.append(slot, body, wallMs())
      network.wake(`in ${slot % shape.lanes}`)
    },
    history: (room, after, limit) => stores.roomRange(room, after, limit),
    removeOutboxes: (boot) => {
      stores.removeOutboxes(boot, (primary) => !network.line(primary).away)
      wakeReaders()
    },
    commit: (lane, commits, run) => {
      const written = bug === 'no fence' ? commits.map((commit) => unfenced(stores, commit)) : commits
      const before = commits.map(({ slot }) => stores.value(slot))
      const reply = stores.commit(lane, written, { nowMs: wallMs(), run })
      for (const [i, each] of commits.entries()) {
        if (log !== undefined) world.log(describe(each, reply.statuses[i]))
        if (reply.statuses[i] === 'conflict') world.reach('conflict')
        if (reply.statuses[i] === 'fenced') world.reach('fenced commit')
        if (each.logs.some(({ keepFromSeq }) => keepFromSeq > 1)) world.reach('log trimmed')
      }
      network.wake(`out ${lane}`)
      if (reply.statuses.every((status) => status === 'ok')) for (const each of commits) note(each)
      commits.forEach(({ slot }, i) => {
        const text = stores.value(slot)
        if (text !== undefined && text !== before[i]) record.applied.push({ slot, ...parseSlotValue(text) })
        if (text !== undefined && perUser > 0) noteConnections(slot, parseSlotValue(text).inc)
      })
      return reply
    },
    claim: (claim) => {
      if (bug === 'no vouching') vouchFor(stores, claim.slot)
      const vouched = bug === 'no vouching' ? { ...claim, confirmed: 0 } : claim
      const before = stores.value(claim.slot)
      const reply = stores.claim(vouched)
      network.wake(`out ${claim.slot % shape.lanes}`)
      world.log(
        `${claim.owner} claims slot ${claim.slot} at ${claim.epoch}, confirmed ${claim.confirmed}${claim.holdsAfter === undefined ? '' : `, holds after ${claim.holdsAfter.prefix}`}: ${before ?? 'nothing'} -> ${reply.ok ? reply.value : 'refused'}`,
      )
      if (reply.ok && reply.value !== before) claimTaken(claim, reply.value, before)
      return reply
    },
    changed: () => servers.some(({ runs }) => runs > 1),
    restart: (primary) => {
      world.log(`restart of primary ${primary}`)
      world.reach('restart')
      another(primary)
    },
    failOver: (primary) => {
      const server = at(primary)
      const replica = random.pick(server.replicas)
      const place = server.replicas.indexOf(replica)
      world.log(
        `fail-over of primary ${primary}, ${server.replicas.length - place} copies back, ${clock.now - replica.atMs} ms`,
      )
      world.reach('fail-over')
      server.left = { run: server.model.run, snapshot: server.model.snapshot(), skewMs: server.skewMs, atMs: clock.now }
      const next = server.replicas[place + 1]
      goBack(primary, replica.snapshot, next === undefined && !server.written ? clock.now : replica.atMs)
      another(primary)
      server.skewMs = random.int(-300_000, 1_000)
      server.replicas.splice(place + 1)
    },
    failBack: (primary) => {
      const server = at(primary)
      const { left } = server
      if (left === undefined) return
      world.log(`back to the server that primary ${primary} was${undemoted ? ', never demoted' : ''}`)
      world.reach('fail-over and back')
      server.left = undefined
      goBack(primary, left.snapshot, left.atMs)
      another(primary, undemoted ? left.run : undefined)
      server.skewMs = left.skewMs
      server.replicas.splice(0, server.replicas.length, { atMs: clock.now, snapshot: left.snapshot })
    },
    cutReplicas: (primary, ms) => {
      world.log(`the replicas of primary ${primary} fall behind for ${ms} ms`)
      at(primary).replicasCutUntil = clock.now + ms
    },
    flushAll: () => {
      world.log('FLUSHALL')
      world.excuses.add('FLUSHALL')
      world.reach('FLUSHALL')
      record.applied.push('regress')
      servers.forEach((server) => {
        server.model.flushAll()
        server.left = undefined
        server.replicas.splice(0, server.replicas.length, { atMs: clock.now, snapshot: server.model.snapshot() })
      })
      wakeReaders()
    },
  }
  function claimTaken(claim: Claim, text: string, before: string | undefined): void {
    const value = parseSlotValue(text)
    record.applied.push({ slot: claim.slot, ...value })
    world.onClaim?.(stores.primaryOf(claim.slot % shape.lanes))
    if (before === undefined) return
    const old = parseSlotValue(before)
    if (old.owner !== claim.owner) world.reach('take-over')
    if (claim.holdsAfter !== undefined && value.inc !== claim.epoch) world.reach('claim that goes on')
    if (value.inc !== claim.epoch || old.n <= 1) return
    world.reach('new inc')
    world.breaks.push(`slot ${claim.slot} at ${claim.epoch}`)
  }
  /** Those of another incarnation count for nobody, and are about to be removed. */
  function noteConnections(slot: number, now: number): void {
    const counts = new Map<string, number>()
    for (const { room, connection, inc, member } of stores.interest(slot))
      if (connection !== undefined && member === undefined && inc === now) counts.set(room, (counts.get(room) ?? 0) + 1)
    for (const [room, count] of counts)
      if (count > perUser && !record.kept.has(room))
        record.tooMany.push(`${count} connections of ${room} count at ${clock.now}`)
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
  for (const server of servers) replicate(network, server, () => world.quiet)
  return world
}

function describe({ slot, value, interest, logs }: SlotCommit, status: string | undefined): string {
  const changes = interest.map((change) => `${change.on ? '+' : '-'}${change.room} ${change.boot}`).join()
  const heads = logs.map((each) => `${each.room}:${each.lastSeq}`).join()
  return `commit ${value.split('|').slice(0, 4).join('|')} of slot ${slot}: ${status} ${changes} ${heads}`
}

/** Bug: whatever a server has is vouched for, by nobody who could know. */
function vouchFor(stores: Stores, slot: number): void {
  const text = stores.value(slot)
  if (text !== undefined) stores.vouch(slot % shape.lanes, new Map([[slot, slotPrefix(parseSlotValue(text))]]))
}

/** Bug: whatever is stored is what the commit expects. */
function unfenced(stores: Stores, commit: SlotCommit): SlotCommit {
  const text = stores.value(commit.slot)
  return text === undefined ? commit : { ...commit, expect: text.split('|').slice(0, 4).join('|') + '|' }
}

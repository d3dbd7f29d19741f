import { decodeLog, encodeOut, RS, US } from '@flotilla/core/entry'
import type { LogEntry } from '@flotilla/core/entry'
import { maxOutboxEntries, roomIdleMs } from '@flotilla/core/limits'
import { laneOf } from '@flotilla/core/slot'
import type { Claim, ClaimReply, CommitReply, SlotCommit, SlotStatus } from '@flotilla/core/commit'
import type { Log } from '../../log.ts'
import type { Outboxes, ReadOptions, RoomLogs, SlotStore, InputStreams, Store, StreamEntry } from '../port.ts'
import { checkPlace, checkServer, checkShape } from './checks.ts'
import { redisFleet } from './fleet.ts'
import { createKeys } from './keys.ts'
import type { Keys } from './keys.ts'
import * as scripts from './scripts.ts'
import { clusterTopology, fixedTopology, whenReady } from './topology.ts'
import type { Topology } from './topology.ts'

export interface RedisStoreOptions {
  /** One URL; several: independent primaries; with `cluster`: some nodes of one Redis Cluster. */
  readonly urls: readonly string[]
  readonly cluster?: boolean
  /** In front of every key: several fleets may share a server. */
  readonly prefix?: string
  readonly slots: number
  readonly lanes: number
  readonly log: Log
  readonly commandTimeoutMs?: number
}

const statusOf: readonly SlotStatus[] = ['ok', 'ok', 'fenced', 'unclaimed', 'regressed', 'conflict']
const matches = 0
/** Entries that a lane's dead-letter stream keeps. */
const maxDeadLetters = 10_000

interface Context {
  readonly keys: Keys
  readonly topology: Topology
  readonly lanes: number
}

/**
 * The store on Redis 7.0 or newer, or Valkey: one server, several independent primaries, or a Redis Cluster. Rejects
 * when a server is too old, may evict keys, or holds a fleet of another shape.
 */
export async function createRedisStore(options: RedisStoreOptions): Promise<Store> {
  const { slots, lanes, log } = options
  const keys = createKeys(options.prefix ?? '', { slots, lanes })
  const commandTimeoutMs = options.commandTimeoutMs ?? 2_000
  const runs = new Map<number, string>()
  const listeners = new Set<(primary: number, run: string) => void>()
  const onRun = (primary: number, run: string): void => {
    runs.set(primary, run)
    for (const listener of listeners) listener(primary, run)
  }
  const base = { urls: options.urls, cluster: options.cluster === true, keys, log, commandTimeoutMs, onRun }
  const topology = base.cluster ? await clusterTopology(base) : fixedTopology(base)
  try {
    if (topology.nodes.length > lanes) throw new Error(`${topology.nodes.length} primaries for ${lanes} lanes: FLOTILLA_LANES must not be lower`)
    for (const [index, node] of topology.nodes.entries()) {
      await whenReady(node, commandTimeoutMs)
      await checkServer(node, base.cluster)
      if (!base.cluster) await checkPlace(node, keys, { index, of: topology.nodes.length })
    }
    await checkShape(topology.fleet, keys, { slots, lanes })
  } catch (error) {
    topology.close()
    throw error
  }
  const context = { keys, topology, lanes }
  return {
    shape: { slots, lanes },
    primaryOf: (lane) => topology.primaryOf(lane),
    inputs: inputStreams(context),
    slots: slotStore(context),
    outboxes: outboxStore(context),
    rooms: roomLogs(context),
    fleet: redisFleet(topology, keys),
    watchRuns: (listener) => {
      listeners.add(listener)
      for (const [primary, run] of runs) listener(primary, run)
      return () => listeners.delete(listener)
    },
    close: () => {
      topology.close()
      return Promise.resolve()
    },
  }
}

function inputStreams({ keys, topology, lanes }: Context): InputStreams {
  return {
    append: async (slot, body) => {
      await topology.lane(laneOf(slot, lanes)).command('XADD', [keys.input(slot), '*', 'b', body])
    },
    read: async (lane, cursors, { blockMs, count, signal }) => {
      const slots = [...cursors.keys()]
      const node = topology.lane(lane)
      const name = `in:${lane}`
      const ids = slots.map((slot) => cursors.get(slot) ?? '0-0')
      const args = ['COUNT', count, 'BLOCK', blockMs, 'STREAMS', ...slots.map((slot) => keys.input(slot)), ...ids]
      const reply = await abortable(signal, () => node.wake(name), () => node.blockingRead(name, args, blockMs))
      const byKey = new Map(slots.map((slot) => [keys.input(slot), slot]))
      const found = new Map<number, readonly StreamEntry[]>()
      for (const [key, entries] of streamsOf(reply)) {
        const slot = byKey.get(key)
        if (slot !== undefined) found.set(slot, entries)
      }
      return found
    },
    wake: (lane) => topology.lane(lane).wake(`in:${lane}`),
    deadLetter: async (slot, entry, reason) => {
      const lane = laneOf(slot, lanes)
      const fields = ['slot', slot, 'id', entry.id, 'reason', reason, 'b', entry.body]
      await topology.lane(lane).command('XADD', [keys.dead(lane), 'MAXLEN', '~', maxDeadLetters, '*', ...fields])
    },
  }
}

/** An abort wakes the server's side too, so that the connection is free for the next read. */
async function abortable(signal: AbortSignal, wake: () => void, read: () => Promise<unknown>): Promise<unknown> {
  if (signal.aborted) return null
  signal.addEventListener('abort', wake, { once: true })
  try {
    return await read()
  } finally {
    signal.removeEventListener('abort', wake)
  }
}

type RawStreams = [string, [string, string[]][]][]

function streamsOf(reply: unknown): [string, StreamEntry[]][] {
  if (reply === null || reply === undefined) return []
  return (reply as RawStreams).map(([key, entries]) => [key, entries.map(([id, fields]) => ({ id, body: fields[1] ?? '' }))])
}

function slotStore(context: Context): SlotStore {
  const { keys, topology, lanes } = context
  return {
    commit: (lane, commits) => commit(context, lane, commits),
    claim: (claim) => writeClaim(context, claim),
    values: async (lane, slots) => {
      const node = topology.lane(lane)
      const [run, found] = await node.script(scripts.values, [keys.slots(lane)], slots)
      const texts = found as (string | null)[]
      return { run, values: new Map(slots.map((slot, i) => [slot, texts[i] ?? null])) }
    },
    vouch: async (lane, prefixes) => {
      const node = topology.lane(lane)
      const args = [...prefixes].flatMap(([slot, prefix]) => [slot, prefix])
      const [run, statuses] = await node.script(scripts.vouch, [keys.slots(lane)], args)
      return { run, statuses: (statuses as number[]).map(toStatus), missing: [] }
    },
    maintain: async (lane, work) => {
      const inputs = work.map(({ slot }) => keys.input(slot))
      const logs = work.flatMap(({ rooms }) => rooms.map((room) => keys.logIn(lane, room)))
      const args = work.flatMap(({ slot, prefix, rooms }) => [slot, prefix, rooms.length])
      await topology.lane(lane).script(scripts.maintain, [keys.slots(lane), ...inputs, ...logs], [work.length, roomIdleMs, ...args])
    },
  }

  async function writeClaim({ keys: of }: Context, claim: Claim): Promise<ClaimReply> {
    const lane = laneOf(claim.slot, lanes)
    const node = topology.lane(lane)
    const reset = encodeOut({ type: 'reset', slot: claim.slot, inc: claim.epoch })
    const outboxes = claim.boots.map((boot) => of.outbox(lane, boot))
    const args = [claim.slot, claim.epoch, claim.owner, claim.confirmed, claim.holdsAfter?.prefix ?? '', reset, claim.holdsAfter?.inc ?? 0]
    const [run, taken, text, before] = await node.script(scripts.claim, [of.slots(lane), ...outboxes], args)
    const value = typeof text === 'string' && text !== '' ? text : null
    if (taken !== 1 || value === null) return { ok: false, run, value }
    return { ok: true, run, value, ...(typeof before === 'string' && before !== '' ? { before } : {}) }
  }
}

const toStatus = (code: number): SlotStatus => statusOf[code] ?? 'conflict'

/** One script call; a second one when some of the slots turn out to be written already and others not. */
async function commit(context: Context, lane: number, commits: readonly SlotCommit[]): Promise<CommitReply> {
  const { keys, topology } = context
  const node = topology.lane(lane)
  const call = composeCall(keys, lane, commits)
  const [run, codes, missing] = (await node.script(scripts.commit, call.keys, call.args)) as [string, number[], number[]]
  const statuses = codes.map(toStatus)
  const unwritten = commits.filter((_, i) => codes[i] === matches)
  let next = 0
  const mixed = statuses.every((status) => status === 'ok') && unwritten.length > 0 && unwritten.length < commits.length
  if (mixed) {
    const second = await commit(context, lane, unwritten)
    return { ...second, statuses: codes.map((code) => (code === matches ? (second.statuses[next++] ?? 'conflict') : 'ok')) }
  }
  return { run, statuses, missing: missing.map((i) => call.boots[i] ?? '') }
}

interface CommitCall {
  readonly keys: string[]
  readonly args: (string | number)[]
  readonly boots: readonly string[]
}

/** The flat arguments of the script (scripts.ts). What several slots tell one boot is one entry. */
function composeCall(keys: Keys, lane: number, commits: readonly SlotCommit[]): CommitCall {
  const names = [keys.slots(lane)]
  const args: (string | number)[] = [commits.length]
  for (const { slot, expect, value } of commits) args.push(slot, expect, value)
  let logs = 0
  const logsAt = args.push(0) - 1
  const outs = new Map<string, string>()
  for (const each of commits) {
    for (const { room, lastSeq, body, keepFromSeq } of each.logs) {
      logs += 1
      names.push(keys.logIn(lane, room))
      args.push(`${lastSeq}-0`, `${keepFromSeq}-0`, body)
    }
    for (const [boot, text] of each.outs) {
      const before = outs.get(boot)
      outs.set(boot, before === undefined ? text : before + RS + text)
    }
  }
  args[logsAt] = logs
  args.push(outs.size)
  for (const [boot, text] of outs) {
    names.push(keys.outbox(lane, boot))
    args.push(text)
  }
  const changing = commits.filter(({ interest }) => interest.length > 0)
  args.push(changing.length)
  for (const { slot, interest } of changing) {
    names.push(keys.interest(slot))
    args.push(interest.length)
    for (const { room, boot, on } of interest) args.push(on ? '+' : '-', room + US + boot)
  }
  return { keys: names, args, boots: [...outs.keys()] }
}

function outboxStore({ keys, topology, lanes }: Context): Outboxes {
  return {
    open: async (lane, boot) => {
      await topology.lane(lane).script(scripts.open, [keys.outbox(lane, boot)], [encodeOut({ type: 'boot' })])
    },
    read: async (lane, boot, after, { blockMs, count, signal }: ReadOptions) => {
      const node = topology.lane(lane)
      const key = keys.outbox(lane, boot)
      const name = `out:${lane}:${boot}`
      const args = ['COUNT', count, 'BLOCK', blockMs, 'STREAMS', key, after]
      const reply = await abortable(signal, () => node.wake(name), () => node.blockingRead(name, args, blockMs))
      const entries = streamsOf(reply)[0]?.[1] ?? []
      if (entries.length > 0 || signal.aborted) return { exists: true, entries }
      // A blocked read of a key that is gone is silent, so it is looked for.
      return { exists: (await node.command('EXISTS', [key])) === 1, entries }
    },
    trim: async (lane, boot, through) => {
      const dash = through.indexOf('-')
      const next = `${through.slice(0, dash)}-${Number(through.slice(dash + 1)) + 1}`
      await topology.lane(lane).command('XTRIM', [keys.outbox(lane, boot), 'MINID', next])
    },
    remove: async (boot) => {
      const all = Array.from({ length: lanes }, (_, lane) => topology.lane(lane).command('UNLINK', [keys.outbox(lane, boot)]))
      await Promise.all(all)
    },
  }
}

function roomLogs({ keys, topology, lanes }: Context): RoomLogs {
  const laneOfKey = (room: string): number => keys.laneOfRoom(room)
  const entriesOf = (reply: unknown): LogEntry[] => {
    const entries: LogEntry[] = []
    for (const [, fields] of reply as [string, string[]][]) {
      const entry = decodeLog(fields[1] ?? '')
      if (entry !== undefined) entries.push(entry)
    }
    return entries
  }
  return {
    range: async (room, after, limit) =>
      entriesOf(await topology.lane(laneOfKey(room)).command('XRANGE', [keys.log(room), `${after + 1}-0`, '+', 'COUNT', limit])),
    tail: async (room, before, limit) => {
      const end = before === Infinity ? '+' : `(${before}-0`
      return entriesOf(await topology.lane(laneOfKey(room)).command('XREVRANGE', [keys.log(room), end, '-', 'COUNT', limit]))
    },
    interest: async (slot) => {
      const fields = (await topology.lane(laneOf(slot, lanes)).command('HKEYS', [keys.interest(slot)])) as string[]
      return fields.map((field) => {
        const at = field.lastIndexOf(US)
        return { room: field.slice(0, at), boot: field.slice(at + 1) }
      })
    },
  }
}

if (maxOutboxEntries !== 100_000) throw new Error('the commit script and limits.ts disagree on maxOutboxEntries')

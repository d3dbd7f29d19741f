import { randomBytes } from 'node:crypto'
import type { CommitReply } from '@flotilla/core/commit'
import { UnreadableLogError } from '@flotilla/core/whole-log'
import type { LogEntry } from '@flotilla/core/entry'
import { ownedEpochs, pendingBytes, stepLane, vouchedRuns } from '@flotilla/core/lane'
import { createLane } from '@flotilla/core/lane-state'
import type { LaneEffect, LaneInput, LaneState, RoomRead } from '@flotilla/core/lane-state'
import { createBackoff, wait } from '@flotilla/node/backoff'
import type { Log } from '@flotilla/node/log'
import { createReadPace } from '@flotilla/node/read-pace'
import type { Scope } from '@flotilla/node/scope'
import { StoreError } from '@flotilla/node/store/port'
import type { Store } from '@flotilla/node/store/port'
import type { ShardMetrics } from './metrics.ts'
import { ReadAhead } from './read-ahead.ts'
import { fitting, readRoomLog } from './room-log.ts'
import { createTurns } from './turns.ts'

/** Input read but not yet committed, bytes per lane; above it the lane is not read further. */
const maxPendingBytes = 16_777_216
/** Of one slot: one that waits, for a room whose log cannot be read, must not keep its neighbours from being read. */
const maxSlotPendingBytes = maxPendingBytes / 8
const readBlockMs = 1_000
/** Entries of each slot per read at the most, and what a read is to bring at the most, about, in UTF-16 units. */
const maxReadCount = 256
const readChars = 4_194_304
/** Reads of a busy lane: 4 ms apart, 10 at 33,000 messages of 370 bytes a second, 16 at 67,000. */
const readPace = { leastMs: 4, mostMs: 16, charsPerMs: 2_048 }
/** Rooms of one lane that are loaded at the same time. */
const maxLoads = 64
/** A store that answers reads and refuses writes is not asked as fast as it answers, ms. */
const refusedBaseMs = 20
const refusedMaxMs = 1_000

/** A room whose log could not be read is tried again after this, ms. */
const unreadableRetryMs = 2_000

type LoadEffect = Extract<LaneEffect, { type: 'loadRoom' }>

export interface LaneDeps {
  readonly store: Store
  readonly log: Log
  readonly scope: Scope
  readonly metrics: ShardMetrics
  /** Asks for a heartbeat, and for a new list of members, as soon as possible. */
  report(): void
  refreshMembers(): void
}

export interface LaneLoop {
  input(input: LaneInput): void
  owned(): Map<number, number>
  vouched(): Map<number, string>
  /** While true nothing new is read; state and commits under way are kept. */
  pause(paused: boolean): void
}

/** Runs one lane: executes the effects of the reducer and feeds it their answers. */
export function runLane(lane: number, owner: string, deps: LaneDeps): LaneLoop {
  const { store, scope } = deps
  const state = createLane(lane, store.shape.lanes, owner, { seed: randomBytes(4).readInt32LE() })
  const reader = createReader(state, deps, (input) => step(input))
  const loads = createTurns(maxLoads)
  const ahead = new ReadAhead({ store, log: deps.log, lane, owner, signal: scope.signal })
  let loaded: RoomRead[] = []
  const refused = createBackoff({ baseMs: refusedBaseMs, maxMs: refusedMaxMs, random: Math.random })

  function step(input: LaneInput): void {
    if (scope.signal.aborted) return
    if (input.type === 'plan') ahead.plan(input.plan)
    const effects = stepLane(state, input, { now: performance.now(), wallMs: Date.now() })
    for (const effect of effects) execute(effect)
    reader.consumed()
  }

  function execute(effect: LaneEffect): void {
    switch (effect.type) {
      case 'read':
        return reader.read(effect.slot, effect.cursor, effect.read)
      case 'release':
        deps.metrics.released.inc({ reason: effect.reason })
        deps.log[effect.reason === 'conflict' ? 'error' : 'info']('slot released', {
          slot: effect.slot,
          reason: effect.reason,
        })
        return reader.stop(effect.slot)
      case 'members':
        return deps.refreshMembers()
      case 'report':
        return deps.report()
      case 'commit':
        deps.metrics.commits.inc()
        deps.metrics.messages.inc(effect.messages)
        return answer(effect.id, store.slots.commit(lane, effect.commits, effect.run).then(countRefused))
      case 'vouch':
        return answer(effect.id, store.slots.vouch(lane, effect.prefixes, effect.run))
      case 'values':
        return ask(
          'values',
          () => store.slots.values(lane, effect.slots),
          (values) => step({ type: 'values', values }),
        )
      case 'claim':
        return claim(effect)
      case 'loadRoom':
        return void loads(() => loadRoom(effect))
      case 'maintain':
        return tell('maintain', store.slots.maintain(lane, effect.work))
      case 'deadLetter':
        for (const entry of effect.entries) {
          deps.metrics.deadLetters.inc()
          deps.log.error('input entry cannot be decoded, put aside', { slot: effect.slot, entry: entry.id })
          tell('dead letter', store.inputs.deadLetter(effect.slot, entry, 'undecodable'))
        }
    }
  }

  function countRefused(reply: CommitReply): CommitReply {
    for (const status of reply.statuses) if (status !== 'ok') deps.metrics.commitsRefused.inc({ status })
    return reply
  }

  function answer(id: number, call: Promise<CommitReply>): void {
    const started = performance.now()
    call.then(
      (reply) => {
        refused.reset()
        deps.metrics.commitSeconds.observe((performance.now() - started) / 1_000)
        step({ type: 'committed', id, reply })
      },
      async (error: unknown) => {
        deps.metrics.commitFailures.inc()
        deps.log.warn('commit not answered', { lane, error: describe(error) })
        await wait(refused.next(), scope.signal).catch(() => undefined)
        step({ type: 'commitFailed', id })
      },
    )
  }

  /** Repeats a read-only or idempotent call until the store answers; ends with the scope. */
  function ask<T>(what: string, call: () => Promise<T>, then: (value: T) => void): void {
    void askUntilAnswered(what, call, deps).then((value) => {
      if (value !== undefined) then(value)
    })
  }

  function claim(effect: Extract<LaneEffect, { type: 'claim' }>): void {
    const call = async (): Promise<Extract<LaneInput, { type: 'claimed' }> | 'superseded'> => {
      await ahead.ready(effect.claim.slot)
      if (scope.signal.aborted) return 'superseded'
      if (state.claiming.get(effect.claim.slot) !== effect.claim) return 'superseded'
      const reply = await store.slots.claim(effect.claim)
      const interest = reply.ok ? await store.rooms.interest(effect.claim.slot) : []
      return { type: 'claimed', claim: effect.claim, reply, interest }
    }
    ask('claim', call, (input) => {
      if (input === 'superseded') return
      deps.metrics.claims.inc({ result: input.reply.ok ? 'taken' : 'refused' })
      step(input)
    })
  }

  async function loadRoom(effect: LoadEffect): Promise<void> {
    // A load that nobody waits for any more must not keep others waiting.
    const wanted = (): boolean => state.slots.get(effect.slot)?.reads === effect.read
    let known = ahead.take(effect.slot, effect.room, state.slots.get(effect.slot)?.returnedTo)
    const read = (): Promise<LogEntry[] | 'unreadable' | undefined> => {
      const options = { wanted, ...(known === undefined ? {} : { ahead: known }) }
      // Should it fail, the next attempt asks for less at a time.
      known = undefined
      return readRoomLog(store, effect.room, options).catch((error: unknown) => unreadable(effect, error))
    }
    const entries = await askUntilAnswered('load room', read, deps)
    if (entries === undefined) return
    if (entries === 'unreadable') return void loadLater(effect)
    if (loaded.length === 0) setImmediate(takeLoaded)
    loaded.push({ slot: effect.slot, read: effect.read, room: effect.room, entries })
  }

  function unreadable({ slot, room }: LoadEffect, error: unknown): 'unreadable' {
    if (!(error instanceof UnreadableLogError)) throw error
    deps.metrics.unreadableLogs.inc()
    deps.log.error('the log of a room cannot be read: its slot waits, its input is kept', {
      lane,
      slot,
      room,
      code: error.code,
      error: error.message,
    })
    return 'unreadable'
  }

  /** Others are loaded meanwhile. A worker that can read it may take the slot over, or somebody mends the log. */
  async function loadLater(effect: LoadEffect): Promise<void> {
    await wait(unreadableRetryMs, scope.signal).catch(() => undefined)
    if (!scope.signal.aborted) void loads(() => loadRoom(effect))
  }

  /** All that one answer of the store brought. */
  function takeLoaded(): void {
    const rooms = loaded
    loaded = []
    step({ type: 'rooms', rooms })
  }

  function tell(what: string, call: Promise<void>): void {
    call.catch((error: unknown) =>
      deps.log.warn(`${what} failed, it is repeated or not needed`, { lane, error: describe(error) }),
    )
  }

  scope.every(100, () => step({ type: 'tick' }))
  return {
    input: step,
    owned: () => ownedEpochs(state),
    vouched: () => vouchedRuns(state),
    pause: reader.pause,
  }
}

async function askUntilAnswered<T>(what: string, call: () => Promise<T>, deps: LaneDeps): Promise<T | undefined> {
  const backoff = createBackoff({ baseMs: 50, maxMs: 2_000, random: Math.random })
  while (!deps.scope.signal.aborted) {
    try {
      return await call()
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      deps.log.warn(`${what} failed, asking again`, { error: error.message })
      await wait(backoff.next(), deps.scope.signal).catch(() => undefined)
    }
  }
  return undefined
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

interface Reader {
  read(slot: number, cursor: string, read: number): void
  stop(slot: number): void
  consumed(): void
  pause(paused: boolean): void
}

/** One blocking read of all slots of the lane at a time; a change of the slots wakes it. */
function createReader(state: LaneState, deps: LaneDeps, step: (input: LaneInput) => void): Reader {
  const cursors = new Map<number, { cursor: string; read: number }>()
  const pace = createReadPace(readPace)
  let paused = false
  let wakeIdle: (() => void) | undefined
  const changed = (): void => {
    wakeIdle?.()
    deps.store.inputs.wake(state.lane)
  }
  const hasRoom = (slot: number): boolean => (state.slots.get(slot)?.pendingBytes ?? 0) < maxSlotPendingBytes
  const ready = (): boolean => !paused && pendingBytes(state) < maxPendingBytes && [...cursors.keys()].some(hasRoom)

  /** Slots that the read under way leaves out. */
  let full: number[] = []
  let count = 1

  function idle(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        signal.removeEventListener('abort', done)
        wakeIdle = undefined
        resolve()
      }
      wakeIdle = done
      signal.addEventListener('abort', done, { once: true })
    })
  }

  // One read per turn: a turn that ends resets the loop's back-off.
  deps.scope.loop(`read lane ${state.lane}`, async (signal) => {
    if (!ready()) return idle(signal)
    pace.begin()
    full = [...cursors.keys()].filter((slot) => !hasRoom(slot))
    const due = full.length === 0 ? [...cursors] : [...cursors].filter(([slot]) => hasRoom(slot))
    const asked = new Map(due.map(([slot, at]) => [slot, at.cursor]))
    const reads = new Map(due.map(([slot, at]) => [slot, at.read]))
    const limit = count
    // Should this read fail, because it brings too much for its deadline, the next one asks for less.
    count = 1
    const found = await deps.store.inputs.read(state.lane, asked, { blockMs: readBlockMs, count: limit, signal })
    const batch = []
    let chars = 0
    let most = 0
    for (const [slot, entries] of found) {
      for (const entry of entries) chars += entry.body.length
      most = Math.max(most, entries.length)
      const at = cursors.get(slot)
      const last = entries.at(-1)
      if (at === undefined || last === undefined || at.read !== reads.get(slot)) continue
      at.cursor = last.id
      batch.push({ slot, read: at.read, entries })
    }
    count = Math.min(maxReadCount, fitting(Math.max(1, most), chars, readChars))
    if (batch.length === 0) return
    step({ type: 'entries', reads: batch })
    await pace.rest(chars)
  })

  return {
    read: (slot, cursor, read) => {
      cursors.set(slot, { cursor, read })
      changed()
    },
    stop: (slot) => {
      if (cursors.delete(slot)) changed()
    },
    consumed: () => {
      if (wakeIdle !== undefined) {
        if (ready()) wakeIdle()
      } else if (full.some(hasRoom)) {
        full = []
        changed()
      }
    },
    pause: (value) => {
      if (paused === value) return
      paused = value
      changed()
    },
  }
}

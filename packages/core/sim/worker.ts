import type { Claim } from '../src/commit.ts'
import { ownedEpochs, stepLane, vouchedRuns } from '../src/lane.ts'
import { createLane } from '../src/lane-state.ts'
import type { LaneEffect, LaneInput, LaneState } from '../src/lane-state.ts'
import { workerDeadMs, workerHeartbeatMs } from '../src/limits.ts'
import { learn, slotsByRun, versionHeld } from '../src/plan.ts'
import type { Knowledge, Member, Plan } from '../src/plan.ts'
import type { Bug } from './bugs.ts'
import { withoutMarks } from './bugs.ts'
import { watchLane } from './landmarks.ts'
import { backoff } from './network.ts'
import { tellingPolicy } from './told.ts'
import type { Connection, Process, Reader as StoreReader } from './network.ts'
import type { World } from './world.ts'

const readBlockMs = 1_000

/** A shard worker: the real lane reducer in a shell like services/shard, over the simulated store. */
export interface Worker {
  readonly boot: string
  readonly process: Process
  readonly lanes: readonly LaneState[]
  /** Tells control that it wants to go, and goes when its slots have moved. */
  drain(): void
  readonly draining: boolean
}

interface Reader {
  readonly cursors: Map<number, { cursor: string; read: number }>
  readonly connection: StoreReader
  busy: boolean
  /** Reads that failed in a row. */
  failed: number
}

export function startWorker(world: World, boot: string): Worker {
  const process = world.network.process(boot)
  const { lanes: laneCount } = world.shape
  const store = world.stores
  const lanes = Array.from({ length: laneCount }, (_, lane) =>
    createLane(lane, laneCount, boot, { limits: world.knobs.lane }),
  )
  if (world.told) for (const lane of lanes) lane.policy = tellingPolicy(world.knobs.lane.rooms.historyEvents)
  const unmarked = withoutMarks()
  const readers = lanes.map((_, lane): Reader => ({
    cursors: new Map(),
    connection: world.network.reader(process, store.primaryOf(lane)),
    busy: false,
    failed: 0,
  }))
  const commands = lanes.map((_, lane) => world.network.connection(process, store.primaryOf(lane)))
  const fleet = world.network.connection(process)
  let beat = 0
  let draining = false
  let held: Plan | null = null
  let runs: readonly string[] = []
  let knows: Knowledge = { plan: 0, epoch: 0 }
  let lastBeatOk = world.network.clock.now
  let wantsMembers = false
  let wantsBeat = false

  function step(lane: LaneState, input: LaneInput): void {
    const now = world.network.clock.now
    const before = lane.mode.type
    const effects = watchLane(world, lane, () => stepLane(lane, input, { now, wallMs: world.wallMs() }), input)
    if (lane.mode.type !== before)
      world.log(`${boot} lane ${lane.lane}: ${before} -> ${lane.mode.type} by ${input.type}`)
    for (const effect of effects) execute(lane, effect)
  }

  /** Asks until it is answered, as the shell does. */
  function ask<T>(connection: Connection, call: () => T, then: (reply: T) => void, tries = 0): void {
    connection(call, then, () => later(tries, () => ask(connection, call, then, tries + 1)))
  }

  function later(tries: number, event: () => void): void {
    const { clock, random } = world.network
    clock.at(clock.now + backoff(random, tries), () => process.run(event))
  }

  function execute(lane: LaneState, effect: LaneEffect): void {
    const command = commands[lane.lane]
    const reader = readers[lane.lane]
    if (command === undefined || reader === undefined) throw new Error(`no lane ${lane.lane}`)
    switch (effect.type) {
      case 'read':
        world.log(
          `${boot} read of slot ${effect.slot} from ${effect.cursor}, was ${reader.cursors.get(effect.slot)?.cursor}`,
        )
        if (has(world, 'cursor kept') && keepsCursor(reader, effect.slot))
          reader.cursors.set(effect.slot, {
            cursor: reader.cursors.get(effect.slot)?.cursor ?? effect.cursor,
            read: effect.read,
          })
        else reader.cursors.set(effect.slot, { cursor: effect.cursor, read: effect.read })
        reader.connection.interrupt()
        read(lane, reader)
        break
      case 'release':
        reader.cursors.delete(effect.slot)
        break
      case 'members':
        if (!wantsMembers) world.network.clock.at(world.network.clock.now + 1, () => process.run(readMembers))
        wantsMembers = true
        break
      case 'report':
        if (!wantsBeat) world.network.clock.at(world.network.clock.now + 1, () => process.run(heartbeat))
        wantsBeat = true
        break
      case 'commit':
        world.onCommit?.(effect.commits)
        command(
          () => world.commit(lane.lane, effect.commits, effect.run),
          (reply) => step(lane, { type: 'committed', id: effect.id, reply }),
          () => step(lane, { type: 'commitFailed', id: effect.id }),
        )
        break
      case 'vouch':
        command(
          () => store.vouch(lane.lane, effect.prefixes, effect.run),
          (reply) => step(lane, { type: 'committed', id: effect.id, reply }),
          () => step(lane, { type: 'commitFailed', id: effect.id }),
        )
        break
      case 'values':
        ask(
          command,
          () => store.values(lane.lane, effect.slots),
          (values) => step(lane, { type: 'values', values }),
        )
        break
      case 'claim':
        claim(command, lane, effect.claim)
        break
      case 'loadRoom':
        ask(
          command,
          () => [...store.roomTail(effect.room, Infinity, 1_000_000)].toReversed(),
          (entries) => {
            const { slot, read, room } = effect
            step(lane, { type: 'rooms', rooms: [{ slot, read, room, entries }] })
          },
        )
        break
      case 'maintain':
        command(
          () => store.maintain(lane.lane, effect.work, world.wallMs()),
          () => undefined,
          () => undefined,
        )
        break
      case 'deadLetter':
        throw new Error(`${boot} met an entry it cannot decode in slot ${effect.slot}`)
    }
  }

  function claim(command: Connection, lane: LaneState, asked: Claim, tries = 0): void {
    if (lane.claiming.get(asked.slot) !== asked) return
    const again = (): void => later(tries, () => claim(command, lane, asked, tries + 1))
    command(
      () => world.claim(asked),
      (reply) => {
        if (!reply.ok) return step(lane, { type: 'claimed', claim: asked, reply, interest: [] })
        command(
          () => store.interest(asked.slot),
          (interest) => step(lane, { type: 'claimed', claim: asked, reply, interest }),
          again,
        )
      },
      again,
    )
  }

  const keepsCursor = (reader: Reader, slot: number): boolean => reader.cursors.has(slot)

  function read(lane: LaneState, reader: Reader): void {
    const late = world.network.clock.now - lastBeatOk > workerDeadMs
    if (reader.busy || reader.cursors.size === 0 || late) return
    reader.busy = true
    const asked = new Map([...reader.cursors].map(([slot, at]) => [slot, at.cursor]))
    const reads = new Map([...reader.cursors].map(([slot, at]) => [slot, at.read]))
    reader.connection.read({
      topic: `in ${lane.lane}`,
      blockMs: readBlockMs,
      call: () => store.read(lane.lane, asked, world.knobs.readCount),
      ready: (found) => found.size > 0,
      onReply: (found) => {
        reader.busy = false
        reader.failed = 0
        const batch = []
        for (const [slot, entries] of world.bug === 'no producer marks' ? unmarked(lane, found) : found) {
          const at = reader.cursors.get(slot)
          const last = entries.at(-1)
          if (at === undefined || last === undefined || at.read !== reads.get(slot)) continue
          at.cursor = last.id
          batch.push({ slot, read: at.read, entries })
        }
        if (batch.length > 0) step(lane, { type: 'entries', reads: batch })
        read(lane, reader)
      },
      onFail: () => {
        reader.busy = false
        later((reader.failed += 1), () => read(lane, reader))
      },
    })
  }

  function member(): Member {
    const owned: Record<string, number> = {}
    for (const lane of lanes) for (const [slot, epoch] of ownedEpochs(lane)) owned[slot] = epoch
    const vouched = slotsByRun(lanes.map(vouchedRuns))
    return {
      boot,
      role: 'shard',
      state: draining ? 'draining' : 'live',
      beat,
      owned,
      vouched,
      knows,
      startedAtMs: 0,
      version: 'sim',
    }
  }

  function heartbeat(): void {
    beat += 1
    wantsBeat = false
    fleet(
      () => store.heartbeat(member(), versionHeld(held, runs)),
      (answer) => {
        lastBeatOk = world.network.clock.now
        lanes.forEach((lane, i) => {
          const reader = readers[i]
          if (reader !== undefined) read(lane, reader)
        })
        if (!answer.known)
          fleet(
            () => store.register(member()),
            () => undefined,
            () => undefined,
          )
        runs = answer.runs
        if (!answer.known) for (const lane of lanes) step(lane, { type: 'forgotten' })
        for (const lane of lanes) step(lane, { type: 'run', run: runs[store.primaryOf(lane.lane)] ?? '' })
        if (answer.plan === undefined) return
        const { plan } = answer
        held = plan
        knows = learn(knows, plan)
        for (const lane of lanes) step(lane, { type: 'plan', plan })
      },
      () => undefined,
    )
  }

  function readMembers(): void {
    wantsMembers = false
    fleet(
      () => store.readFleet().members,
      (members) => {
        const alive = new Set([
          ...members.filter((each) => each.role === 'edge').map((each) => each.boot),
          ...unmarked.boots,
        ])
        for (const lane of lanes) step(lane, { type: 'members', alive })
      },
      () => {
        wantsMembers = true
        later(3, readMembers)
      },
    )
  }

  fleet(
    () => store.register(member()),
    () => undefined,
    () => undefined,
  )
  readMembers()
  heartbeat()
  process.every(workerHeartbeatMs, heartbeat)
  process.every(2_000, readMembers)
  process.every(100, () => lanes.forEach((lane) => step(lane, { type: 'tick' })))
  function drain(): void {
    draining = true
    heartbeat()
    process.every(50, () => {
      if (lanes.every((lane) => lane.slots.size === 0 && lane.claiming.size === 0))
        fleet(
          () => store.remove(boot),
          () => process.crash(),
          () => undefined,
        )
    })
  }
  return {
    boot,
    process,
    lanes,
    drain,
    get draining() {
      return draining
    },
  }
}

function has(world: World, bug: Bug): boolean {
  return world.bug === bug
}

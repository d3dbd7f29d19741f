import { ackAtOnce, withoutGeneration } from './bugs.ts'
import { drainInCalm, overPace } from './calm-drain.ts'
import { check } from './checks.ts'
import { planDrains } from './drains.ts'
import { heal, planFaults, planOutage } from './faults.ts'
import { rooms, startFleet, users } from './fleet.ts'
import type { Fleet } from './fleet.ts'
import { largeKnobs } from './knobs.ts'
import type { Knobs } from './knobs.ts'
import type { Landmark } from './record.ts'
import { isSettled, keptOut, roomLogs, unbounded, unsettled } from './settled.ts'
import { createWorld } from './world.ts'
import type { World, WorldOptions } from './world.ts'

/** Virtual time in which things happen and go wrong, and in which all must be well again, ms. */
const firstFaultMs = 4_000
const settleMs = 60_000
/** What is refused because of keys or rooms that are full is taken when they are two minutes old, maybe a few times over. */
const settleFullMs = 600_000
const stepMs = 250

export interface Outcome {
  readonly violations: readonly string[]
  readonly faults: readonly string[]
  readonly published: number
  readonly acknowledged: number
  /** Virtual time, ms. */
  readonly ms: number
  readonly events: number
  readonly gaps: number
  readonly reached: ReadonlyMap<Landmark, number>
}

/** One run of a whole fleet, determined by its seed. */
export function simulate(seed: number, options: Omit<WorldOptions, 'seed'> = {}): Outcome {
  const world = createWorld({ seed, ...options })
  const { clock, random } = world.network
  world.network.loss = random.pick([0, 0, 0.01, 0.05])
  const lossy = world.network.loss > 0
  const fleet = startFleet(world)
  if (options.bug === 'ack before commit') world.onCommit = (commits) => ackAtOnce(commits, fleet.edges)
  if (options.bug === 'no generation') world.rewrite = withoutGeneration
  const healAt = plan(world, fleet)
  const violations: string[] = []
  try {
    violations.push(...run(world, fleet, healAt))
  } catch (error) {
    violations.push(`error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
  }
  violations.push(...judge(world, lossy))
  const { record } = world
  return {
    violations,
    faults: record.faults,
    published: record.published,
    acknowledged: record.acknowledged.length,
    ms: clock.now,
    events: clock.events,
    gaps: world.gaps,
    reached: record.reached,
  }
}

/** Faults and publishes; returns when all is to be well again. */
function plan(world: World, fleet: Fleet): number {
  const { clock, random } = world.network
  // A long outage is seldom: it takes long to simulate too.
  const outageMs = random.chance(0.05) ? random.pick([random.int(20_000, 125_000), random.int(125_000, 150_000)]) : 0
  const healAt = random.int(7_000, 16_000) + outageMs
  planFaults(world, fleet, [firstFaultMs, healAt])
  planDrains(world, fleet, [firstFaultMs, healAt])
  if (outageMs > 0) planOutage(world, random.int(2_000, 6_000), outageMs)
  const count = random.int(60, 150)
  for (let i = 1; i <= count; i += 1) {
    const late = random.chance(0.1) ? 3_000 : 0
    clock.at(random.int(late > 0 ? healAt : 200, healAt + late), () =>
      random.pick(fleet.clients).publish(random.pick(rooms), `m${i}`),
    )
  }
  return healAt
}

function run(world: World, fleet: Fleet, healAt: number): string[] {
  const { clock } = world.network
  const found: string[] = []
  for (let at = 0; at < healAt; at += 1_000) {
    clock.run(Math.min(healAt, at + 1_000))
    found.push(...unbounded(fleet, false).map((text) => `bounds: ${text}`))
  }
  heal(world, fleet)
  clock.run(healAt + 4_000)
  const patience = (): number => (wasFull(world) ? settleFullMs : settleMs)
  const settle = (from: number): void => {
    while (clock.now < from + patience() && !isSettled(world, fleet)) clock.run(clock.now + stepMs)
  }
  settle(healAt)
  // Of what does not come to rest more is said than that it noticed a drain.
  if (isSettled(world, fleet)) {
    drainInCalm(world, fleet, { publishing: !wasFull(world) })
    settle(clock.now)
  }
  const hanging = unsettled(world, fleet)
  found.push(...hanging.map((text) => `liveness: ${text}`))
  for (let left = keptOut(world, fleet); left > 0; left -= 1) world.reach('kept out')
  found.push(...unbounded(fleet, hanging.length === 0).map((text) => `bounds: ${text}`))
  return found
}

function judge(world: World, lossy: boolean): string[] {
  const { record, bug, breaks } = world
  const found = needless(world, lossy).map((text) => `needless: ${text}`)
  if (bug === undefined && record.reached.has('conflict')) found.push('conflict: a commit met another one')
  // A worker's refusal is in a commit: where continuity was lost, and told, the refusal may be lost too.
  const refused = wasFull(world) && breaks.length > 0 ? [] : record.refused
  found.push(...overLimit(world))
  const broken = check({ ...record, refused, views: [...record.views.values()], logs: roomLogs(world) })
  found.push(...record.interrupted.slice(0, 3).map((text) => `interrupted: ${text}`))
  found.push(...record.parted.slice(0, 3).map((text) => `parted: ${text}`))
  found.push(...overPace(world).map((text) => `pace: ${text}`))
  return [...found, ...broken.map((violation) => `${violation.check}: ${violation.detail}`)]
}

/** Where an edge tells later of what was open all the time another may have had the place in between. */
function overLimit({ record, perUser, reach }: World): string[] {
  const { kept, unsure, turnedAway, tooMany } = record
  const doubted = new Set(Array.from(unsure.values(), ({ room }) => room))
  for (const user of perUser > 0 ? users : []) {
    if (!kept.has(user)) reach('limit judged')
    if (!doubted.has(user)) reach('tickets judged')
  }
  const wrong = turnedAway.filter(({ connection, ticket, sinceMs }) => {
    const isUnsure = Array.from(unsure).some(
      ([id, doubt]) => doubt.untilMs >= sinceMs && (id === connection || id === ticket || doubt.ticket === ticket),
    )
    if (isUnsure) reach('refused while unsure')
    return !isUnsure
  })
  return [...tooMany, ...wrong.map(({ text }) => text)].slice(0, 3).map((text) => `limit: ${text}`)
}

/** Replays are cut short by what an edge holds, or by what the log keeps. */
function isShort({ feed, lane: { rooms: room } }: Knobs): boolean {
  const usual = largeKnobs.feed
  return (
    feed.heldEvents < usual.heldEvents ||
    feed.heldChars < usual.heldChars ||
    room.historyEvents < 1_000 ||
    room.chars < 1_000
  )
}

function wasFull({ record }: World): boolean {
  return record.reached.has('refused by a worker')
}

/** Continuity is given up only when the store became another one while a worker was away, or lost everything. */
function needless({ record, knobs, excuses, breaks, changed }: World, lossy: boolean): string[] {
  if (excuses.size > 0) return []
  if (changed() && record.faults.some((fault) => fault.startsWith('worker') || fault === 'outage')) return []
  const found = breaks.map((text) => `continuity was given up: ${text}`)
  // Where replies are lost, or the store or control stands still, a recovery may take longer than an edge waits for the log.
  const slow = ['losses', 'stall', 'away', 'outage', 'control crash', 'control pause']
  if (isShort(knobs)) return found
  if (lossy || record.faults.some((fault) => slow.includes(fault))) return found
  for (const { client, room, steps } of record.views.values()) {
    for (const step of steps) {
      if (step.type === 'position' && !step.recovered)
        found.push(`${client} was told of a loss in ${room} at ${step.epoch}:${step.seq}`)
    }
  }
  return found
}

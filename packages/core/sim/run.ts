import type { Bug } from './bugs.ts'
import { ackAtOnce, withoutGeneration } from './bugs.ts'
import { check } from './checks.ts'
import { heal, planFaults } from './faults.ts'
import { rooms, startFleet } from './fleet.ts'
import { roomLogs, unbounded, unsettled } from './settled.ts'
import { createWorld } from './world.ts'
import type { World } from './world.ts'

/** Virtual time in which things happen and go wrong, and in which all must be well again, ms. */
const firstFaultMs = 4_000
const settleMs = 60_000
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
}

/** One run of a whole fleet, determined by its seed. */
export function simulate(seed: number, options: { bug?: Bug; log?: (text: string) => void } = {}): Outcome {
  const world = createWorld({ seed, ...options })
  const { clock, random } = world.network
  world.network.loss = random.pick([0, 0, 0.01, 0.05])
  const lossy = world.network.loss > 0
  const fleet = startFleet(world)
  if (options.bug === 'ack before commit') world.onCommit = (commits) => ackAtOnce(commits, fleet.edges)
  if (options.bug === 'no generation') world.rewrite = withoutGeneration
  const healAt = random.int(7_000, 16_000)
  planFaults(world, fleet, [firstFaultMs, healAt])
  const count = random.int(60, 150)
  for (let i = 1; i <= count; i += 1) {
    const late = random.chance(0.1) ? 3_000 : 0
    clock.at(random.int(late > 0 ? healAt : 200, healAt + late), () =>
      random.pick(fleet.clients).publish(random.pick(rooms), `m${i}`),
    )
  }
  const violations: string[] = []
  try {
    for (let at = 0; at < healAt; at += 1_000) {
      clock.run(Math.min(healAt, at + 1_000))
      violations.push(...unbounded(fleet, false))
    }
    heal(world, fleet)
    clock.run(healAt + 4_000)
    while (clock.now < healAt + settleMs && unsettled(world, fleet).length > 0) clock.run(clock.now + stepMs)
    const hanging = unsettled(world, fleet)
    violations.push(
      ...hanging.map((text) => `liveness: ${text}`),
      ...unbounded(fleet, hanging.length === 0).map((text) => `bounds: ${text}`),
    )
  } catch (error) {
    violations.push(`error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
  }
  const { record } = world
  violations.push(...needless(world, lossy).map((text) => `needless: ${text}`))
  const found = check({ ...record, views: [...record.views.values()], logs: roomLogs(world) })
  violations.push(...found.map((violation) => `${violation.check}: ${violation.detail}`))
  return {
    violations,
    faults: record.faults,
    published: record.published,
    acknowledged: record.acknowledged.length,
    ms: clock.now,
    events: clock.events,
    gaps: world.gaps,
  }
}

/** Continuity is given up only when the store became another one while a worker was away, or lost everything. */
function needless({ record, runs, firstClaimLost, breaks }: World, lossy: boolean): string[] {
  if (record.faults.includes('FLUSHALL') || firstClaimLost) return []
  if (runs() > 1 && record.faults.some((fault) => fault.startsWith('worker'))) return []
  const found = breaks.map((text) => `continuity was given up: ${text}`)
  // Where replies are lost, or the store or control stands still, a recovery may take longer than an edge waits for the log.
  const slow = ['losses', 'stall', 'away', 'control crash', 'control pause']
  if (lossy || record.faults.some((fault) => slow.includes(fault))) return found
  for (const { client, room, steps } of record.views.values()) {
    for (const step of steps) {
      if (step.type === 'position' && !step.recovered)
        found.push(`${client} was told of a loss in ${room} at ${step.epoch}:${step.seq}`)
    }
  }
  return found
}

import type { DrainLimits } from '../src/drain.ts'
import type { Edge } from './edge.ts'
import type { Fleet } from './fleet.ts'
import { createRandom } from './random.ts'
import type { Random } from './random.ts'
import type { World } from './world.ts'

/** Of the seeds, so many have edges that drain. */
const share = 0.35
/** After the last fault too: then nothing at all may be noticed of it, ms. */
const lateMs = 2_000
const lookEveryMs = 100

/**
 * How the edges of a run drain. Drawn apart from everything else: a seed without drains is the run that it was before there were any.
 */
export interface Drains {
  readonly random: Random
  readonly limits: DrainLimits
  /** Control's budget for all that drain. */
  readonly reconnectsPerSecond: number
  /** Balancers hear of a drain after this time, ms: until then they send clients there. */
  readonly heardMs: number
  /** Set when nothing but a drain is under way any more: by these limits the last edge drains (calm-drain.ts). */
  calm: DrainLimits | undefined
}

/** Undefined: no edge drains. */
export function drawDrains(seed: number): Drains | undefined {
  const random = createRandom(seed ^ 0x2545f491)
  if (!random.chance(share)) return undefined
  const limits = {
    timeoutMs: random.pick([400, 8_000, 8_000, 20_000]),
    settleMs: random.pick([0, 300, 1_000]),
    graceMs: random.pick([200, 2_000, 6_000]),
    perSecond: random.pick([1, 5, 500]),
  }
  const reconnectsPerSecond = random.pick([1, 4, 1_000])
  return { random, limits, reconnectsPerSecond, heardMs: random.pick([0, 200, 1_500]), calm: undefined }
}

/** Some edges drain, one after the other or at once, as in a roll-out or when there are too many. */
export function planDrains(world: World, fleet: Fleet, [from, to]: readonly [number, number]): void {
  const { drains, network } = world
  if (drains === undefined) return
  const { random } = drains
  for (let count = random.pick([1, 1, 2, 2, 3]); count > 0; count -= 1) {
    const at = random.int(from, to + lateMs)
    network.clock.at(at, () => drainOne(world, fleet))
    if (random.chance(0.2)) network.clock.at(at + random.int(0, 300), () => drainOne(world, fleet))
  }
}

function drainOne(world: World, fleet: Fleet): void {
  const { drains, record, network } = world
  const staying = whoStay(fleet)
  if (drains === undefined || staying.length === 0) return
  const { random } = drains
  record.faults.push('edge drains')
  const edge = random.pick(staying)
  // The one that takes its place is there before it goes, comes when it has gone, or never.
  if (random.chance(0.4)) return goAway(world, fleet, edge)
  fleet.addEdge()
  network.clock.at(network.clock.now + random.int(0, 1_500), () => goAway(world, fleet, edge))
}

function goAway({ drains, network: { clock } }: World, fleet: Fleet, edge: Edge): void {
  const isLast = whoStay(fleet).every((each) => each === edge)
  edge.drain()
  if (!isLast && drains?.random.chance(0.6) === true) return
  const replace = (): void => {
    if (edge.process.alive) clock.at(clock.now + lookEveryMs, replace)
    else fleet.addEdge()
  }
  replace()
}

export function whoStay({ edges }: Fleet): Edge[] {
  return edges.filter((edge) => edge.process.alive && edge.ready() && !edge.draining())
}

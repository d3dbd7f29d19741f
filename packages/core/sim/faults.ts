import type { Fleet } from './fleet.ts'
import type { World } from './world.ts'

/** What may befall a fleet. Each ends by itself, or with `heal`. */
type Fault = (world: World, fleet: Fleet) => void

const after = (world: World, ms: number, event: () => void): void => {
  world.network.clock.at(world.network.clock.now + ms, () => {
    if (!world.quiet) event()
  })
}

const aPrimary = (world: World): number => world.network.random.int(0, world.knobs.primaries - 1)

/** One that is away already stays as long as it was to. */
function goAway(
  world: World,
  primary: number,
  { ms, comeBack }: { readonly ms: number; readonly comeBack: () => void },
): void {
  const line = world.network.line(primary)
  if (line.away) return
  world.log(`primary ${primary} is away for ${ms} ms`)
  line.away = true
  world.network.cut(primary)
  after(world, ms, () => {
    line.away = false
    comeBack()
  })
}

/** So long that keys, history and members would have gone, had nobody thought of it. Begins at `at`, ends by itself. */
export function planOutage(world: World, at: number, ms: number): void {
  const { clock, random } = world.network
  clock.at(at, () => {
    const all = random.chance(0.5)
    const one = aPrimary(world)
    for (let primary = 0; primary < world.knobs.primaries; primary += 1)
      if (all || primary === one)
        goAway(world, primary, { ms, comeBack: () => random.chance(0.3) || world.restart(primary) })
    world.record.faults.push('outage')
    if (ms > 120_000) world.reach('long outage')
  })
}

const faults: Readonly<Record<string, Fault>> = {
  'worker crash': (world, fleet) => {
    const worker = fleet.aWorker()
    world.log(`${worker.boot} crashes`)
    worker.process.crash()
    after(world, world.network.random.int(200, 4_000), () => fleet.addWorker())
  },
  'worker pause': (world, fleet) => {
    const worker = fleet.aWorker()
    const ms = world.network.random.int(300, 9_000)
    world.log(`${worker.boot} pauses for ${ms} ms`)
    worker.process.pause()
    after(world, ms, () => {
      world.log(`${worker.boot} goes on`)
      worker.process.goOn()
    })
  },
  'edge crash': (world, fleet) => {
    const edge = fleet.anEdge()
    world.log(`${edge.name} crashes`)
    edge.process.crash()
    after(world, world.network.random.int(200, 3_000), () => fleet.addEdge())
  },
  'edge pause': (world, fleet) => {
    const edge = fleet.anEdge()
    const ms = world.network.random.int(1_000, 9_000)
    world.log(`${edge.name} pauses for ${ms} ms`)
    edge.process.pause()
    after(world, ms, () => {
      world.log(`${edge.name} goes on`)
      edge.process.goOn()
    })
  },
  stall: (world) => {
    const ms = world.network.random.int(200, 4_000)
    const primary = aPrimary(world)
    world.log(`primary ${primary} stalls for ${ms} ms`)
    world.network.line(primary).stalledUntil = world.network.clock.now + ms
  },
  away: (world) => {
    const { random } = world.network
    const ms = random.int(100, 5_000)
    const same = random.chance(0.3)
    // Of a whole installation, or of one primary.
    const all = random.chance(0.4)
    const one = aPrimary(world)
    for (let primary = 0; primary < world.knobs.primaries; primary += 1)
      if (all || primary === one) goAway(world, primary, { ms, comeBack: () => same || world.restart(primary) })
  },
  'fail-over': (world) => {
    const { random } = world.network
    const primary = aPrimary(world)
    const once = (): void =>
      goAway(world, primary, { ms: random.int(0, 1_500), comeBack: () => world.failOver(primary) })
    once()
    if (random.chance(0.4)) after(world, random.int(1_600, 4_000), once)
  },
  /** The first server comes back in the place of the second. */
  'fail-over and back': (world) => {
    const { random } = world.network
    const primary = aPrimary(world)
    goAway(world, primary, { ms: random.int(0, 1_500), comeBack: () => world.failOver(primary) })
    after(world, random.int(1_600, 9_000), () =>
      goAway(world, primary, { ms: random.int(0, 500), comeBack: () => world.failBack(primary) }),
    )
  },
  /** What comes after it goes further back than usual. */
  'replicas fall behind': (world) => {
    const { random } = world.network
    const primary = aPrimary(world)
    const ms = random.int(1_000, 16_000)
    world.cutReplicas(primary, ms)
    after(world, ms * random.next(), () =>
      goAway(world, primary, { ms: random.int(0, 500), comeBack: () => world.failOver(primary) }),
    )
  },
  'worker joins': (_, fleet) => fleet.addWorker(),
  'worker drains': (world, fleet) => {
    const worker = fleet.aWorker()
    world.log(`${worker.boot} drains`)
    worker.process.run(() => worker.drain())
    fleet.addWorker()
  },
  /** The worst moment: the server that comes does not know of a claim, or of what was committed since. */
  'worker joins, fail-over': (world, fleet) => {
    fleet.addWorker()
    if (world.network.random.chance(0.3)) fleet.aWorker().process.crash()
    world.onClaim = (primary) => {
      delete world.onClaim
      after(world, world.network.random.int(0, 2_000), () => world.failOver(primary))
    }
  },
  /** It goes on under its old epoch just when the server has lost the claim that would fence it. */
  'worker pause, fail-over': (world, fleet) => {
    const { process, boot } = fleet.aWorker()
    world.log(`${boot} pauses`)
    process.pause()
    fleet.addWorker()
    after(world, 9_000, () => process.goOn())
    world.onClaim = (primary) => {
      delete world.onClaim
      after(world, world.network.random.int(0, 500), () => {
        world.failOver(primary)
        after(world, world.network.random.int(0, 500), () => process.goOn())
      })
    }
  },
  /** What an outbox has is gone before its edge has read it, as by the limit on its length. */
  'outbox trimmed': (world, fleet) => {
    const boot = fleet.anEdge().boot()
    for (let lane = 0; lane < world.shape.lanes; lane += 1) world.stores.trimOutbox(lane, boot, '1-1000000')
  },
  FLUSHALL: (world) => world.flushAll(),
  cut: (world) => {
    world.log('all connections are cut')
    world.network.cut()
  },
  'control crash': (world, fleet) => {
    fleet.aControl().crash()
    after(world, world.network.random.int(200, 4_000), () => fleet.addControl())
  },
  'control pause': (world, fleet) => {
    const control = fleet.aControl()
    control.pause()
    after(world, world.network.random.int(500, 6_000), () => control.goOn())
  },
  losses: (world) => {
    const { network } = world
    const before = network.loss
    network.loss = 0.3
    after(world, network.random.int(50, 1_000), () => {
      network.loss = before
    })
  },
}

const weights: Readonly<Record<string, number>> = {
  FLUSHALL: 0.4,
  'fail-over': 2.5,
  'fail-over and back': 1.5,
  'worker crash': 1.5,
  'worker pause': 2,
  'outbox trimmed': 2,
}

/** Faults by the world's seed, within [from, to]. */
export function planFaults(world: World, fleet: Fleet, [from, to]: readonly [number, number]): void {
  const { random, clock } = world.network
  const names = Object.keys(faults)
  const total = names.reduce((sum, name) => sum + (weights[name] ?? 1), 0)
  for (let count = random.int(2, 7); count > 0; count -= 1) {
    let at = random.next() * total
    const name = names.find((each) => (at -= weights[each] ?? 1) <= 0) ?? 'cut'
    clock.at(random.int(from, to), () => {
      world.record.faults.push(name)
      faults[name]?.(world, fleet)
    })
  }
}

/** From now on nothing goes wrong any more. */
export function heal(world: World, fleet: Fleet): void {
  world.quiet = true
  world.log('from here on nothing goes wrong')
  world.network.loss = 0
  world.network.lines.forEach((line, primary) => {
    line.stalledUntil = 0
    if (!line.away) return
    line.away = false
    world.restart(primary)
  })
  fleet.complete()
}

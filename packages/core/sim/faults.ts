import type { Fleet } from './fleet.ts'
import type { World } from './world.ts'

/** What may befall a fleet. Each ends by itself, or with `heal`. */
type Fault = (world: World, fleet: Fleet) => void

const after = (world: World, ms: number, event: () => void): void => {
  world.network.clock.at(world.network.clock.now + ms, () => {
    if (!world.quiet) event()
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
    world.log(`the store stalls for ${ms} ms`)
    world.network.store.stalledUntil = world.network.clock.now + ms
  },
  away: (world) => {
    const { network } = world
    const ms = network.random.int(100, 5_000)
    world.log(`the store is away for ${ms} ms`)
    network.store.away = true
    network.cut()
    const same = network.random.chance(0.3)
    after(world, ms, () => {
      network.store.away = false
      if (!same) world.restart()
    })
  },
  'fail-over': (world) => {
    const { network } = world
    const once = (): void => {
      network.store.away = true
      network.cut()
      after(world, network.random.int(0, 1_500), () => {
        network.store.away = false
        world.failOver()
      })
    }
    once()
    if (network.random.chance(0.4)) after(world, network.random.int(1_600, 4_000), once)
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
    world.onClaim = () => {
      delete world.onClaim
      after(world, world.network.random.int(0, 2_000), () => {
        world.network.cut()
        world.failOver()
      })
    }
  },
  /** It goes on under its old epoch just when the server has lost the claim that would fence it. */
  'worker pause, fail-over': (world, fleet) => {
    const { process, boot } = fleet.aWorker()
    world.log(`${boot} pauses`)
    process.pause()
    fleet.addWorker()
    after(world, 9_000, () => process.goOn())
    world.onClaim = () => {
      delete world.onClaim
      after(world, world.network.random.int(0, 500), () => {
        world.network.cut()
        world.failOver()
        after(world, world.network.random.int(0, 500), () => process.goOn())
      })
    }
  },
  /** What an outbox has is gone before its edge has read it, as by the limit on its length. */
  'outbox trimmed': (world, fleet) => {
    const boot = fleet.anEdge().boot()
    for (let lane = 0; lane < world.shape.lanes; lane += 1) world.store.trimOutbox(lane, boot, '1-1000000')
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
  world.network.store.stalledUntil = 0
  if (world.network.store.away) {
    world.network.store.away = false
    world.restart()
  }
  fleet.complete()
}

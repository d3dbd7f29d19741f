import { startClient } from './client.ts'
import type { Client } from './client.ts'
import { startController } from './controller.ts'
import { startEdge } from './edge.ts'
import type { Edge } from './edge.ts'
import type { Process } from './network.ts'
import { Phone } from './phone.ts'
import { startWorker } from './worker.ts'
import type { Worker } from './worker.ts'
import type { World } from './world.ts'

/** The processes of a run. Those that crashed stay in the lists. */
export interface Fleet {
  readonly workers: Worker[]
  readonly edges: Edge[]
  readonly controls: Process[]
  readonly clients: Client[]
  readonly phones: Phone[]
  addWorker(): void
  addEdge(): void
  addControl(): void
  /** One that is alive; the first one when none is. */
  aWorker(): Worker
  anEdge(): Edge
  aControl(): Process
  /** Nobody is paused, and there are a control, two edges and a worker at the least. */
  complete(): void
}

export const rooms = ['public:a', 'public:b', 'public:c', 'public:d', 'public:e'] as const

/** The rooms of users, whose phones are one more than they may have connected. */
export const users = ['user:ann', 'user:ben'] as const

export function startFleet(world: World): Fleet {
  const { random } = world.network
  const publishDeadlineMs = random.pick([1_500, 4_000, 10_000])
  let number = 0
  const living = <T>(all: readonly T[], process: (one: T) => Process): T[] => all.filter((one) => process(one).alive)
  const pick = <T>(all: readonly T[], process: (one: T) => Process): T => {
    const alive = living(all, process)
    return random.pick(alive.length > 0 ? alive : all)
  }
  const fleet: Fleet = {
    workers: [],
    edges: [],
    controls: [],
    clients: [],
    phones: [],
    addWorker: () => void fleet.workers.push(startWorker(world, `shard-${(number += 1)}#w${number}`)),
    addEdge: () => void fleet.edges.push(startEdge(world, { name: `edge-${(number += 1)}`, publishDeadlineMs })),
    addControl: () => void fleet.controls.push(startController(world, `control-${(number += 1)}#c${number}`)),
    aWorker: () => pick(fleet.workers, (each) => each.process),
    anEdge: () => pick(fleet.edges, (each) => each.process),
    aControl: () => pick(fleet.controls, (each) => each),
    complete: () => {
      for (const { process } of [...fleet.workers, ...fleet.edges]) process.goOn()
      for (const process of fleet.controls) process.goOn()
      if (living(fleet.workers, (each) => each.process).every((each) => each.draining)) fleet.addWorker()
      while (living(fleet.edges, (each) => each.process).filter((each) => !each.draining()).length < 2) fleet.addEdge()
      if (living(fleet.controls, (each) => each).length < 1) fleet.addControl()
      for (const client of fleet.clients) client.calm = true
      for (const phone of fleet.phones) phone.calmDown()
    },
  }
  for (let i = random.int(1, 2); i > 0; i -= 1) fleet.addControl()
  for (let i = random.int(1, 3); i > 0; i -= 1) fleet.addWorker()
  for (let i = random.int(1, 3); i > 0; i -= 1) fleet.addEdge()
  for (let i = 1; i <= 4; i += 1) {
    const some = rooms.filter(() => random.chance(0.6))
    fleet.clients.push(
      startClient(world, `client-${i}`, { rooms: some.length > 0 ? some : [rooms[0]], edges: () => fleet.edges }),
    )
  }
  for (const room of world.perUser > 0 ? users : [])
    for (let i = 0; i <= world.perUser; i += 1)
      fleet.phones.push(new Phone(world, { name: `${room}'s phone ${i}`, room, edges: () => fleet.edges }))
  return fleet
}

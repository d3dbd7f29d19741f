import { wait } from '@flotilla/node/backoff'
import type { Fault } from '../fault.ts'
import type { FleetProcess } from '../../fleet/process.ts'
import type { Direction } from '../proxy/proxy.ts'
import type { World } from '../harness/world.ts'

/** Longer than a command's deadline, a worker's lease, and an edge's. */
const partitionMs = 7_000
const ways: Readonly<Record<Direction, string>> = {
  up: 'what it sends does not arrive',
  down: 'what it is sent does not arrive',
  both: 'nothing passes either way',
}

function partition(role: 'edge' | 'shard', direction: Direction): Fault {
  const who = role === 'edge' ? 'An edge' : 'A worker'
  const processes = ({ fleet }: World): readonly FleetProcess[] => (role === 'edge' ? fleet.edges : fleet.workers)
  return {
    name: `${role === 'edge' ? 'edge' : 'worker'}-partition-${direction}`,
    about: `${who} and Redis are cut off from each other for 7 s: ${ways[direction]}.`,
    needs: { linked: [role] },
    async inject(world) {
      const links = world.links(world.any(processes(world)))
      for (const link of links) link.set(direction, { held: true })
      await wait(partitionMs)
      for (const link of links) {
        world.count('bytesHeld', link.counters.up.heldBytes + link.counters.down.heldBytes)
        link.clear()
      }
    },
  }
}

const directions = ['up', 'down', 'both'] as const
export const partitions: readonly Fault[] = [
  ...directions.map((direction) => partition('edge', direction)),
  ...directions.map((direction) => partition('shard', direction)),
]

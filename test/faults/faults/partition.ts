import type { Evidence, Fault } from '../fault.ts'
import type { FleetProcess } from '../../fleet/process.ts'
import type { FaultPhase } from '../history.ts'
import type { Direction, FaultProxy } from '../proxy/proxy.ts'
import type { World } from '../harness/world.ts'
import { declaredDead, takenOver } from '../harness/members.ts'
import { edgeOf } from '../traffic/traffic.ts'
import { removedAndBack } from './edge-pause.ts'
import { givenUp } from './worker-pause.ts'

type Role = 'edge' | 'shard'

const ways: Readonly<Record<Direction, string>> = {
  up: 'what it sends does not arrive',
  down: 'what it is sent does not arrive',
  both: 'nothing passes either way',
}
const outcomes: Readonly<Record<Role, string>> = {
  edge: ' Control takes it for dead; it takes a new boot id, and its clients stay connected and get what they missed.',
  shard: ' Its slots are taken over; it comes back as a zombie and gives them up.',
}

/** Clients of the edge that was cut off that kept their connection to it all the time, and got events through it afterwards. */
function socketsKept({ fleet, links, traffic, recorder: { lines } }: World): number {
  const isCutOff = (edge: FleetProcess): boolean => links(edge).some((link) => heldBytes(link) > 0)
  const edges = new Set(fleet.edges.filter(isCutOff).map(({ name }) => name))
  const begins = (phase: FaultPhase['phase']): number =>
    lines.findIndex((line) => line.type === 'fault' && line.phase === phase)
  if (begins('lifted') < 0) return 0
  const [left, served] = [new Set<string>(), new Set<string>()]
  for (const line of lines.slice(begins('inject')))
    if (line.type === 'connect' || line.type === 'disconnect') left.add(line.client)
  for (const line of lines.slice(begins('lifted'))) if (line.type === 'deliver') served.add(line.client)
  const kept = [...traffic.connections()].filter(
    ([client, connection = '']) => edges.has(edgeOf(connection)) && !left.has(client) && served.has(client),
  )
  return kept.length
}

/** Clients that are connected to this edge. */
const clientsOf = ({ traffic }: World, edge: FleetProcess): number =>
  [...traffic.connections().values()].filter((connection = '') => edgeOf(connection) === edge.name).length

const heldBytes = ({ counters: { up, down } }: FaultProxy): number => up.heldBytes + down.heldBytes

function partition(role: Role, direction: Direction): Fault {
  const who = role === 'edge' ? 'An edge' : 'A worker'
  const processes = ({ fleet }: World): readonly FleetProcess[] => (role === 'edge' ? fleet.edges : fleet.workers)
  return {
    name: `${role === 'edge' ? 'edge' : 'worker'}-partition-${direction}`,
    about: `${who} and Redis are cut off from each other until the fleet has noticed: ${ways[direction]}.${outcomes[role]}`,
    needs: { linked: [role] },
    async inject(world) {
      const cutOff = world.any(processes(world))
      const links = world.links(cutOff)
      if (role === 'edge') world.count('clientsCutOff', clientsOf(world, cutOff))
      for (const link of links) link.set(direction, { held: true })
      await (role === 'edge' ? declaredDead(world, cutOff) : takenOver(world, cutOff))
      for (const link of links) {
        world.count('bytesHeld', heldBytes(link))
        link.clear()
      }
    },
    ...(role === 'edge' ? { evidence: ofEdges, never: ['socketsLost'] } : { evidence: givenUp }),
  }
}

async function ofEdges(world: World): Promise<Evidence> {
  const kept = socketsKept(world)
  const lost = (world.counted['clientsCutOff'] ?? 0) - kept
  return { ...(await removedAndBack(world)), socketsKept: kept, socketsLost: lost }
}

const directions = ['up', 'down', 'both'] as const
export const partitions: readonly Fault[] = [
  ...directions.map((direction) => partition('edge', direction)),
  ...directions.map((direction) => partition('shard', direction)),
]

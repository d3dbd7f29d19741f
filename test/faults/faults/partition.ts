import { wait } from '@flotilla/node/backoff'
import type { Evidence, Fault } from '../fault.ts'
import type { FleetProcess } from '../../fleet/process.ts'
import type { FaultPhase } from '../history.ts'
import type { Direction, FaultProxy } from '../proxy/proxy.ts'
import type { World } from '../harness/world.ts'
import { edgeOf } from '../traffic/traffic.ts'
import { declaredDead } from './edge-pause.ts'

type Role = 'edge' | 'shard'

/**
 * Longer than a command's deadline and a worker's lease. An edge that hears nothing goes on to send until it gives up its
 * connection: it is to be silent for 5 s after that, when control takes it for dead.
 */
const partitionMs: Readonly<Record<Role, number>> = { edge: 12_000, shard: 7_000 }
const ways: Readonly<Record<Direction, string>> = {
  up: 'what it sends does not arrive',
  down: 'what it is sent does not arrive',
  both: 'nothing passes either way',
}
const outcomes: Readonly<Record<Role, string>> = {
  edge: ' Control takes it for dead; it takes a new boot id, and its clients stay connected and get what they missed.',
  shard: '',
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

const heldBytes = ({ counters: { up, down } }: FaultProxy): number => up.heldBytes + down.heldBytes

function partition(role: Role, direction: Direction): Fault {
  const who = role === 'edge' ? 'An edge' : 'A worker'
  const processes = ({ fleet }: World): readonly FleetProcess[] => (role === 'edge' ? fleet.edges : fleet.workers)
  const evidence = async (world: World): Promise<Evidence> => ({
    ...(await declaredDead(world)),
    socketsKept: socketsKept(world),
  })
  const lasts = `${partitionMs[role] / 1_000} s`
  return {
    name: `${role === 'edge' ? 'edge' : 'worker'}-partition-${direction}`,
    about: `${who} and Redis are cut off from each other for ${lasts}: ${ways[direction]}.${outcomes[role]}`,
    needs: { linked: [role] },
    async inject(world) {
      const links = world.links(world.any(processes(world)))
      for (const link of links) link.set(direction, { held: true })
      await wait(partitionMs[role])
      for (const link of links) {
        world.count('bytesHeld', heldBytes(link))
        link.clear()
      }
    },
    ...(role === 'edge' ? { evidence } : {}),
  }
}

const directions = ['up', 'down', 'both'] as const
export const partitions: readonly Fault[] = [
  ...directions.map((direction) => partition('edge', direction)),
  ...directions.map((direction) => partition('shard', direction)),
]

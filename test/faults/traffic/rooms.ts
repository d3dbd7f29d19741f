import type { Random } from '../../../packages/core/sim/random.ts'

/** Who is where: 12 rooms of two kinds, those of one with presence, 4 rooms per client, so that rooms have equally many subscribers. */
export const rooms: readonly string[] = Array.from({ length: 12 }, (_, i) =>
  i % 2 === 0 ? `public:faults-${i}` : `chat:acme:faults-${i}`,
)
export const presenceRooms: ReadonlySet<string> = new Set(rooms.filter((room) => room.startsWith('chat:')))
const roomsPerClient = 4

export const tenant = 'acme'

export function roomsOf(client: number): readonly string[] {
  return Array.from({ length: roomsPerClient }, (_, i) => roomAt(client * roomsPerClient + i))
}

function roomAt(i: number): string {
  const room = rooms[i % rooms.length]
  if (room === undefined) throw new RangeError(`no room ${i}`)
  return room
}

/** The room of the next message: the hot one, or any. */
export const nextRoom = (random: Random, hotShare: number): string =>
  random.chance(hotShare) ? roomAt(0) : random.pick(rooms)

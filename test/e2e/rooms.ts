/** Who is where: 50 clients, 20 rooms of two kinds, 8 rooms per client, so that each room has 20 subscribers. */
export const clients = 50
export const rooms: readonly string[] = Array.from({ length: 20 }, (_, i) =>
  i % 2 === 0 ? `public:e2e-${i}` : `case:acme:e2e-${i}`,
)
const roomsPerClient = 8

export const tenant = 'acme'
export const userOf = (client: number): string => `user-${client}`

export function roomsOf(client: number): readonly string[] {
  return Array.from({ length: roomsPerClient }, (_, i) => roomAt(client * roomsPerClient + i))
}

function roomAt(i: number): string {
  const room = rooms[i % rooms.length]
  if (room === undefined) throw new RangeError(`no room ${i}`)
  return room
}

/** A message has one name everywhere: its publish key, its data, the room's log. */
export interface Message {
  readonly name: string
  readonly room: string
}
/** Even and odd numbers each go round all rooms evenly. */
export const messageAt = (i: number): Message => ({ name: `m${i}`, room: roomAt((i >>> 1) * 7 + (i % 2) * 3) })

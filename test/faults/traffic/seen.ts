import type { ServerFrame } from '@flotilla/core/frames'
import { presenceRooms } from './rooms.ts'

type PresenceFrame = Extract<ServerFrame, { type: 'presence' }>

/** Who is in which room, as each client was told. */
export interface Seen {
  take(client: string, frame: Omit<PresenceFrame, 'type'>): void
  /** What differs from who is there: `clients` are all there are, and their rooms. */
  differs(clients: ReadonlyMap<string, readonly string[]>): string[]
}

export function createSeen(): Seen {
  const all = new Map<string, Set<string>>()
  return {
    take: (client, { room, members, joined = [], changed = [], left = [] }) => {
      const key = `${client} ${room}`
      const before = members === undefined ? all.get(key) : members?.map(({ userId }) => userId)
      const users = new Set(before)
      for (const { userId } of [...joined, ...changed]) users.add(userId)
      for (const { userId } of left) users.delete(userId)
      all.set(key, users)
    },
    differs: (clients) =>
      [...clients].flatMap(([client, rooms]) =>
        rooms
          .filter((room) => presenceRooms.has(room))
          .flatMap((room) => {
            const there = [...clients].filter(([, own]) => own.includes(room)).map(([name]) => name)
            const told = [...(all.get(`${client} ${room}`) ?? [])]
            const isSame = told.toSorted().join() === there.toSorted().join()
            return isSame ? [] : [`${client} is told of ${told.join(' ')} in ${room}, there are ${there.join(' ')}`]
          }),
      ),
  }
}

import type { OutEvent } from '@flotilla/core/entry'
import { controlOf } from '@flotilla/core/room-control'
import type { RoomControl } from '@flotilla/core/room-control'
import type { Connection } from './connection.ts'
import type { Subscriber } from './fanout.ts'

interface Told {
  readonly connection: Connection
  readonly control: RoomControl
}
const nobody: readonly Told[] = []

/**
 * Which of these subscribers are told by these events to join a room or to leave one: the connections of the user whose room it is. Who
 * else hears the room gets the events, and does nothing.
 */
export function controlsFor(
  room: string,
  subscribers: Iterable<Subscriber>,
  events: () => readonly OutEvent[],
): readonly Told[] {
  // Nearly all events are of other rooms, and nearly all of the rest have no options.
  if (!room.startsWith('user:')) return nobody
  const controls = events().map(({ options }) => controlOf(options))
  if (controls.every((control) => control === undefined)) return nobody
  return Array.from(subscribers).flatMap(({ connection, live, from }) => {
    if (!live || room !== `user:${connection.userId}`) return []
    return controls.slice(from).flatMap((control) => (control === undefined ? [] : [{ connection, control }]))
  })
}

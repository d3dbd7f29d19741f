import { WebSocket } from 'ws'
import { connect } from '@flotilla/client'
import type { Client, RoomPresence } from '@flotilla/client'
import { signToken } from '@flotilla/node/jwt'
import { secret } from '../../fleet/fleet.ts'
import type { Recorder } from '../recorder.ts'
import { presenceRooms, tenant } from './rooms.ts'
import type { Seen } from './seen.ts'

/** A connection that says nothing for so long is given up, ms: a process may be paused. */
const pingTimeoutMs = 4_000

export interface Dial {
  readonly name: string
  readonly url: string
  readonly rooms: readonly string[]
  readonly recorder: Recorder
  readonly seen: Seen
}

export const tokenOf = (name: string): string => signToken({ secret, sub: name, tenant, ttlSeconds: 86_400 })

/** What an application sees through the library: subscribed to its rooms, all that it hears is in the history. */
export async function openLibraryClient(dial: Dial): Promise<Client> {
  const { name, url, rooms, recorder } = dial
  const client = await connect({
    url,
    token: tokenOf(name),
    WebSocket,
    reconnect: { minMs: 100, maxMs: 1_000 },
    timeoutMs: 30_000,
    attemptTimeoutMs: 5_000,
    pingTimeoutMs,
    queue: { maxItems: 5_000, maxBytes: 8_388_608 },
    log: () => undefined,
  })
  client.onState((state) => {
    if (state === 'connected') recorder.note({ type: 'connect', client: name })
    if (state === 'reconnecting') recorder.note({ type: 'disconnect', client: name })
  })
  await Promise.all(rooms.map((room) => subscribe(client, dial, room)))
  return client
}

async function subscribe(client: Client, { name, recorder, seen }: Dial, room: string): Promise<void> {
  const presence = presenceRooms.has(room)
    ? { onPresence: ({ count, members }: RoomPresence) => seen.take(name, { room, count, members }) }
    : {}
  const subscription = await client.subscribe(room, {
    ...presence,
    onEvent: ({ position, data }) => {
      const { id } = data as { id: string }
      if (position !== undefined) recorder.note({ type: 'deliver', client: name, room, ...position, id })
    },
    onPosition: ({ position: { epoch, seq }, recovered, missed, reason }) => {
      // What was missed follows: the client stands before it.
      recorder.note({ type: 'position', client: name, room, epoch, seq: seq - missed, recovered, reason })
    },
  })
  recorder.note({ type: 'position', client: name, room, ...subscription.position, recovered: true })
}

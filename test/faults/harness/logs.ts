import type { LogMessage } from '@flotilla/core/entry'
import { formatEpoch } from '@flotilla/core/position'
import { createLog } from '@flotilla/node/log'
import { createScope } from '@flotilla/node/scope'
import { openStore } from '@flotilla/node/store/open'
import type { Store } from '@flotilla/node/store/port'
import { lanes } from '../../fleet/fleet.ts'
import type { Logged } from '../history.ts'

/** Log entries per read. */
const entriesPerRead = 500

/** As the processes have it. */
export const shape = { slots: 128, lanes }

/** All messages that the rooms' logs hold now, room by room. */
export function readLogs(redisUrl: string, rooms: readonly string[]): Promise<Logged[]> {
  return reading(redisUrl, async (store) => (await Promise.all(rooms.map((room) => readRoom(store, room)))).flat())
}

/** The connections that count for their users now, each as the user's room and its id. */
export function readConnections(redisUrl: string): Promise<string[]> {
  return reading(redisUrl, async (store) => {
    const slots = Array.from({ length: shape.slots }, (_, slot) => store.rooms.interest(slot))
    const all = (await Promise.all(slots)).flat()
    return all.flatMap(({ room, connection, member }) =>
      connection === undefined || member !== undefined ? [] : [`${room} ${connection}`],
    )
  })
}

async function reading<T>(redisUrl: string, read: (store: Store) => Promise<T>): Promise<T> {
  const log = createLog({ service: 'faults', level: 'silent' })
  const scope = createScope(log)
  try {
    const config = { redisUrl, redisCluster: false, redisPrefix: '', redisCommandTimeoutMs: 5_000, ...shape }
    return await read(await openStore(config, { log, scope }))
  } finally {
    await scope.close()
  }
}

async function readRoom(store: Store, room: string): Promise<Logged[]> {
  const messages = await messagesOf(store, room)
  return messages.map(({ epoch, seq, key }) => ({ type: 'logged', t: 0, room, epoch, seq, id: key }))
}

interface Message extends LogMessage {
  readonly room: string
  readonly epoch: string
  readonly seq: number
}

/** The same with all that each message carries. */
export function readMessages(redisUrl: string, rooms: readonly string[]): Promise<Message[]> {
  return reading(redisUrl, async (store) => (await Promise.all(rooms.map((room) => messagesOf(store, room)))).flat())
}

async function messagesOf(store: Store, room: string): Promise<Message[]> {
  const found: Message[] = []
  for (let after = 0; ;) {
    const entries = await store.rooms.range(room, after, entriesPerRead)
    for (const entry of entries) {
      const epoch = formatEpoch(entry)
      for (const [i, message] of entry.messages.entries()) found.push({ ...message, room, epoch, seq: entry.first + i })
      after = entry.first + entry.messages.length - 1
    }
    if (entries.length < entriesPerRead) return found
  }
}

import { formatEpoch } from '@flotilla/core/position'
import { createLog } from '@flotilla/node/log'
import { createScope } from '@flotilla/node/scope'
import { openStore } from '@flotilla/node/store/open'
import type { Store } from '@flotilla/node/store/port'
import { check } from '../../packages/core/sim/checks.ts'
import type { RoomLog } from '../../packages/core/sim/checks.ts'
import { lanes } from '../fleet/fleet.ts'
import { rooms } from './rooms.ts'
import type { Traffic, Watch } from './traffic.ts'

/** Log entries per read. */
const entriesPerRead = 500

/**
 * Everything that is wrong with what was seen: the simulator's checks against the room logs, and that the logs are
 * exactly the messages published and every client saw the whole of each of its rooms.
 */
export async function verify(traffic: Traffic, redisUrl: string): Promise<string[]> {
  const logs = await readLogs(redisUrl)
  const { acknowledged, watches } = traffic
  const violations = check({ acknowledged, refused: [], views: watches, applied: [], logs })
  return [...violations.map((each) => `${each.check}: ${each.detail}`), ...incomplete(traffic, logs)]
}

export interface Seen {
  readonly acknowledged: Traffic['acknowledged']
  readonly watches: readonly Pick<Watch, 'client' | 'room' | 'steps'>[]
}

/** What is missing, too much, or in another order than in the log. */
export function incomplete({ acknowledged, watches }: Seen, logs: ReadonlyMap<string, RoomLog>): string[] {
  const found: string[] = []
  const names = new Set(acknowledged.map((each) => each.message))
  if (names.size !== acknowledged.length) found.push('a message was acknowledged twice')
  let logged = 0
  for (const [room, { messages }] of logs) {
    logged += messages.length
    messages.forEach(({ seq, message }, i) => {
      if (seq !== i + 1) found.push(`${room}: the log has ${seq} as number ${i + 1}`)
      if (!names.has(message)) found.push(`${room}: the log has ${message}, which nobody was told of`)
    })
  }
  if (logged !== names.size) found.push(`${names.size} messages were acknowledged, the logs have ${logged}`)
  for (const { client, room, steps } of watches) {
    const seen = steps.flatMap((step) => (step.type === 'event' ? [step.message] : []))
    const expected = logs.get(room)?.messages.map((each) => each.message) ?? []
    if (seen.join() !== expected.join())
      found.push(`${client} saw ${seen.length} of ${expected.length} events of ${room}, or another order`)
  }
  return found
}

async function readLogs(redisUrl: string): Promise<Map<string, RoomLog>> {
  const log = createLog({ service: 'e2e', level: 'silent' })
  const scope = createScope(log)
  const shape = { slots: 128, lanes }
  try {
    const config = { redisUrl, redisCluster: false, redisPrefix: '', redisCommandTimeoutMs: 5_000, ...shape }
    const store = await openStore(config, { log, scope })
    return new Map(await Promise.all(rooms.map(async (room) => [room, await readRoom(store, room)] as const)))
  } finally {
    await scope.close()
  }
}

async function readRoom(store: Store, room: string): Promise<RoomLog> {
  const messages: { seq: number; message: string }[] = []
  let epoch = ''
  for (let after = 0; ;) {
    const entries = await store.rooms.range(room, after, entriesPerRead)
    for (const entry of entries) {
      epoch = formatEpoch(entry)
      entry.messages.forEach(({ key }, i) => messages.push({ seq: entry.first + i, message: key }))
      after = entry.first + entry.messages.length - 1
    }
    if (entries.length < entriesPerRead) return { epoch, messages }
  }
}

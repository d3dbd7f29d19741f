import { parseInterest } from '@flotilla/core/interest'
import { decodeLog, encodeOut } from '@flotilla/core/entry'
import { decodeWholeLog } from '@flotilla/core/whole-log'
import type { LogEntry } from '@flotilla/core/entry'
import { laneOf } from '@flotilla/core/slot'
import type { InputStreams, Outboxes, RoomLogs, StreamEntry } from '../port.ts'
import type { Keys } from './keys.ts'
import { deadLetter } from './lua/dead-letter.ts'
import { openOutbox } from './lua/open-outbox.ts'
import type { Topology } from './topology.ts'

export function redisInputs(topology: Topology, keys: Keys): InputStreams {
  const nameOf = (lane: number): string => `in:${lane}`
  return {
    append: (slot, body) => topology.lane(laneOf(slot, keys.lanes)).command('XADD', [keys.input(slot), '*', 'b', body]),
    read: async (lane, cursors, { blockMs, count, signal }) => {
      const bySlot = new Map([...cursors.keys()].map((slot) => [keys.input(slot), slot]))
      const args = ['COUNT', count, 'STREAMS', ...bySlot.keys(), ...cursors.values()]
      const found = new Map<number, readonly StreamEntry[]>()
      for (const [key, entries] of streamsOf(
        (await topology.lane(lane).read(nameOf(lane), args, { blockMs, signal })).reply,
      )) {
        const slot = bySlot.get(key)
        if (slot !== undefined) found.set(slot, entries)
      }
      return found
    },
    wake: (lane) => topology.lane(lane).wake(nameOf(lane)),
    newest: async (slot, count) => {
      const args = [keys.input(slot), '+', '-', 'COUNT', count]
      const reply = await topology.lane(laneOf(slot, keys.lanes)).command('XREVRANGE', args)
      return (reply as RawEntry[]).map(entryOf)
    },
    deadLetter: async (slot, entry, reason) => {
      const lane = laneOf(slot, keys.lanes)
      await topology.lane(lane).script(deadLetter, [keys.dead(lane)], [slot, entry.id, reason, entry.body])
    },
  }
}

/** @param ackReplicas replicas that have to confirm; with 0 nothing about runs is read. */
export function redisOutboxes(topology: Topology, keys: Keys, ackReplicas: number): Outboxes {
  return {
    open: async (lane, boot) => {
      await topology.lane(lane).script(openOutbox, [keys.outbox(lane, boot)], [encodeOut({ type: 'boot' })])
    },
    read: async (lane, boot, after, { blockMs, count, signal }) => {
      const node = topology.lane(lane)
      const key = keys.outbox(lane, boot)
      const wait = { blockMs, signal, tellRun: ackReplicas > 0 }
      const { reply, run } = await node.read(`out:${lane}`, ['COUNT', count, 'STREAMS', key, after], wait)
      const entries = streamsOf(reply)[0]?.[1] ?? []
      if (entries.length > 0 || signal.aborted) return { exists: true, entries, run }
      // A read that waits for a stream is not told when the stream is removed, so it is looked for.
      return { exists: (await node.command('EXISTS', [key])) === 1, entries, run }
    },
    confirm: (lane) => topology.lane(lane).confirm(keys.mark(lane), ackReplicas),
    trim: async (lane, boot, through) => {
      await topology.lane(lane).command('XTRIM', [keys.outbox(lane, boot), 'MINID', idAfter(through)])
    },
    remove: async (boot) => {
      const lanes = Array.from({ length: keys.lanes }, (_, lane) => lane)
      await Promise.all(lanes.map((lane) => topology.lane(lane).command('UNLINK', [keys.outbox(lane, boot)])))
    },
  }
}

export function redisRooms(topology: Topology, keys: Keys): RoomLogs {
  const of = (room: string) => topology.lane(keys.laneOfRoom(room))
  return {
    range: async (room, after, limit) =>
      entriesOf(await of(room).command('XRANGE', [keys.log(room), `${after + 1}-0`, '+', 'COUNT', limit])),
    tail: async (room, before, limit) => {
      const end = before === Infinity ? '+' : `(${before}-0`
      const reply = await of(room).command('XREVRANGE', [keys.log(room), end, '-', 'COUNT', limit])
      return decodeWholeLog(room, (reply as RawEntry[]).map(entryOf))
    },
    follow: async (lane, after, { blockMs, count, signal }) => {
      const byKey = new Map([...after.keys()].map((room) => [keys.logIn(lane, room), room]))
      const ids = [...after.values()].map((seq) => `${seq}-0`)
      const args = ['COUNT', count, 'STREAMS', ...byKey.keys(), ...ids]
      const { reply } = await topology.lane(lane).read(`log:${lane}`, args, { blockMs, signal })
      return new Map(
        streamsOf(reply).map(([key, entries]) => {
          const room = byKey.get(key) ?? ''
          return [room, decodeWholeLog(room, entries)]
        }),
      )
    },
    interest: async (slot) => {
      const fields = await topology.lane(laneOf(slot, keys.lanes)).command('HKEYS', [keys.interest(slot)])
      return (fields as string[]).map(parseInterest)
    },
  }
}

type RawEntry = [id: string, fields: string[]]

const entryOf = ([id, fields]: RawEntry): StreamEntry => ({ id, body: fields[1] ?? '' })

function streamsOf(reply: unknown): [key: string, entries: StreamEntry[]][] {
  const streams = (reply ?? []) as [string, RawEntry[]][]
  return streams.map(([key, entries]) => [key, entries.map(entryOf)])
}

function entriesOf(reply: unknown): LogEntry[] {
  const entries: LogEntry[] = []
  for (const [, fields] of reply as RawEntry[]) {
    const entry = decodeLog(fields[1] ?? '')
    if (entry !== undefined) entries.push(entry)
  }
  return entries
}

function idAfter(id: string): string {
  const dash = id.indexOf('-')
  return `${id.slice(0, dash)}-${Number(id.slice(dash + 1)) + 1}`
}

import type { LogEntry } from '../src/entry.ts'
import { eventLogs } from '../src/outgoing.ts'
import { parsePolicy } from '../src/policy-file.ts'
import type { Policy } from '../src/policy.ts'
import { toldBoot } from '../src/slot-outgoing.ts'
import type { World } from './world.ts'

/** A policy that asks who is in which rooms, and lets these keep as much as they do without one. */
export function tellingPolicy(historyEvents: number): Policy {
  const outgoing = { events: ['room.occupied', 'room.vacated'], retain: { events: 50_000 } }
  const parsed = parsePolicy({ version: 1, history: { events: historyEvents }, others: { form: 'any' }, outgoing })
  if (!parsed.ok) throw new Error(parsed.problems.join())
  return parsed.policy
}

/** What was told of rooms is what is so, and each room was told as occupied and vacated in turns. */
export function* mistold(world: World): Generator<string> {
  for (const [slot, log] of eventLogs(world.shape.slots).entries()) {
    const entries = world.stores.roomRange(log, 0, Infinity)
    // What is said of a room may be in what was let go of.
    if ((entries[0]?.first ?? 1) > 1) continue
    const { states, faults } = replay(entries)
    yield* faults
    const occupied = new Set(
      world.stores
        .interest(slot)
        .flatMap(({ room, boot, connection, fences }) =>
          boot === toldBoot || connection !== undefined || fences !== undefined ? [] : [room],
        ),
    )
    for (const room of new Set([...states.keys(), ...occupied]))
      if (states.get(room)?.isOccupied !== occupied.has(room) && (states.has(room) || occupied.has(room)))
        yield `${room} was told ${states.get(room)?.isOccupied === true ? 'occupied' : 'vacated or nothing'} and is ${occupied.has(room) ? 'occupied' : 'not'}`
  }
}

interface Told {
  readonly isOccupied: boolean
  readonly inc: number
}

function replay(entries: readonly LogEntry[]): {
  readonly states: ReadonlyMap<string, Told>
  readonly faults: string[]
} {
  const states = new Map<string, Told>()
  const faults: string[] = []
  let next = entries[0]?.first ?? 1
  for (const { first, inc, messages } of entries) {
    if (first !== next) faults.push(`events ${next} to ${first - 1} are missing`)
    next = first + messages.length
    for (const { tail } of messages) {
      const { event, data } = JSON.parse(`{${tail}}`) as { event: string; data: { room: string } }
      const isOccupied = event === 'room.occupied'
      const before = states.get(data.room)
      // After a loss rooms may be told again, or were told where it is not known any more.
      const isKnown = before !== undefined && before.inc === inc
      if (isKnown && before.isOccupied === isOccupied) faults.push(`${event} of ${data.room} twice`)
      states.set(data.room, { isOccupied, inc })
    }
  }
  return { states, faults }
}

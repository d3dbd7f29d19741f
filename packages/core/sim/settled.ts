import { parseSlotValue } from '../src/commit.ts'
import { isForgotten } from '../src/feed.ts'
import { formatEpoch, parseEpoch } from '../src/position.ts'
import { isIdle } from '../src/producer.ts'
import { slotOf } from '../src/slot.ts'
import { toldBoot } from '../src/slot-outgoing.ts'
import type { RoomLog } from './checks.ts'
import type { Client, Publish } from './client.ts'
import { rooms, users } from './fleet.ts'
import type { Fleet } from './fleet.ts'
import { largeKnobs } from './knobs.ts'
import { mistold } from './told.ts'
import type { World } from './world.ts'

/** One batch may bring a lane over the limit, bytes: no more than this here. */
const batchBytes = 30_000

/** Interest is never refused: what of it waits, superseded or not, may bring an edge over its budget, bytes. */
const interestBytes = 20_000

/** Whoever was refused asks again, and is answered, within: the pause it is told, and the longest deadline of a publish, ms. */
const askedAgainMs = 1_000 + 10_000

/** What still hangs; nothing when the fleet is at rest with everything done (liveness). */
export function unsettled(world: World, fleet: Fleet): string[] {
  return [...hanging(world, fleet)]
}

/** As `unsettled` says, but looks only until it finds something. */
export function isSettled(world: World, fleet: Fleet): boolean {
  return hanging(world, fleet).next().done === true
}

/** What is cheap to find comes first. */
function* hanging(world: World, fleet: Fleet): Generator<string> {
  for (const { name, waiting } of fleet.clients) {
    const left = [...waiting.values()].filter((publish) => !isKeptOut(world, name, publish))
    if (left.length > 0) yield `${name} waits for ${left.map(({ message }) => message).join(' ')}`
  }
  yield* idleWorkers(world, fleet)
  for (const client of fleet.clients) {
    for (const { room, cursor, asking } of client.rooms.values()) {
      if (asking !== null) yield `${client.name} waits for the answer to its subscription of ${room}`
      const head = headOf(world, room)
      const epoch = cursor.epoch === null ? undefined : parseEpoch(cursor.epoch)
      if (epoch === undefined || cursor.seq !== head.seq || formatEpoch(epoch) !== head.epoch) {
        yield `${client.name} is at ${cursor.epoch}:${cursor.seq} of ${room}, whose head is ${head.epoch}:${head.seq}`
      }
    }
  }
  if (world.perUser > 0) yield* uncounted(world, fleet)
  if (world.told) yield* mistold(world)
  yield* ghosts(fleet)
  const boots = new Set<string>()
  for (const edge of fleet.edges) {
    if (!edge.process.alive) continue
    boots.add(edge.boot())
    if (edge.draining()) yield `${edge.boot()} drains`
    for (const [slot, producer] of edge.producers)
      if (!isIdle(producer)) yield `${edge.boot()} has un-acknowledged input of slot ${slot}`
    for (const feed of edge.feeds.values()) {
      if (isForgotten(feed)) continue
      const interest = world.stores.interest(slotOf(feed.room, world.shape.slots))
      if (!interest.some(({ room, boot }) => room === feed.room && boot === edge.boot()))
        yield `${edge.boot()} serves ${feed.room} without interest`
    }
  }
  for (let slot = 0; slot < world.shape.slots; slot += 1) {
    for (const { room, boot } of world.stores.interest(slot))
      // A row of no boot is about locks.
      if (boot !== '' && boot !== toldBoot && !boots.has(boot)) yield `interest of ${boot} in ${room} is left`
  }
}

/** Publishes that are still refused at the end, and may be: their rooms are filled for good. */
export function keptOut(world: World, { clients }: Pick<Fleet, 'clients'>): number {
  return sum(
    clients.map(
      ({ name, waiting }: Client) => [...waiting.values()].filter((each) => isKeptOut(world, name, each)).length,
    ),
  )
}

/** It is refused again and again, and there is no place for it. One that is not answered any more is not kept out: it hangs. */
function isKeptOut(world: World, sender: string, { room, message, overloadedAtMs }: Publish): boolean {
  if (overloadedAtMs === null || world.network.clock.now - overloadedAtMs > askedAgainMs) return false
  return isFilled(world, room, [sender, message, message])
}

/**
 * The last entry of a log is its head, and stays. With a room as small as some have here that entry alone, of all that waited out an outage,
 * can leave no place for another message; in one of 64 MiB no commit comes near it.
 */
function isFilled(world: World, room: string, message: readonly string[]): boolean {
  const { chars } = world.knobs.lane.rooms
  if (chars === largeKnobs.lane.rooms.chars) return false
  const last = world.stores.roomRange(room, 0, Infinity).at(-1)
  const texts = last?.messages.map(({ sender, key, options, tail }) => [sender, key, options, tail]) ?? []
  return sum([...texts, [...message, '']].map(charsOf)) > chars
}

/** Of a message as its room counts it, with what is between its parts. */
const charsOf = (parts: readonly string[]): number => sum(parts.map(({ length }) => length)) + parts.length - 1
const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0)

/** What counts is what is open, and a phone that has no connection was refused because others have all. */
function* uncounted(world: World, fleet: Fleet): Generator<string> {
  for (const user of users) {
    const rows = world.stores.interest(slotOf(user, world.shape.slots)).filter(({ room }) => room === user)
    const counted = rows.map(({ boot, connection }) => `${connection} at ${boot}`)
    const open = fleet.edges
      .filter(({ process }) => process.alive)
      .flatMap(({ boot, sessions }) =>
        [...sessions].filter(([, { room }]) => room === user).map(([id]) => `${id} at ${boot()}`),
      )
    if (counted.toSorted().join() !== open.toSorted().join())
      yield `of ${user} ${counted.join(', ') || 'nothing'} counts, ${open.join(', ') || 'nothing'} is open`
    for (const { options, connection, resting } of fleet.phones) {
      const { name, room } = options
      if (room !== user || (resting && counted.length >= world.perUser)) continue
      if (connection === undefined) yield `${name} is not connected`
      else if (!rows.some((row) => row.connection === connection))
        yield `${name} has ${connection}, which does not count`
    }
  }
}

/** Everybody who watches a room is told of those who are in it, wherever, and of nobody else. */
function* ghosts(fleet: Fleet): Generator<string> {
  const edges = fleet.edges.filter(({ process }) => process.alive)
  for (const room of rooms) {
    const there = new Set(edges.flatMap(({ presence }) => presence.here(room)))
    for (const { boot, presence } of edges) {
      const told = presence.told(room)
      if (told === null) yield `${boot()} waits for the members of ${room}`
      else if (told !== undefined && told.toSorted().join() !== [...there].toSorted().join())
        yield `at ${boot()} ${told.join(' ') || 'nobody'} is told to be in ${room}, ${[...there].join(' ') || 'nobody'} is`
    }
  }
}

function* idleWorkers(world: World, fleet: Fleet): Generator<string> {
  const owners = new Map<number, number>()
  for (const worker of fleet.workers) {
    if (!worker.process.alive) continue
    for (const lane of worker.lanes) {
      if (lane.mode.type !== 'serving' || lane.inFlight.length > 0 || lane.claiming.size > 0)
        yield `${worker.boot} lane ${lane.lane}: ${lane.mode.type}, ${lane.inFlight.length} in flight, ${lane.claiming.size} claims`
      for (const own of lane.slots.values()) {
        owners.set(own.slot, (owners.get(own.slot) ?? 0) + 1)
        if (own.pending.length > 0 || own.needsClaim)
          yield `${worker.boot} slot ${own.slot}: ${own.pending.length} pending${own.needsClaim ? ', needs a claim' : ''}`
      }
    }
  }
  for (let slot = 0; slot < world.shape.slots; slot += 1)
    if (owners.get(slot) === undefined) yield `slot ${slot} has no owner`
  const inputs = world.stores.inputsLeft()
  if (inputs > 0) yield `${inputs} input entries are left`
}

function headOf(world: World, room: string): { epoch: string; seq: number } {
  const { epoch, messages } = logOf(world, room)
  return { epoch, seq: messages.at(-1)?.seq ?? 0 }
}

function logOf(world: World, room: string): RoomLog {
  const slot = slotOf(room, world.shape.slots)
  const text = world.stores.value(slot)
  const entries = world.stores.roomRange(room, 0, Infinity)
  const inc = text === undefined ? 0 : parseSlotValue(text).inc
  return {
    trimmed: world.record.reached.has('log trimmed'),
    epoch: formatEpoch({ inc, tag: entries.at(-1)?.tag ?? 0 }),
    messages: entries.flatMap((entry) =>
      entry.messages.map((message, i) => ({ seq: entry.first + i, message: message.tail })),
    ),
  }
}

export function roomLogs(world: World): Map<string, RoomLog> {
  return new Map(rooms.map((room) => [room, logOf(world, room)]))
}

/** P6: nothing is above its limit, and nothing is kept that nobody needs (`atRest`: the fleet is settled). */
export function unbounded(fleet: Fleet, atRest: boolean): string[] {
  const found: string[] = []
  for (const { process, boot, producers, feeds, budget } of fleet.edges) {
    if (!process.alive) continue
    for (const producer of producers.values()) {
      if (producer.window.length > (budget.entries ?? Infinity))
        found.push(`${boot()} has a window of ${producer.window.length}`)
      if (atRest && !isIdle(producer)) found.push(`${boot()} keeps publishes`)
      if (atRest && producer.attempts.size > 0) found.push(`${boot()} keeps ${producer.attempts.size} attempts`)
    }
    if (budget.used > budget.max + interestBytes) found.push(`${boot()} holds ${budget.used} bytes`)
    if (atRest && budget.used !== 0) found.push(`${boot()} counts ${budget.used} bytes at rest`)
    for (const feed of feeds.values()) {
      if (feed.held.size > feed.limits.heldEvents)
        found.push(`${boot()} holds ${feed.held.size} events of ${feed.room}`)
      if (atRest && feed.held.size + feed.fetches.size + feed.waiting.size > 0)
        found.push(`${boot()} keeps ${feed.held.size} events, ${feed.fetches.size} reads of ${feed.room}`)
    }
  }
  for (const { process, boot, lanes } of fleet.workers) {
    if (!process.alive) continue
    for (const lane of lanes) {
      let bytes = lane.retained.reduce((sum, batch) => sum + batch.bytes, 0)
      for (const own of lane.slots.values()) {
        for (const commit of own.chain) bytes += commit.bytes
        const pending = own.pending.reduce((sum, entry) => sum + entry.body.length, 0)
        if (pending !== own.pendingBytes)
          found.push(`${boot} counts ${own.pendingBytes} bytes pending of slot ${own.slot}, there are ${pending}`)
      }
      if (bytes !== lane.retainedBytes)
        found.push(`${boot} counts ${lane.retainedBytes} retained bytes, there are ${bytes}`)
      if (bytes > 2 * lane.limits.retainedBytes + batchBytes) found.push(`${boot} retains ${bytes} bytes`)
    }
  }
  return found
}

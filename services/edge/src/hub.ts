import type { OutRecord } from '@flotilla/core/entry'
import { createFeed, isForgotten, needsTick, stepFeed } from '@flotilla/core/feed'
import type { FeedEffect, FeedInput, FeedState } from '@flotilla/core/feed-state'
import { positionAt } from '@flotilla/core/feed-place'
import { feedLimits } from '@flotilla/core/limits'
import type { OutEvent } from '@flotilla/core/entry'
import { laneOf, slotOf } from '@flotilla/core/slot'
import type { Endpoint } from '@flotilla/node/endpoint-port'
import { historyOf } from '@flotilla/core/policy'
import type { Policy } from '@flotilla/core/policy'
import type { Log } from '@flotilla/node/log'
import type { PolicySource } from '@flotilla/node/policy'
import type { Scope } from '@flotilla/node/scope'
import type { Tracing } from '@flotilla/node/tracing'
import type { Connection, RoomEffect } from './connection.ts'
import { controlsFor } from './controls.ts'
import { beginDeliveries } from './delivery-spans.ts'
import { catchUp, createSubscriber, dropGate, encodeFor, fanOut, give, isPersonal, openGate } from './fanout.ts'
import type { Audience, Encoded, FannedOut, Item, Subscriber } from './fanout.ts'
import type { EdgeMetrics } from './metrics.ts'
import { readPage } from './pages.ts'
import { createSlices } from './slices.ts'
import { createTicker } from './ticker.ts'
import { positionText, textFrame } from './wire.ts'

/** How often feeds look after holes and empty rooms, ms, and subscribers under a filter are told their position. */
const feedTickMs = 100
const filterPositionMs = 10_000
/** After so long with subscribers that join the event loop is let turn: of five hundred who resume at once their answers take 60 ms, and their rooms' logs 70. */
const joinSliceMs = 8
/** What a client is asked to wait with a room for which too much would have to be held back, ms. */
const replayAgainMs = 1_000

export interface HubDeps {
  readonly shape: { readonly slots: number; readonly lanes: number }
  readonly log: Log
  readonly scope: Scope
  readonly metrics: EdgeMetrics
  readonly tracing: Tracing
  readonly policy: PolicySource
  endpoint(): Endpoint
  connections(): Iterable<Connection>
}

interface Room extends Audience {
  readonly name: string
  readonly slot: number
  readonly feed: FeedState
  readonly subscribers: Map<number, Subscriber>
  /** What waits for the tick; null: nothing. */
  items: Item[] | null
  turn: number
  /** Forgotten: who comes now gets another one of the same name. */
  gone: boolean
}

/** The rooms of one edge: routes records to feeds, and what feeds decide to sockets. */
export interface Hub {
  onRecords(records: readonly OutRecord[]): void
  onResync(lane: number): void
  onPolicy(policy: Policy): void
  onRooms(connection: Connection, effect: RoomEffect): void
  onClosed(connection: Connection): void
  onDirty(connection: Connection): void
  readonly rooms: number
}

const clock = {
  get now(): number {
    return performance.now()
  },
  get wallMs(): number {
    return Date.now()
  },
}

export function createHub(deps: HubDeps): Hub {
  const { shape, metrics } = deps
  const rooms = new Map<string, Room>()
  /** Those that time alone can change. */
  const waiting = new Set<Room>()
  /** Those with something for subscribers that were too slow for it. */
  const behind = new Set<Room>()
  /** Subscribers that are not in their feeds yet, and what was read for them. */
  const slices = createSlices(joinSliceMs)
  let nextId = 0
  let nextLife = 0
  let lastReplay: { readonly events: readonly OutEvent[]; readonly encoded: Encoded } | undefined
  const ticker = createTicker<Room, Connection>({
    flushRoom,
    flushConnection: (connection) => connection.flush(),
    onWrites: (count) => metrics.writes.inc(count),
  })

  function roomFor(name: string): Room {
    const known = rooms.get(name)
    if (known !== undefined) return known
    const { ageMs } = historyOf(deps.policy.current, name)
    const feed = createFeed(name, (nextLife += 1), feedLimits, ageMs)
    const [json, slot] = [JSON.stringify(name), slotOf(name, shape.slots)]
    const room: Room = { name, slot, feed, json, subscribers: new Map(), items: null, turn: 0, gone: false }
    rooms.set(name, room)
    return room
  }

  function step(room: Room, input: FeedInput): void {
    // A read may come back when nobody has been here for long: what it would ask for again would be for nobody.
    if (room.gone) return
    for (const effect of stepFeed(room.feed, input, clock)) execute(room, effect)
    if (needsTick(room.feed)) waiting.add(room)
    else waiting.delete(room)
    // Somebody who came in this turn of the event loop is not in the feed yet.
    if (!isForgotten(room.feed) || room.subscribers.size > 0) return
    room.gone = true
    rooms.delete(room.name)
    waiting.delete(room)
  }

  function execute(room: Room, effect: FeedEffect): void {
    switch (effect.type) {
      case 'declare':
        return deps.endpoint().interest(room.name, true, effect.nonce)
      case 'withdraw':
        return deps.endpoint().interest(room.name, false, '')
      case 'fetch':
        void fetch(room, effect)
        return
      case 'deliver':
        return enqueue(room, itemsOf(effect))
      case 'ephemeral':
        return enqueue(room, [{ seq: undefined, event: effect.event, epoch: '' }])
      case 'answer':
        return answer(room, effect)
      case 'refuse':
        return refuse(room, effect)
      case 'position':
        return tellAll(room, effect)
    }
  }

  function enqueue(room: Room, items: Item[]): void {
    if (room.items === null) room.items = items
    else room.items.push(...items)
    ticker.room(room, room.feed.live.size)
  }

  async function fetch(room: Room, { request, after, limit }: Extract<FeedEffect, { type: 'fetch' }>): Promise<void> {
    let entries = null
    try {
      entries = await deps.endpoint().history(room.name, after, limit)
    } catch (error) {
      deps.log.warn('room log could not be read', {
        room: room.name,
        error: error instanceof Error ? error.message : String(error),
      })
    }
    const take = (): void => {
      step(room, { type: 'history', request, entries })
      lastReplay = undefined
    }
    // What fills a hole is waited for by those who are connected already.
    if (room.feed.phase.type === 'backfilling') take()
    else slices.add(take)
  }

  /** The answer first, then the replay, then what is live: the session opens the gate. */
  function answer(room: Room, effect: Extract<FeedEffect, { type: 'answer' }>): void {
    const subscriber = room.subscribers.get(effect.subscriber)
    if (subscriber === undefined) return
    const { position, recovered, reason, events } = effect
    if (events.length > 0) {
      const { frames, count, skips } = encodeReplay(room, subscriber, effect)
      // Those whose replay does not fit beside others are asked for again, rather than the connection closed.
      if (frames !== null && !give(subscriber, frames, true)) return turnAway(room, subscriber)
      if (skips) subscriber.lagging = true
      metrics.delivered.inc(count)
    }
    if (!recovered) metrics.losses.inc({ reason: reason ?? 'epoch' })
    metrics.subscribed.inc({ result: !recovered ? 'lost' : events.length > 0 ? 'replayed' : 'current' })
    subscriber.live = true
    obey(room, [subscriber], () => events)
    // What waits for the tick was decided before this subscriber was live.
    subscriber.from = room.items?.length ?? 0
    const missed = events.length
    const outcome = reason === undefined ? { position, recovered, missed } : { position, recovered, missed, reason }
    subscriber.connection.step({ type: 'answered', room: room.name, ...outcome })
  }

  /** All who resume from one place get the same events, and those without a filter the same bytes. */
  function encodeReplay(room: Room, subscriber: Subscriber, effect: Extract<FeedEffect, { type: 'answer' }>): Encoded {
    const { position, events } = effect
    if (events === lastReplay?.events && subscriber.filter === null) return lastReplay.encoded
    const items = itemsOf({ epoch: position.epoch, first: position.seq - events.length + 1, events })
    const encoded = encodeFor(room, items, subscriber)
    const forAll = subscriber.filter === null && !isPersonal(items)
    if (forAll) lastReplay = { events, encoded }
    return encoded
  }

  function turnAway(room: Room, { id }: Subscriber): void {
    step(room, { type: 'remove', subscriber: id })
    refuse(room, { type: 'refuse', subscriber: id, retryAfterMs: replayAgainMs })
  }

  function refuse(room: Room, { subscriber: id, retryAfterMs }: Extract<FeedEffect, { type: 'refuse' }>): void {
    const subscriber = room.subscribers.get(id)
    if (subscriber === undefined) return
    room.subscribers.delete(id)
    dropGate(subscriber)
    subscriber.connection.rooms.delete(room.name)
    subscriber.connection.step({ type: 'refused', room: room.name, retryAfterMs })
  }

  function tellAll(room: Room, { position, recovered, reason }: Extract<FeedEffect, { type: 'position' }>): void {
    flushRoom(room)
    if (!recovered) metrics.losses.inc({ reason: reason ?? 'epoch' })
    const why = reason === undefined ? {} : { reason }
    const frame = textFrame(JSON.stringify({ type: 'position', room: room.name, position, recovered, ...why }))
    const full: Subscriber[] = []
    for (const subscriber of room.subscribers.values())
      if (subscriber.live && !give(subscriber, frame)) full.push(subscriber)
    for (const subscriber of full) turnAway(room, subscriber)
  }

  function flushRoom(room: Room): void {
    const { items } = room
    if (items === null) return
    room.items = null
    obey(room, room.subscribers.values(), () => items.map(({ event }) => event))
    const spans = beginDeliveries(deps.tracing, room.name, items)
    const done = fanOut(room, items)
    for (const span of spans) span.end({ 'flotilla.batch.written': done.written })
    if (done.replaced > 0) metrics.conflated.inc(done.replaced)
    settle(room, done)
  }

  function settle(room: Room, done: FannedOut): void {
    metrics.delivered.inc(done.written)
    for (const subscriber of done.full) turnAway(room, subscriber)
    if (done.behind) behind.add(room)
    else behind.delete(room)
  }

  /** In turns of their own: this may be within a step of one of these sessions. */
  function obey({ name }: Room, subscribers: Iterable<Subscriber>, events: () => readonly OutEvent[]): void {
    for (const { connection, control } of controlsFor(name, subscribers, events))
      slices.add(() => connection.step({ type: 'control', control }))
  }

  function subscribe(connection: Connection, effect: Extract<RoomEffect, { type: 'subscribe' }>): void {
    if (connection.closed) return
    unsubscribe(connection, effect.room)
    // What was due before may have been too much for a slow client.
    if (connection.closed) return
    const room = roomFor(effect.room)
    const id = (nextId += 1)
    const subscriber = createSubscriber(id, connection, effect.filter)
    room.subscribers.set(id, subscriber)
    connection.rooms.set(effect.room, subscriber)
    // In a turn of its own: the session is still in the step that asked for this.
    const { since } = effect
    slices.add(() => {
      if (room.subscribers.has(id)) step(room, { type: 'add', subscriber: id, since })
    })
  }

  function unsubscribe(connection: Connection, name: string): void {
    const subscriber = connection.rooms.get(name)
    if (subscriber === undefined) return
    const room = roomFor(name)
    // Behind a gate it has not been answered, and gets none of this: what does not fit there must not refuse its successor.
    if (subscriber.live && subscriber.gate === null) flushRoom(room)
    connection.rooms.delete(name)
    leave(room, subscriber)
  }

  function leave(room: Room, subscriber: Subscriber): void {
    room.subscribers.delete(subscriber.id)
    dropGate(subscriber)
    step(room, { type: 'remove', subscriber: subscriber.id })
  }

  function publish(connection: Connection, effect: Extract<RoomEffect, { type: 'publish' }>): void {
    const { request, message } = effect
    deps.endpoint().publish(message, (outcome) => {
      connection.step({ type: 'published', request, outcome })
    })
  }

  deps.scope.every(feedTickMs, () => {
    for (const room of [...waiting]) step(room, { type: 'tick' })
    for (const room of [...behind]) settle(room, catchUp(room))
  })
  deps.scope.every(filterPositionMs, () => {
    for (const connection of deps.connections()) advance(connection)
  })

  /** Under a filter a client does not see where the room is. */
  function advance(connection: Connection): void {
    for (const [name, subscriber] of connection.rooms) {
      if (!subscriber.lagging || !subscriber.live) continue
      const room = roomFor(name)
      const { phase } = room.feed
      if (phase.type !== 'live') continue
      flushRoom(room)
      subscriber.lagging = false
      const { epoch, seq } = positionAt(phase, clock)
      if (!give(subscriber, textFrame(positionText(room.json, epoch, seq)))) turnAway(room, subscriber)
    }
  }

  function measure(wallMs: number, committedMs = Number.NaN): void {
    // The histogram throws at what is no number.
    if (committedMs > 0) metrics.deliverySeconds.observe(Math.max(0, wallMs - committedMs) / 1_000)
  }

  return {
    get rooms() {
      return rooms.size
    },
    onRecords: (records) => {
      ticker.turn()
      lastReplay = undefined
      const wallMs = Date.now()
      let measuredMs: number | undefined
      for (const record of records) {
        if (record.type === 'reset') {
          for (const room of rooms.values()) if (room.slot === record.slot) step(room, record)
        } else if (
          record.type === 'events' ||
          record.type === 'interest' ||
          record.type === 'head' ||
          record.type === 'ephemeral'
        ) {
          const room = rooms.get(record.room)
          if (room === undefined) continue
          // A commit comes as a record for each of its rooms, one after the other: commits of one millisecond are measured once.
          if (record.type === 'events' && record.timeMs !== measuredMs) {
            measuredMs = record.timeMs
            measure(wallMs, measuredMs)
          }
          step(room, { type: 'record', record })
        }
      }
    },
    onResync: (lane) => {
      for (const room of rooms.values()) if (laneOf(room.slot, shape.lanes) === lane) step(room, { type: 'resync' })
    },
    onPolicy: (policy) => {
      for (const room of rooms.values()) step(room, { type: 'keeps', historyMs: historyOf(policy, room.name).ageMs })
    },
    onRooms: (connection, effect) => {
      switch (effect.type) {
        case 'subscribe':
          return subscribe(connection, effect)
        case 'unsubscribe':
          return unsubscribe(connection, effect.room)
        case 'release': {
          const subscriber = connection.rooms.get(effect.room)
          if (subscriber !== undefined) openGate(subscriber)
          return
        }
        case 'advance':
          return advance(connection)
        case 'publish':
          return publish(connection, effect)
        case 'history':
          return readPage(deps, connection, effect)
        case 'ephemeral':
          return deps.endpoint().ephemeral(effect.room, { options: effect.options, tail: effect.tail })
      }
    },
    onClosed: (connection) => {
      for (const [name, subscriber] of connection.rooms) leave(roomFor(name), subscriber)
      connection.rooms.clear()
    },
    onDirty: (connection) => ticker.connection(connection),
  }
}

/** Events with contiguous seqs, as fan-out takes them. */
function itemsOf(run: {
  readonly epoch: string
  readonly first: number
  readonly events: readonly OutEvent[]
}): Item[] {
  return run.events.map((event, i) => ({ seq: run.first + i, event, epoch: run.epoch }))
}

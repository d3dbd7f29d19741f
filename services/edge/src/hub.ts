import type { OutRecord } from '@flotilla/core/entry'
import { createFeed, isForgotten, needsTick, stepFeed } from '@flotilla/core/feed'
import type { FeedEffect, FeedInput, FeedState } from '@flotilla/core/feed-state'
import { standing } from '@flotilla/core/feed-place'
import type { RoomEpoch } from '@flotilla/core/position'
import { laneOf, slotOf } from '@flotilla/core/slot'
import type { Endpoint } from '@flotilla/node/endpoint-port'
import type { Log } from '@flotilla/node/log'
import type { Scope } from '@flotilla/node/scope'
import type { Connection, RoomEffect } from './connection.ts'
import { encodeFor, fanOut, write } from './fanout.ts'
import type { Item, RoomWire, Subscriber } from './fanout.ts'
import type { EdgeMetrics } from './metrics.ts'
import { createTicker } from './ticker.ts'
import { positionText, textFrame } from './wire.ts'

/** How often feeds look after holes and empty rooms, ms, and subscribers under a filter are told their position. */
const feedTickMs = 100
const filterPositionMs = 10_000
/** What a client is asked to wait with a room whose replay did not fit beside others, ms. */
const replayAgainMs = 1_000

export interface HubDeps {
  readonly shape: { readonly slots: number; readonly lanes: number }
  readonly log: Log
  readonly scope: Scope
  readonly metrics: EdgeMetrics
  endpoint(): Endpoint
}

interface Room extends RoomWire {
  readonly name: string
  /** That of the place of the last step that had one. */
  epoch: RoomEpoch
  readonly slot: number
  readonly feed: FeedState
  readonly subscribers: Map<number, Subscriber>
  items: Item[]
}

/** The rooms of one edge: routes records to feeds, and what feeds decide to sockets. */
export interface Hub {
  onRecords(records: readonly OutRecord[]): void
  onResync(lane: number): void
  onRooms(connection: Connection, effect: RoomEffect): void
  onClosed(connection: Connection): void
  onDirty(connection: Connection): void
  readonly rooms: number
}

export function createHub(deps: HubDeps): Hub {
  const { shape, metrics } = deps
  const rooms = new Map<string, Room>()
  /** Those that time alone can change. */
  const waiting = new Set<Room>()
  const byConnection = new Map<Connection, Map<string, { room: Room; subscriber: Subscriber }>>()
  let nextId = 0
  let nextLife = 0
  const ticker = createTicker<Room, Connection>({ flushRoom, flushConnection: (connection) => connection.flush() })

  const clock = () => ({ now: performance.now(), wallMs: Date.now() })

  function roomFor(name: string): Room {
    let room = rooms.get(name)
    if (room !== undefined) return room
    const feed = createFeed(name, (nextLife += 1))
    const json = JSON.stringify(name)
    const none: RoomEpoch = { inc: 0, tag: 0 }
    room = { name, slot: slotOf(name, shape.slots), feed, json, epoch: none, subscribers: new Map(), items: [] }
    rooms.set(name, room)
    metrics.rooms.set(rooms.size)
    return room
  }

  function step(room: Room, input: FeedInput): void {
    const effects = stepFeed(room.feed, input, clock())
    // A step that gives the place up may have delivered before: then the epoch is still the one from before.
    room.epoch = standing(room.feed)?.epoch ?? room.epoch
    for (const effect of effects) execute(room, effect)
    if (needsTick(room.feed)) waiting.add(room)
    else waiting.delete(room)
    // Somebody who came in this turn of the event loop is not in the feed yet.
    if (!isForgotten(room.feed) || room.subscribers.size > 0 || rooms.get(room.name) !== room) return
    rooms.delete(room.name)
    waiting.delete(room)
    metrics.rooms.set(rooms.size)
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
        effect.events.forEach((event, i) => room.items.push({ seq: effect.first + i, event, epoch: room.epoch }))
        return ticker.room(room)
      case 'ephemeral':
        room.items.push({ seq: undefined, event: effect.event, epoch: room.epoch })
        return ticker.room(room)
      case 'answer':
        return answer(room, effect)
      case 'refuse':
        return refuse(room, effect)
      case 'position':
        return tellAll(room, effect)
    }
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
    step(room, { type: 'history', request, entries })
  }

  /** The answer first, then the replay, then what is live: the session opens the gate. */
  function answer(room: Room, effect: Extract<FeedEffect, { type: 'answer' }>): void {
    const subscriber = room.subscribers.get(effect.subscriber)
    if (subscriber === undefined) return
    // What waits for the tick was decided before this subscriber was live.
    flushRoom(room, effect.subscriber)
    const { position, recovered, reason, events } = effect
    const missed = events.length
    const first = position.seq - events.length + 1
    if (events.length > 0) {
      const items = events.map((event, i) => ({ seq: first + i, event, epoch: room.epoch }))
      const { frames, count, skips } = encodeFor(room, items, subscriber)
      // The rooms of a `resume` wait for each other: those whose replay does not fit now are asked for again.
      if (frames !== null && !subscriber.connection.mayHoldReplay(frames.length)) {
        step(room, { type: 'remove', subscriber: subscriber.id })
        return refuse(room, { type: 'refuse', subscriber: subscriber.id, retryAfterMs: replayAgainMs })
      }
      subscriber.replay = frames
      if (skips) subscriber.lagging = true
      metrics.delivered.inc(count)
    }
    if (!recovered) metrics.losses.inc({ reason: reason ?? 'epoch' })
    subscriber.live = true
    const outcome = reason === undefined ? { position, recovered, missed } : { position, recovered, missed, reason }
    subscriber.connection.step({ type: 'answered', room: room.name, ...outcome })
  }

  function refuse(room: Room, { subscriber: id, retryAfterMs }: Extract<FeedEffect, { type: 'refuse' }>): void {
    const subscriber = room.subscribers.get(id)
    if (subscriber === undefined) return
    room.subscribers.delete(id)
    byConnection.get(subscriber.connection)?.delete(room.name)
    dropGate(subscriber)
    subscriber.connection.step({ type: 'refused', room: room.name, retryAfterMs })
  }

  function tellAll(room: Room, { position, recovered, reason }: Extract<FeedEffect, { type: 'position' }>): void {
    flushRoom(room)
    if (!recovered) metrics.losses.inc({ reason: reason ?? 'epoch' })
    const frame = textFrame(
      JSON.stringify({
        type: 'position',
        room: room.name,
        position,
        recovered,
        ...(reason === undefined ? {} : { reason }),
      }),
    )
    for (const subscriber of room.subscribers.values()) if (subscriber.live) write(subscriber, frame)
  }

  function flushRoom(room: Room, except?: number): void {
    const { items } = room
    if (items.length === 0) return
    room.items = []
    const live = [...room.subscribers.values()].filter((subscriber) => subscriber.live && subscriber.id !== except)
    metrics.delivered.inc(fanOut(room, items, live))
  }

  function subscribe(connection: Connection, effect: Extract<RoomEffect, { type: 'subscribe' }>): void {
    if (connection.closed) return
    unsubscribe(connection, effect.room)
    const room = roomFor(effect.room)
    const id = (nextId += 1)
    const subscriber: Subscriber = {
      id,
      connection,
      filter: effect.filter,
      live: false,
      gate: [],
      replay: null,
      lagging: false,
    }
    room.subscribers.set(id, subscriber)
    let own = byConnection.get(connection)
    if (own === undefined)
      byConnection.set(connection, (own = new Map<string, { room: Room; subscriber: Subscriber }>()))
    own.set(effect.room, { room, subscriber })
    // In a turn of its own: the session is still in the step that asked for this.
    queueMicrotask(() => {
      if (room.subscribers.has(id)) step(room, { type: 'add', subscriber: id, since: effect.since })
    })
  }

  function unsubscribe(connection: Connection, name: string): void {
    const own = byConnection.get(connection)
    const found = own?.get(name)
    if (found === undefined) return
    own?.delete(name)
    const { room, subscriber } = found
    if (subscriber.live) flushRoom(room)
    room.subscribers.delete(subscriber.id)
    dropGate(subscriber)
    step(room, { type: 'remove', subscriber: subscriber.id })
  }

  function dropGate(subscriber: Subscriber): void {
    for (const frame of subscriber.gate ?? []) subscriber.connection.letGo(frame.length)
    subscriber.gate = []
    subscriber.connection.letGoReplay(subscriber.replay?.length ?? 0)
    subscriber.replay = null
  }

  function openGate(subscriber: Subscriber): void {
    const { gate, replay } = subscriber
    subscriber.gate = null
    subscriber.replay = null
    if (replay !== null) {
      subscriber.connection.letGoReplay(replay.length)
      subscriber.connection.write(replay)
    }
    for (const frame of gate ?? []) {
      subscriber.connection.letGo(frame.length)
      subscriber.connection.write(frame)
    }
  }

  function publish(connection: Connection, effect: Extract<RoomEffect, { type: 'publish' }>): void {
    const { request, message } = effect
    const started = performance.now()
    deps.endpoint().publish(message, (outcome) => {
      metrics.publishSeconds.observe((performance.now() - started) / 1_000)
      metrics.published.inc({ outcome: outcome.type })
      connection.step({ type: 'published', request, outcome })
    })
  }

  deps.scope.every(feedTickMs, () => {
    for (const room of [...waiting]) step(room, { type: 'tick' })
  })
  deps.scope.every(filterPositionMs, () => {
    for (const own of byConnection.values()) advance(own)
  })

  /** Under a filter a client does not see where the room is. */
  function advance(own: ReadonlyMap<string, { room: Room; subscriber: Subscriber }>): void {
    for (const { room, subscriber } of own.values()) {
      const { phase } = room.feed
      if (!subscriber.lagging || !subscriber.live || phase.type !== 'live') continue
      flushRoom(room)
      subscriber.lagging = false
      write(subscriber, textFrame(positionText(room.json, phase.epoch, phase.seq)))
    }
  }

  return {
    get rooms() {
      return rooms.size
    },
    onRecords: (records) => {
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
          if (room !== undefined) step(room, { type: 'record', record })
        }
      }
    },
    onResync: (lane) => {
      for (const room of rooms.values()) if (laneOf(room.slot, shape.lanes) === lane) step(room, { type: 'resync' })
    },
    onRooms: (connection, effect) => {
      switch (effect.type) {
        case 'subscribe':
          return subscribe(connection, effect)
        case 'unsubscribe':
          return unsubscribe(connection, effect.room)
        case 'release': {
          const found = byConnection.get(connection)?.get(effect.room)
          if (found !== undefined) openGate(found.subscriber)
          return
        }
        case 'advance':
          return advance(byConnection.get(connection) ?? new Map())
        case 'publish':
          return publish(connection, effect)
        case 'ephemeral':
          return deps.endpoint().ephemeral(effect.room, { options: '', tail: effect.tail })
      }
    },
    onClosed: (connection) => {
      const own = byConnection.get(connection)
      byConnection.delete(connection)
      for (const { room, subscriber } of own?.values() ?? []) {
        room.subscribers.delete(subscriber.id)
        step(room, { type: 'remove', subscriber: subscriber.id })
      }
    },
    onDirty: (connection) => ticker.connection(connection),
  }
}

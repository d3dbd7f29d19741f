import type { LogEntry, OutRecord } from '../src/entry.ts'
import { createFeed, isForgotten, stepFeed } from '../src/feed.ts'
import type { FeedEffect, FeedInput, FeedState } from '../src/feed-state.ts'
import { endpointHeartbeatMs } from '../src/limits.ts'
import { learn } from '../src/plan.ts'
import type { Knowledge, Member, Plan } from '../src/plan.ts'
import { parseEpoch } from '../src/position.ts'
import type { ByteBudget, ProducerState, Settlement } from '../src/producer-state.ts'
import { slotOf } from '../src/slot.ts'
import { isOfFeed } from './feed-records.ts'
import { countConnections } from './connections.ts'
import type { CountedConnections, CountedFrame } from './connections.ts'
import { drainEdge } from './edge-drain.ts'
import { watchFeed } from './landmarks.ts'
import { backoff } from './network.ts'
import { attend } from './presence.ts'
import type { SimPresence } from './presence.ts'
import type { Process } from './network.ts'
import { startOutbox } from './outbox.ts'
import type { Outbox } from './outbox.ts'
import { Producers } from './producers.ts'
import { EdgeSession, turnAway } from './sessions.ts'
import type { Leaving } from './sessions.ts'
import type { ClientFrame, ServerFrame, Session } from './wire.ts'
import type { World } from './world.ts'

const tickEveryMs = 50
/** How long one that has drained waits for acknowledgements, ms. */
const closeFlushMs = 5_000

export interface Edge {
  readonly name: string
  readonly process: Process
  readonly boot: () => string
  /** It has registered, and as far as balancers know it does not drain: clients are sent to it. */
  readonly ready: () => boolean
  /** It is on its way out, or out. */
  readonly draining: () => boolean
  /** Sends everybody elsewhere, signs off, ends. */
  drain(): void
  readonly producers: ReadonlyMap<number, ProducerState>
  readonly feeds: ReadonlyMap<string, FeedState>
  readonly budget: ByteBudget
  /** Of connections that count. */
  readonly sessions: CountedConnections['sessions']
  readonly presence: SimPresence
  open(send: (frame: ServerFrame) => void, user: string): Session
  /** A connection of the user whose room it is; returns how it ends. */
  count(room: string, replaces: string, tell: (frame: CountedFrame) => void): () => void
  /** Records that did not come by the outbox. */
  take(records: readonly OutRecord[]): void
}

export interface EdgeOptions {
  readonly name: string
  readonly publishDeadlineMs: number
}

/** An edge: the real feeds and producers in a shell like packages/node's endpoint, over the simulated store. */
export function startEdge(world: World, { name, publishDeadlineMs }: EdgeOptions): Edge {
  const { network, stores: store, shape, knobs } = world
  const { clock } = network
  const process = network.process(name)
  const lanes = Array.from({ length: shape.lanes }, (_, lane) => lane)
  const commands = lanes.map((lane) => network.connection(process, store.primaryOf(lane)))
  const fleet = network.connection(process)
  const budget: ByteBudget = { used: 0, max: knobs.window.bytes, entries: knobs.window.entries }
  const producers = new Producers(world, process, { budget, commands, boot: () => boot })
  const counted = countConnections(world, process, { budget, declare: (message) => producers.declare(message) })
  const presence = attend(world, process, { budget, declare: (message) => producers.declare(message) })
  const feeds = new Map<string, FeedState>()
  const subscribers = new Map<number, { id: number; room: string; send: (frame: ServerFrame) => void }>()
  let outboxes: Outbox[] = []
  let boots = 0
  let ready = false
  let boot = ''
  let state: 'live' | 'entering' | 'closing' = 'entering'
  let plan: Plan | undefined
  let drainingSince = Infinity
  let admits = true
  const sessions = new Set<Leaving>()
  let runs: readonly string[] = []
  let beat = 0
  let knows: Knowledge = { plan: 0, epoch: 0 }
  let numbers = 0

  const member = (of: string): Member => ({
    boot: of,
    role: 'edge',
    state: clock.now >= drainingSince ? 'draining' : 'live',
    beat,
    knows,
    startedAtMs: 0,
    version: 'sim',
  })
  const later = (ms: number, event: () => void): void => clock.at(clock.now + ms, () => process.run(event))

  /** Outboxes first: from the registration on workers write to them. */
  function enter(next: string, then: () => void, tries = 0): void {
    const again = (): void => later(backoff(network.random, tries), () => enter(next, then, tries + 1))
    const open = (lane: number): void => {
      const command = commands[lane]
      if (command === undefined) return fleet(() => store.register(member(next)), then, again)
      command(
        () => store.openOutbox(lane, next),
        () => open(lane + 1),
        again,
      )
    }
    open(0)
  }

  function startReaders(): void {
    outboxes = lanes.map((lane) =>
      startOutbox(world, process, {
        lane,
        boot,
        onRecords: (records) => takeRecords(records),
        onHole: () => {
          world.reach('hole in an outbox')
          resync(lane)
        },
        onGone: () => reboot(),
      }),
    )
  }

  function reboot(): void {
    if (state !== 'live') return
    state = 'entering'
    const before = boot
    for (const outbox of outboxes) outbox.stop()
    const next = newBoot()
    world.log(`${before} takes a new boot: ${next}`)
    enter(next, () => {
      if (state === 'closing') return forget(next)
      boot = next
      state = 'live'
      producers.stepAll({ type: 'reboot', boot })
      startReaders()
      for (const feed of feeds.values()) stepRoom(feed, { type: 'resync' })
      for (const lane of lanes) resyncMembers(lane)
      forget(before)
    })
  }

  /** What stays is reaped by control. */
  function forget(of: string, then = (): void => undefined): void {
    fleet(
      () => {
        world.removeOutboxes(of)
        store.remove(of)
      },
      then,
      then,
    )
  }

  function resyncMembers(lane: number): void {
    counted.step({ type: 'resync', lane })
    presence.step({ type: 'resync', lane })
  }

  const newBoot = (): string => `${name}#b${(boots += 1)}`

  function resync(lane: number): void {
    producers.stepAll({ type: 'resync' }, lane)
    resyncMembers(lane)
    for (const feed of feeds.values())
      if (slotOf(feed.room, shape.slots) % shape.lanes === lane) stepRoom(feed, { type: 'resync' })
  }

  function takeRecords(records: readonly OutRecord[]): void {
    for (const record of records) {
      if (record.type === 'ack' && record.results.some(({ ok }) => !ok)) world.reach('refused by a worker')
      if (record.type === 'ack' || record.type === 'rewind') producers.take(record)
      else if (record.type === 'connection') counted.step(record)
      else if (record.type === 'reset') {
        counted.step(record)
        presence.step(record)
        for (const feed of [...feeds.values()])
          if (slotOf(feed.room, shape.slots) === record.slot) stepRoom(feed, { type: 'reset', inc: record.inc })
      } else if (record.type === 'presence') presence.step(record)
      else if (isOfFeed(record)) {
        const feed = feeds.get(record.room)
        if (feed !== undefined) stepRoom(feed, { type: 'record', record })
        if (record.type === 'interest') presence.step({ type: 'interest', room: record.room })
      }
    }
  }

  function heartbeat(): void {
    if (state !== 'live') return
    const of = boot
    beat += 1
    fleet(
      () => store.heartbeat(member(of), 0),
      (answer) => {
        if (!answer.known && of === boot) return reboot()
        plan = answer.plan ?? plan
        if (answer.plan !== undefined) knows = learn(knows, answer.plan)
        const before = runs
        runs = answer.runs
        if (before.length === 0 || state !== 'live') return
        for (const lane of lanes) {
          const primary = store.primaryOf(lane)
          if (before[primary] === runs[primary]) continue
          outboxes[lane]?.restart()
          resync(lane)
        }
      },
      () => undefined,
    )
  }

  function stepRoom(feed: FeedState, input: FeedInput): void {
    const feedClock = { now: clock.now, wallMs: world.wallMs() }
    for (const effect of watchFeed(world, feed, () => stepFeed(feed, input, feedClock))) executeRoom(feed, effect)
    if (isForgotten(feed) && feeds.get(feed.room) === feed) feeds.delete(feed.room)
  }

  function executeRoom(feed: FeedState, effect: FeedEffect): void {
    const { room } = feed
    if ((effect.type === 'position' || effect.type === 'answer') && !effect.recovered)
      world.log(`${boot} tells of a loss in ${room}: ${JSON.stringify(effect)}`)
    if (effect.type === 'answer' && !effect.recovered && effect.reason === 'expired') world.reach('expired')
    if (effect.type === 'answer' && !effect.recovered && effect.reason === 'trimmed') world.reach('replay too large')
    switch (effect.type) {
      case 'declare':
        return interest(room, true, effect.nonce)
      case 'withdraw':
        return interest(room, false, '')
      case 'fetch':
        return fetch(feed, effect)
      case 'deliver':
        return toLive(feed, (send) =>
          effect.events.forEach((event, i) =>
            send({ type: 'event', room, seq: effect.first + i, message: event.tail }),
          ),
        )
      case 'position':
        return toLive(feed, (send) =>
          send({ type: 'position', room, position: effect.position, recovered: effect.recovered }),
        )
      case 'answer': {
        const subscriber = subscribers.get(effect.subscriber)
        if (subscriber === undefined) return
        const { position, recovered } = effect
        const events = world.bug === 'partial replay' ? effect.events.slice(effect.events.length >> 1) : effect.events
        subscriber.send({ type: 'answer', id: subscriber.id, room, position, recovered, missed: events.length })
        const first = position.seq - events.length + 1
        events.forEach((event, i) => subscriber.send({ type: 'event', room, seq: first + i, message: event.tail }))
        return
      }
      case 'refuse': {
        const subscriber = subscribers.get(effect.subscriber)
        subscribers.delete(effect.subscriber)
        subscriber?.send({ type: 'refused', id: subscriber.id, room, retryAfterMs: effect.retryAfterMs })
        return
      }
      case 'ephemeral':
        return
    }
  }

  function toLive(feed: FeedState, give: (send: (frame: ServerFrame) => void) => void): void {
    for (const id of feed.live) {
      const subscriber = subscribers.get(id)
      if (subscriber !== undefined) give(subscriber.send)
    }
  }

  function interest(room: string, on: boolean, nonce: string): void {
    producers.declare({ type: 'interest', room, on, nonce })
  }

  function fetch(feed: FeedState, { request, after, limit }: Extract<FeedEffect, { type: 'fetch' }>): void {
    const answer = (entries: readonly LogEntry[] | null): void => stepRoom(feed, { type: 'history', request, entries })
    commands[slotOf(feed.room, shape.slots) % shape.lanes]?.(
      () => world.history(feed.room, after, limit),
      answer,
      () => answer(null),
    )
  }

  function publish(frame: Extract<ClientFrame, { type: 'publish' }>, send: (frame: ServerFrame) => void): void {
    const { room, key, sender } = frame
    const settled = (outcome: Settlement): void => send({ type: 'published', id: frame.id, outcome })
    const message = { type: 'publish', room, key, sender, options: '', tail: key } as const
    producers.publish({ id: (numbers += 1), message, deadlineAtMs: clock.now + publishDeadlineMs }, settled)
  }

  /** Returns the number of the subscriber. */
  function join(
    { id, room, since }: Extract<ClientFrame, { type: 'subscribe' }>,
    send: (frame: ServerFrame) => void,
  ): number {
    const number = (numbers += 1)
    subscribers.set(number, { id, room, send })
    let feed = feeds.get(room)
    if (feed === undefined) feeds.set(room, (feed = createFeed(room, (numbers += 1), knobs.feed)))
    const epoch = since === null ? undefined : parseEpoch(since.epoch)
    const place = since === null || epoch === undefined ? null : { epoch, seq: since.seq }
    stepRoom(feed, { type: 'add', subscriber: number, since: place })
    return number
  }

  function leave(room: string, subscriber: number): void {
    subscribers.delete(subscriber)
    const feed = feeds.get(room)
    if (feed !== undefined) stepRoom(feed, { type: 'remove', subscriber })
  }

  function open(to: (frame: ServerFrame) => void, user: string): Session {
    if (!admits) return turnAway(to)
    const connection = `${boot}.${(numbers += 1)}`
    const session = new EdgeSession(to, (send) => ({
      join: (frame) => (presence.enter(frame.room, connection, user), join(frame, send)),
      leave: (room, subscriber) => (presence.leave(room, connection), leave(room, subscriber)),
      gone: () => presence.step({ type: 'closed', connection }),
      serves: (room, subscriber) => feeds.get(room)?.live.has(subscriber) ?? false,
      publish: (frame) => publish(frame, send),
      closed: (closed) => sessions.delete(closed),
    }))
    sessions.add(session)
    return session
  }

  /** As services/edge has it. */
  function drain(): void {
    const { drains } = world
    if (drains === undefined || drainingSince < Infinity) return
    drainingSince = clock.now
    world.log(`${boot} drains`)
    // Control is to hear of it now.
    heartbeat()
    drainEdge(world, process, {
      ...{ fleet, limits: drains.calm ?? drains.limits, emptied: close },
      boot: () => boot,
      connections: () => new Set([...sessions, ...counted.sessions.values()]),
      granted: () => plan?.drains?.[boot] ?? null,
      admit: (taken) => (admits = taken),
    })
  }

  /** Nobody is connected any more: what was appended is acknowledged, if it can be, and everything is taken back. */
  function close(): void {
    const until = clock.now + closeFlushMs
    const flush = (): void => {
      if (!producers.isIdle && clock.now < until) return later(tickEveryMs, flush)
      if (!producers.isIdle) world.reach('drained unacknowledged')
      state = 'closing'
      for (const outbox of outboxes) outbox.stop()
      producers.close()
      world.log(`${boot} signs off`)
      forget(boot, () => {
        world.reach('edge drained')
        process.crash()
      })
    }
    flush()
  }

  boot = newBoot()
  enter(boot, () => {
    state = 'live'
    world.log(`${boot} is live`)
    ready = true
    startReaders()
    heartbeat()
  })
  process.every(endpointHeartbeatMs, heartbeat)
  process.every(tickEveryMs, () => {
    producers.tick()
    for (const feed of [...feeds.values()]) stepRoom(feed, { type: 'tick' })
  })
  return {
    name,
    process,
    boot: () => boot,
    ready: () => ready && clock.now < drainingSince + (world.drains?.heardMs ?? 0),
    draining: () => clock.now >= drainingSince,
    drain: () => process.run(drain),
    producers: producers.all,
    feeds,
    budget,
    sessions: counted.sessions,
    presence,
    open,
    count: (room, replaces, tell) => {
      if (admits) return counted.enter({ id: `${boot}.${(numbers += 1)}`, room, replaces }, tell)
      tell({ type: 'later' })
      return () => undefined
    },
    take: (records) => process.run(() => takeRecords(records)),
  }
}

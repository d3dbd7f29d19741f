import { accept, answered, createCursor, joined, moveTo, positionOf } from '../src/cursor.ts'
import { parseEpoch } from '../src/position.ts'
import type { Edge } from './edge.ts'
import { noteClosed } from './parting.ts'
import { see } from './record.ts'
import { Successor } from './successor.ts'
import type { Resumed, Subscription, TakeOver } from './successor.ts'
import { openLink } from './wire.ts'
import type { Link, ServerFrame } from './wire.ts'
import type { World } from './world.ts'

const tickEveryMs = 100
/** An edge that answers nothing for so long is left, ms. */
const patienceMs = 3_000

export interface Client {
  readonly name: string
  readonly rooms: ReadonlyMap<string, Subscription>
  /** Publishes that are neither acknowledged nor given up. */
  readonly waiting: ReadonlyMap<string, Publish>
  publish(room: string, message: string): void
  disconnect(): void
  /** From now on the connection is kept. */
  calm: boolean
}
export interface Publish {
  readonly room: string
  readonly message: string
  /** Number of the frame that waits for its outcome. */
  frame: number | null
  retryAt: number
  /** Some try of it may have been appended. */
  uncertain: boolean
  /** When it was answered `OVERLOADED` although nothing went wrong any more, if that is the last answer. */
  overloadedAtMs: number | null
}
/** A client with the cursor of the client library: subscribes, resumes by position, publishes until acknowledged. */
export function startClient(
  world: World,
  name: string,
  options: { rooms: readonly string[]; edges: () => readonly Edge[] },
): Client {
  const { network, record } = world
  const { clock, random } = network
  const rooms = new Map<string, Subscription>()
  for (const room of options.rooms) rooms.set(room, { room, cursor: createCursor(), asking: null })
  const waiting = new Map<string, Publish>()
  /** It does not know how to move: it stays until it is closed. */
  const isOld = world.drains?.random.chance(0.2) ?? false
  let link: Link | null = null
  let successor: Successor | undefined
  let toldAtMs: number | undefined
  let frames = 0
  let connectAt = 0

  function receive(frame: ServerFrame): void {
    if (frame.type === 'published') return settle(frame)
    if (frame.type === 'drain') return succeed(frame.afterMs)
    if (frame.type === 'goingAway') return closed()
    const subscription = rooms.get(frame.room)
    if (subscription === undefined) return
    const { cursor } = subscription
    switch (frame.type) {
      case 'answer':
        if (frame.id !== subscription.asking) return
        subscription.asking = null
        take(subscription, () => answered(cursor, frame), frame)
        return
      case 'refused':
        if (frame.id !== subscription.asking) return
        subscription.asking = -1
        later(frame.retryAfterMs * random.next(), () => {
          if (subscription.asking === -1) subscribe(subscription)
        })
        return
      case 'event':
        if (subscription.asking !== null) return
        return takeEvent(subscription, frame.seq, frame.message)
      case 'position':
        if (subscription.asking !== null) return
        return take(subscription, () => moveTo(cursor, frame.position, frame.recovered), frame)
    }
  }

  /** What was told goes into the record as the client understands it. */
  function take(
    { room, cursor }: Subscription,
    apply: () => void,
    told: Extract<ServerFrame, { type: 'answer' | 'position' }>,
  ): void {
    const before = cursor.seq
    apply()
    if (told.recovered)
      return see(record, name, room, { type: 'position', epoch: cursor.epoch ?? '', seq: cursor.seq, recovered: true })
    see(record, name, room, { type: 'position', ...told.position, recovered: false })
    if (world.bug === 'client dedupes without epoch') cursor.seq = Math.max(cursor.seq, before)
  }

  function takeEvent(subscription: Subscription, seq: number, message: string): void {
    const verdict = accept(subscription.cursor, seq)
    if (verdict === 'deliver')
      see(record, name, subscription.room, { type: 'event', epoch: subscription.cursor.epoch ?? '', seq, message })
    else if (verdict === 'gap') {
      world.gaps += 1
      world.log(`${name} ${subscription.room}: gap before ${seq} at ${subscription.cursor.seq}`)
      subscribe(subscription)
    }
  }

  function subscribe(subscription: Subscription): void {
    if (link === null) return
    subscription.asking = frames += 1
    link.send({
      type: 'subscribe',
      id: subscription.asking,
      room: subscription.room,
      since: positionOf(subscription.cursor) ?? null,
    })
  }

  function settle({ id, outcome }: Extract<ServerFrame, { type: 'published' }>): void {
    const publish = [...waiting.values()].find((each) => each.frame === id)
    if (publish === undefined) return
    publish.frame = null
    world.log(`${name} is told of ${publish.message}: ${outcome.type}`)
    if (outcome.type === 'committed') {
      waiting.delete(publish.message)
      const { room, message } = publish
      const { epoch, seq } = outcome
      const committed = world.committed({ room, message, seq, tag: parseEpoch(epoch)?.tag ?? 0 })
      record.acknowledged.push({ room, message, epoch, seq, committed })
      return
    }
    const isOverloaded = outcome.type === 'refused' && outcome.code === 'OVERLOADED'
    publish.overloadedAtMs = world.quiet && isOverloaded ? clock.now : null
    if (outcome.type === 'unknown') publish.uncertain = true
    else if (!publish.uncertain && random.chance(0.3)) {
      waiting.delete(publish.message)
      record.refused.push({ room: publish.room, message: publish.message })
      return
    }
    publish.retryAt = clock.now + outcome.retryAfterMs * random.next()
  }

  function sendPublishes(): void {
    for (const publish of waiting.values()) {
      if (link === null || publish.frame !== null || publish.retryAt > clock.now) continue
      publish.frame = frames += 1
      link.send({ type: 'publish', id: publish.frame, room: publish.room, key: publish.message, sender: name })
    }
  }

  const ready = (): Edge[] => options.edges().filter((edge) => edge.process.alive && edge.ready())

  /** The edge drains: another connection is made beside this one, and this one is left when that has resumed. */
  function succeed(withinMs: number): void {
    const old = link
    toldAtMs = clock.now
    if (old === null || successor !== undefined || isOld) return
    successor = new Successor(world, withinMs, {
      user: name,
      rooms,
      edges: ready,
      number: () => (frames += 1),
      opened: (next) => {
        if (world.bug === 'move before the answers') leaveFor(old, next)
      },
      takeOver: (taken) => {
        leaveFor(old, taken.link)
        takeOver(taken)
      },
    })
  }

  /** By the edge. One that was not let in has no answer to anything. */
  function closed(): void {
    const wasIn = [...rooms.values()].some(({ asking }) => asking === null)
    if (wasIn) noteClosed(world, { name, isOld, toldAtMs })
    disconnect()
  }

  /** Seen from outside: what the one connection served the other must serve now. */
  function leaveFor(old: Link, next: Link): void {
    for (const { room, asking } of rooms.values())
      if (old.open && asking === null && !next.serves(room))
        record.interrupted.push(`${name} left ${old.edge.name} before ${next.edge.name} served ${room}`)
    old.close()
  }

  function takeOver(taken: TakeOver): void {
    world.log(`${name} moves to ${taken.link.edge.name}`)
    world.reach('client moved')
    if (world.drains?.calm !== undefined) world.reach('moved in the calm')
    successor = undefined
    toldAtMs = undefined
    forgetRequests()
    link = taken.link
    link.handTo(receive)
    for (const resumed of taken.rooms) if (!goOn(resumed)) subscribe(resumed.subscription)
    sendPublishes()
    for (const frame of taken.frames) if (link === taken.link) receive(frame)
  }

  /** False: what was answered does not fit where the room stands by now. */
  function goOn({ subscription, since, answer }: Resumed): boolean {
    const { cursor } = subscription
    const { epoch, seq } = cursor
    const isThere = since !== undefined && since.epoch === epoch && since.seq === seq
    if (world.bug === 'move back' && since !== undefined && since.epoch === epoch) cursor.seq = since.seq
    if (epoch === null || isThere) take(subscription, () => answered(cursor, answer), answer)
    else if (since === undefined || since.seq > seq || !joined(cursor, answer)) return false
    else {
      world.reach('moved while it went on')
      take(subscription, () => undefined, answer)
    }
    return true
  }

  function connect(): void {
    const edges = ready()
    if (edges.length === 0) return
    link = openLink(world, random.pick(edges), name, receive)
    for (const subscription of rooms.values()) subscribe(subscription)
    sendPublishes()
  }

  function disconnect(): void {
    if (link === null) return
    successor?.stop()
    successor = undefined
    toldAtMs = undefined
    link.close()
    link = null
    connectAt = clock.now + (random.chance(0.5) ? 0 : random.int(10, 3_000))
    forgetRequests()
  }

  /** The connection is gone, and with it every request. */
  function forgetRequests(): void {
    for (const subscription of rooms.values()) subscription.asking = null
    for (const publish of waiting.values()) {
      if (publish.frame === null) continue
      publish.frame = null
      publish.uncertain = true
      publish.retryAt = clock.now
    }
  }

  function tick(): void {
    const silent =
      link !== null &&
      clock.now - link.heardAt > patienceMs &&
      (waiting.size > 0 || [...rooms.values()].some((each) => each.asking !== null))
    if (
      link !== null &&
      (!link.edge.process.alive ||
        (silent && link.edge.process.paused) ||
        (!client.calm && random.chance(tickEveryMs / 5_000)))
    )
      disconnect()
    if (link === null && clock.now >= connectAt) connect()
    sendPublishes()
    clock.at(clock.now + tickEveryMs, tick)
  }
  const later = (ms: number, event: () => void): void => clock.at(clock.now + ms, event)

  const client: Client = {
    name,
    rooms,
    waiting,
    calm: false,
    disconnect,
    publish: (room, message) => {
      record.published += 1
      waiting.set(message, { room, message, frame: null, retryAt: 0, uncertain: false, overloadedAtMs: null })
      sendPublishes()
    },
  }
  later(random.int(0, 2_000), tick)
  return client
}

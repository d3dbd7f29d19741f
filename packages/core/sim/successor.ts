import { positionOf } from '../src/cursor.ts'
import type { Cursor } from '../src/cursor.ts'
import type { Position } from '../src/position.ts'
import type { Edge } from './edge.ts'
import { backoff } from './network.ts'
import { openLink } from './wire.ts'
import type { Link, ServerFrame } from './wire.ts'
import type { World } from './world.ts'

const tickEveryMs = 100
/** An attempt in which not all is answered for so long is given up, ms. */
const attemptTimeoutMs = 3_000

export interface Subscription {
  readonly room: string
  readonly cursor: Cursor
  /** Number of the subscription that waits for its answer; null: it is live. */
  asking: number | null
}
type Answer = Extract<ServerFrame, { type: 'answer' }>
/** What one room was asked for, and what the new connection answered. */
export interface Resumed {
  readonly subscription: Subscription
  /** Where the room stood when it was asked for. */
  readonly since: Position | undefined
  readonly answer: Answer
}
/** A connection that has resumed every room, and what came over it since. */
export interface TakeOver {
  readonly link: Link
  readonly rooms: readonly Resumed[]
  /** In order, without what came for a room before its answer: the old connection has delivered that. */
  readonly frames: readonly ServerFrame[]
}
interface SuccessorPort {
  /** Whose connections these are. */
  readonly user: string
  readonly rooms: ReadonlyMap<string, Subscription>
  /** Where it may go. */
  edges(): readonly Edge[]
  /** Numbers a frame of the client. */
  number(): number
  /** The attempt begins: the old connection has to serve on. */
  opened(link: Link): void
  /** Called once. */
  takeOver(taken: TakeOver): void
}
type Asked = Pick<Resumed, 'subscription' | 'since'>

/**
 * Make before break, as packages/client's successor.ts has it: the connection that is opened beside one whose edge drains. It takes
 * over when every room has been answered; until then the old one serves, and an attempt that fails is made again.
 */
export class Successor {
  readonly #world: World
  readonly #port: SuccessorPort
  #attempt: Attempt | undefined
  #tries = 0
  #ended = false

  /** The first attempt begins at a random moment of this time. */
  constructor(world: World, withinMs: number, port: SuccessorPort) {
    this.#world = world
    this.#port = port
    this.#later(withinMs * world.network.random.next(), () => this.#try())
  }

  /** The old connection is gone. */
  stop(): void {
    this.#ended = true
    this.#attempt?.stop()
  }

  #try(): void {
    const { random } = this.#world.network
    const edges = this.#port.edges()
    if (edges.length === 0) return this.#again()
    const attempt = new Attempt(this.#world, random.pick(edges), {
      ...this.#port,
      failed: () => this.#again(),
      takeOver: (taken) => {
        this.#ended = true
        this.#port.takeOver(taken)
      },
    })
    this.#attempt = attempt
    attempt.begin()
  }

  #again(): void {
    this.#world.reach('move tried again')
    this.#later(backoff(this.#world.network.random, (this.#tries += 1)), () => this.#try())
  }

  #later(ms: number, event: () => void): void {
    const { clock } = this.#world.network
    clock.at(clock.now + ms, () => {
      if (!this.#ended) event()
    })
  }
}

interface AttemptPort extends SuccessorPort {
  /** Once, unless it was stopped or has taken over. */
  failed(): void
}

class Attempt {
  readonly #world: World
  readonly #port: AttemptPort
  readonly #link: Link
  readonly #asked = new Map<number, Asked>()
  readonly #waiting = new Set<string>()
  readonly #rooms: Resumed[] = []
  readonly #frames: ServerFrame[] = []
  readonly #until: number
  #over = false

  constructor(world: World, edge: Edge, port: AttemptPort) {
    this.#world = world
    this.#port = port
    this.#until = world.network.clock.now + attemptTimeoutMs
    this.#link = openLink(world, edge, port.user, (frame) => this.#receive(frame))
  }

  begin(): void {
    this.#port.opened(this.#link)
    for (const subscription of this.#port.rooms.values()) this.#ask(subscription)
    this.#watch()
  }

  stop(): void {
    if (this.#over) return
    this.#over = true
    this.#link.close()
  }

  #fail(): void {
    this.stop()
    this.#port.failed()
  }

  #watch(): void {
    if (this.#over) return
    const { clock } = this.#world.network
    if (clock.now > this.#until || !this.#link.edge.process.alive) return this.#fail()
    clock.at(clock.now + tickEveryMs, () => this.#watch())
  }

  #ask(subscription: Subscription): void {
    const { room, cursor } = subscription
    const since = positionOf(cursor)
    const id = this.#port.number()
    this.#waiting.add(room)
    this.#asked.set(id, { subscription, since })
    const told = this.#world.bug === 'move without positions' ? undefined : since
    this.#link.send({ type: 'subscribe', id, room, since: told ?? null })
  }

  #receive(frame: ServerFrame): void {
    if (this.#over) return
    switch (frame.type) {
      case 'goingAway':
        return this.#fail()
      case 'answer':
        return this.#answered(frame)
      case 'refused':
        return this.#refused(frame)
      case 'event':
      case 'position':
        if (!this.#waiting.has(frame.room)) this.#frames.push(frame)
        return
      case 'published':
      case 'drain':
        this.#frames.push(frame)
    }
  }

  #answered(answer: Answer): void {
    const asked = this.#asked.get(answer.id)
    if (asked === undefined) return
    this.#asked.delete(answer.id)
    this.#waiting.delete(answer.room)
    this.#rooms.push({ ...asked, answer })
    if (this.#waiting.size > 0) return
    // Its events come behind the answer, in the same moment or later.
    this.#over = true
    this.#port.takeOver({ link: this.#link, rooms: this.#rooms, frames: this.#frames.filter(this.#isNews) })
  }

  /** A room that cannot be read now is asked for again: the old connection still delivers it. */
  #refused({ id, retryAfterMs }: Extract<ServerFrame, { type: 'refused' }>): void {
    const asked = this.#asked.get(id)
    if (asked === undefined) return
    this.#asked.delete(id)
    const { clock, random } = this.#world.network
    clock.at(clock.now + retryAfterMs * random.next(), () => {
      if (!this.#over) this.#ask(asked.subscription)
    })
  }

  /** Of a loss that the old connection has told already, and gone on from. */
  readonly #isNews = (frame: ServerFrame): boolean => {
    if (frame.type !== 'position') return true
    const cursor = this.#port.rooms.get(frame.room)?.cursor
    return cursor === undefined || cursor.epoch !== frame.position.epoch || frame.position.seq > cursor.seq
  }
}

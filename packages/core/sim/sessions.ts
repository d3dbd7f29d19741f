import type { ClientFrame, ServerFrame, Session } from './wire.ts'

/** A connection that an edge which drains tells to go on elsewhere, and in the end closes. */
export interface Leaving {
  /** Whoever was not let in yet has nothing to take along. */
  readonly isIn: boolean
  tellToMove(withinMs: number): void
  shut(): void
}

/** What a session needs of its edge. Subscribers have numbers. */
interface SessionPort {
  join(frame: Extract<ClientFrame, { type: 'subscribe' }>): number
  leave(room: string, subscriber: number): void
  serves(room: string, subscriber: number): boolean
  publish(frame: Extract<ClientFrame, { type: 'publish' }>): void
  closed(session: Leaving): void
  /** Its connection is gone, or was closed. */
  gone(): void
}

/** A client's connection as its edge has it. */
export class EdgeSession implements Session, Leaving {
  readonly isIn = true
  readonly #send: (frame: ServerFrame) => void
  readonly #port: SessionPort
  readonly #rooms = new Map<string, number>()
  #open = true
  /** The rooms that it was served when it was shut: what was under way then was in order. */
  #served: ReadonlySet<string> = new Set()

  constructor(send: (frame: ServerFrame) => void, port: (send: (frame: ServerFrame) => void) => SessionPort) {
    this.#send = send
    // Nothing is said behind the last word.
    this.#port = port((frame) => {
      if (this.#open) send(frame)
    })
  }

  receive(frame: ClientFrame): void {
    if (!this.#open) return
    if (frame.type === 'publish') return this.#port.publish(frame)
    this.#leave(frame.room)
    if (frame.type === 'subscribe') this.#rooms.set(frame.room, this.#port.join(frame))
  }

  serves(room: string): boolean {
    const subscriber = this.#rooms.get(room)
    if (!this.#open) return this.#served.has(room)
    return subscriber !== undefined && this.#port.serves(room, subscriber)
  }

  tellToMove(withinMs: number): void {
    this.#send({ type: 'drain', afterMs: withinMs })
  }

  /** By the client. */
  close(): void {
    this.#port.gone()
    for (const room of [...this.#rooms.keys()]) this.#leave(room)
    this.#port.closed(this)
  }

  shut(): void {
    this.#served = new Set([...this.#rooms.keys()].filter((room) => this.serves(room)))
    this.#send({ type: 'goingAway' })
    this.#open = false
    this.close()
  }

  #leave(room: string): void {
    const subscriber = this.#rooms.get(room)
    if (subscriber === undefined) return
    this.#rooms.delete(room)
    this.#port.leave(room, subscriber)
  }
}

/** Of a client that was not taken. */
export function turnAway(send: (frame: ServerFrame) => void): Session {
  send({ type: 'goingAway' })
  return { receive: () => undefined, close: () => undefined, serves: () => false }
}

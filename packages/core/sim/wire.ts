import type { Position } from '../src/position.ts'
import type { Settlement } from '../src/producer-state.ts'
import type { Edge } from './edge.ts'
import type { World } from './world.ts'

/** What simulated clients and edges say to each other. */
export type ClientFrame =
  | { readonly type: 'subscribe'; readonly id: number; readonly room: string; readonly since: Position | null }
  | { readonly type: 'unsubscribe'; readonly room: string }
  | {
      readonly type: 'publish'
      readonly id: number
      readonly room: string
      readonly key: string
      readonly sender: string
    }
export type ServerFrame =
  | {
      readonly type: 'answer'
      readonly id: number
      readonly room: string
      readonly position: Position
      readonly recovered: boolean
      readonly missed: number
    }
  | { readonly type: 'refused'; readonly id: number; readonly room: string; readonly retryAfterMs: number }
  | { readonly type: 'event'; readonly room: string; readonly seq: number; readonly message: string }
  | { readonly type: 'position'; readonly room: string; readonly position: Position; readonly recovered: boolean }
  | { readonly type: 'published'; readonly id: number; readonly outcome: Settlement }
  /** The edge drains: the client is to go on elsewhere, and begins to at some moment within this time. */
  | { readonly type: 'drain'; readonly afterMs: number }
  /** The last frame: the edge has closed the connection, or did not take it. */
  | { readonly type: 'goingAway' }

/** A client's connection as the edge has it. */
export interface Session {
  receive(frame: ClientFrame): void
  close(): void
  /** The room's events are delivered to it. */
  serves(room: string): boolean
}

/** A client's connection as the client has it. */
export interface Link {
  readonly edge: Edge
  readonly open: boolean
  readonly heardAt: number
  send(frame: ClientFrame): void
  close(): void
  /** As seen from outside. */
  serves(room: string): boolean
  /** From now on somebody else gets what comes. */
  handTo(receive: (frame: ServerFrame) => void): void
}

/** An ordered link with a delay in each direction. What is under way when it closes is lost. */
export function openLink(world: World, edge: Edge, user: string, receive: (frame: ServerFrame) => void): Link {
  const { clock, random } = world.network
  let session: Session | undefined
  let [up, down, open, heardAt, receiver] = [0, 0, true, clock.now, receive]
  const delay = (): number => 0.2 + random.next() * 4
  const toEdge = (event: () => void): void => {
    up = Math.max(up, clock.now + delay())
    clock.at(up, () => edge.process.run(event))
  }
  toEdge(() => {
    session = edge.open((frame) => {
      down = Math.max(down, clock.now + delay())
      clock.at(down, () => {
        if (!open) return
        heardAt = clock.now
        receiver(frame)
      })
    }, user)
  })
  return {
    edge,
    get open() {
      return open
    },
    get heardAt() {
      return heardAt
    },
    send: (frame) => toEdge(() => session?.receive(frame)),
    close: () => {
      open = false
      toEdge(() => session?.close())
    },
    serves: (room) => session?.serves(room) ?? false,
    handTo: (next) => {
      receiver = next
    },
  }
}

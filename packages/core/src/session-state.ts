import type { Bucket } from './bucket.ts'
import type { CloseName, ErrorCode } from './codes.ts'
import type { Since } from './feed-state.ts'
import type { Filter } from './filter.ts'
import type { LossReason, RequestId, ServerFrame } from './frames.ts'
import type { Position } from './position.ts'

/** What an operator may change. */
export interface SessionLimits {
  readonly authDeadlineMs: number
  readonly maxSubscriptions: number
  readonly maxPublishesInFlight: number
  readonly maxBadFrames: number
  /** Frames a connection may send per second, and at once after a silence. */
  readonly framesPerSecond: number
  readonly framesAtOnce: number
  /** Of one user, over the whole fleet; 0: no limit, and nobody counts. */
  readonly connectionsPerUser: number
}

/** Whom a verified token named. */
export interface SessionIdentity {
  readonly userId: string
  readonly tenantId?: string | undefined
  /** Ms since 1970, with the leeway that clocks are given. */
  readonly expiresAtMs?: number | undefined
}

export interface HeldFrame {
  readonly text: string
  readonly bytes: number
}
export interface Verifying {
  readonly attempt: number
  readonly id: RequestId | undefined
}
export type SessionPhase =
  | {
      readonly type: 'authenticating'
      readonly deadlineMs: number
      verifying: Verifying | null
      /** Whom the token named, while the worker of the user's room is asked whether there is a place. */
      registering: { readonly identity: SessionIdentity; readonly id: RequestId | undefined } | null
      /** Frames that came before the verdict, in order. */
      readonly held: HeldFrame[]
      heldBytes: number
    }
  | { readonly type: 'open'; identity: SessionIdentity; verifying: Verifying | null }
  | { readonly type: 'closed' }
export type Open = Extract<SessionPhase, { type: 'open' }>

/** Who waits for the answer of a room: a `subscribe`, a `resume`, or nobody but the connection itself. */
export type RoomAsker =
  | { readonly type: 'subscribe'; readonly id: RequestId }
  | { readonly type: 'resume'; readonly resume: Resume }
  /** Live, but other rooms of its `resume` are not: what it gets is held back. A refusal still takes the answer back. */
  | { readonly type: 'answered'; readonly resume: Resume }
  | { readonly type: 'join' }
export interface Subscription {
  /** The server put the connection into the room: it counts against no limit. */
  readonly joined: boolean
  readonly filter: Filter | null
  asker: RoomAsker | null
  /** When a room that the server joined is tried again after a refusal. */
  retryAtMs: number | null
}
export type RoomAnswer = NonNullable<Extract<ServerFrame, { type: 'ok' }>['rooms']>[number]
/** A `resume` is answered in one frame, so its rooms wait for each other. */
export interface Resume {
  readonly id: RequestId
  readonly answers: Map<string, RoomAnswer>
  readonly waiting: Set<string>
}

/** One connection. Changed in place by `stepSession` only. */
export interface SessionState {
  readonly connectionId: string
  /** The connection whose place it takes, as the client names it; `''`: none. */
  readonly replaces: string
  readonly limits: SessionLimits
  phase: SessionPhase
  readonly rooms: Map<string, Subscription>
  /** Rooms that count against `maxSubscriptions`. */
  subscribed: number
  /** Publishes that wait for their outcome; null until the first: most connections only listen. */
  publishes: Map<number, { readonly id: RequestId; readonly room: string }> | null
  requests: number
  attempts: number
  /** When a room that the server joined is due to be tried again; Infinity when none is. */
  retryAtMs: number
  readonly frames: Bucket
  /** Null until the first: most connections send none. */
  badFrames: Bucket | null
}

export type SessionInput =
  /** A token that came with the handshake. */
  | { readonly type: 'token'; readonly token: string }
  | { readonly type: 'frame'; readonly text: string; readonly bytes: number }
  | { readonly type: 'binary' }
  /** `retryable`: the token could not be judged now. */
  | { readonly type: 'verdict'; readonly attempt: number; readonly verdict: SessionVerdict }
  /** Whether there is a place for the connection; `unknown`: it cannot be said now. */
  | { readonly type: 'registered'; readonly outcome: 'taken' | 'refused' | 'unknown' }
  | { readonly type: 'published'; readonly request: number; readonly outcome: SessionOutcome }
  /** A subscription is live: `missed` events follow its answer. */
  | {
      readonly type: 'answered'
      readonly room: string
      readonly position: Position
      readonly recovered: boolean
      readonly missed: number
      readonly reason?: LossReason | undefined
    }
  /** A subscription cannot be judged for now, or what is held back for it cannot be kept. */
  | { readonly type: 'refused'; readonly room: string; readonly retryAfterMs: number }
  | { readonly type: 'tick' }
  /** The socket is gone, or the process ends it. */
  | { readonly type: 'closed' }
export type SessionVerdict =
  | { readonly ok: true; readonly identity: SessionIdentity }
  | { readonly ok: false; readonly retryable: boolean }
export type SessionOutcome =
  | { readonly type: 'committed'; readonly epoch: string; readonly seq: number }
  | { readonly type: 'refused'; readonly code: string; readonly retryAfterMs: number }
  | { readonly type: 'unknown'; readonly retryAfterMs: number }

/** To be executed in order. */
export type SessionEffect =
  | { readonly type: 'verify'; readonly attempt: number; readonly token: string }
  | { readonly type: 'send'; readonly frame: ServerFrame }
  /** Ask whether there is a place for another connection of the user. */
  | { readonly type: 'register'; readonly room: string; readonly replaces: string }
  /** The identity is known; comes before everything else that it allows. */
  | { readonly type: 'opened'; readonly identity: SessionIdentity }
  /** Nothing of the room is sent before its `release`. Replaces a subscription of the same room. */
  | { readonly type: 'subscribe'; readonly room: string; readonly since: Since | null; readonly filter: Filter | null }
  /** What was held back for the room since its answer goes out, and everything after it at once. */
  | { readonly type: 'release'; readonly room: string }
  | { readonly type: 'unsubscribe'; readonly room: string }
  | { readonly type: 'publish'; readonly request: number; readonly message: SessionPublish }
  | { readonly type: 'ephemeral'; readonly room: string; readonly tail: string }
  /** Tell the positions of rooms under a filter. */
  | { readonly type: 'advance' }
  | { readonly type: 'close'; readonly name: CloseName; readonly reason?: string }
export interface SessionPublish {
  readonly room: string
  readonly key: string
  readonly sender: string
  readonly options: ''
  readonly tail: string
}

export interface SessionClock {
  /** Monotonic, ms. */
  readonly now: number
  /** Wall clock, ms since 1970, and the same as an ISO 8601 text. */
  readonly wallMs: number
  readonly timestamp: string
}

/** One step under way. */
export interface SessionStep {
  readonly state: SessionState
  readonly clock: SessionClock
  readonly effects: SessionEffect[]
}

export interface Fault {
  readonly code: ErrorCode
  readonly message: string
  readonly id?: RequestId | undefined
  readonly room?: string | undefined
  readonly retryAfterMs?: number | undefined
}

export function send(step: SessionStep, frame: ServerFrame): void {
  step.effects.push({ type: 'send', frame })
}

export function fail(step: SessionStep, { code, message, id, room, retryAfterMs }: Fault): void {
  send(step, {
    type: 'error',
    ...(id === undefined ? {} : { id }),
    ...{ code, message },
    ...(room === undefined ? {} : { room }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  })
}

export function close(step: SessionStep, name: CloseName, reason?: string): void {
  step.state.phase = { type: 'closed' }
  step.effects.push({ type: 'close', name, ...(reason === undefined ? {} : { reason }) })
}

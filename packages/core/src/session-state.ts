import type { Bucket } from './bucket.ts'
import type { CloseName, ErrorCode } from './codes.ts'
import type { Denials } from './denials.ts'
import type { RoomControl } from './room-control.ts'
import type { Since } from './feed-state.ts'
import type { Filter } from './filter.ts'
import type { LossReason, RequestId, ServerFrame } from './frames.ts'
import type { LockMessage, LockRecord } from './lock-entry.ts'
import type { Policy } from './policy.ts'
import type { Position } from './position.ts'
import type { RateStore } from './rates.ts'
import type { Asking } from './session-hooks.ts'
import type { LockRequest } from './session-locks.ts'
import type { Unleaseds } from './session-rates.ts'
import type { HookedAction } from './session-permit.ts'
import type { UserLeases, UserRate } from './user-leases.ts'

/** What an operator may change. */
export interface SessionLimits {
  readonly authDeadlineMs: number
  readonly maxSubscriptions: number
  readonly maxPublishesInFlight: number
  readonly maxBadFrames: number
  /** Frames a connection may send per second, and at once after a silence. */
  readonly framesPerSecond: number
  readonly framesAtOnce: number
  /** Of one user, and of one tenant, over the whole fleet; 0: no limit, and nobody counts. */
  readonly connectionsPerUser: number
  readonly connectionsPerTenant: number
  /** A connection that asks for nothing for so long is closed, ms; 0: none is. */
  readonly idleMs: number
}

/** Whom a verified token named, or nobody. */
export interface SessionIdentity {
  readonly userId: string
  readonly tenantId?: string | undefined
  readonly roles?: readonly string[] | undefined
  readonly permissions?: readonly string[] | undefined
  /** Ms since 1970, with the leeway that clocks are given. */
  readonly expiresAtMs?: number | undefined
  /** When the token was issued, ms since 1970, and its `jti`. */
  readonly issuedAtMs?: number | undefined
  readonly tokenId?: string | undefined
  /** There is no token: the edge gave it the user id, which no other connection has. */
  readonly anonymous?: boolean | undefined
}

export interface HeldFrame {
  readonly text: string
  readonly bytes: number
}
export interface Verifying {
  readonly attempt: number
  readonly id: RequestId | undefined
}
export interface Registering {
  readonly identity: SessionIdentity
  readonly id: RequestId | undefined
  /** The one that is asked now comes first. */
  readonly places: readonly Place[]
}
/** Where a connection counts. */
export interface Place {
  readonly scope: 'user' | 'tenant'
  readonly room: string
  readonly limit: number
}
export interface Connecting {
  readonly request: number
  readonly identity: SessionIdentity
  readonly id: RequestId | undefined
}
/** What a service has of a user who connects: rooms that the connection is put into, and what it is told, any JSON. */
export interface Welcome {
  readonly rooms: readonly string[]
  readonly data?: unknown
}
export type SessionPhase =
  | {
      readonly type: 'authenticating'
      readonly deadlineMs: number
      verifying: Verifying | null
      /** Whom the token named, while the workers of the user's room and of the tenant's are asked, one after the other, whether there is a place. */
      registering: Registering | null
      /** Whom the token named, while the service that decides about connections is asked. */
      connecting: Connecting | null
      /** What that service said. */
      welcome: Welcome | null
      /** Frames that came before the verdict, in order. */
      readonly held: HeldFrame[]
      heldBytes: number
    }
  | { readonly type: 'open'; identity: SessionIdentity; verifying: Verifying | null }
  | { readonly type: 'closed' }
export type Open = Extract<SessionPhase, { type: 'open' }>
export type Early = Extract<SessionPhase, { type: 'authenticating' }>

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
  /** It asked to be told of the members. */
  readonly presence: boolean
  /** What the edge knows of that; null: nothing. */
  attends: { readonly member: boolean; readonly watch: boolean } | null
  asker: RoomAsker | null
  /** When a room that the server joined is tried again after a refusal. */
  retryAtMs: number | null
  /** Until when there is a signed token for the room, ms of the monotonic clock; null: there is none. */
  provenUntilMs: number | null
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
  /** The client says that it was connected before, or still is. */
  readonly returns: boolean
  readonly limits: SessionLimits
  policy: Policy
  denials: Denials
  phase: SessionPhase
  readonly rooms: Map<string, Subscription>
  /** Rooms that a service has put the user into, on this connection; null until the first: most have none. */
  granted: Set<string> | null
  /** Rooms that count against `maxSubscriptions`. */
  subscribed: number
  /** Publishes that wait for their outcome; null until the first: most connections only listen. */
  publishes: Map<number, { readonly id: RequestId; readonly room: string }> | null
  /** Pages of history that are being read, by request. */
  histories: Map<number, { readonly id: RequestId; readonly room: string }> | null
  /** Questions about locks that wait for their answer, by request. */
  locks: Map<number, LockRequest> | null
  /** Questions to services that decide about rooms, and their answers; null until the first. */
  asking: Asking | null
  /** Calls of services that wait for their answer, by request; null until the first. */
  calls: Map<number, RequestId> | null
  requests: number
  attempts: number
  /** When it last asked for something; pings do not count. */
  activeAtMs: number
  /** When a room that the server joined is due to be tried again; Infinity when none is. */
  retryAtMs: number
  /** When the first of the tokens for rooms ends; Infinity when there is none. */
  tokensEndAtMs: number
  readonly frames: Bucket
  /** What it published lately, by class; null until a rate is per connection. */
  rates: RateStore | null
  /** The same of the users of this process. */
  readonly userRates: RateStore
  /** What the users of this process may publish by what their workers said; null: nobody asks them. */
  readonly leases: UserLeases | null
  /** Publishes that wait for that; null while there are none. */
  unleased: Unleaseds | null
  /** Null until the first: most connections send none. */
  badFrames: Bucket | null
}

export type SessionInput =
  /** A token that came with the handshake; null: the client asked in it to be anonymous. */
  | { readonly type: 'token'; readonly token: string | null }
  | { readonly type: 'frame'; readonly text: string; readonly bytes: number }
  | { readonly type: 'binary' }
  /** `retryable`: the token could not be judged now. */
  | { readonly type: 'verdict'; readonly attempt: number; readonly verdict: SessionVerdict }
  /** Whether there is a place for the connection in the scope that was asked for; `unknown`: it cannot be said now. */
  | { readonly type: 'registered'; readonly scope: Place['scope']; readonly outcome: 'taken' | 'refused' | 'unknown' }
  /** The page that was asked for; null: it cannot be read now. */
  | { readonly type: 'history'; readonly request: number; readonly page: HistoryAnswer | null }
  /** What became of a question about locks; null: nobody knows. */
  | {
      readonly type: 'lock'
      readonly request: number
      readonly answer: Pick<LockRecord, 'outcome' | 'locks' | 'retryAfterMs'> | null
    }
  /** There is an answer about a rate that was asked for, or there will be none. */
  | { readonly type: 'leased' }
  /** What a service said of a room, or of the connection. */
  | { readonly type: 'asked'; readonly request: number; readonly answer: HookAnswer }
  /** A token for a room has been checked. */
  | { readonly type: 'roomToken'; readonly request: number; readonly verdict: RoomTokenVerdict }
  | { readonly type: 'called'; readonly request: number; readonly answer: CallAnswer }
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
  /** A service puts the user into a room, or takes it out. */
  | { readonly type: 'control'; readonly control: RoomControl }
  /** Another policy holds from now on. */
  | { readonly type: 'policy'; readonly policy: Policy }
  /** Others are denied from now on. */
  | { readonly type: 'denials'; readonly denials: Denials }
  | { readonly type: 'tick' }
  /** The socket is gone, or the process ends it. */
  | { readonly type: 'closed' }
/** `failed`: it could not be asked. `validMs`: how long that counts. */
export type HookAnswer =
  | { readonly outcome: 'allow'; readonly validMs: number; readonly welcome?: Welcome }
  | { readonly outcome: 'deny'; readonly validMs: number; readonly reason?: string | undefined }
  | { readonly outcome: 'failed'; readonly validMs: number }
/** `expired`: it is signed as it should be, and its time is over. */
export type RoomTokenVerdict =
  | {
      readonly ok: true
      readonly userId: string
      readonly tenantId?: string | undefined
      readonly rooms: readonly string[]
      /** Ms since 1970. */
      readonly expiresAtMs: number
    }
  | { readonly ok: false; readonly retryable: boolean; readonly expired: boolean }
/** `failed`: it was not asked. `unknown`: it may have done what it was asked, or not. */
export type CallAnswer =
  | { readonly outcome: 'result'; readonly data: unknown }
  | { readonly outcome: 'refused'; readonly reason: string; readonly message: string }
  | { readonly outcome: 'failed'; readonly retryAfterMs: number }
  | { readonly outcome: 'unknown' }
export type HistoryAnswer = Omit<Extract<ServerFrame, { type: 'history' }>, 'type' | 'id'>
export type SessionVerdict =
  | { readonly ok: true; readonly identity: SessionIdentity }
  | { readonly ok: false; readonly retryable: boolean }
export type SessionOutcome =
  | { readonly type: 'committed'; readonly epoch: string; readonly seq: number }
  | { readonly type: 'refused'; readonly code: string; readonly retryAfterMs: number }
  | { readonly type: 'unknown'; readonly retryAfterMs: number }

/** To be executed in order. */
export type SessionEffect =
  /** Find out whom the token names; null: whether the connection may be anonymous, and what its user id is. */
  | { readonly type: 'verify'; readonly attempt: number; readonly token: string | null }
  | { readonly type: 'send'; readonly frame: ServerFrame }
  /** Ask whether there is a place for another connection of the user, or of the tenant. */
  | { readonly type: 'register'; readonly scope: Place['scope']; readonly room: string; readonly replaces: string }
  /** Ask a service; answered by `asked`. */
  | {
      readonly type: 'ask'
      readonly request: number
      readonly about: HookQuestion
      readonly identity: SessionIdentity
    }
  /** Check a token for a room; answered by `roomToken`. */
  | { readonly type: 'verifyRoom'; readonly request: number; readonly token: string }
  /** Call a service; answered by `called`. `params` is JSON text. */
  | {
      readonly type: 'call'
      readonly request: number
      readonly method: string
      readonly params: string
      readonly identity: SessionIdentity
    }
  /** The identity is known; comes before everything else that it allows. */
  | { readonly type: 'opened'; readonly identity: SessionIdentity }
  /** Nothing of the room is sent before its `release`. Replaces a subscription of the same room. */
  | { readonly type: 'subscribe'; readonly room: string; readonly since: Since | null; readonly filter: Filter | null }
  /** What was held back for the room since its answer goes out, and everything after it at once. */
  | { readonly type: 'release'; readonly room: string }
  | { readonly type: 'unsubscribe'; readonly room: string }
  /** Whether the connection is a member of the room, and whether it is told of the others. Ends with the subscription. */
  | { readonly type: 'attend'; readonly room: string; readonly member: boolean; readonly watch: boolean }
  /** What its user shows of itself from now on, JSON. */
  | { readonly type: 'show'; readonly state: string }
  | { readonly type: 'publish'; readonly request: number; readonly message: SessionPublish }
  | { readonly type: 'ephemeral'; readonly room: string; readonly options: string; readonly tail: string }
  /** Read a page: what is before a seq, after one, or the newest; answered by `history`. */
  | {
      readonly type: 'history'
      readonly request: number
      readonly room: string
      readonly before: number | undefined
      readonly after: number | undefined
      readonly limit: number
    }
  /** Ask the room's worker; answered by `lock`. */
  | ({ readonly type: 'lock'; readonly request: number } & Omit<LockMessage, 'type' | 'nonce'>)
  /** Ask the user's worker for events of a rate; answered by `leased`. */
  | { readonly type: 'rate'; readonly rate: UserRate }
  /** Tell the positions of rooms under a filter. */
  | { readonly type: 'advance' }
  | { readonly type: 'close'; readonly name: CloseName; readonly reason?: string }
export type HookQuestion =
  | { readonly type: 'connect' }
  | { readonly type: 'room'; readonly hook: string; readonly room: string; readonly action: HookedAction }
export interface SessionPublish {
  readonly room: string
  readonly key: string
  readonly sender: string
  readonly options: string
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
  /** Of a publish: the name of its event, as far as it could be read. */
  readonly event?: string | undefined
  /** Of a call: the service's own word for why. */
  readonly reason?: string | undefined
  readonly retryAfterMs?: number | undefined
}

export function send(step: SessionStep, frame: ServerFrame): void {
  step.effects.push({ type: 'send', frame })
}

export function fail(step: SessionStep, { code, message, id, room, event, reason, retryAfterMs }: Fault): void {
  send(step, {
    type: 'error',
    ...(id === undefined ? {} : { id }),
    ...{ code, message },
    ...(room === undefined ? {} : { room }),
    ...(event === undefined ? {} : { event }),
    ...(reason === undefined ? {} : { reason }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  })
}

export function close(step: SessionStep, name: CloseName, reason?: string): void {
  step.state.phase = { type: 'closed' }
  step.effects.push({ type: 'close', name, ...(reason === undefined ? {} : { reason }) })
}

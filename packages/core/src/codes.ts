/**
 * Every code a client can meet. The range of a close code carries the reconnect policy (after Centrifugo):
 * 1000 and 4400–4499 end the connection for good unless the application changes something, every other code is
 * reconnectable. docs/codes.md lists each with its remedy; a test holds the two in step.
 */

export const errorCodes = {
  /** The frame is not JSON text, or not an object with a known `type`. */
  BAD_FRAME: { retry: false },
  /** The frame's fields are not of the documented form. */
  VALIDATION_ERROR: { retry: false },
  /** The frame is nested too deep, has too many keys, or a key that could poison a prototype. */
  UNSAFE_JSON: { retry: false },
  /** A frame other than `auth` or `ping` arrived before authentication finished in failure. */
  UNAUTHORIZED: { retry: false },
  /** An administrator keeps this user, or its tenant, out. */
  BANNED: { retry: false },
  /** An administrator ended this connection. */
  KICKED: { retry: false },
  /** The policy does not allow this room for this identity. Says nothing about whether the room exists. */
  FORBIDDEN: { retry: false },
  /** A service has taken the user out of the room; asking for it again is judged by the policy. */
  REMOVED: { retry: false },
  /** The signed token by which the room was open has ended: ask again with a newer one. */
  ROOM_TOKEN_EXPIRED: { retry: false },
  /** The room's type is not one the policy knows. */
  UNKNOWN_ROOM_TYPE: { retry: false },
  /** The room's policy lists the events that clients may publish, and this one is not among them. */
  UNKNOWN_EVENT: { retry: false },
  /** The room's name is not of the form type:id or type:tenant:id. */
  INVALID_ROOM: { retry: false },
  /** A position is not of the form { epoch, seq }. */
  BAD_POSITION: { retry: false },
  /** A filter is not of the documented form or exceeds a limit of it. */
  BAD_FILTER: { retry: false },
  /** The connection holds as many subscriptions as it may. */
  TOO_MANY_SUBSCRIPTIONS: { retry: false },
  /** The user has as many connections as it may, over the whole fleet. */
  TOO_MANY_CONNECTIONS: { retry: true },
  /** Unsubscribe from, or resume of, a room that is not subscribed. */
  NOT_SUBSCRIBED: { retry: false },
  /** Somebody else has the lock; it ends after the time given, unless it is renewed. */
  LOCKED: { retry: true },
  /** Unlock of what this holder does not have (any more). */
  NOT_LOCKED: { retry: false },
  /** The room has as many locks as it may. */
  TOO_MANY_LOCKS: { retry: true },
  /** No service is called by a method of this name. */
  UNKNOWN_METHOD: { retry: false },
  /** The service that was called refuses; `reason` is its own word for why. */
  CALL_REFUSED: { retry: false },
  /** The payload is larger than the limit. */
  PAYLOAD_TOO_LARGE: { retry: false },
  /** The body, or the data of an event, is of another media type than the documented ones (HTTP). */
  UNSUPPORTED_MEDIA_TYPE: { retry: false },
  /** A request with this idempotency key is being answered (HTTP). */
  IDEMPOTENCY_KEY_IN_USE: { retry: true },
  /** This idempotency key came with another body before (HTTP). */
  IDEMPOTENCY_KEY_REUSED: { retry: false },
  /** Too many requests from this connection, user or key; retry after the time given. */
  RATE_LIMITED: { retry: true },
  /** Nothing was appended: retry after the time given. */
  OVERLOADED: { retry: true },
  /** The outcome is not known: retry with the same key, and it stays one message. */
  UNKNOWN: { retry: true },
  /** The addressed thing does not exist (HTTP). */
  NOT_FOUND: { retry: false },
  /** A fault of ours; the process log has it. */
  INTERNAL_ERROR: { retry: true },
} as const satisfies Record<string, { retry: boolean }>

export type ErrorCode = keyof typeof errorCodes

/** What a client does after a close: connect again with its positions, or stop and tell the application. */
export type ReconnectPolicy = 'reconnect' | 'terminal'

export const closeCodes = {
  /** Either side is done. */
  normal: { code: 1000, reason: 'normal' },
  /** Binary frames are not part of the protocol. */
  unsupportedData: { code: 1003, reason: 'binary frames are not supported' },
  /** A frame larger than maxFrameBytes. */
  tooBig: { code: 1009, reason: 'frame too big' },
  /** The process is going away: connect again at once. */
  goingAway: { code: 1012, reason: 'service restart' },
  /** The process has no room for this connection: connect again after a back-off. */
  tryLater: { code: 1013, reason: 'try again later' },
  /** The client reads too slowly; its position is resumable. */
  slowConsumer: { code: 4008, reason: 'slow consumer' },
  /** No pong within the time. */
  pingTimeout: { code: 4009, reason: 'ping timeout' },
  /** The user has as many connections as it may: connect again after a back-off, one of them may have ended. */
  tooManyConnections: { code: 4010, reason: 'too many connections' },
  /** Authentication missing, refused or expired. */
  unauthorized: { code: 4401, reason: 'Authentication required' },
  /** Disconnected by administrator. */
  kicked: { code: 4403, reason: 'Disconnected by administrator' },
  /** The client asked for nothing for longer than the edge allows; hearing does not count. */
  idle: { code: 4408, reason: 'idle' },
  /** So many bad frames that the connection is not worth keeping. */
  badProtocol: { code: 4400, reason: 'too many bad frames' },
} as const

export type CloseName = keyof typeof closeCodes

/** `reconnectPolicy(1012)` is `'reconnect'`, `reconnectPolicy(4401)` is `'terminal'`. */
export function reconnectPolicy(code: number): ReconnectPolicy {
  if (code === 1000 || (code >= 4400 && code <= 4499)) return 'terminal'
  return 'reconnect'
}

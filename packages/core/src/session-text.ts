/** What a refused client is told, by code. */
export const refusalText = {
  FORBIDDEN: 'the policy does not allow this room',
  REMOVED: 'a service has taken the user out of this room',
  UNKNOWN_ROOM_TYPE: 'the type of the room is not known',
  INVALID_ROOM: 'a room is of the form type:id or type:tenant:id',
  UNKNOWN_EVENT: 'the policy of the room does not list this event',
  ROOM_TOKEN_EXPIRED: 'the time of the token for this room is over',
  OVERLOADED: 'whether this is allowed cannot be said now',
} as const

/** A refusal by code, as a client is told. */
export function refusal<T extends keyof typeof refusalText>(code: T): { readonly code: T; readonly message: string } {
  return { code, message: refusalText[code] }
}

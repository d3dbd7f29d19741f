/** What a refused client is told, by code. */
export const refusalText = {
  FORBIDDEN: 'the policy does not allow this room',
  REMOVED: 'a service has taken the user out of this room',
  UNKNOWN_ROOM_TYPE: 'the type of the room is not known',
  INVALID_ROOM: 'a room is of the form type:id or type:tenant:id',
  UNKNOWN_EVENT: 'the policy of the room does not list this event',
} as const

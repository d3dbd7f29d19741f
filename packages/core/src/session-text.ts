/** What a refused client is told, by code. */
export const refusalText = {
  FORBIDDEN: 'the policy does not allow this room',
  UNKNOWN_ROOM_TYPE: 'the type of the room is not known',
  INVALID_ROOM: 'a room is of the form type:id or type:tenant:id',
} as const

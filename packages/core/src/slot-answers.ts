import type { AnswerRecord, AskMessage } from './ask-entry.ts'
import { maxAnswerRooms } from './limits.ts'
import { roomsOf } from './members.ts'
import type { SlotState } from './slot-state.ts'

/** What a slot's worker answers a question about all that it knows. It is as old as the commit that it is a part of. */
export function answerTo({ members }: Pick<SlotState, 'members'>, { room, nonce, of }: AskMessage): AnswerRecord {
  const rooms = roomsOf(members, of)
  return { type: 'answer', room, nonce, whole: rooms.length <= maxAnswerRooms, rooms: rooms.slice(0, maxAnswerRooms) }
}

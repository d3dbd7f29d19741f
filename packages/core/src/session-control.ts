import type { RoomControl } from './room-control.ts'
import { isKnown } from './policy.ts'
import { end, joinRooms, userRoom } from './session-rooms.ts'
import { refusal } from './session-text.ts'
import type { SessionStep } from './session-state.ts'

/**
 * A service has put the user into a room, or taken it out (docs/spec.md UR). The edge has seen to it that it is this user. That service's
 * word stands for the conditions of the policy, which still has to know the room.
 */
export function takeControl(step: SessionStep, { type, room }: RoomControl): void {
  const { phase } = step.state
  if (phase.type !== 'open') return
  if (type === 'join') return join(step, room)
  // Without its own room a connection would hear nothing of this kind any more.
  if (room === userRoom(phase.identity)) return
  step.state.granted?.delete(room)
  end(step, room, refusal('REMOVED'))
}

function join(step: SessionStep, room: string): void {
  const { state } = step
  if (!isKnown(state.policy, room)) return
  const granted = (state.granted ??= new Set())
  if (!granted.has(room) && granted.size >= state.limits.maxSubscriptions) return
  granted.add(room)
  if (!state.rooms.has(room)) joinRooms(step, [room])
}

import type { InputRecord } from './entry.ts'
import type { SlotState } from './slot-state.ts'

type Slot = Pick<SlotState, 'marks' | 'members' | 'connections'>

/**
 * Whether a boot says of a connection what a later boot of the same edge has said anew (docs/spec.md LN41). What was on its way to a
 * server that stood still can be executed behind what came over a new connection.
 */
export function isOutdated(state: Slot, message: InputRecord, from: { boot: string; isListed: boolean }): boolean {
  if (message.type !== 'connection' && message.type !== 'member') return false
  const later = laterBoots(state, from.boot)
  if (later.length === 0) return false
  // An edge that took a new boot signs the old one off. While the list still has both, only what the other has told counts against this one.
  if (!from.isListed) return true
  const { room, connection } = message
  const known =
    message.type === 'connection'
      ? state.connections.get(room)?.get(connection)
      : state.members.rooms.get(room)?.connections.get(connection)
  return known !== undefined && later.includes(known.boot)
}

/** Marks are kept in the order in which boots were first heard, also by the store. */
function laterBoots({ marks }: Slot, boot: string): readonly string[] {
  if (!marks.has(boot)) return []
  const edge = boot.slice(0, boot.indexOf('#') + 1)
  const own = [...marks.keys()].filter((each) => each.startsWith(edge))
  return own.slice(own.indexOf(boot) + 1)
}

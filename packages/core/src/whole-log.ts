import { decodeLog } from './entry.ts'
import type { LogEntry } from './entry.ts'

/** A room's log has an entry that this version does not know, or one that is not what its id says. */
export class UnreadableLogError extends Error {
  readonly code = 'UNREADABLE_LOG'
  constructor(room: string, id: string) {
    super(`entry ${id} in the log of room ${room} is not of a form that this version reads`)
    this.name = 'UnreadableLogError'
  }
}

/**
 * Entries of a room's log, for a reader that goes by where it ends. When one cannot be read the head is not known, and
 * whoever numbered on would give a seq out twice: so it throws {@link UnreadableLogError} then.
 */
export function decodeWholeLog(
  room: string,
  lines: readonly { readonly id: string; readonly body: string }[],
): LogEntry[] {
  return lines.map(({ id, body }) => {
    const entry = decodeLog(body)
    if (entry === undefined || id !== `${entry.first + entry.messages.length - 1}-0`)
      throw new UnreadableLogError(room, id)
    return entry
  })
}

/** A service puts a user into a room, or takes it out: an option of an event in that user's own room (docs/spec.md UR). */
export interface RoomControl {
  readonly type: 'join' | 'leave'
  readonly room: string
}

/** The control in the options of an event; undefined for nearly all, and for one that makes no sense. */
export function controlOf(options: string): RoomControl | undefined {
  if (!options.includes('"control"')) return undefined
  const control: unknown = memberOf(parsed(options), 'control')
  const type: unknown = memberOf(control, 'type')
  const room: unknown = memberOf(control, 'room')
  if ((type !== 'join' && type !== 'leave') || typeof room !== 'string') return undefined
  return { type, room }
}

/** Producers write what can be read. Of others, or of a version to come, nothing is made. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Object.getOwnPropertyDescriptor(value, name)?.value : undefined
}
